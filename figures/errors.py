"""Which test digits do most of the trained ResNets get wrong?

    python figures/errors.py    # prints the counts and draws figures/errors.png

It draws the runs of own_digit.py. Needs the full MNIST in dataset/mnist.
"""

from collections import Counter

import matplotlib.pyplot as plt
import torch
from runs import DATA, FIGURES, kept

from resnet_mnist import load_mnist


@torch.inference_mode()
def wrong(net):
    """{"wrong": [[index of a test digit, the answer of a trained net], ...]}."""
    images, labels = load_mnist(DATA, "cpu")[1]
    answers = torch.cat([net.eval()(x).argmax(dim=1) for x in images.split(250)])
    places = (answers != labels).nonzero().flatten().tolist()
    return {"wrong": [[i, answers[i].item()] for i in places]}


def main():
    runs = [run["wrong"] for run in kept().values() if "wrong" in run]
    nets = len(runs)
    answers = {}
    for i, answer in sorted(pair for run in runs for pair in run):
        answers.setdefault(i, []).append(answer)
    most = [i for i in answers if len(answers[i]) > nets / 2]
    every = sum(len(given) == nets for given in answers.values())
    print(
        f"errors of a net: {sum(map(len, runs)) / nets:.1f}; of any: {len(answers)}; "
    )
    print(f"of most: {len(most)}; of all: {every}")

    images, labels = load_mnist(DATA, "cpu")[1]
    rows = -(-len(most) // 10)
    figure, panels = plt.subplots(
        rows, 10, figsize=(11, 1.35 * rows), layout="constrained"
    )
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, sorted(most, key=lambda i: -len(answers[i]))):
        [(answer, _)] = Counter(answers[i]).most_common(1)
        panel.imshow(images[i, 0].numpy(), cmap="gray_r")
        panel.set_title(f"{labels[i]} → {answer} ({len(answers[i])})", fontsize=10)
    figure.suptitle(f"label → answer (wrong nets of {nets})")
    figure.savefig(FIGURES / "errors.png", dpi=90)


if __name__ == "__main__":
    main()
