"""Draw the figures of README.md, but for that of tests/accuracy.py.

python residual_variants.py --blocks all | tee results/blocks.log
python residual_variants.py --blocks plain original --depth 4 | tee results/depth.log
python tests/figures.py
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from accuracy import ROOT, read_curves

import residual_variants as variants
import resnet_mnist

FIGURES = ROOT / "figures"
LINE = {"color": "#444444", "linewidth": 1}
COLORS = {"conv": "#cfe2f3", "fc": "#cfe2f3", "pool": "#fce5cd", "concat": "#d9ead3"}

# Diagrams. A layer is (text, shape of its output); y grows downwards, a layer is 1 high.


def box(axes, x, y, text):
    color = next((c for word, c in COLORS.items() if word in text), "#fff2cc")
    style = {"boxstyle": "round,pad=0.3", "facecolor": color, "edgecolor": "#444444"}
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)


def arrow(axes, *points):
    """Draw a line through `points` with a head at its end."""
    axes.plot(*zip(*points, strict=True), **LINE, zorder=0)
    axes.annotate("", points[-1], points[-2], arrowprops={"arrowstyle": "-|>", **LINE})


def chain(axes, x, y, layers):
    """Draw layers below each other from y on; return the y of the last."""
    for i, (text, shape) in enumerate(layers):
        box(axes, x, y + i, text)
        if i < len(layers) - 1:
            arrow(axes, (x, y + i + 0.25), (x, y + i + 0.75))
        axes.text(x + 0.1, y + i + 0.55, shape, va="center", fontsize=8)
    return y + len(layers) - 1


def blank(axes, title, width, height):
    axes.set(xlim=(0, width), ylim=(height, -0.5))
    axes.set_title(title, fontsize=11)
    axes.axis("off")


def draw_googlenet():
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 5.6), width_ratios=[1, 2.4], layout="constrained"
    )
    blank(left, "Net", 3, 9)
    layers = [
        ("image", "(N, 1, 28, 28)"),
        ("conv1 5×5", "(N, 10, 24, 24)"),
        ("max pool 2×2, ReLU", "(N, 10, 12, 12)"),
        ("incep1 = InceptionA", "(N, 88, 12, 12)"),
        ("conv2 5×5", "(N, 20, 8, 8)"),
        ("max pool 2×2, ReLU", "(N, 20, 4, 4)"),
        ("incep2 = InceptionA", "(N, 88, 4, 4)"),
        ("flatten", "(N, 1408)"),
        ("fc", "(N, 10)"),
    ]
    arrow(left, (1.5, chain(left, 1.5, 0, layers) + 0.25), (1.5, 8.75))

    blank(right, "InceptionA(C)", 8, 9)
    branches = [
        [("conv 1×1", "")],
        [("conv 1×1", "16"), ("conv 5×5", "")],
        [("conv 1×1", "16"), ("conv 3×3", "24"), ("conv 3×3", "")],
        [("average pool 3×3", "C"), ("conv 1×1", "")],
    ]
    names = ["branch1x1", "branch5x5", "branch3x3", "branch_pool"]
    box(right, 4, 0.5, "x  (N, C, H, W)")
    box(right, 4, 7, "concat along the channels: 16 + 24 + 24 + 24")
    for i, (name, layers) in enumerate(zip(names, branches, strict=True)):
        x = 1 + 2 * i
        arrow(right, (4, 0.75), (4, 1.2), (x, 1.2), (x, 2.3))
        right.text(x + 0.1, 1.75, name, fontsize=9, style="italic")
        last = chain(right, x, 2.6, layers)
        arrow(right, (x, last + 0.25), (x, 6.2), (4, 6.2), (4, 6.7))
        right.text(x + 0.1, 5.9, "16" if i == 0 else "24", fontsize=8)
    arrow(right, (4, 7.25), (4, 8))
    right.text(4.1, 7.8, "(N, 88, H, W)", fontsize=8)
    figure.savefig(FIGURES / "googlenet.png", dpi=110)


def draw_block(axes, branch, shortcut="", merge="+", after="ReLU"):
    """Draw the branch F on the left, the shortcut on the right and how they merge."""
    x, side, y = 1.5, 3.4, 7
    axes.text(x, 0, "x", ha="center", va="center", fontsize=10)
    arrow(axes, (x, 0.15), (x, 0.75))
    last = chain(axes, x, 1, [(text, "") for text in branch])
    if merge:
        arrow(axes, (x, last + 0.25), (x, y - 0.25))
        box(axes, x, y, merge)
        edge = x + (0.2 if merge == "+" else 0.45)
        arrow(axes, (x, 0.35), (side, 0.35), (side, y), (edge, y))
    if shortcut:
        box(axes, side, 3, shortcut)
    arrow(axes, (x, (y if merge else last) + 0.25), (x, y + 0.75))
    if after:
        box(axes, x, y + 1, after)
        arrow(axes, (x, y + 1.25), (x, y + 1.75))


def draw_resnet():
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.5, 5.6), width_ratios=[1, 1.1], layout="constrained"
    )
    blank(left, "Net", 3, 9)
    layers = [
        ("image", "(N, 1, 28, 28)"),
        ("conv1 5×5", "(N, 16, 24, 24)"),
        ("ReLU, max pool 2×2", "(N, 16, 12, 12)"),
        ("rblock1", "(N, 16, 12, 12)"),
        ("conv2 5×5", "(N, 32, 8, 8)"),
        ("ReLU, max pool 2×2", "(N, 32, 4, 4)"),
        ("rblock2", "(N, 32, 4, 4)"),
        ("flatten", "(N, 512)"),
        ("fc", "(N, 10)"),
    ]
    arrow(left, (1.5, chain(left, 1.5, 0, layers) + 0.25), (1.5, 8.75))

    blank(right, "ResidualBlock(C): relu(x + y)", 4.8, 9)
    draw_block(right, ["conv1 3×3", "ReLU", "conv2 3×3"])
    right.text(1.6, 5.3, "y", fontsize=10)
    right.text(3.5, 3.6, "shortcut", fontsize=9)
    figure.savefig(FIGURES / "resnet.png", dpi=110)


F_PLAIN = ["conv 3×3", "ReLU", "conv 3×3"]
F_BN = ["conv 3×3", "BN", "ReLU", "conv 3×3"]
PANELS = {  # the arguments of draw_block
    "plain": (F_PLAIN, "", ""),
    "original": (F_PLAIN,),
    "constant-scaling": (F_PLAIN, "", "+", "· 0.5, ReLU"),
    "exclusive-gating": ([*F_PLAIN, "· g"], "· (1 − g)"),
    "shortcut-only-gating": (F_PLAIN, "· (1 − g)"),
    "conv-shortcut": (F_PLAIN, "conv 1×1"),
    "dropout-shortcut": (F_PLAIN, "dropout"),
    "original-bn": ([*F_BN, "BN"],),
    "bn-after-addition": (F_BN, "", "+", "BN, ReLU"),
    "relu-before-addition": ([*F_BN, "BN, ReLU"], "", "+", ""),
    "relu-only-pre-activation": (["ReLU", *F_BN, "BN"], "", "+", ""),
    "full-pre-activation": (["BN, ReLU", "conv 3×3"] * 2, "", "+", ""),
    "dense": (["BN, ReLU", "conv 3×3"], "", "concat", "BN, ReLU, conv 1×1"),
}


def draw_variants():
    figure, panels = plt.subplots(3, 5, figsize=(13, 13), layout="constrained")
    for axes in panels.flat[len(PANELS) :]:
        axes.remove()
    for axes, (name, panel) in zip(panels.flat, PANELS.items(), strict=False):
        blank(axes, name, 4.8, 9.4)
        draw_block(axes, *panel)
        if name == "dense":  # what is concatenated is the x of the next layer
            arrow(axes, (1.05, 7), (0.2, 7), (0.2, 0), (1.3, 0))
            axes.text(0.35, 4.5, "four\ntimes\nmore", fontsize=9)
        if "gating" in name:
            axes.text(1.9, 8.7, "g = σ(conv1×1(x))", fontsize=9)
    figure.savefig(FIGURES / "residual_variants.png", dpi=80)


# Curves


def draw_blocks(curves):
    """One panel a block, all the others in grey behind it."""
    figure, panels = plt.subplots(
        3, 5, figsize=(13, 7), sharex=True, sharey=True, layout="constrained"
    )
    for axes in panels.flat[len(curves) :]:
        axes.remove()
    for axes, (name, curve) in zip(panels.flat, curves.items(), strict=False):
        epochs = range(1, len(curve) + 1)
        for other in curves.values():
            axes.plot(epochs, other, color="#dddddd", linewidth=1)
        axes.plot(epochs, curve, color="#1f4e9c", marker=".")
        axes.set_title(name, fontsize=10)
        axes.set(xticks=epochs, ylim=(96, 99.6))
        axes.tick_params(labelbottom=True)
        axes.text(
            0.97, 0.06, f"{curve[-1]:.2f} %", ha="right", transform=axes.transAxes
        )
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on the test set (%)")
    figure.savefig(FIGURES / "blocks.png", dpi=90)


def gradient_sizes(block, depth):
    """The norm of the gradient at the output of each layer, from the first to the last."""
    torch.manual_seed(0)
    net, sizes = variants.Net(block, depth), []
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_full_backward_hook(
                lambda _, __, gradients: sizes.append(gradients[0].norm().item())
            )
    images, labels = resnet_mnist.load_mnist(ROOT / "dataset" / "mnist", "cpu")[0]
    images = images[:64].requires_grad_()  # or the first layer would be left out
    F.cross_entropy(net(images), labels[:64]).backward()
    return sizes[::-1]


def draw_depth(curves, depth):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, curve in curves.items():
        left.plot(range(1, len(curve) + 1), curve, marker="o", label=name)
        sizes = gradient_sizes(variants.BLOCKS[name], depth)
        right.semilogy(range(1, len(sizes) + 1), sizes, marker=".", label=name)
    left.set(xlabel="epoch", ylabel="accuracy on the test set (%)", ylim=(0, 105))
    left.set(xticks=range(1, len(curve) + 1), title=f"{depth} blocks a stage")
    right.set(xlabel="layer, from the image to the classifier")
    right.set(ylabel="norm of the gradient", title="before the first step")
    right.set(xticks=range(1, len(sizes) + 1, 2))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(FIGURES / "depth.png", dpi=100)


if __name__ == "__main__":
    draw_googlenet()
    draw_resnet()
    draw_variants()
    draw_blocks(read_curves((ROOT / "results" / "blocks.log").read_text()))
    draw_depth(read_curves((ROOT / "results" / "depth.log").read_text()), 4)
