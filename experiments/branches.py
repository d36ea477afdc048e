"""Does the better branch of an Inception module get the larger weight?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs as store
import torch
from runs import origin, row, spread
from small_gain import NETWORKS

from googlenet_mnist import Net, test

BRANCHES, CHANNELS = ["1×1", "5×5", "3×3", "pool"], [16, 24, 24, 24]


@torch.no_grad()
def loudness(net, module):
    """Standard deviation over 1,000 digits of what each branch of `module` puts out."""
    outputs = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    net(store.load("cpu")[0][0][:1000])
    hook.remove()
    return [y.var(dim=0).mean().sqrt() for y in outputs[0].split(CHANNELS, dim=1)]


@torch.no_grad()
def start(*aims):
    """A GoogLeNet whose branches start as loud as `aims` says, its modules as ever."""
    net = Net()
    for module in (net.incep1, net.incep2):
        stds = loudness(net, module)
        power = sum(c * std**2 for c, std in zip(CHANNELS, stds))
        unit = (power / sum(c * aim**2 for c, aim in zip(CHANNELS, aims))) ** 0.5
        convs = [module.branch1x1, module.branch5x5_2]
        convs += [module.branch3x3_3, module.branch_pool]
        for conv, aim, std in zip(convs, aims, stds):
            conv.weight.mul_(aim * unit / std)
            conv.bias.mul_(aim * unit / std)
    return net


STARTS = {
    "GoogLeNet": Net,
    "GoogLeNet, Kaiming": NETWORKS["GoogLeNet, Kaiming"],
    "GoogLeNet, all equally loud": partial(start, 1, 1, 1, 1),
    "GoogLeNet, 1×1 loud": partial(start, 3, 1, 1, 1),
    "GoogLeNet, 5×5 loud": partial(start, 1, 3, 1, 1),
    "GoogLeNet, 3×3 loud": partial(start, 1, 1, 3, 1),
    "GoogLeNet, pool loud": partial(start, 1, 1, 1, 3),
}


@torch.no_grad()
def measure(net):
    """Points lost without each branch, and the rms of the weights that read it."""
    test_set, found = store.load(net.fc.weight.device.type)[1], {}
    whole = test(net, *test_set)
    for i, weight in (1, net.conv2.weight), (2, net.fc.weight.view(10, 88, 16)):
        weights, lost = [], []
        found.update({f"weights {i}": weights, f"lost {i}": lost})
        for part in weight.detach().split(CHANNELS, dim=1):
            saved = part.clone()
            weights.append(round(saved.square().mean().sqrt().item(), 4))
            part.zero_()  # a view, so that it is zero in the net
            lost.append(round(whole - test(net, *test_set), 2))
            part.copy_(saved)
    return found


def places(key, runs):
    """In how many nets each branch has the largest value."""
    firsts = [max(range(4), key=run[key].__getitem__) for run in runs]
    counts = [(firsts.count(i), branch) for i, branch in enumerate(BRANCHES)]
    return firsts, ", ".join(f"{branch} {n}" for n, branch in counts if n)


if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    found = store.collect(args, STARTS, epochs=5, measure="branches")
    lost = {}  # points of each branch of incep1, then of incep2
    for name, runs in found.items():
        lost[name] = list(zip(*(run["lost 1"] + run["lost 2"] for run in runs)))
        row(name, origin(runs), spread(store.last(runs)), *map(spread, lost[name]))
    for name, runs in found.items():
        for i in (1, 2):
            heaviest, weights = places(f"weights {i}", runs)
            missed, most = places(f"lost {i}", runs)
            same = sum(a == b for a, b in zip(heaviest, missed))
            row(name, f"incep{i}", weights, most, f"{same} of {len(runs)}")
    torch.manual_seed(0)
    net = Net()
    for module in (net.incep1, net.incep2):
        row("loudness", *(f"{std:.3f}" for std in loudness(net, module)))
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    columns = [f"incep{i}\n{branch}" for i in (1, 2) for branch in BRANCHES]
    names = [f"{name} ({len(runs)} seeds)" for name, runs in found.items()]
    shades = [list(map(mean, points)) for points in lost.values()]
    texts = [[f"{round(x, 1) + 0.0:.1f}" for x in values] for values in shades]
    store.fields(axes, texts, shades, names, columns, cmap="Reds", vmin=0, vmax=60)
    axes.set_title("points of accuracy lost without a branch, after five epochs")
    figure.savefig(store.EXPERIMENTS / "branches.png", dpi=90)
