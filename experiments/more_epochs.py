"""Is more training always better? ResNet for thirty epochs."""

import matplotlib.pyplot as plt
import runs as store

from resnet_mnist import Net

if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    store.collect(args, {"ResNet": Net}, epochs=30)
    devices = store.by_device("ResNet", 30, 0.01).values()
    runs = [run for found in devices for run in found.values()]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for run in runs:
        accuracies, losses = run["accuracies"], run["losses"]
        best, ten = max(accuracies), max(accuracies[:10])
        cells = [f"{ten:.2f}", f"{best:.2f}", accuracies.index(best) + 1]
        cells += [f"{accuracies[-1]:.2f}", *(f"{losses[i]:.4f}" for i in (0, 9, 29))]
        store.row(run["seed"], run["device"], *cells)
        label = f"seed {run['seed']}, {run['device']}"
        left.plot(range(1, 31), accuracies, marker=".", label=label)
        right.semilogy(range(1, 31), losses, marker=".")
    left.set(xlabel="epoch", ylabel="accuracy on the test set (%)", ylim=(98.5, 99.5))
    right.set(xlabel="epoch", ylabel="mean training loss of the epoch")
    for axes in (left, right):
        axes.axvline(10, color="gray", linestyle=":", label="the notes stop here")
        axes.grid(alpha=0.3)
    left.legend()
    figure.savefig(store.EXPERIMENTS / "more_epochs.png", dpi=90)
