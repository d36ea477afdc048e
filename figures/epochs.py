"""Is more training always better? ResNet for thirty epochs.

    python figures/epochs.py      # prints the figures and draws figures/epochs.png
    python figures/epochs.py 1    # the same with the seed 0 alone

Needs the full MNIST in dataset/mnist.
"""

import matplotlib.pyplot as plt
from runs import FIGURES, seeds, train_all

from resnet_mnist import Net


def main():
    [runs] = train_all({"ResNet": Net}, seeds(2), epochs=30).values()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for seed, run in enumerate(runs):
        accuracies, losses = run["accuracies"], run["losses"]
        best, ten = max(accuracies), max(accuracies[:10])
        print(
            f"seed {seed}: best {best:.2f} in epoch {accuracies.index(best) + 1}, ",
            end="",
        )
        print(f"best of the first ten {ten:.2f}, last {accuracies[-1]:.2f}; ", end="")
        print(f"loss {losses[0]:.4f}, {losses[9]:.4f}, {losses[-1]:.4f} (1, 10, 30)")
        left.plot(range(1, 31), accuracies, marker=".", label=f"seed {seed}")
        right.semilogy(range(1, 31), losses, marker=".")
    left.set(xlabel="epoch", ylabel="accuracy on the test set (%)")
    right.set(xlabel="epoch", ylabel="mean training loss of the epoch")
    for axes in (left, right):
        axes.axvline(10, color="gray", linestyle=":")
        axes.grid(alpha=0.3)
    left.legend()
    figure.savefig(FIGURES / "epochs.png", dpi=90)


if __name__ == "__main__":
    main()
