"""What becomes of a block when many stand in a row? One epoch with 1, 4 and 16 a stage."""

from functools import partial
from math import nan
from statistics import mean

import matplotlib.pyplot as plt
import runs
import torch.nn.functional as F
from cells import cell, difference, heat_map, learns, origin
from matplotlib.colors import LogNorm
from runs import Runs
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
    "dense": "5.24 (7.00)",
}
# These end with the sum, or a ReLU of it, so that no BN stands before fc.
SUMS = [
    "original-bn",
    "relu-before-addition",
    "relu-only-pre-activation",
    "full-pre-activation",
]
# With 16 blocks these fail at lr 0.01 though their gradient does not vanish.
SLOW = [
    "plain-he",
    "dropout-shortcut",
    "plain-bn",
    "original-bn",
    "relu-before-addition",
]


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


LAST = "last BN and ReLU"
ENDS = {
    f"{name}-depth-16, {LAST}": partial(last_activation, BLOCKS[name], 16)
    for name in SUMS
}
DEPTHS = (1, 4, 16)
GRADIENT_DEPTHS = (1, 2, 4, 8, 16)
CLIPPED = [(lr, clip) for lr in (0.01, 0.1) for clip in (None, 1)]
HE_RATES = (0.001, 0.01, 0.05, 0.1)
PLAN = {depth: Runs(at_depth(depth), epochs=1, seeds=4) for depth in DEPTHS}
PLAN["sums"] = Runs(at_depth(16, SUMS), epochs=1)
PLAN["ends"] = Runs(ENDS, epochs=1)
PLAN["slow"] = Runs(at_depth(16, SLOW), epochs=1, lr=0.001, seeds=4)
for depth in GRADIENT_DEPTHS:
    untrained = Runs(at_depth(depth), epochs=0, measure="depth", seeds=1)
    PLAN["gradient", depth] = untrained
for lr, clip in CLIPPED:
    PLAN["clipped", lr, clip] = Runs(at_depth(16, ["plain-bn"]), 1, lr, clip, seeds=4)
for lr in HE_RATES:
    PLAN["he", lr] = Runs(at_depth(16, ["plain-he"]), 1, lr, seeds=4)


def measure(net, train_set, test_set):
    """Norm of the gradient at the first layer's weights, for the first 64 digits."""
    images, labels = train_set
    net.zero_grad()
    F.cross_entropy(net(images[:64]), labels[:64]).backward()
    return float(f"{net.conv1.weight.grad.norm():.1e}")


def of_blocks(key):
    """{name in NETWORKS: its runs} of a group of the plan."""
    found = runs.read(PLAN[key])
    return {run_name.partition("-depth-")[0]: nets for run_name, nets in found.items()}


def learned():
    """Accuracy, or how many learn, at each depth, and with 16 blocks what helps."""
    at = {depth: of_blocks(depth) for depth in DEPTHS}
    slow = of_blocks("slow")
    ends = of_blocks("ends")
    rows = []
    for name in NETWORKS:
        row = [f"`{name}`", origin(at[16][name])]
        row += [cell(at[depth][name]) for depth in DEPTHS]
        row.append(cell(slow[name]) if name in slow else "")
        row.append(cell(ends[name]) if name in ends else "")
        rows.append(row)
    return rows


def from_original():
    """Points from `original` at each depth, where all seeds of both learn."""
    at = [of_blocks(depth) for depth in DEPTHS]
    rows = []
    for name in NETWORKS:
        row = [f"`{name}`"]
        for found in at:
            both_learn = all(map(learns, [*found[name], *found["original"]]))
            gain = difference(found[name], found["original"]) if both_learn else ""
            row.append(gain)
        rows.append(row)
    return rows


def of_each(nets, key):
    """The accuracy or the loss of each run's epoch; nan where the loss was not finite."""
    return ", ".join(f"{(run[key] or [nan])[0]:.2f}" for run in nets)


def each_seed():
    """Accuracy and training loss of each run, with 16 blocks, where it says most."""
    names = ["plain", "original-bn", "relu-only-pre-activation"]
    rows = []
    for name in names:
        nets = of_blocks(16)[name]
        rows.append([f"`{name}`", of_each(nets, "accuracies"), of_each(nets, "losses")])
    return rows


