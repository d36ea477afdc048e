"""Does the better branch of an Inception module get the larger weight?

    python figures/branches.py    # prints README's table, draws figures/branches.png

Needs the full MNIST in dataset/mnist.
"""

from functools import partial
from statistics import mean

import matplotlib.pyplot as plt
import torch
from runs import DATA, FIGURES, fields, kaiming, seeds, spread, train_all

from googlenet_mnist import Net, load_mnist, test

EPOCHS = 5
BRANCHES, CHANNELS = ["1×1", "5×5", "3×3", "pool"], [16, 24, 24, 24]


@torch.no_grad()
def loudness(net, module, images):
    """Standard deviation over the digits of what each branch of `module` puts out."""
    outputs = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    net(images)
    hook.remove()
    return [y.var(dim=0).mean().sqrt() for y in outputs[0].split(CHANNELS, dim=1)]


@torch.no_grad()
def loud(branch):
    """A GoogLeNet whose modules start as loud as ever, but one branch 3 times the others."""
    net, images = Net(), load_mnist(DATA, "cpu")[0][0][:1000]
    aims = [3 if b == branch else 1 for b in range(4)]
    for module in (net.incep1, net.incep2):
        stds = loudness(net, module, images)
        power = sum(c * std**2 for c, std in zip(CHANNELS, stds))
        unit = (power / sum(c * aim**2 for c, aim in zip(CHANNELS, aims))) ** 0.5
        last = [module.branch1x1, module.branch5x5_2]
        last += [module.branch3x3_3, module.branch_pool]
        for conv, aim, std in zip(last, aims, stds):
            conv.weight.mul_(aim * unit / std)
            conv.bias.mul_(aim * unit / std)
    return net


def linear():
    """A GoogLeNet whose convolutions keep the size of a signal."""
    return kaiming(Net(), "linear")


STARTS = {"GoogLeNet": Net, "GoogLeNet, Kaiming": linear}
STARTS.update(
    {f"GoogLeNet, {b} loud": partial(loud, i) for i, b in enumerate(BRANCHES)}
)


def reliance(net):
    """{"lost 1": [points lost without each branch of incep1], "weights 1": [rms], ...}."""
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
    table = []
    made = train_all(STARTS, seeds(2), EPOCHS, measure=reliance)
    for name, runs in made.items():
        lost = [
            branch for i in (1, 2) for branch in zip(*(r[f"lost {i}"] for r in runs))
        ]
        rms = [w for i in (1, 2) for w in zip(*(r[f"weights {i}"] for r in runs))]
        table.append(list(map(mean, lost)))
        print(f"| {name} |", " | ".join(map(spread, lost)), "|")
        print("weights after incep1, incep2:", *(f"{mean(w):.3f}" for w in rms))
    torch.manual_seed(0)
    net, images = Net(), load_mnist(DATA, "cpu")[0][0][:1000]
    print("loudness:", *(f"{std:.3f}" for std in loudness(net, net.incep2, images)))

    figure, axes = plt.subplots(figsize=(10, 3.5), layout="constrained")
    columns = [f"incep{i}\nwithout {branch}" for i in (1, 2) for branch in BRANCHES]
    fields(axes, table, made, columns, "{:.1f}".format, cmap="Reds", vmin=0, vmax=60)
    axes.set_title("points lost after five epochs")
    figure.savefig(FIGURES / "branches.png", dpi=90)


if __name__ == "__main__":
    main()
