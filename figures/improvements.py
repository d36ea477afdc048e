"""Change GoogLeNet in one place at a time: which change makes it better?

    python figures/improvements.py    # prints README's table
    python figures/improvements.py 2  # the same with the seeds 0 and 1 alone

Needs the full MNIST in dataset/mnist.
"""

from runs import PICKS, seeds, spread, train_all
from torch import nn

from googlenet_mnist import Net


class TwoLayers(Net):
    """A second fully connected layer: 1408 -> 128 -> 10, ReLU between."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(1408, 128), nn.ReLU(), nn.Linear(128, 10))


class WithReLU(Net):
    """ReLU after every convolution of the Inception modules, as in the paper."""

    def __init__(self):
        super().__init__()
        for module in (self.incep1, self.incep2):
            for name, conv in list(module.named_children()):
                setattr(module, name, nn.Sequential(conv, *self.after(conv)))

    def after(self, conv):
        return [nn.ReLU()]


class WithBN(WithReLU):
    """Batch normalisation and ReLU after every convolution of the Inception modules."""

    def after(self, conv):
        return [nn.BatchNorm2d(conv.out_channels), nn.ReLU()]


NETWORKS = {
    "GoogLeNet": Net,
    "second fc layer": TwoLayers,
    "ReLU": WithReLU,
    "BN and ReLU": WithBN,
}

if __name__ == "__main__":
    for name, runs in train_all(NETWORKS, seeds(5)).items():
        curves = [run["accuracies"] for run in runs]
        cells = [spread(list(map(pick, curves))) for pick in PICKS.values()]
        size = sum(p.numel() for p in NETWORKS[name]().parameters())
        print("|", " | ".join([name, f"{size:,}", *cells]), "|")
