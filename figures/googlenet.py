"""Draw the diagram of googlenet_mnist.py: python figures/googlenet.py"""

import matplotlib.pyplot as plt
from diagrams import FIGURES, arrow, blank, box, chain, draw_net

NET = [
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
BRANCHES = {  # the channels that a layer puts out in place of a shape
    "branch1x1": [("conv 1×1", "16")],
    "branch5x5": [("conv 1×1", "16"), ("conv 5×5", "24")],
    "branch3x3": [("conv 1×1", "16"), ("conv 3×3", "24"), ("conv 3×3", "24")],
    "branch_pool": [("average pool 3×3", "C"), ("conv 1×1", "24")],
}


def draw_inception(axes):
    blank(axes, "InceptionA(C)", 8, 9)
    box(axes, 4, 0.5, "x  (N, C, H, W)")
    box(axes, 4, 7, "concat along the channels: 16 + 24 + 24 + 24")
    for x, (name, layers) in zip([1, 3, 5, 7], BRANCHES.items()):
        arrow(axes, (4, 0.75), (4, 1.2), (x, 1.2), (x, 2.3))
        axes.text(x + 0.1, 1.75, name, fontsize=9, style="italic")
        last = chain(axes, x, 2.6, layers)
        arrow(axes, (x, last + 0.25), (x, 6.2), (4, 6.2), (4, 6.7))
    arrow(axes, (4, 7.25), (4, 8))
    axes.text(4.1, 7.8, "(N, 88, H, W)", fontsize=8)


figure, (left, right) = plt.subplots(
    1, 2, figsize=(9.5, 5.6), width_ratios=[1, 2.4], layout="constrained"
)
draw_net(left, NET)
draw_inception(right)
figure.savefig(FIGURES / "googlenet.png", dpi=110)
