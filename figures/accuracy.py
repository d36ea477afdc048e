"""Train the six networks of the notes with ten seeds and set them beside the notes.

    python figures/accuracy.py    # prints README's table and draws figures/accuracy.png

Needs the full MNIST in dataset/mnist. Keeps its runs: see runs.py.
"""

from functools import partial
from statistics import mean, stdev

import matplotlib.pyplot as plt
from runs import FIGURES, train_all

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

SCRIPTS = [googlenet_mnist, resnet_mnist, variants]
NOTES = {name: curve for s in SCRIPTS for name, (_, curve) in s.NOTES.items()}
NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net} | {
    name: partial(variants.Net, variants.BLOCKS[name]) for name in variants.NOTES
}
SEEDS = range(10)


def print_table(runs):
    """Print mean and standard deviation of the seeds beside the notes' values."""
    print("| network | epoch 1 | notes | epoch 10 | notes | best epoch | notes |")
    print("|---|---|---|---|---|---|---|")
    for name, curves in runs.items():
        cells = []
        for pick in (lambda c: c[0], lambda c: c[-1], max):
            here = [pick(curve) for curve in curves]
            cells += [
                f"{mean(here):.2f} ± {stdev(here):.2f}",
                f"{pick(NOTES[name]):.2f}",
            ]
        print("|", " | ".join([name, *cells]), "|")


def draw(runs):
    """Draw for each network the band of all runs, their mean and the notes' curve."""
    figure, panels = plt.subplots(2, 3, figsize=(13, 7), sharex=True, sharey=True)
    for panel, (name, curves) in zip(panels.flat, runs.items()):
        epochs = range(1, len(NOTES[name]) + 1)
        values = list(zip(*curves))
        panel.fill_between(epochs, *map(list, zip(*[(min(v), max(v)) for v in values])))
    figure.savefig(FIGURES / "accuracy.png", dpi=100)
