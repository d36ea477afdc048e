"""Is the derivative of a residual block always at least 1, as the notes say?"""

import runs
import torch.nn.functional as F
from cells import extent, origin
from torch.func import jacrev, vmap

from resnet_mnist import Net

PLAN = {"trained": runs.Runs({"ResNet": Net}, epochs=10, measure="derivative")}


def passed(net, images, labels):
    """[(block, its input, its output)] of both blocks, with their gradients."""
    found = []

    def keep(block, inputs, output):
        inputs[0].retain_grad()
        output.retain_grad()
        found.append((block, inputs[0], output))

    hooks = [b.register_forward_hook(keep) for b in (net.rblock1, net.rblock2)]
    F.cross_entropy(net.eval()(images), labels, reduction="sum").backward()
    for hook in hooks:
        hook.remove()
    return found


def own_derivatives(block, x):
    """dy_i/dx_i of the branch for every i: (N, C, H, W) -> (N, C * H * W)."""

    def y(x):  # (C, H, W) -> (C * H * W,)
        return block.conv2(F.relu(block.conv1(x[None]))).flatten()

    jacobians = vmap(jacrev(y))(x).flatten(2)  # (N, C * H * W, C * H * W)
    return jacobians.diagonal(dim1=1, dim2=2)


def ratios(before, after):
    """Median, least and share (%) below 1 of the norms `before` divided by `after`."""
    found = before.flatten(1).norm(dim=1) / after.flatten(1).norm(dim=1)  # (N,)
    figures = [found.median(), found.min(), 100 * (found < 1).float().mean()]
    return [round(figure.item(), 2) for figure in figures]


def measure(net, train_set, test_set):
    """Of each block, the derivatives of its branch and what it does to the gradient.

    "negative": share (%) of the dy_i/dx_i below 0, and "least": the least, in 16 digits;
    "ratios": norm of the gradient before the block by that after the sum x + y, and by
    that after the ReLU: median, least and share (%) below 1 in 500 digits.
    """
    images, labels = test_set
    found = {"negative": [], "least": [], "ratios": []}
    for block, x, out in passed(net, images[:500], labels[:500]):
        own = own_derivatives(block, x[:16].detach())
        found["negative"].append(round(100 * (own < 0).float().mean().item(), 1))
        found["least"].append(round(own.min().item(), 3))
        at_sum = out.grad * (out > 0)  # the last ReLU passes it where it is above 0
        found["ratios"] += [ratios(x.grad, at_sum), ratios(x.grad, out.grad)]
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
        row = [f"rblock{block}", after, extent(medians), f"{min(leasts):.2f}"]
        rows.append([*row, f"{extent(below, '.1f')} %"])
    return rows


def tables():
    return {"derivative": signs(), "derivative: norms": norms()}


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
