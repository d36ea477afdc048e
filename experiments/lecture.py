"""Do the networks of the notes give the numbers of the notes?"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import runs as store
from runs import difference, origin, row, spread

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
CURVES = {"GoogLeNet": googlenet_mnist.CURVE, "ResNet": resnet_mnist.CURVE}
for names, curve in variants.NOTES.values():
    for name in names:
        NETWORKS[name] = partial(variants.Net, variants.BLOCKS[name])
        CURVES[name] = curve  # of the block with the slip
PAIRS = [(f"{b}-published", b) for b in ("constant-scaling", "conv-shortcut")]
PAIRS += [("ResNet", block) for _, block in PAIRS]


def draw(panel, name, epochs):
    """Draw the band of all runs, their mean and the notes' curve."""
    x, low, high = range(1, 11), list(map(min, epochs)), list(map(max, epochs))
    seeds = f"{len(epochs[0])} seeds, least to most"
    panel.fill_between(x, low, high, alpha=0.3, label=seeds)
    panel.plot(x, list(map(mean, epochs)), label="their mean")
    slip = ", with the slip" if f"{name}-published" in NETWORKS else ""
    panel.plot(x, CURVES[name], "k--", marker=".", label=f"the notes{slip}")
    panel.set(title=name, xticks=x)
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right")


if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    found = store.collect(args, NETWORKS, epochs=10)
    size = {"figsize": (13, 7), "sharex": True, "sharey": True}
    figure, panels = plt.subplots(2, 3, layout="constrained", **size)
    for panel, (name, runs) in zip(panels.T.flat, found.items()):
        notes, curves = CURVES[name], [run["accuracies"] for run in runs]
        epochs = list(zip(*curves))
        outside = sum(not min(e) <= n <= max(e) for n, e in zip(notes, epochs))
        cells = [spread(epochs[0]), f"{notes[0]:.2f}", spread(epochs[9])]
        cells += [f"{notes[9]:.2f}", spread(list(map(max, curves)))]
        row(name, origin(runs), *cells, f"{max(notes):.2f}", outside)
        draw(panel, name, epochs)
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on the test set (%)")
    figure.savefig(store.EXPERIMENTS / "lecture.png", dpi=90)
    for pair in PAIRS:
        epochs = [list(zip(*(r["accuracies"] for r in found[name]))) for name in pair]
        row(" − ".join(pair), *(difference(*(e[i] for e in epochs)) for i in (0, 9)))
