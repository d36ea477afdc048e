"""Does the better branch of an Inception module get the larger weight?"""

import torch
from runs import ROOT, train_all

import googlenet_mnist

CHANNELS = [16, 24, 24, 24]


def first_digits(count):
    return googlenet_mnist.load_mnist(ROOT / "dataset" / "mnist", "cpu")[0][0][:count]


@torch.no_grad()
def loudness(net, module, images):
    """Standard deviation over the digits of what each branch of `module` puts out."""
    outputs = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    net(images)
    hook.remove()
    branches = outputs[0].split(CHANNELS, dim=1)
    return [branch.var(dim=0).mean().sqrt().item() for branch in branches]


class EquallyLoud(googlenet_mnist.Net):
    """Each branch starts with the standard deviation of the whole module's output."""

    def __init__(self):
        super().__init__()
        images = first_digits(1000)
        for module in (self.incep1, self.incep2):
            stds = loudness(self, module, images)
            parts = zip(CHANNELS, stds)
            target = (sum(c * std**2 for c, std in parts) / sum(CHANNELS)) ** 0.5
            last = [module.branch1x1, module.branch5x5_2]
            last += [module.branch3x3_3, module.branch_pool]
            for conv, std in zip(last, stds):
                conv.weight.data *= target / std
                conv.bias.data *= target / std


NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "equally loud": EquallyLoud}
SEEDS = range(5)
