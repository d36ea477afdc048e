"""Draw every block of residual_variants.py: python figures/block_diagrams.py"""

from math import ceil

import matplotlib.pyplot as plt
from diagrams import FIGURES, arrow, blank, box, draw_block

F = ["conv 3×3", "ReLU", "conv 3×3"]
F_BN = ["conv 3×3", "BN", "ReLU", "conv 3×3", "BN"]
PUBLISHED = ["conv 3×3 (conv2)"]
HALF = "× 0.5, ReLU"
GATED = {"shortcut": "× (1 − g)", "side": 4.4}
PANELS = {  # the arguments of draw_block
    "plain": {"branch": F, "merge": None},
    "original": {"branch": F},
    "constant-scaling": {"branch": F, "after": HALF},
    "constant-scaling-published": {"branch": PUBLISHED, "after": HALF},
    "exclusive-gating": {"branch": [*F, "× g"], **GATED},
    "shortcut-only-gating": {"branch": F, **GATED},
    "conv-shortcut": {"branch": F, "shortcut": "conv 1×1"},
    "conv-shortcut-published": {"branch": PUBLISHED, "shortcut": "conv 1×1"},
    "dropout-shortcut": {"branch": F, "shortcut": "dropout"},
    "plain-bn": {"branch": F_BN, "merge": None},
    "original-bn": {"branch": F_BN},
    "bn-after-addition": {"branch": F_BN[:-1], "after": "BN, ReLU"},
    "relu-before-addition": {"branch": [*F_BN, "ReLU"], "after": None},
    "relu-only-pre-activation": {"branch": ["ReLU", *F_BN], "after": None},
    "full-pre-activation": {"branch": ["BN, ReLU", "conv 3×3"] * 2, "after": None},
    "dense": {
        "branch": ["BN, ReLU", "conv 3×3"],
        "merge": "concat",
        "after": "BN, ReLU, conv 1×1",
    },
}


def draw_gate(axes):
    """g = sigmoid(conv1x1(x)), between the branch and the shortcut."""
    arrow(axes, (3, 0.35), (3, 1.75))
    box(axes, 3, 2, "conv 1×1, σ")
    arrow(axes, (3, 2.25), (3, 4), (3.75, 4))
    axes.text(3.1, 3.2, "g", fontsize=10)


rows = ceil(len(PANELS) / 4)
figure = plt.figure(figsize=(11, 4.25 * rows), layout="constrained")
for place, (name, panel) in enumerate(PANELS.items(), start=1):
    axes = figure.add_subplot(rows, 4, place)
    blank(axes, name, 5.2, 9.4)
    draw_block(axes, **panel)
    if "published" in name:
        axes.text(1.6, 2, "conv1 unused", fontsize=9)
    if "gating" in name:
        draw_gate(axes)
    if name == "exclusive-gating":
        arrow(axes, (3, 4), (1.85, 4))
    if name == "dense":  # what is concatenated is the x of the next layer
        arrow(axes, (1.05, 7), (0.2, 7), (0.2, 0), (1.3, 0))
        axes.text(0.35, 4.5, "four\nmore\ntimes", fontsize=9)
figure.savefig(FIGURES / "block_diagrams.png", dpi=80)
