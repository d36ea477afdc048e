"""Draw the diagram of googlenet_mnist.py: python figures/googlenet.py"""

import matplotlib.pyplot as plt
from diagrams import FIGURES, arrow, blank, box, chain

size = {"figsize": (9.5, 5.6), "width_ratios": [1, 2.4]}
figure, (left, right) = plt.subplots(1, 2, layout="constrained", **size)
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
for i, (name, layers) in enumerate(zip(names, branches)):
    x = 1 + 2 * i
    arrow(right, (4, 0.75), (4, 1.2), (x, 1.2), (x, 2.3))
    right.text(x + 0.1, 1.75, name, fontsize=9, style="italic")
    last = chain(right, x, 2.6, layers)
    arrow(right, (x, last + 0.25), (x, 6.2), (4, 6.2), (4, 6.7))
    right.text(x + 0.1, 5.9, "16" if i == 0 else "24", fontsize=8)
arrow(right, (4, 7.25), (4, 8))
right.text(4.1, 7.8, "(N, 88, H, W)", fontsize=8)
figure.savefig(FIGURES / "googlenet.png", dpi=110)
