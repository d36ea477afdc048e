"""What becomes of a block when many stand in a row? One epoch with 1, 4 and 16 a stage."""

from functools import partial
from math import log10, nan
from statistics import mean

import matplotlib.pyplot as plt
import runs
import torch.nn.functional as F
from runs import Runs, cell
from torch import nn

from residual_variants import BLOCKS, Net

ERRORS = {  # the papers' on CIFAR-10 (%), of ResNet-110 and DenseNet-40; see README
    "plain": "fail",
    "original": "6.61",
    "constant-scaling": "12.35",
    "constant-scaling-published": "",
    "exclusive-gating": "8.70",
    "shortcut-only-gating": "6.91",
    "conv-shortcut": "12.22",
    "conv-shortcut-published": "",
    "dropout-shortcut": "fail",
    "plain-bn": "fail",
    "original-bn": "6.61",
    "bn-after-addition": "8.17",
    "relu-before-addition": "7.84",
    "relu-only-pre-activation": "6.71",
    "full-pre-activation": "6.37",
    "dense": "5.24; 7.00 without augmentation",
}
# These end with the sum, or a ReLU of it, so that no BN stands before fc.
SUMS = ["original-bn", "relu-before-addition", "relu-only-pre-activation"]
SUMS += ["full-pre-activation"]
# With 16 blocks these fail at lr 0.01 though their gradient does not vanish.
SLOW = ["plain-he", "dropout-shortcut", "plain-bn", *SUMS[:2]]


def he(depth):
    """The plain net from an initialisation that keeps the size of a signal."""
    return runs.kaiming(Net(BLOCKS["plain"], depth), "relu")


def last_activation(block, depth):
    """The net with BN and ReLU after its last block."""
    net = Net(block, depth)
    net.rblock2.append(nn.Sequential(nn.BatchNorm2d(32), nn.ReLU()))
    return net


NETWORKS = {"plain": partial(Net, BLOCKS["plain"]), "plain-he": he}
NETWORKS.update({name: partial(Net, BLOCKS[name]) for name in ERRORS})


def at_depth(depth, names=tuple(NETWORKS)):
    """{name of a run: function that builds the net} at a depth."""
    suffix = "" if depth == 1 else f"-depth-{depth}"
    return {f"{name}{suffix}": partial(NETWORKS[name], depth) for name in names}


ENDS = {
    f"{name}-depth-16, last BN and ReLU": partial(last_activation, BLOCKS[name], 16)
    for name in SUMS
}
DEPTHS, GRADIENT_DEPTHS, CLIPS = (1, 4, 16), (1, 2, 4, 8, 16), (None, 1)
PLAN = {depth: Runs(at_depth(depth), epochs=1, seeds=4) for depth in DEPTHS}
PLAN["sums"] = Runs(at_depth(16, SUMS), epochs=1)
PLAN["ends"] = Runs(ENDS, epochs=1)
PLAN["slow"] = Runs(at_depth(16, SLOW), epochs=1, lr=0.001, seeds=4)
for depth in GRADIENT_DEPTHS:
    untrained = Runs(at_depth(depth), epochs=0, measure="depth", seeds=1)
    PLAN["gradient", depth] = untrained
for lr in (0.01, 0.1):
    for clip in CLIPS:
        PLAN[lr, clip] = Runs(at_depth(16, ["plain-bn"]), 1, lr, clip, seeds=4)


def measure(net, train_set, test_set):
    """Norm of the gradient at the first layer's weights, for the first 64 digits."""
    images, labels = train_set
    net.zero_grad()
    F.cross_entropy(net(images[:64]), labels[:64]).backward()
    return float(f"{net.conv1.weight.grad.norm():.1e}")


def each(nets):
    """The accuracy (%) of each run."""
    return ", ".join(f"{a:.2f}" for run in nets for a in run["accuracies"] or [nan])


