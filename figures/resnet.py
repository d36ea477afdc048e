"""Draw the diagram of resnet_mnist.py: python figures/resnet.py"""

import matplotlib.pyplot as plt
from diagrams import FIGURES, blank, draw_block, draw_net

NET = [
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

figure, (left, right) = plt.subplots(
    1, 2, figsize=(7.5, 5.6), width_ratios=[1, 1.1], layout="constrained"
)
draw_net(left, NET)
blank(right, "ResidualBlock(C): relu(x + y)", 4.8, 9)
draw_block(right, ["conv1 3×3", "ReLU", "conv2 3×3"])
right.text(1.6, 5.3, "y", fontsize=10)
right.text(3.5, 3.6, "shortcut", fontsize=9)
figure.savefig(FIGURES / "resnet.png", dpi=110)
