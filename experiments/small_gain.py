"""Why is the gain of GoogLeNet so small? It is changed in one place at a time."""

from functools import partial
from statistics import mean

import runs
from runs import difference, last, spread
from torch import nn

from googlenet_mnist import Net


def lecture10(norm=nn.Identity):
    """The network of the lecture before: two convolutions, and no Inception module."""
    first = nn.Conv2d(1, 10, kernel_size=5), norm(10), nn.MaxPool2d(2), nn.ReLU()
    second = nn.Conv2d(10, 20, kernel_size=5), norm(20), nn.MaxPool2d(2), nn.ReLU()
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(320, 10))


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
    elif (
        change == "second fc layer, no ReLU"
    ):  # the same size, and still one linear map
        net.fc = nn.Sequential(nn.Linear(1408, 128), nn.Linear(128, 10))
    elif change == "average pooling":  # over the 4x4, the head of the paper
        pool = nn.Sequential(nn.Unflatten(1, (88, 4, 4)), nn.AvgPool2d(4), nn.Flatten())
        net.fc = nn.Sequential(pool, nn.Linear(88, 10))
    for module in (net.incep1, net.incep2):
        for name, conv in list(module.named_children()):
            bn = [nn.BatchNorm2d(conv.out_channels)] if "BN" in change else []
            relu = [nn.ReLU()] if change in ("ReLU", "BN and ReLU") else []
            setattr(module, name, nn.Sequential(conv, *bn, *relu))
    return net


CHANGES = ["one 5×5 a module", "GoogLeNet, Kaiming", "second fc layer"]
CHANGES += ["second fc layer, no ReLU", "average pooling", "ReLU", "BN", "BN and ReLU"]
NETWORKS = {"GoogLeNet": Net, "lecture 10's CNN": lecture10}
TWO = dict(NETWORKS)
NETWORKS.update({change: partial(googlenet, change) for change in CHANGES})
NETWORKS["lecture 10's CNN, BN"] = partial(lecture10, nn.BatchNorm2d)
PAIRS = [("BN and ReLU", "BN"), ("lecture 10's CNN, BN", "lecture 10's CNN")]
PAIRS += [("BN and ReLU", "lecture 10's CNN, BN")]
PAIRS += [("second fc layer", "second fc layer, no ReLU")]
PLAN = {lr: runs.Runs(NETWORKS, epochs=5, lr=lr) for lr in (0.01, 0.05)}
PLAN.update({(10, lr): runs.Runs(TWO, epochs=10, lr=lr) for lr in (0.01, 0.05)})


def tables():
    five, ten, pairs, best, better = [], [], [], [], {}
    for group in PLAN.values():
        found, lr = runs.read(group), group.lr
        table, early = (five, 0) if group.epochs == 5 else (ten, 4)
        for name, nets in found.items():
            row, lost = (
                [lr, name, runs.origin(nets)],
                sum(not r["losses"] for r in nets),
            )
            if lost:
                table.append([*row, f"{lost} of {len(nets)} diverge", "", ""])
                continue
            first = spread([run["accuracies"][early] for run in nets])
            gain = difference(last(nets), last(found["GoogLeNet"]))
            table.append([*row, first, spread(last(nets)), gain])
            if table is five and mean(last(nets)) >= mean(last(better.get(name, nets))):
                better[name] = nets
        for pair in PAIRS if table is five else ():
            gain = difference(*(last(found[name]) for name in pair))
            pairs.append([lr, " - ".join(pair), gain])
    for name in TWO:
        slow, fast = (last(runs.read(PLAN[10, lr])[name]) for lr in (0.01, 0.05))
        pairs.append(["0.05 - 0.01", f"{name}, ten epochs", difference(fast, slow)])
    for name, nets in better.items():
        size = sum(parameter.numel() for parameter in NETWORKS[name]().parameters())
        gain = difference(last(nets), last(better["GoogLeNet"]))
        best.append([name, f"{size:,}", nets[0]["lr"], spread(last(nets)), gain])
    names = ["small_gain", "small_gain: pairs", "small_gain: better", "small_gain: ten"]
    return dict(zip(names, (five, pairs, best, ten)))


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
