"""Change GoogLeNet in one place at a time: which change makes it better?

    python figures/improvements.py      # prints README's table
    python figures/improvements.py 5    # every network with the seeds 0 to 4

Needs the full MNIST in dataset/mnist, if a run is missing.
"""

import torch.nn.functional as F
from branches import EPOCHS, STARTS, linear, reliance
from runs import seeds, spread, train_all
from scipy.stats import ttest_ind  # scipy comes with mlxtend
from torch import nn

from googlenet_mnist import Net


class Lecture10(nn.Module):
    """The network of the lecture before: two convolutions, and no Inception module."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.mp = nn.MaxPool2d(2)
        self.fc = nn.Linear(320, 10)

    def forward(self, x):  # (N, 1, 28, 28)
        x = F.relu(self.mp(self.conv1(x)))  # (N, 10, 12, 12)
        x = F.relu(self.mp(self.conv2(x)))  # (N, 20, 4, 4)
        return self.fc(x.flatten(1))  # (N, 10)


class OneConvolution(Net):
    """One 5x5 convolution in the place of each module."""

    def __init__(self):
        super().__init__()
        self.incep1 = nn.Conv2d(10, 88, kernel_size=5, padding=2)
        self.incep2 = nn.Conv2d(20, 88, kernel_size=5, padding=2)


class TwoLayers(Net):
    """A second fully connected layer: 1408 -> 128 -> 10, ReLU between."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(1408, 128), nn.ReLU(), nn.Linear(128, 10))


class AverageHead(Net):
    """The head of the paper: average pooling over the 4x4, then 88 -> 10."""

    def __init__(self):
        super().__init__()
        pool = nn.Sequential(nn.Unflatten(1, (88, 4, 4)), nn.AvgPool2d(4))
        self.fc = nn.Sequential(pool, nn.Flatten(), nn.Linear(88, 10))


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
    """Batch normalisation after every convolution of the Inception modules."""

    def after(self, conv):
        return [nn.BatchNorm2d(conv.out_channels)]


class WithBNAndReLU(WithReLU):
    """Batch normalisation and ReLU after every convolution of the Inception modules."""

    def after(self, conv):
        return [nn.BatchNorm2d(conv.out_channels), nn.ReLU()]


NETWORKS = {  # with the number of seeds that each is trained with
    "GoogLeNet": (Net, 3),
    "lecture 10's CNN": (Lecture10, 10),
    "one 5×5 a module": (OneConvolution, 3),
    "GoogLeNet, Kaiming": (linear, 3),
    "second fc layer": (TwoLayers, 2),
    "average pooling": (AverageHead, 2),
    "ReLU": (WithReLU, 2),
    "BN": (WithBN, 2),
    "BN and ReLU": (WithBNAndReLU, 2),
}


def main():
    last = {}
    for name, (net, count) in NETWORKS.items():
        # The networks of branches.py are measured as there, whichever runs first.
        measure = reliance if name in STARTS else None
        [runs] = train_all({name: net}, seeds(count), EPOCHS, measure=measure).values()
        first, last[name] = ([run["accuracies"][i] for run in runs] for i in (0, -1))
        size = sum(parameter.numel() for parameter in net().parameters())
        welch = ttest_ind(last[name], last["GoogLeNet"], equal_var=False)
        p = "" if name == "GoogLeNet" else f"{welch.pvalue:.1g}"
        cells = [name, f"{size:,}", len(runs), spread(first), spread(last[name]), p]
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
