"""Does the better branch of an Inception module get the larger weight?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs
import torch
from small_gain import NETWORKS

from googlenet_mnist import Net, test

BRANCHES, CHANNELS = ["1×1", "5×5", "3×3", "pool"], [16, 24, 24, 24]


@torch.no_grad()
def loudness(net, module, images):
    """Standard deviation over 1,000 digits of what each branch of `module` puts out."""
    outputs = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    net(images[:1000])
    hook.remove()
    return [y.var(dim=0).mean().sqrt() for y in outputs[0].split(CHANNELS, dim=1)]


@torch.no_grad()
def start(*aims):
    """A GoogLeNet whose branches start as loud as `aims` says, its modules as ever."""
    net, (images, _) = Net(), runs.load("cpu")[0]
    for module in (net.incep1, net.incep2):
        stds = loudness(net, module, images)
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
PLAN = {
    "trained": runs.Runs(STARTS, epochs=5, measure="branches"),
    "untrained": runs.Runs({"GoogLeNet": Net}, epochs=0, measure="branches", seeds=1),
}


@torch.no_grad()
def measure(net, train_set, test_set):
    """Of each module: points lost without a branch, rms of its readers, its loudness."""
    whole, found = test(net, *test_set), {}
    for i, weight in (1, net.conv2.weight), (2, net.fc.weight.view(10, 88, 16)):
        weights, lost = [], []
        for part in weight.detach().split(CHANNELS, dim=1):
            saved = part.clone()
            weights.append(round(saved.square().mean().sqrt().item(), 4))
            part.zero_()  # a view, so that it is zero in the net
            lost.append(round(whole - test(net, *test_set), 2))
            part.copy_(saved)
        loud = loudness(net, getattr(net, f"incep{i}"), train_set[0])
        found.update({f"weights {i}": weights, f"lost {i}": lost})
        found[f"loudness {i}"] = [round(std.item(), 3) for std in loud]
    return found


def places(key, nets):
    """In how many nets each branch has the largest value."""
    values = [run["measured"]["branches"][key] for run in nets]
    firsts = [max(range(4), key=of_net.__getitem__) for of_net in values]
    counts = [(firsts.count(i), branch) for i, branch in enumerate(BRANCHES)]
    return firsts, ", ".join(f"{branch} {n}" for n, branch in counts if n)


def lost(nets):
    """The points that the nets lose without each branch of incep1, then of incep2."""
    of_nets = [run["measured"]["branches"] for run in nets]
    return list(zip(*(found["lost 1"] + found["lost 2"] for found in of_nets)))


def tables():
    points, firsts, found = [], [], runs.read(PLAN["trained"])
    for name, nets in found.items():
        cells = [runs.origin(nets), runs.spread(runs.last(nets))]
        cells.append(runs.difference(runs.last(nets), runs.last(found["GoogLeNet"])))
        points.append([name, *cells, *map(runs.spread, lost(nets))])
        for i in (1, 2):
            heaviest, weights = places(f"weights {i}", nets)
            missed, most = places(f"lost {i}", nets)
            same = sum(a == b for a, b in zip(heaviest, missed))
            firsts.append([name, f"incep{i}", weights, most, f"{same} of {len(nets)}"])
    [[run, *_]] = runs.read(PLAN["untrained"]).values()
    found = run["measured"]["branches"]
    loud = [[f"incep{i}", *found[f"loudness {i}"]] for i in (1, 2)]
    return {"branches": points, "branches: which": firsts, "branches: loudness": loud}


def draw():
    found = runs.read(PLAN["trained"])
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    columns = [f"incep{i}\n{branch}" for i in (1, 2) for branch in BRANCHES]
    names = [f"{name} ({len(nets)} seeds)" for name, nets in found.items()]
    shades = [list(map(mean, lost(nets))) for nets in found.values()]
    texts = [[f"{round(x, 1) + 0.0:.1f}" for x in values] for values in shades]
    runs.heat_map(axes, texts, shades, names, columns, cmap="Reds", vmin=0, vmax=60)
    axes.set_title("points of accuracy lost without a branch, after five epochs")
    figure.savefig(runs.EXPERIMENTS / "branches.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