def of_names(key):
    """The runs of each network of a group of the plan, in its order."""
    return list(runs.read(PLAN[key]).values())


def gradients():
    """{depth: the first gradient of each network}."""
    found = {depth: of_names(("gradient", depth)) for depth in GRADIENT_DEPTHS}
    return {
        d: [run["measured"]["depth"] for run, *_ in nets] for d, nets in found.items()
    }


def tables():
    remedies = dict(zip(SLOW, ([cell(nets), ""] for nets in of_names("slow"))))
    for name, nets in zip(SUMS, of_names("ends")):
        remedies.setdefault(name, ["", ""])[1] = cell(nets)
    learned, of_seeds, first, clipped = [], [], [], []
    for name, *lines in zip(NETWORKS, *map(of_names, DEPTHS)):
        cells = [
            runs.origin(lines[2]),
            *map(cell, lines),
            *remedies.get(name, ["", ""]),
        ]
        learned.append([f"`{name}`", *cells])
    says_most = ["plain", "plain-he", "original-bn", "relu-only-pre-activation"]
    for name, nets in runs.read(Runs(at_depth(16, says_most), epochs=1)).items():
        losses = ", ".join(f"{loss:.2f}" for r in nets for loss in r["losses"] or [nan])
        of_seeds.append([f"`{name}`", each(nets), losses])
    for name, *of_depths in zip(NETWORKS, *gradients().values()):
        first.append([f"`{name}`", *(f"{gradient:.1e}" for gradient in of_depths)])
    for lr in (0.01, 0.1):
        for clip in CLIPS:
            [[name, _]] = PLAN[lr, clip].networks.items()
            for device, nets in runs.by_device(PLAN[lr, clip], name).items():
                clipped.append([lr, clip or "no", device, each(nets.values())])
    blocks, deep = [], dict(zip(NETWORKS, of_names(16)))
    slow = dict(zip(SLOW, of_names("slow")))
    for name, block in BLOCKS.items():  # one without runs has an empty cell
        size = sum(parameter.numel() for parameter in Net(block).parameters())
        learned_16 = cell(deep[name]) if name in deep else ""
        if name in slow and all(map(runs.learns, slow[name])):
            learned_16 += f"; {cell(slow[name])} with lr 0.001"
        equation = block.__doc__.split(". ")[0].split(": ")[0]
        cells = [f"`{equation}`", f"{size:,}", learned_16, ERRORS.get(name, "")]
        blocks.append([f"`{name}`", *cells])
    names = ["depth", "depth: each seed", "depth: first gradient", "depth: clipped"]
    return dict(zip([*names, "blocks"], (learned, of_seeds, first, clipped, blocks)))


def draw():
    """Accuracies and first gradients: a row for each block, a column for a depth."""
    lines, size = (
        list(zip(*map(of_names, DEPTHS))),
        {"figsize": (11, 7), "sharey": True},
    )
    figure, (left, right) = plt.subplots(1, 2, layout="constrained", **size)
    look = {"rows": list(NETWORKS), "columns": DEPTHS, "cmap": "cividis", "vmin": 0}
    texts = [[cell(nets) for nets in line] for line in lines]
    shades = [[mean(map(runs.learns, nets)) for nets in line] for line in lines]
    runs.heat_map(left, texts, shades, vmax=1, **look)
    left.set(title="accuracy (%) after one epoch, lr 0.01", xlabel="blocks a stage")
    first = list(zip(*(gradients()[depth] for depth in DEPTHS)))
    texts = [[f"{gradient:.0e}" for gradient in line] for line in first]
    # dark where the gradient vanishes or explodes, light where it is near 1
    shades = [[5 - abs(log10(g + 1e-20)) for g in line] for line in first]
    runs.heat_map(right, texts, shades, vmax=5, **look)
    right.set(title="first gradient, before training", xlabel="blocks a stage")
    figure.savefig(runs.EXPERIMENTS / "depth.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
