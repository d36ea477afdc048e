"""Do the networks of the notes give the numbers of the notes?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs
from cells import difference, extent, finals, origin, spread

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

HOMEWORK = ["constant-scaling", "conv-shortcut"]
NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
ACCURACIES = {"GoogLeNet": googlenet_mnist.CURVE, "ResNet": resnet_mnist.CURVE}
for block in HOMEWORK:
    for name in (block, f"{block}-published"):
        NETWORKS[name] = partial(variants.Net, variants.BLOCKS[name])
        ACCURACIES[name] = variants.CURVES[block]
PLAN = {"ten": runs.Runs(NETWORKS, epochs=10)}
PRINTED = {  # the notes' mean losses of 300 batches, three an epoch, in thousandths
    "GoogLeNet": "767 186 141 109 98 96 83 76 76 66 66 64 54 57 54 "
    "49 52 49 44 47 42 43 39 41 34 41 38 34 35 33",
    "ResNet": "520 159 118 90 81 74 63 58 55 46 50 48 44 38 38 "
    "35 33 34 28 29 32 27 28 26 21 26 22 21 23 21",
    "constant-scaling": "947 252 173 126 113 107 85 84 77 64 66 68 57 58 55 "
    "51 51 47 42 44 48 41 40 40 35 37 37 31 38 31",
    "conv-shortcut": "686 192 137 105 93 78 73 65 60 54 49 56 42 48 40 "
    "41 39 37 34 33 35 29 30 31 25 27 28 23 26 26",
}


def notes_losses(name):
    """The notes' mean loss of each epoch, for a network's name."""
    means = list(map(int, PRINTED[name.replace("-published", "")].split()))
    # an epoch has 938 batches; the last 38 of them count as the 300 before
    return [
        (300 * (first + second + third) + 38 * third) / 938e3
        for first, second, third in zip(means[::3], means[1::3], means[2::3])
    ]


def notes(name):
    """The notes' curves, under the names that a run has for its own."""
    return {"accuracies": ACCURACIES[name], "losses": notes_losses(name)}


def outside(name, nets, key):
    """The epochs at which the notes lie outside all runs."""
    found = []
    for i, value in enumerate(notes(name)[key]):
        ours = [run[key][i] for run in nets]
        if not min(ours) <= value <= max(ours):
            found.append(i + 1)
    return found


def accuracies():
    """Accuracy after the first epoch, the last and the best, each beside the notes'."""
    rows = []
    for name, nets in runs.read(PLAN["ten"]).items():
        curve = ACCURACIES[name]
        first = spread([run["accuracies"][0] for run in nets])
        best = spread([max(run["accuracies"]) for run in nets])
        beside = [first, f"{curve[0]:.2f}", spread(finals(nets)), f"{curve[9]:.2f}"]
        beside += [best, f"{max(curve):.2f}"]
        epochs = len(outside(name, nets, "accuracies"))
        rows.append([name, origin(nets), *beside, epochs])
    return rows


def short():
    """For README: accuracy after ten epochs, and at how many the notes are outside."""
    rows = []
    for name, nets in runs.read(PLAN["ten"]).items():
        epochs = len(outside(name, nets, "accuracies"))
        rows.append([name, spread(finals(nets)), f"{ACCURACIES[name][9]:.2f}", epochs])
    return rows


def losses():
    """Mean loss of the first epoch and of the last, each beside the notes'."""
    rows = []
    for name, nets in runs.read(PLAN["ten"]).items():
        row = [name]
        for i in (0, 9):
            ours = extent([run["losses"][i] for run in nets], ".3f")
            row += [ours, f"{notes_losses(name)[i]:.3f}"]
        epochs = ", ".join(map(str, outside(name, nets, "losses")))
        rows.append([*row, epochs or "none"])
    return rows


def pairs():
    """What the slip costs, and whether ResNet is better than the homework's blocks."""
    found = runs.read(PLAN["ten"])
    compared = [(f"{block}-published", block) for block in HOMEWORK]
    compared += [("ResNet", block) for block in HOMEWORK]
    rows = []
    for ours, theirs in compared:
        row = [f"{ours} - {theirs}"]
        for i in (0, 9):
            after = partial(accuracy_after, i)
            row.append(difference(found[ours], found[theirs], after))
        rows.append(row)
    return rows


def accuracy_after(i, run):
    return run["accuracies"][i]


def tables():
    return {
        "lecture": accuracies(),
        "accuracy": short(),
        "lecture: losses": losses(),
        "lecture: pairs": pairs(),
    }


def draw_beside_notes(panel, name, nets, key, relative):
    """The band of the runs and the notes' curve; `relative`: divided by the runs' mean."""
    x = range(1, 11)
    epochs = list(zip(*(run[key] for run in nets)))
    units = [mean(values) if relative else 1 for values in epochs]
    low = [min(values) / unit for values, unit in zip(epochs, units)]
    high = [max(values) / unit for values, unit in zip(epochs, units)]
    curve = [value / unit for value, unit in zip(notes(name)[key], units)]
    panel.fill_between(
        x, low, high, alpha=0.3, label=f"{len(nets)} seeds, least to most"
    )
    panel.plot(x, curve, "k--", marker=".", label="the notes")
    panel.set(title=name, xticks=x)
    panel.grid(alpha=0.3)


def draw():
    """Below the accuracies of a network stand its losses."""
    figure, panels = plt.subplots(4, 3, figsize=(15, 12), layout="constrained")
    # above GoogLeNet and two blocks, below ResNet and the same blocks with the slip
    names = [list(NETWORKS)[0::2], list(NETWORKS)[1::2]]
    found = runs.read(PLAN["ten"])
    for i in (0, 1):
        for upper, lower, name in zip(panels[2 * i], panels[2 * i + 1], names[i]):
            draw_beside_notes(upper, name, found[name], "accuracies", relative=False)
            upper.set(ylim=(94.9, 99.4), ylabel="accuracy on the test set (%)")
            draw_beside_notes(lower, name, found[name], "losses", relative=True)
            lower.set(ylim=(0.55, 1.3), ylabel="loss / its mean")
    panels[0, 0].legend(loc="lower right")
    figure.supxlabel("epoch")
    figure.savefig(runs.EXPERIMENTS / "lecture.png", dpi=80)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
