"""Does the better branch of an Inception module get the larger weight?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs
import torch
from cells import difference, finals, heat_map, origin, spread
from small_gain import NETWORKS

from googlenet_mnist import Net, test

BRANCHES = ["1×1", "5×5", "3×3", "pool"]
CHANNELS = [16, 24, 24, 24]


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
    """A GoogLeNet whose branches start with a loudness in the ratio of `aims`."""
    net = Net()
    images, _ = runs.load("cpu")[0]
    for module in (net.incep1, net.incep2):
        stds = loudness(net, module, images)
        power = sum(c * std**2 for c, std in zip(CHANNELS, stds))
        # so that the power of the module stays
        unit = (power / sum(c * aim**2 for c, aim in zip(CHANNELS, aims))) ** 0.5
        convs = [module.branch1x1, module.branch5x5_2]
        convs += [module.branch3x3_3, module.branch_pool]
        for conv, aim, std in zip(convs, aims, stds):
            factor = aim * unit / std
            conv.weight.mul_(factor)
            conv.bias.mul_(factor)
    return net


DEFAULTS = {name: NETWORKS[name] for name in ("GoogLeNet", "GoogLeNet, Kaiming")}
STARTS = {
    **DEFAULTS,
    "GoogLeNet, all equally loud": partial(start, 1, 1, 1, 1),
    "GoogLeNet, 1×1 loud": partial(start, 3, 1, 1, 1),
    "GoogLeNet, 5×5 loud": partial(start, 1, 3, 1, 1),
    "GoogLeNet, 3×3 loud": partial(start, 1, 1, 3, 1),
    "GoogLeNet, pool loud": partial(start, 1, 1, 1, 3),
}
PLAN = {
    "trained": runs.Runs(STARTS, epochs=5, measure="branches"),
    "untrained": runs.Runs(DEFAULTS, epochs=0, measure="branches", seeds=1),
}


@torch.no_grad()
def measure(net, train_set, test_set):
    """Of each module: points lost without a branch, rms of its readers, its loudness."""
    whole = test(net, *test_set)
    found = {}
    for i, weight in (1, net.conv2.weight), (2, net.fc.weight.view(10, 88, 16)):
        weights = []
        lost = []
        for part in weight.detach().split(CHANNELS, dim=1):
            saved = part.clone()
            weights.append(round(saved.square().mean().sqrt().item(), 4))
            part.zero_()  # a view, so that it is zero in the net
            lost.append(round(whole - test(net, *test_set), 2))
            part.copy_(saved)
        stds = loudness(net, getattr(net, f"incep{i}"), train_set[0])
        found[f"weights {i}"] = weights
        found[f"lost {i}"] = lost
        found[f"loudness {i}"] = [round(std.item(), 3) for std in stds]
    return found


def measured(nets, key):
    """For each net what was measured of its four branches."""
    return [run["measured"]["branches"][key] for run in nets]


def points_lost(nets):
    """For each branch of incep1, then of incep2, the points that each net loses."""
    modules = [zip(*measured(nets, f"lost {i}")) for i in (1, 2)]
    return [values for branches in modules for values in branches]


def points():
    """Accuracy, and the points lost without each branch of incep1, then of incep2."""
    rows = []
    found = runs.read(PLAN["trained"])
    for name, nets in found.items():
        gain = difference(nets, found["GoogLeNet"])
        lost = [spread(values) for values in points_lost(nets)]
        rows.append([name, origin(nets), spread(finals(nets)), gain, *lost])
    return rows


def largest(values):
    """The place of the largest value, the first of equals."""
    return values.index(max(values))


def counts(places):
    """How many of the nets have each branch in the first place."""
    found = [(branch, places.count(i)) for i, branch in enumerate(BRANCHES)]
    return ", ".join(f"{branch} {count}" for branch, count in found if count)


def which():
    """In how many nets each branch has the largest weights, and costs most points."""
    rows = []
    for name, nets in runs.read(PLAN["trained"]).items():
        for i in (1, 2):
            heaviest = [largest(weights) for weights in measured(nets, f"weights {i}")]
            missed = [largest(lost) for lost in measured(nets, f"lost {i}")]
            same = sum(a == b for a, b in zip(heaviest, missed))
            row = [name, f"incep{i}", counts(heaviest), counts(missed)]
            rows.append([*row, f"{same} of {len(nets)}"])
    return rows


def loud():
    """How loud the branches of each module are before training."""
    rows = []
    for name, nets in runs.read(PLAN["untrained"]).items():
        for i in (1, 2):
            [stds] = measured(nets, f"loudness {i}")
            rows.append([name, f"incep{i}", *(f"{std:.3f}" for std in stds)])
    return rows


def tables():
    return {
        "branches": points(),
        "branches: which": which(),
        "branches: loudness": loud(),
    }


def draw():
    found = runs.read(PLAN["trained"])
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    columns = [f"incep{i}\n{branch}" for i in (1, 2) for branch in BRANCHES]
    names = [f"{name} ({len(nets)} seeds)" for name, nets in found.items()]
    means = [[mean(values) for values in points_lost(nets)] for nets in found.values()]
    texts = [[f"{round(x, 1) + 0.0:.1f}" for x in line] for line in means]  # no -0.0
    heat_map(axes, texts, means, names, columns, cmap="Reds", vmin=0, vmax=60)
    axes.set_title("points of accuracy lost without a branch, after five epochs")
    figure.savefig(runs.EXPERIMENTS / "branches.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
