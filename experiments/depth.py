"""What becomes of a block when many stand in a row? One epoch with 1, 4 and 16 a stage."""

from functools import partial
from math import log10, nan
from statistics import mean

import matplotlib.pyplot as plt
import runs as store
import torch.nn.functional as F
from runs import cell, collect, origin, row
from torch import nn

from residual_variants import BLOCKS, Net

DEPTHS, GRADIENT_DEPTHS = [1, 4, 16], [1, 2, 4, 8, 16]
# These end with the sum, or a ReLU of it, so that no BN stands before fc.
SUMS = ["original-bn", "relu-before-addition", "relu-only-pre-activation"]
SUMS += ["full-pre-activation"]
# At depth 16 these fail with lr 0.01 though their gradient does not vanish.
SLOW = ["plain-he", "dropout-shortcut", "plain-bn", *SUMS[:2]]


def he(depth):
    """The plain net from an initialisation that keeps the size of a signal."""
    return store.kaiming(Net(BLOCKS["plain"], depth), "relu")


def last_activation(block, depth):
    """The net with BN and ReLU after its last block."""
    net = Net(block, depth)
    net.rblock2.append(nn.Sequential(nn.BatchNorm2d(32), nn.ReLU()))
    return net


NETWORKS = {"plain": partial(Net, BLOCKS["plain"]), "plain-he": he}
NETWORKS.update({name: partial(Net, BLOCKS[name]) for name in BLOCKS})


def at_depth(depth, names=tuple(NETWORKS)):
    """{name of a run: function that builds the net} at a depth."""
    suffix = "" if depth == 1 else f"-depth-{depth}"
    return {f"{name}{suffix}": partial(NETWORKS[name], depth) for name in names}


def measure(net):
    """Norm of the gradient at the first layer's weights, for the first 64 digits."""
    images, labels = store.load(net.fc.weight.device.type)[0]
    net.zero_grad()
    F.cross_entropy(net(images[:64]), labels[:64]).backward()
    return {"gradient": float(f"{net.conv1.weight.grad.norm():.1e}")}


def each(runs):
    """The accuracy (%) of each run."""
    return ", ".join(f"{a:.2f}" for run in runs for a in run["accuracies"] or [nan])


def draw(lines, gradients):
    """Draw accuracies and first gradients: a row for each block, a column for a depth."""
    size = {"figsize": (11, 7), "sharey": True, "layout": "constrained"}
    figure, (left, right) = plt.subplots(1, 2, **size)
    look = {"rows": list(NETWORKS), "columns": DEPTHS, "cmap": "cividis", "vmin": 0}
    texts = [[cell(runs) for runs in line] for line in lines]
    shades = [[mean(map(store.learns, runs)) for runs in line] for line in lines]
    store.fields(left, texts, shades, vmax=1, **look)
    left.set(title="accuracy (%) after one epoch, lr 0.01", xlabel="blocks a stage")
    texts = [[f"{gradient:.0e}" for gradient in line] for line in gradients]
    # dark where the gradient vanishes or explodes, light where it is near 1
    shades = [[5 - abs(log10(g + 1e-20)) for g in line] for line in gradients]
    store.fields(right, texts, shades, vmax=5, **look)
    right.set(title="first gradient, before training", xlabel="blocks a stage")
    figure.savefig(store.EXPERIMENTS / "depth.png", dpi=90)


if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    made = [collect(args, at_depth(depth), epochs=1).values() for depth in DEPTHS]
    lines = dict(zip(NETWORKS, zip(*made)))
    slow = collect(args, at_depth(16, SLOW), epochs=1, lr=0.001).values()
    ends = {f"{name}-depth-16, last BN and ReLU": BLOCKS[name] for name in SUMS}
    ends = {name: partial(last_activation, block, 16) for name, block in ends.items()}
    ends = collect(args, ends, epochs=1).values()
    remedies = {name: [cell(runs), ""] for name, runs in zip(SLOW, slow)}
    for name, runs in zip(SUMS, ends):
        remedies.setdefault(name, ["", ""])[1] = cell(runs)
    for name, line in lines.items():
        more = remedies.get(name, ["", ""])
        row(f"`{name}`", origin(line[2]), *map(cell, line), *more)
    for name in ("plain", "plain-he", "original-bn", "relu-only-pre-activation"):
        losses = ", ".join(f"{run['losses'][0]:.2f}" for run in lines[name][2])
        row(f"{name}, depth 16", each(lines[name][2]), losses)

    zero = {"epochs": 0, "measure": "depth", "seeds": 1}
    gradients = [collect(args, at_depth(d), **zero).values() for d in GRADIENT_DEPTHS]
    gradients = [[run["gradient"] for [run] in found] for found in gradients]
    for name, *of_depths in zip(NETWORKS, *gradients):
        row(f"`{name}`", *(f"{gradient:.1e}" for gradient in of_depths))
    draw(lines.values(), list(zip(*gradients[::2])))

    for name, clip in (("plain-bn-depth-16", None), ("plain-bn-depth-16, clipped", 1)):
        for lr in (0.01, 0.1):
            collect(args, {name: partial(NETWORKS["plain-bn"], 16)}, 1, lr, clip=clip)
            for device, runs in store.by_device(name, 1, lr).items():
                row(name, lr, device, each(runs.values()))
