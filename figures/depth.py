"""Which block still learns when many of them stand in a row?

    python figures/depth.py      # prints README's tables and draws figures/depth.png
    python figures/depth.py 1    # the same with the seed 0 alone

Every block at three depths, one epoch each. Needs the full MNIST in dataset/mnist, if a
run is missing.
"""

from functools import partial
from math import nan
from statistics import mean

import matplotlib.pyplot as plt
import numpy as np
import torch.nn.functional as F
from matplotlib.colors import LogNorm
from runs import DATA, FIGURES, seeds, spread, train_all
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
    """The plain net with the initialisation of He et al. 2015 (arXiv:1502.01852)."""
    net = variants.Net(variants.Plain, depth)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


def last_activation(block, depth):
    """The net with BN and ReLU after its last block, as in the paper's Appendix."""
    net = variants.Net(block, depth)
    net.rblock2.append(nn.Sequential(nn.BatchNorm2d(32), nn.ReLU()))
    return net


BLOCKS = {n: partial(variants.Net, block) for n, block in variants.BLOCKS.items()}
BLOCKS["plain-he"] = he
# The blocks whose signal is a sum that nothing bounds
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


def cell(runs):
    text = spread(list(map(accuracy, runs)))
    return text if all(run["accuracies"] for run in runs) else "diverged"


def better(runs, slow):
    """The runs with the better of two learning rates, and a remark if it is the lower."""
    if slow and mean(map(accuracy, slow)) > mean(map(accuracy, runs)):
        return slow, " (lr 0.001)"
    return runs, ""


def ranks(values):
    """Rank of each value, from 0; equal ones share the mean of theirs."""
    less = [sum(u < v for u in values) for v in values]
    return [r + (values.count(v) - 1) / 2 for r, v in zip(less, values)]


def rank_correlation(names, found):
    """Spearman's, of the papers' errors and our errors at depth 16."""
    ours = [-mean(map(accuracy, found[name])) for name in names]
    paper = [CIFAR_10[name] for name in names]
    return np.corrcoef(ranks(ours), ranks(paper))[0, 1]


def draw(axes, title, columns, values, form, **look):
    """Draw {column: {block: value}} as coloured fields with the numbers in them."""
    table = [[values[c][name] for c in columns] for name in BLOCKS]
    axes.imshow(table, aspect="auto", cmap="RdYlGn", alpha=0.75, **look)
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            axes.text(x, y, form(value), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(BLOCKS)), BLOCKS)
    axes.set(title=title, xlabel="blocks a stage")


def main():
    runs = {d: list(train_all(at(d), seeds(2), 1).values()) for d in DEPTHS}
    runs = {d: dict(zip(BLOCKS, runs[d])) for d in DEPTHS}
    failed = [n for n in BLOCKS if mean(map(accuracy, runs[16][n])) < 50]
    slow = train_all(at(16, failed), seeds(1), 1, lr=0.001)
    slow = dict(zip(failed, slow.values()))
    found = {n: better(runs[16][n], slow.get(n)) for n in BLOCKS}
    for name, (best, remark) in found.items():
        cells = [cell(runs[1][name]), cell(runs[4][name]), cell(best) + remark]
        print(f"| `{name}` |", " | ".join(cells), "|")
    best = {name: best for name, (best, _) in found.items()}
    names = list(CIFAR_10)
    for title, part in (("Table 1", names[:7]), ("Table 2", names[7:])):
        print(f"rank correlation, {title}: {rank_correlation(part, best):.2f}")

    gradients = {}
    for d in GRADIENT_DEPTHS:
        made = train_all(at(d), [0], epochs=0, measure=first_gradient).values()
        gradients[d] = {n: run["gradient"] for n, [run] in zip(BLOCKS, made)}
    for name in ("plain", "plain-he", "original", "plain-bn"):
        print(name, "first gradient:", *(gradients[d][name] for d in GRADIENT_DEPTHS))

    figure, panels = plt.subplots(1, 3, figsize=(15, 7), layout="constrained")
    values = {d: {n: mean(map(accuracy, runs[d][n])) for n in BLOCKS} for d in DEPTHS}
    draw(panels[0], "accuracy on the test set (%)", DEPTHS, values, "{:.1f}".format)
    losses = {
        d: {
            n: mean(r["losses"][0] if r["losses"] else nan for r in runs[d][n])
            for n in BLOCKS
        }
        for d in DEPTHS
    }
    draw(
        panels[1], "mean training loss", DEPTHS, losses, "{:.2f}".format, norm=LogNorm()
    )
    norm = LogNorm(1e-12, 10)
    title = "norm of the first gradient"
    draw(panels[2], title, GRADIENT_DEPTHS, gradients, "{:.0e}".format, norm=norm)
    figure.savefig(FIGURES / "depth.png", dpi=90)


if __name__ == "__main__":
    main()
