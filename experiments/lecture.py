"""Do the networks of the notes give the numbers of the notes?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs
from runs import difference, spread

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
ACCURACIES = {"GoogLeNet": googlenet_mnist.CURVE, "ResNet": resnet_mnist.CURVE}
for names, curve in variants.NOTES.values():
    for name in names:
        NETWORKS[name] = partial(variants.Net, variants.BLOCKS[name])
        ACCURACIES[name] = curve  # of the block with the slip
PLAN = {"ten": runs.Runs(NETWORKS, epochs=10)}
PAIRS = [(f"{b}-published", b) for b in ("constant-scaling", "conv-shortcut")]
PAIRS += [("ResNet", block) for _, block in PAIRS]
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


def notes(name):
    """The notes' accuracy (%) and mean loss of each epoch, for a network's name."""
    means = list(map(int, PRINTED[name.replace("-published", "")].split()))
    thirds = zip(means[::3], means[1::3], means[2::3])
    # an epoch has 938 batches; the last 38 of them count as the 300 before
    losses = [(300 * (a + b + c) + 38 * c) / 938e3 for a, b, c in thirds]
    return {"accuracies": ACCURACIES[name], "losses": losses}


def outside(name, nets, key):
    """The epochs at which the notes lie outside all runs."""
    epochs = zip(notes(name)[key], *(run[key] for run in nets))
    return [i for i, (n, *e) in enumerate(epochs, 1) if not min(e) <= n <= max(e)]


def tables():
    found, rows = runs.read(PLAN["ten"]), {"lecture": [], "准确率": []}
    losses, pairs = [], []
    for name, nets in found.items():
        ours, curve = [run["accuracies"] for run in nets], ACCURACIES[name]
        cells = [spread([of_run[0] for of_run in ours]), f"{curve[0]:.2f}"]
        cells += [spread(runs.last(nets)), f"{curve[9]:.2f}"]
        cells += [spread(list(map(max, ours))), f"{max(curve):.2f}"]
        cells.append(len(outside(name, nets, "accuracies")))
        rows["lecture"].append([name, runs.origin(nets), *cells])
        if name in ("GoogLeNet", "ResNet") or "published" in name:
            rows["准确率"].append([name, *cells[2:4]])
        row = [name]
        for i in (0, 9):
            row += [runs.extent([run["losses"][i] for run in nets], ".3f")]
            row += [f"{notes(name)['losses'][i]:.3f}"]
        epochs = map(str, outside(name, nets, "losses"))
        losses.append([*row, ", ".join(epochs) or "none"])
    for pair in PAIRS:
        epochs = [list(zip(*(r["accuracies"] for r in found[name]))) for name in pair]
        gains = [difference(*(e[i] for e in epochs)) for i in (0, 9)]
        pairs.append([" - ".join(pair), *gains])
    return {**rows, "lecture: losses": losses, "lecture: pairs": pairs}


def draw():
    """Below a network's accuracies its losses, by the mean of its runs: band and notes."""
    figure, panels = plt.subplots(4, 3, figsize=(15, 12), layout="constrained")
    found, names, x = runs.read(PLAN["ten"]), list(NETWORKS), range(1, 11)
    for i, key in enumerate(("accuracies", "losses") * 2):
        for panel, name in zip(panels[i], names[i // 2 :: 2]):
            epochs = list(zip(*(run[key] for run in found[name])))
            units = [mean(e) if key == "losses" else 1 for e in epochs]
            low, high = ([f(e) / u for e, u in zip(epochs, units)] for f in (min, max))
            label = f"{len(found[name])} seeds, least to most"
            panel.fill_between(x, low, high, alpha=0.3, label=label)
            curve = [n / u for n, u in zip(notes(name)[key], units)]
            panel.plot(x, curve, "k--", marker=".", label="the notes")
            panel.set(title=name, xticks=x, ylim=(0.55, 1.3), ylabel="loss / its mean")
            if key == "accuracies":
                panel.set(ylim=(94.9, 99.4), ylabel="accuracy on the test set (%)")
            panel.grid(alpha=0.3)
    panels[0, 0].legend(loc="lower right")
    figure.supxlabel("epoch")
    figure.savefig(runs.EXPERIMENTS / "lecture.png", dpi=80)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
