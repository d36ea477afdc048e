"""Draw every block of residual_variants.py: python figures/block_diagrams.py"""

import matplotlib.pyplot as plt
from diagrams import FIGURES, arrow, blank, box, draw_block

F_PLAIN = ["conv 3×3", "ReLU", "conv 3×3"]
F_BN = ["conv 3×3", "BN", "ReLU", "conv 3×3"]
PANELS = {  # the arguments of draw_block
    "plain": (F_PLAIN, "", ""),
    "original": (F_PLAIN,),
    "constant-scaling": (F_PLAIN, "", "+", "× 0.5, ReLU"),
    "constant-scaling-published": (["conv 3×3 alone"], "", "+", "× 0.5, ReLU"),
    "exclusive-gating": ([*F_PLAIN, "× g"], "× (1 − g)"),
    "shortcut-only-gating": (F_PLAIN, "× (1 − g)"),
    "conv-shortcut": (F_PLAIN, "conv 1×1"),
    "conv-shortcut-published": (["conv 3×3 alone"], "conv 1×1"),
    "dropout-shortcut": (F_PLAIN, "dropout"),
    "plain-bn": ([*F_BN, "BN"], "", ""),
    "original-bn": ([*F_BN, "BN"],),
    "bn-after-addition": (F_BN, "", "+", "BN, ReLU"),
    "relu-before-addition": ([*F_BN, "BN, ReLU"], "", "+", ""),
    "relu-only-pre-activation": (["ReLU", *F_BN, "BN"], "", "+", ""),
    "full-pre-activation": (["BN, ReLU", "conv 3×3"] * 2, "", "+", ""),
    "dense": (["BN, ReLU", "conv 3×3"], "", "concat", "BN, ReLU, conv 1×1"),
}

rows = -(-len(PANELS) // 4)
size = {"figsize": (11, 4.25 * rows), "subplot_kw": {"xticks": [], "yticks": []}}
figure, panels = plt.subplots(rows, 4, layout="constrained", **size)
for axes, (name, panel) in zip(panels.flat, PANELS.items()):
    blank(axes, name, 5.2, 9.4)
    draw_block(axes, *panel)
    if name == "dense":  # what is concatenated is the x of the next layer
        arrow(axes, (1.05, 7), (0.2, 7), (0.2, 0), (1.3, 0))
        axes.text(0.35, 4.5, "four\ntimes\nmore", fontsize=9)
    if "gating" in name:  # g = sigmoid(conv1x1(x))
        arrow(axes, (3.4, 0.35), (4.5, 0.35), (4.5, 1.25))
        box(axes, 4.5, 1.5, "conv 1×1, σ")
        arrow(axes, (4.5, 1.75), (4.5, 3), (4.1, 3))
        axes.text(4.6, 2.5, "g", fontsize=10)
    if name == "exclusive-gating":
        arrow(axes, (4.5, 3), (4.5, 4), (1.85, 4))
figure.savefig(FIGURES / "block_diagrams.png", dpi=80)
