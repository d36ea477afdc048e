"""Is more training always better? Thirty epochs."""

from statistics import mean

import matplotlib.pyplot as plt
import runs
from cells import change, origin, spread

import googlenet_mnist
import resnet_mnist

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
PLAN = {"thirty": runs.Runs(NETWORKS, epochs=30, seeds=5)}


def early(run):
    """The mean accuracy (%) of epochs 8 to 12."""
    return mean(run["accuracies"][7:12])


def middle(run):
    """The mean accuracy (%) of epochs 18 to 22."""
    return mean(run["accuracies"][17:22])


def late(run):
    """The mean accuracy (%) of epochs 26 to 30."""
    return mean(run["accuracies"][25:30])


def spans():
    """Means of five epochs, which waver less than one: early, in the middle, late."""
    rows = []
    for name, nets in runs.read(PLAN["thirty"]).items():
        means = [spread([part(run) for run in nets]) for part in (early, middle, late)]
        gains = [change(nets, early, late), change(nets, middle, late)]
        rows.append([name, origin(nets), *means, *gains])
    return rows


def each():
    """The best of ten epochs and of thirty, and the losses, of each run."""
    rows = []
    for name, nets in runs.read_every_device(PLAN["thirty"]).items():
        for run in nets:
            accuracies = run["accuracies"]
            best = max(accuracies)
            epoch = accuracies.index(best) + 1
            figures = [f"{max(accuracies[:10]):.2f}", f"{best:.2f}", epoch]
            figures.append(f"{accuracies[-1]:.2f}")
            figures += [f"{run['losses'][i]:.4f}" for i in (0, 9, 29)]
            rows.append([name, run["seed"], run["device"], *figures])
    return rows


def tables():
    return {"more_epochs": spans(), "more_epochs: each": each()}


def draw():
    """The first accuracy is left out: below the others, it would make them flat."""
    size = {"figsize": (10, 8), "sharey": "col"}
    figure, panels = plt.subplots(2, 2, layout="constrained", **size)
    found = runs.read_every_device(PLAN["thirty"]).items()
    for (left, right), (name, nets) in zip(panels, found):
        for run in nets:
            label = f"seed {run['seed']}, {run['device']}"
            accuracies = run["accuracies"][1:]
            left.plot(range(2, 31), accuracies, marker=".", label=label)
            right.semilogy(range(1, 31), run["losses"], marker=".")
        left.set(title=f"{name}, from epoch 2 on", ylabel="accuracy on test set (%)")
        right.set(title=name, ylabel="mean training loss of the epoch")
        for axes in (left, right):
            axes.axvline(10, color="gray", linestyle=":", label="the notes stop here")
            axes.set(xlabel="epoch", xlim=(0, 31))
            axes.grid(alpha=0.3)
        left.legend(fontsize=8)
    figure.savefig(runs.EXPERIMENTS / "more_epochs.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
