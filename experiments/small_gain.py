"""Why is the gain of GoogLeNet so small? It is changed in one place at a time."""

from functools import partial

import runs as store
from runs import difference, last, mean, origin, row, spread
from torch import nn

from googlenet_mnist import Net


def lecture10():
    """The network of the lecture before: two convolutions, and no Inception module."""
    first = nn.Conv2d(1, 10, kernel_size=5), nn.MaxPool2d(2), nn.ReLU()
    second = nn.Conv2d(10, 20, kernel_size=5), nn.MaxPool2d(2), nn.ReLU()
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(320, 10))


def googlenet(change):
    """A GoogLeNet with one change; ReLU and BN come after each convolution of a module."""
    net = Net()
    if change == "one 5×5 a module":
        net.incep1 = nn.Conv2d(10, 88, kernel_size=5, padding=2)
        net.incep2 = nn.Conv2d(20, 88, kernel_size=5, padding=2)
    elif change == "GoogLeNet, Kaiming":
        store.kaiming(net, "linear")
    elif change == "second fc layer":
        net.fc = nn.Sequential(nn.Linear(1408, 128), nn.ReLU(), nn.Linear(128, 10))
    elif change == "average pooling":  # over the 4x4, the head of the paper
        pool = nn.Sequential(nn.Unflatten(1, (88, 4, 4)), nn.AvgPool2d(4), nn.Flatten())
        net.fc = nn.Sequential(pool, nn.Linear(88, 10))
    for module in (net.incep1, net.incep2):
        for name, conv in list(module.named_children()):
            bn = [nn.BatchNorm2d(conv.out_channels)] if "BN" in change else []
            relu = [nn.ReLU()] if "ReLU" in change else []
            setattr(module, name, nn.Sequential(conv, *bn, *relu))
    return net


CHANGES = ["one 5×5 a module", "GoogLeNet, Kaiming", "second fc layer"]
CHANGES += ["average pooling", "ReLU", "BN", "BN and ReLU"]
NETWORKS = {"GoogLeNet": Net, "lecture 10's CNN": lecture10}
NETWORKS.update({change: partial(googlenet, change) for change in CHANGES})


if __name__ == "__main__":
    args, better = store.command_line(__doc__).parse_args(), {}
    for lr in (0.01, 0.05):
        found = store.collect(args, NETWORKS, epochs=5, lr=lr)
        for name, runs in found.items():
            lost = sum(not run["losses"] for run in runs)
            if lost:
                row(lr, name, origin(runs), f"{lost} of {len(runs)} diverge", "", "")
                continue
            first = spread([run["accuracies"][0] for run in runs])
            gain = difference(last(runs), last(found["GoogLeNet"]))
            row(lr, name, origin(runs), first, spread(last(runs)), gain)
            if mean(last(runs)) >= mean(last(better.get(name, runs))):
                better[name] = runs
        gain = difference(last(found["BN and ReLU"]), last(found["BN"]))
        row(lr, "BN and ReLU − BN", gain)
        for device, runs in store.by_device("GoogLeNet", 5, lr).items():
            row(f"GoogLeNet, lr {lr}", device, len(runs), spread(last(runs.values())))
    for name, runs in better.items():
        size = sum(parameter.numel() for parameter in NETWORKS[name]().parameters())
        gain = difference(last(runs), last(better["GoogLeNet"]))
        row(name, f"{size:,}", runs[0]["lr"], spread(last(runs)), gain)
