"""Train the six networks of the notes with three seeds and set them beside the notes.

    python figures/accuracy.py      # prints README's table and draws figures/accuracy.png
    python figures/accuracy.py 10   # the same with the seeds 0 to 9

Needs the full MNIST in dataset/mnist.
"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
from own_digit import of_resnet
from runs import FIGURES, PICKS, seeds, spread, train_all

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

SCRIPTS = [googlenet_mnist, resnet_mnist, variants]
NOTES = {name: curve for s in SCRIPTS for name, (_, curve) in s.NOTES.items()}
NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
NETWORKS.update((n, partial(variants.Net, variants.BLOCKS[n])) for n in variants.NOTES)


def draw(curves):
    """Draw for each network the band of all runs, their mean and the notes' curve."""
    figure, panels = plt.subplots(
        2, 3, figsize=(13, 7), sharex=True, sharey=True, layout="constrained"
    )
    for panel, (name, runs) in zip(panels.T.flat, curves.items()):
        epochs, values = range(1, 11), list(zip(*runs))
        low, high = list(map(min, values)), list(map(max, values))
        panel.fill_between(epochs, low, high, alpha=0.3, label=f"{len(runs)} seeds")
        panel.plot(epochs, list(map(mean, values)), label="their mean")
        corrected = f"{name}-published" in NOTES
        label = "the notes, as published" if corrected else "the notes"
        panel.plot(epochs, NOTES[name], "k--", marker=".", label=label)
        panel.set(title=name, xticks=epochs)
        panel.grid(alpha=0.3)
        panel.legend(loc="lower right")
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on the test set (%)")
    figure.savefig(FIGURES / "accuracy.png", dpi=90)


if __name__ == "__main__":
    train_all({"ResNet": resnet_mnist.Net}, seeds(3), measure=of_resnet)
    runs = train_all(NETWORKS, seeds(3))
    curves = {name: [run["accuracies"] for run in runs[name]] for name in runs}
    for name, of_seeds in curves.items():
        corrected = f"{name}-published" in NOTES
        cells = [f"{name}, corrected" if corrected else name]
        for pick in PICKS.values():
            notes = "" if corrected else f"{pick(NOTES[name]):.2f}"
            cells += [spread(list(map(pick, of_seeds))), notes]
        print("|", " | ".join(cells), "|")
    draw(curves)
