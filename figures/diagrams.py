"""Boxes and arrows for the diagrams. A layer is (text, shape of its output), 1 high."""

from pathlib import Path

FIGURES = Path(__file__).resolve().parent
LINE = {"color": "#444444", "linewidth": 1}
COLORS = {"conv": "#cfe2f3", "fc": "#cfe2f3", "pool": "#fce5cd", "concat": "#d9ead3"}


def box(axes, x, y, text):
    color = next((c for word, c in COLORS.items() if word in text), "#fff2cc")
    style = {"boxstyle": "round,pad=0.3", "facecolor": color, "edgecolor": "#444444"}
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)


def arrow(axes, *points):
    """Draw a line through `points` with a head at its end."""
    axes.plot(*zip(*points), **LINE, zorder=0)
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
