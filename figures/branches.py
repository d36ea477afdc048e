"""Does the better branch of an Inception module get the larger weight?

python figures/branches.py      # prints README's table and draws figures/branches.png
python figures/branches.py 1    # the same with the seed 0 alone
"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import torch
from runs import DATA, FIGURES, fields, seeds, spread, train_all

from googlenet_mnist import Net, load_mnist, test

EPOCHS = 5
BRANCHES, CHANNELS = ["1×1", "5×5", "3×3", "pool"], [16, 24, 24, 24]


@torch.no_grad()
def loud(branch):
    """A GoogLeNet in which one branch of each module puts out three times what each other
    does (standard deviation over the digits), and the whole module what it did before.
    """
    net, images, outputs = Net(), load_mnist(DATA, "cpu")[0][0][:1000], []
    aims = [3 if b == branch else 1 for b in range(4)]
    for module in (net.incep1, net.incep2):
        hook = module.register_forward_hook(lambda _, __, y: outputs.append(y))
        net(images)
        hook.remove()
        parts = outputs.pop().split(CHANNELS, dim=1)
        stds = [part.var(dim=0).mean().sqrt() for part in parts]
        power = sum(c * std**2 for c, std in zip(CHANNELS, stds))
        unit = (power / sum(c * aim**2 for c, aim in zip(CHANNELS, aims))) ** 0.5
        last = [module.branch1x1, module.branch5x5_2]
        last += [module.branch3x3_3, module.branch_pool]
        for conv, aim, std in zip(last, aims, stds):
            conv.weight.mul_(aim * unit / std)
            conv.bias.mul_(aim * unit / std)
    return net


def kaiming():
    """A GoogLeNet whose convolutions keep the size of a signal, without bias at first."""
    net = Net()
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            torch.nn.init.zeros_(layer.bias)
    return net


STARTS = {"GoogLeNet": Net, "GoogLeNet, Kaiming": kaiming}
STARTS.update(
    {f"GoogLeNet, {b} loud": partial(loud, i) for i, b in enumerate(BRANCHES)}
)


def reliance(net):
    """By branch: points lost without it, rms of the weights that the next layer gives it.

    {"lost 1": [points of each branch of incep1], "weights 1": ..., "lost 2": ...}
    """
    test_set, found = load_mnist(DATA, "cpu")[1], {}
    whole = test(net, *test_set)
    for i, weight in (1, net.conv2.weight), (2, net.fc.weight.view(10, 88, 16)):
        parts = weight.detach().split(CHANNELS, dim=1)
        found[f"weights {i}"] = [
            round(p.square().mean().sqrt().item(), 4) for p in parts
        ]
        lost = found[f"lost {i}"] = []
        for part in parts:  # a view: what is set to zero here is so in the net
            saved = part.clone()
            part.zero_()
            lost.append(round(whole - test(net, *test_set), 2))
            part.copy_(saved)
    return found


def main():
    made = train_all(STARTS, seeds(2), EPOCHS, measure=reliance)
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    columns = [f"without {branch}" for branch in BRANCHES]
    for i, panel in enumerate(panels, start=1):
        table = []
        for name, runs in made.items():
            lost = list(zip(*(run[f"lost {i}"] for run in runs)))
            weights = zip(*(run[f"weights {i}"] for run in runs))
            table.append(list(map(mean, lost)))
            print(f"| incep{i}, {name} |", " | ".join(map(spread, lost)), end=" |  ")
            print("weights:", *(f"{mean(w):.3f}" for w in weights))
        fields(panel, table, made, columns, "{:.1f}".format, cmap="Reds", vmax=60)
        panel.set_title(f"incep{i}: points lost after five epochs")
    figure.savefig(FIGURES / "branches.png", dpi=90)


if __name__ == "__main__":
    main()
