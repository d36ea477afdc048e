"""Is the derivative of a residual block always at least 1, as the notes say?"""

import runs
import torch.nn.functional as F
from torch.func import jacrev, vmap

from resnet_mnist import Net

PLAN = {"trained": runs.Runs({"ResNet": Net}, epochs=10, measure="derivative")}


def measure(net, train_set, test_set):
    """Of each block, the derivatives of its branch and what it does to the gradient.

    "negative": share (%) of the dy_i/dx_i below 0, and "least": the least, in 16 digits;
    "ratios": norm of the gradient before the block by that after the sum x + y, and by
    that after the ReLU: median, least and share (%) below 1 in 500 digits.
    """
    images, labels = test_set
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


def tables():
    [nets] = runs.read(PLAN["trained"], every_device=True).values()
    found = [run["measured"]["derivative"] for run in nets]
    signs, norms = [], []
    for i, block in enumerate(("rblock1", "rblock2")):
        negative = runs.extent([of_net["negative"][i] for of_net in found], ".1f")
        least = min(of_net["least"][i] for of_net in found)
        signs.append([block, runs.origin(nets), f"{negative} %", least])
        for j, after in enumerate(("x + y", "ReLU(x + y)")):
            ratios = [of_net["ratios"][2 * i + j] for of_net in found]
            median, least, below = zip(*ratios)
            cells = [runs.extent(median), f"{min(least):.2f}"]
            norms.append([block, after, *cells, f"{runs.extent(below, '.1f')} %"])
    return {"derivative": signs, "derivative: norms": norms}


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
