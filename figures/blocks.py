"""Train every block of the homework once, and draw one panel a block.

    python figures/blocks.py    # prints the column of README's table, draws blocks.png

Needs the full MNIST in dataset/mnist.
"""

from functools import partial

import matplotlib.pyplot as plt
from runs import FIGURES, train_all

import residual_variants as variants

NETWORKS = {n: partial(variants.Net, block) for n, block in variants.BLOCKS.items()}


def main():
    curves = {
        name: run["accuracies"] for name, [run] in train_all(NETWORKS, [0]).items()
    }
    figure, panels = plt.subplots(
        4, 4, figsize=(11, 9), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (name, curve) in zip(panels.flat, curves.items()):
        size = sum(p.numel() for p in NETWORKS[name]().parameters())
        print(f"{name}: {size:,} parameters, {curve[-1]:.2f} %, first {curve[0]:.2f} %")
        for other in curves.values():
            axes.plot(range(1, 11), other, color="#dddddd", linewidth=1)
        axes.plot(range(1, 11), curve, color="#1f4e9c", marker=".")
        axes.set_title(name, fontsize=10)
        axes.set(xticks=range(1, 11), ylim=(95, 99.6))
        last = f"{curve[-1]:.2f} %"
        axes.text(0.97, 0.06, last, ha="right", transform=axes.transAxes)
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on the test set (%)")
    figure.savefig(FIGURES / "blocks.png", dpi=90)


if __name__ == "__main__":
    main()
