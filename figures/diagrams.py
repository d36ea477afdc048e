"""Boxes and arrows for the diagrams. A layer is (text, shape of its output), 1 high."""

from pathlib import Path

FIGURES = Path(__file__).resolve().parent
LINE = {"color": "#444444", "linewidth": 1}
COLORS = {"conv": "#cfe2f3", "fc": "#cfe2f3", "pool": "#fce5cd", "concat": "#d9ead3"}


def blank(axes, title, width, height):
    axes.set(xlim=(0, width), ylim=(height, -0.5))  # y grows downwards
    axes.set_title(title, fontsize=11)
    axes.axis("off")


def color(text):
    for word, found in COLORS.items():
        if word in text:
            return found
    return "#fff2cc"


def box(axes, x, y, text):
    style = {"boxstyle": "round,pad=0.3", "facecolor": color(text)}
    style["edgecolor"] = LINE["color"]
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)


def arrow(axes, *points):
    """Draw a line through `points` with a head at its end."""
    *before_last, last = points
    axes.plot(*zip(*before_last), **LINE, zorder=0)
    head = {"arrowstyle": "-|>", "shrinkA": 0, **LINE}
    axes.annotate("", last, before_last[-1], arrowprops=head)


def chain(axes, x, y, layers):
    """Draw layers below each other from y on; return the y of the last."""
    for i, (text, shape) in enumerate(layers):
        box(axes, x, y + i, text)
        axes.text(x + 0.1, y + i + 0.55, shape, va="center", fontsize=8)
        if i > 0:
            arrow(axes, (x, y + i - 0.75), (x, y + i - 0.25))
    return y + len(layers) - 1


def draw_net(axes, layers):
    """Draw the layers of a net, and the arrow that leaves the last."""
    blank(axes, "Net", 3, 9)
    last = chain(axes, 1.5, 0, layers)
    arrow(axes, (1.5, last + 0.25), (1.5, last + 0.75))


def draw_block(axes, branch, shortcut=None, merge="+", after="ReLU", side=3.4):
    """Draw a residual block; without `merge` it has no shortcut.

    Its branch is at x = 1.5, its shortcut at x = `side`. They merge at y = 7.
    """
    axes.text(1.5, 0, "x", ha="center", va="center", fontsize=10)
    arrow(axes, (1.5, 0.15), (1.5, 0.75))
    last = chain(axes, 1.5, 1, [(text, "") for text in branch])
    if merge:
        arrow(axes, (1.5, last + 0.25), (1.5, 6.75))
        box(axes, 1.5, 7, merge)
        edge = 1.7 if merge == "+" else 1.95
        arrow(axes, (1.5, 0.35), (side, 0.35), (side, 7), (edge, 7))
        last = 7
    if shortcut:
        box(axes, side, 4, shortcut)
    arrow(axes, (1.5, last + 0.25), (1.5, 7.75))
    if after:
        box(axes, 1.5, 8, after)
        arrow(axes, (1.5, 8.25), (1.5, 8.75))
