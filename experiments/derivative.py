"""Is the derivative of a residual block always at least 1, as the notes say?"""

import runs
import torch.nn.functional as F
from cells import extent, origin
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
    found = {"negative": [], "least": [], "ratios": []}
    passed = []

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


def measured():
    """The nets, and what was measured of each."""
    [nets] = runs.read(PLAN["trained"]).values()
    return nets, [run["measured"]["derivative"] for run in nets]


def signs():
    """How many of the dy/dx of each block are below 0, and the least of them."""
    nets, found = measured()
    rows = []
    for i, block in enumerate(("rblock1", "rblock2")):
        negative = extent([of_net["negative"][i] for of_net in found], ".1f")
        least = min(of_net["least"][i] for of_net in found)
        rows.append([block, origin(nets), f"{negative} %", least])
    return rows


def norms():
    """The ratios of the gradient's norms: median, least, share of digits below 1."""
    _, found = measured()
    places = [(block, y) for block in (1, 2) for y in ("x + y", "ReLU(x + y)")]
    rows = []
    for i, (block, after) in enumerate(places):
        medians, leasts, below = zip(*(of_net["ratios"][i] for of_net in found))
        shares = f"{extent(below, '.1f')} %"
        rows.append(
            [f"rblock{block}", after, extent(medians), f"{min(leasts):.2f}", shares]
        )
    return rows


def tables():
    return {"derivative": signs(), "derivative: norms": norms()}


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
