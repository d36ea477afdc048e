"""Why is the gain of GoogLeNet so small? It is changed in one place at a time."""

from functools import partial
from statistics import mean

import runs
from cells import difference, finals, origin, spread
from torch import nn

from googlenet_mnist import Net


def lecture10(norm=nn.Identity):
    """The network of the lecture before: two convolutions, and no Inception module."""
    first = nn.Conv2d(1, 10, kernel_size=5), norm(10), nn.MaxPool2d(2), nn.ReLU()
    second = nn.Conv2d(10, 20, kernel_size=5), norm(20), nn.MaxPool2d(2), nn.ReLU()
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(320, 10))


def lecture10_kaiming():
    """The same from the start of "GoogLeNet, Kaiming"."""
    return runs.kaiming(lecture10(), "linear")


def googlenet(change):
    """A GoogLeNet with one change; ReLU and BN come after each convolution of a module."""
    net = Net()
    if change == "one 5×5 a module":
        net.incep1 = nn.Conv2d(10, 88, kernel_size=5, padding=2)
        net.incep2 = nn.Conv2d(20, 88, kernel_size=5, padding=2)
    elif change == "GoogLeNet, Kaiming":
        runs.kaiming(net, "linear")
    elif change == "second fc layer":
        net.fc = nn.Sequential(nn.Linear(1408, 128), nn.ReLU(), nn.Linear(128, 10))
    elif change == "second fc layer, no ReLU":  # as large, and still one linear map
        net.fc = nn.Sequential(nn.Linear(1408, 128), nn.Linear(128, 10))
    elif change == "average pooling":  # over the 4x4, the head of the paper
        pool = nn.Sequential(nn.Unflatten(1, (88, 4, 4)), nn.AvgPool2d(4), nn.Flatten())
        net.fc = nn.Sequential(pool, nn.Linear(88, 10))
    elif change in ("ReLU", "BN", "BN and ReLU"):
        for module in (net.incep1, net.incep2):
            for name, conv in list(module.named_children()):
                layers = [conv]
                if "BN" in change:
                    layers.append(nn.BatchNorm2d(conv.out_channels))
                if "ReLU" in change:
                    layers.append(nn.ReLU())
                setattr(module, name, nn.Sequential(*layers))
    return net


CHANGES = [
    "one 5×5 a module",
    "GoogLeNet, Kaiming",
    "second fc layer",
    "second fc layer, no ReLU",
    "average pooling",
    "ReLU",
    "BN",
    "BN and ReLU",
]
TWO = {"GoogLeNet": Net, "lecture 10's CNN": lecture10}
NETWORKS = {**TWO, **{change: partial(googlenet, change) for change in CHANGES}}
CONTROLS = {
    **TWO,
    "lecture 10's CNN, Kaiming": lecture10_kaiming,
    "lecture 10's CNN, BN": partial(lecture10, nn.BatchNorm2d),
    "BN and ReLU": NETWORKS["BN and ReLU"],
}
# What a CPU has, too, at the larger rate.
AGAIN = [name for name in NETWORKS if name != "second fc layer, no ReLU"]
CONTROLS_AND_AGAIN = {**CONTROLS, **{name: NETWORKS[name] for name in AGAIN}}
RATES = (0.01, 0.05)
FIVE = {lr: runs.Runs(NETWORKS, epochs=5, lr=lr) for lr in RATES}
TEN = {lr: runs.Runs(TWO, epochs=10, lr=lr) for lr in RATES}
CONTROL = {
    0.01: runs.Runs(CONTROLS, epochs=5, lr=0.01, seeds=5),
    0.05: runs.Runs(CONTROLS_AND_AGAIN, epochs=5, lr=0.05, seeds=5),
}
PLAN = {**FIVE, **{("ten epochs", lr): group for lr, group in TEN.items()}}
PLAN.update({("control", lr): group for lr, group in CONTROL.items()})
PAIRS = [
    ("BN and ReLU", "BN"),
    ("second fc layer", "second fc layer, no ReLU"),
]
CONTROL_PAIRS = [
    ("lecture 10's CNN, BN", "lecture 10's CNN"),
    ("lecture 10's CNN, Kaiming", "lecture 10's CNN"),
    ("BN and ReLU", "lecture 10's CNN, BN"),
]


def from_googlenet(groups, early):
    """Accuracy after the epoch `early` and the last, and points from GoogLeNet."""
    rows = []
    for lr, group in groups.items():
        found = runs.read(group)
        for name, nets in found.items():
            diverged = sum(not run["losses"] for run in nets)
            if diverged:
                cells = [f"{diverged} of {len(nets)} diverge", "", ""]
            else:
                first = spread([run["accuracies"][early - 1] for run in nets])
                gain = difference(nets, found["GoogLeNet"])
                cells = [first, spread(finals(nets)), gain]
            rows.append([lr, name, origin(nets), *cells])
    return rows


def pairs(groups, compared):
    """Differences of two networks, at each rate."""
    rows = []
    for lr, group in groups.items():
        found = runs.read(group)
        for ours, theirs in compared:
            gain = difference(found[ours], found[theirs])
            rows.append([lr, f"{ours} - {theirs}", gain])
    return rows


def rates():
    """Differences of the two rates, after ten epochs."""
    slow = runs.read(TEN[0.01])
    fast = runs.read(TEN[0.05])
    return [[name, difference(fast[name], slow[name])] for name in TWO]


def better():
    """Each network at the better of its two rates."""
    best = {}
    for group in FIVE.values():
        for name, nets in runs.read(group).items():
            if not all(run["losses"] for run in nets):
                continue
            if name not in best or mean(finals(nets)) > mean(finals(best[name])):
                best[name] = nets
    rows = []
    for name, nets in best.items():
        size = sum(parameter.numel() for parameter in NETWORKS[name]().parameters())
        gain = difference(nets, best["GoogLeNet"])
        rows.append([name, f"{size:,}", nets[0]["lr"], spread(finals(nets)), gain])
    return rows


def tables():
    return {
        "small_gain": from_googlenet(FIVE, early=1),
        "small_gain: pairs": pairs(FIVE, PAIRS),
        "small_gain: controls": from_googlenet(CONTROL, early=1),
        "small_gain: control pairs": pairs(CONTROL, CONTROL_PAIRS),
        "small_gain: better": better(),
        "small_gain: ten": from_googlenet(TEN, early=5),
        "small_gain: rates": rates(),
    }


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
