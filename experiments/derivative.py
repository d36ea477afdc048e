"""Is the derivative of a residual block always at least 1, as the notes say?"""

import runs as store
import torch.nn.functional as F
from torch.func import jacrev, vmap

from resnet_mnist import Net


def measure(net):
    """Of each block, the derivatives of its branch and what it does to the gradient.

    "negative": share (%) of the dy_i/dx_i below 0, and "least": the least, in 16 digits;
    "ratios": norm of the gradient before the block by that after the sum x + y, and by
    that after the ReLU: median, least and share (%) below 1 in 500 digits.
    """
    images, labels = store.load(net.fc.weight.device.type)[1]
    found, passed = {"negative": [], "least": [], "ratios": []}, []

    def keep(block, inputs, output):
        inputs[0].retain_grad()
        output.retain_grad()
        passed.append((block, inputs[0], output))

    hooks = [b.register_forward_hook(keep) for b in (net.rblock1, net.rblock2)]
    logits = net.eval()(images[:500])
    F.cross_entropy(logits, labels[:500], reduction="sum").backward()
    for hook in hooks:
        hook.remove()
    for block, x, out in passed:

        def y(x, block=block):
            return block.conv2(F.relu(block.conv1(x[None]))).flatten()

        jacobians = vmap(jacrev(y))(x[:16].detach()).flatten(2)
        diagonals = jacobians.diagonal(dim1=1, dim2=2)
        found["negative"].append(round(100 * (diagonals < 0).float().mean().item(), 1))
        found["least"].append(round(diagonals.min().item(), 3))
        for after in (out.grad * (out > 0), out.grad):
            ratios = x.grad.flatten(1).norm(dim=1) / after.flatten(1).norm(dim=1)
            figures = ratios.median(), ratios.min(), 100 * (ratios < 1).float().mean()
            found["ratios"].append([round(figure.item(), 2) for figure in figures])
    return found


if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    [runs] = store.collect(args, {"ResNet": Net}, 10, measure="derivative").values()
    for i, block in enumerate(("rblock1", "rblock2")):
        negative, least = zip(*((run["negative"][i], run["least"][i]) for run in runs))
        range_of = f"{min(negative)} to {max(negative)} %"
        store.row(block, store.origin(runs), range_of, min(least))
        for j, what in enumerate(("x + y", "ReLU(x + y)")):
            medians, lowest, below = zip(*(run["ratios"][2 * i + j] for run in runs))
            cells = [f"{min(medians):.2f} to {max(medians):.2f}", f"{min(lowest):.2f}"]
            store.row(block, what, *cells, f"{min(below):.0f} to {max(below):.0f} %")
