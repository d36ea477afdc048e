"""Does the better branch of an Inception module get the larger weight?

    python figures/branches.py      # prints the figures and draws figures/branches.png
    python figures/branches.py 1    # the same with the seed 0 alone

Needs the full MNIST in dataset/mnist.
"""

from statistics import mean

import matplotlib.pyplot as plt
import torch
from runs import DATA, FIGURES, seeds, train_all, trained

from googlenet_mnist import Net, load_mnist, test

BRANCHES, CHANNELS = ["1×1", "5×5", "3×3", "pool"], [16, 24, 24, 24]


@torch.no_grad()
def loudness(net, module, images):
    """Standard deviation over the digits of what each branch of `module` puts out."""
    outputs = []
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    net(images)
    hook.remove()
    parts = outputs[0].split(CHANNELS, dim=1)
    return [part.var(dim=0).mean().sqrt().item() for part in parts]


class EquallyLoud(Net):
    """Each branch starts with the standard deviation of the whole module's output."""

    def __init__(self):
        super().__init__()
        images = load_mnist(DATA, "cpu")[0][0][:1000]
        for module in (self.incep1, self.incep2):
            stds = loudness(self, module, images)
            total = sum(c * std**2 for c, std in zip(CHANNELS, stds))
            target = (total / sum(CHANNELS)) ** 0.5
            last = [module.branch1x1, module.branch5x5_2]
            last += [module.branch3x3_3, module.branch_pool]
            for conv, std in zip(last, stds):
                conv.weight.data *= target / std
                conv.bias.data *= target / std


def weights(layer):
    """Root mean square of the weights that a layer gives to each branch before it."""
    by_channel = (
        layer.weight.view(layer.out_features, 88, 16)
        if hasattr(layer, "out_features")
        else layer.weight
    )
    parts = by_channel.split(CHANNELS, dim=1)
    return [part.square().mean().sqrt().item() for part in parts]


def without(net, module, branch, test_set):
    """Accuracy (%) of the network with the output of one branch set to zero."""

    def silence(_, __, output):
        parts = list(output.split(CHANNELS, dim=1))
        parts[branch] = torch.zeros_like(parts[branch])
        return torch.cat(parts, dim=1)

    hook = module.register_forward_hook(silence)
    accuracy = test(net, *test_set)
    hook.remove()
    return accuracy


def measure(name, seed, train_set, test_set):
    """{module: [loudness before training, weights before, after, points lost]}."""
    torch.manual_seed(seed)
    before, after = NETWORKS[name](), trained(name, NETWORKS[name], seed)
    images, whole, found = train_set[0][:1000], test(after, *test_set), {}
    for module, layer in (("incep1", "conv2"), ("incep2", "fc")):
        branches = range(len(BRANCHES))
        lost = [without(after, getattr(after, module), b, test_set) for b in branches]
        found[module] = [
            loudness(before, getattr(before, module), images),
            weights(getattr(before, layer)),
            weights(getattr(after, layer)),
            [whole - accuracy for accuracy in lost],
        ]
    return found


NETWORKS = {"GoogLeNet": Net, "equally loud": EquallyLoud}
MEASURES = [
    "output before the first step (std)",
    "weights after it, before training (rms)",
    "weights after it, after training (rms)",
    "points lost without the branch",
]


def draw(panel, title, of_modules):
    """Draw the mean of each branch as a bar and the seeds as dots, module by module."""
    for shift, (module, of_branches) in zip((-0.2, 0.2), of_modules.items()):
        places = [x + shift for x in range(len(BRANCHES))]
        panel.bar(places, list(map(mean, of_branches)), width=0.4, label=module)
        panel.plot(places, of_branches, "k.", markersize=3)
    panel.set_xticks(range(len(BRANCHES)), BRANCHES)
    panel.set_title(title, fontsize=9)


def main():
    train_all(NETWORKS, seeds(5))
    train_set, test_set, _ = load_mnist(DATA, "cpu")
    figure, panels = plt.subplots(2, 4, figsize=(14, 6), layout="constrained")
    for row, name in zip(panels, NETWORKS):
        runs = [measure(name, seed, train_set, test_set) for seed in seeds(5)]
        for i, (panel, title) in enumerate(zip(row, MEASURES)):
            of_modules = {  # {module: [values of the seeds, for each branch]}
                module: list(zip(*(run[module][i] for run in runs)))
                for module in ("incep1", "incep2")
            }
            draw(panel, f"{name}: {title}", of_modules)
            for module, of_branches in of_modules.items():
                cells = [
                    f"{mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in of_branches
                ]
                print("|", " | ".join([name, module, title, *cells]), "|")
    panels[0, 0].legend()
    figure.savefig(FIGURES / "branches.png", dpi=90)


if __name__ == "__main__":
    main()
