"""Which block still learns when many of them stand in a row?

    python figures/depth.py      # prints README's tables and draws figures/depth.png
    python figures/depth.py 1    # the same with the seed 0 alone

Every block at three depths, one epoch each. Needs the full MNIST in dataset/mnist, if a
run is missing.
"""

from functools import partial
from math import inf, log10
from statistics import mean

import matplotlib.pyplot as plt
import torch.nn.functional as F
from runs import DATA, FIGURES, fields, kaiming, seeds, spread, train_all
from scipy.stats import spearmanr  # scipy comes with mlxtend
from torch import nn

import residual_variants as variants

DEPTHS, GRADIENT_DEPTHS = [1, 4, 16], [1, 2, 4, 8, 16]
CIFAR_10 = {  # error (%) in He et al. 2016, Tables 1 and 2; there "fail" is above 20 %
    "plain": 20,
    "original": 6.61,
    "constant-scaling": 12.35,
    "exclusive-gating": 8.70,
    "shortcut-only-gating": 6.91,
    "conv-shortcut": 12.22,
    "dropout-shortcut": 20,
    "original-bn": 6.61,
    "bn-after-addition": 8.17,
    "relu-before-addition": 7.84,
    "relu-only-pre-activation": 6.71,
    "full-pre-activation": 6.37,
}


def he(depth):
    """The plain net with an initialisation that keeps the size of a signal."""
    return kaiming(variants.Net(variants.Plain, depth), "relu")


def last_activation(block, depth):
    """The net with BN and ReLU after its last block, as in the paper's Appendix."""
    net = variants.Net(block, depth)
    net.rblock2.append(nn.Sequential(nn.BatchNorm2d(32), nn.ReLU()))
    return net


BLOCKS = {n: partial(variants.Net, block) for n, block in variants.BLOCKS.items()}
BLOCKS["plain-he"] = he
# At depth 16 these fail with lr 0.01 though their gradient does not vanish.
SLOW = ["plain-he", "dropout-shortcut", "plain-bn", "original-bn"]
SLOW += ["relu-before-addition"]
# These end with the sum, or a ReLU of it, so that no BN stands before fc.
SUMS = ["original-bn", "relu-before-addition", "relu-only-pre-activation"]
SUMS += ["full-pre-activation"]


def at(depth, names=tuple(BLOCKS)):
    """{name of a run: network} of some blocks at a depth."""
    suffix = "" if depth == 1 else f"-depth-{depth}"
    return {f"{name}{suffix}": partial(BLOCKS[name], depth) for name in names}


def with_last_activation(depth, names):
    return {
        f"{name}-depth-{depth}, last BN and ReLU": partial(
            last_activation, variants.BLOCKS[name], depth
        )
        for name in names
    }


def first_gradient(net):
    """{"gradient": norm of the gradient at the first layer's weights}, for 64 digits."""
    images, labels = variants.load_mnist(DATA, "cpu")[0]
    F.cross_entropy(net(images[:64]), labels[:64]).backward()
    return {"gradient": float(f"{net.conv1.weight.grad.norm():.1e}")}


def accuracy(run):
    """Accuracy (%) after the last epoch; 9.8 if the loss was not finite: all are a 0."""
    return run["accuracies"][-1] if run["accuracies"] else 9.8


def loss(run):
    """Mean training loss of the epoch."""
    return run["losses"][0] if run["losses"] else inf


def cell(runs):
    text = spread(list(map(accuracy, runs)))
    return text if all(run["accuracies"] for run in runs) else "diverged"


def better(runs, slow):
    """The runs with the better of two learning rates, and a remark if it is the lower."""
    if slow and mean(map(accuracy, slow)) > mean(map(accuracy, runs)):
        return slow, " (lr 0.001)"
    return runs, ""


def rank_correlation(names, found):
    """Spearman's, of the papers' errors and of ours at depth 16."""
    ours = [-mean(map(accuracy, found[name])) for name in names]
    return spearmanr(ours, [CIFAR_10[name] for name in names])[0]


def draw(accuracies, losses, gradients):
    """Draw three tables {depth: {block: value}}, the blocks below each other."""
    figure, panels = plt.subplots(1, 3, figsize=(14, 7), layout="constrained")
    looks = [
        ("accuracy (%) after one epoch, lr 0.01", "{:.1f}", float, 10, 100),
        ("mean training loss of that epoch", "{:.2g}", lambda x: -log10(x), -0.5, 1.2),
        # green where the gradient neither vanishes nor explodes
        ("first gradient", "{:.0e}", lambda x: -abs(log10(x + 1e-20)), -5, 0),
    ]
    for panel, values, (title, form, shade, low, high) in zip(
        panels, (accuracies, losses, gradients), looks
    ):
        table = [[values[d][name] for d in values] for name in BLOCKS]
        rows = BLOCKS if panel is panels[0] else [""] * len(BLOCKS)
        fields(panel, table, rows, values, form.format, shade, vmin=low, vmax=high)
        panel.set(title=title, xlabel="blocks a stage")
    figure.savefig(FIGURES / "depth.png", dpi=90)


def main():
    made = partial(train_all, seeds=seeds(2), epochs=1)
    runs = {d: dict(zip(BLOCKS, made(at(d)).values())) for d in DEPTHS}
    slow = dict(zip(SLOW, made(at(16, SLOW), lr=0.001).values()))
    best = {}
    for name in BLOCKS:
        best[name], remark = better(runs[16][name], slow.get(name))
        cells = [cell(runs[1][name]), cell(runs[4][name]), cell(best[name]) + remark]
        print(f"| `{name}` |", " | ".join(cells), "|")
    for number, part in ((1, list(CIFAR_10)[:7]), (2, list(CIFAR_10)[7:])):
        print(f"rank correlation, Table {number}: {rank_correlation(part, best):.2f}")
    activated = made(with_last_activation(16, SUMS))
    for name, (activated_name, runs_of_it) in zip(SUMS, activated.items()):
        print(f"{activated_name}: {cell(runs_of_it)} %")
        best[name] = runs_of_it
    print(f"rank correlation with these: {rank_correlation(part, best):.2f}")

    gradients = {}
    for d in GRADIENT_DEPTHS:
        measured = train_all(at(d), [0], epochs=0, measure=first_gradient).values()
        gradients[d] = {n: run["gradient"] for n, [run] in zip(BLOCKS, measured)}
    accuracies = {d: {n: mean(map(accuracy, runs[d][n])) for n in BLOCKS} for d in runs}
    losses = {d: {n: mean(map(loss, runs[d][n])) for n in BLOCKS} for d in runs}
    draw(accuracies, losses, gradients)


if __name__ == "__main__":
    main()
