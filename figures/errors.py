"""Which test digits do most of ten trained ResNets get wrong?

    python figures/errors.py    # prints the counts and draws figures/errors.png

Needs the full MNIST in dataset/mnist.
"""

import matplotlib.pyplot as plt
import torch
from runs import DATA, FIGURES, seeds, train_all, trained

from resnet_mnist import Net, load_mnist


@torch.inference_mode()
def answers(seed, images):
    return torch.cat(
        [trained("ResNet", Net, seed)(x).argmax(1) for x in images.split(250)]
    )


def main():
    train_all({"ResNet": Net}, seeds(10))
    images, labels = load_mnist(DATA, "cpu")[1]
    given = torch.stack([answers(seed, images) for seed in seeds(10)])  # (seeds, 10000)
    wrong = (given != labels).sum(dim=0)
    nets = len(given)
    print(
        f"errors of a net: {wrong.sum() / nets:.1f}; of any: {(wrong > 0).sum()}; ",
        end="",
    )
    print(f"of most: {(wrong > nets / 2).sum()}; of all: {(wrong == nets).sum()}")

    digits = wrong.argsort(descending=True, stable=True)[: (wrong > nets / 2).sum()]
    rows = -(-len(digits) // 10)
    figure, panels = plt.subplots(
        rows, 10, figsize=(11, 1.35 * rows), layout="constrained"
    )
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, digits.tolist()):
        answer = given[:, i][given[:, i] != labels[i]].mode().values
        panel.imshow(images[i, 0], cmap="gray_r")
        panel.set_title(f"{labels[i]} → {answer} ({wrong[i]})", fontsize=10)
    figure.suptitle(f"label → answer (wrong nets of {nets})")
    figure.savefig(FIGURES / "errors.png", dpi=90)


if __name__ == "__main__":
    main()