def he_rates():
    """Accuracy and training loss of each run of plain-he with 16 blocks, by the rate."""
    rows = []
    for lr in HE_RATES:
        [nets] = runs.read(PLAN["he", lr]).values()
        figures = [of_each(nets, "accuracies"), of_each(nets, "losses")]
        rows.append([lr, nets[0]["device"], *figures])
    return rows


def first_gradients(depths):
    """{name: the norm of the first gradient at each depth}."""
    found = {name: [] for name in NETWORKS}
    for depth in depths:
        for name, nets in of_blocks(("gradient", depth)).items():
            found[name].append(nets[0]["measured"]["depth"])
    return found


def first_gradient():
    """The norm of the first gradient at each depth."""
    rows = []
    for name, norms in first_gradients(GRADIENT_DEPTHS).items():
        rows.append([f"`{name}`", *(f"{norm:.1e}" for norm in norms)])
    return rows


def clipped():
    """Each seed's accuracy of plain-bn, with and without clipping, on each device."""
    rows = []
    for lr, clip in CLIPPED:
        [nets] = runs.read_every_device(PLAN["clipped", lr, clip]).values()
        for device in dict.fromkeys(run["device"] for run in nets):
            ours = [run for run in nets if run["device"] == device]
            rows.append([lr, clip or "no", device, of_each(ours, "accuracies")])
    return rows


def short(nets):
    """Accuracy (%), or "3/4" where only three of four learn."""
    count = sum(learns(run) for run in nets)
    return cell(nets) if count == len(nets) else f"{count}/{len(nets)}"


def blocks():
    """README's row of each block; one without runs has an empty cell."""
    deep = of_blocks(16)
    slow = of_blocks("slow")
    rows = []
    for name, block in BLOCKS.items():
        equation = block.__doc__.split(". ")[0].split(": ")[0]
        size = sum(parameter.numel() for parameter in Net(block).parameters())
        learned_16 = short(deep[name]) if name in deep else ""
        if name in slow and all(learns(run) for run in slow[name]):
            learned_16 += f"; lr 0.001: {cell(slow[name])}"
        error = ERRORS.get(name, "")
        rows.append([f"`{name}`", f"`{equation}`", f"{size:,}", learned_16, error])
    return rows


def tables():
    return {
        "depth": learned(),
        "depth: from original": from_original(),
        "depth: each seed": each_seed(),
        "depth: plain-he": he_rates(),
        "depth: first gradient": first_gradient(),
        "depth: clipped": clipped(),
        "blocks": blocks(),
    }


def draw_learned(axes):
    """How many of the seeds learn, as a colour."""
    at = [of_blocks(depth) for depth in DEPTHS]
    texts = [[cell(found[name]) for found in at] for name in NETWORKS]
    shades = [[mean(map(learns, found[name])) for found in at] for name in NETWORKS]
    heat_map(axes, texts, shades, NETWORKS, DEPTHS, cmap="cividis", vmin=0, vmax=1)
    axes.set(title="accuracy (%) after one epoch, lr 0.01", xlabel="blocks a stage")
    key = axes.figure.colorbar(axes.images[0], ax=axes, location="bottom")
    key.set_label("share of the seeds that learn (accuracy 80 % or more)")


def draw_first_gradient(axes):
    """Blue where the gradient vanishes, red where it explodes, light near 1."""
    norms = list(first_gradients(DEPTHS).values())
    texts = [[f"{norm:.0e}" for norm in line] for line in norms]
    scale = LogNorm(1e-4, 1e4, clip=True)  # what is beyond has the colour of the end
    heat_map(axes, texts, norms, NETWORKS, DEPTHS, cmap="coolwarm", norm=scale)
    axes.set(title="first gradient, before training", xlabel="blocks a stage")
    look = {"location": "bottom", "extend": "both"}
    key = axes.figure.colorbar(axes.images[0], ax=axes, **look)
    key.set_label("vanishes  ←  norm of the gradient  →  explodes")


def draw():
    """A row for each block, a column for each depth."""
    size = {"figsize": (10.5, 8), "sharey": True}
    figure, (left, right) = plt.subplots(1, 2, layout="constrained", **size)
    draw_learned(left)
    draw_first_gradient(right)
    figure.savefig(runs.EXPERIMENTS / "depth.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
