"""A module without ReLU is one 5x5 convolution, except at the border.

    python figures/fold.py    # after `python googlenet_mnist.py`; prints README's figure

Needs the full MNIST in dataset/mnist.
"""

import sys

import torch
from runs import DATA, ROOT
from torch import nn

from googlenet_mnist import Net, load_mnist


@torch.no_grad()
def fold(module, in_channels):
    """The 5x5 convolution whose response to an impulse is that of an Inception module."""
    impulses = torch.zeros(in_channels, in_channels, 9, 9)
    impulses[range(in_channels), range(in_channels), 4, 4] = 1
    silence = module(torch.zeros(1, in_channels, 9, 9))  # the biases alone
    response = (module(impulses) - silence)[:, :, 2:7, 2:7]  # (in_channels, 88, 5, 5)
    conv = nn.Conv2d(in_channels, 88, kernel_size=5, padding=2)
    conv.weight.copy_(response.flip(2, 3).transpose(0, 1))
    conv.bias.copy_(silence[0, :, 4, 4])
    return conv


@torch.inference_mode()
def main():
    checkpoint = ROOT / "results" / "googlenet_mnist.pt"
    if not checkpoint.exists():
        sys.exit(f"{checkpoint} is missing: run googlenet_mnist.py first")
    net, folded = Net(), Net()
    for each in (net, folded):
        each.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    folded.incep1, folded.incep2 = fold(net.incep1, 10), fold(net.incep2, 20)
    images, labels = load_mnist(DATA, "cpu")[1]
    answers = [
        torch.cat([each(x).argmax(dim=1) for x in images.split(250)])
        for each in (net, folded)
    ]
    same = (answers[0] == answers[1]).float().mean()
    right = [(answer == labels).float().mean() for answer in answers]
    print(
        f"{same:.2%} of the answers are the same; right: {right[0]:.2%}, {right[1]:.2%}"
    )


if __name__ == "__main__":
    main()
