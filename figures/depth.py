"""Four blocks a stage: what does depth cost a plain network, and what helps?

    python figures/depth.py    # prints the figures and draws figures/depth.png

Needs the full MNIST in dataset/mnist.
"""

from functools import partial

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from runs import DATA, FIGURES, train_all, trained
from torch.func import jacrev, vmap

import residual_variants as variants
import resnet_mnist

DEPTH = 4
NETWORKS = {
    f"{name}-depth-{DEPTH}": partial(variants.Net, variants.BLOCKS[name], DEPTH)
    for name in ("plain", "plain-bn", "original")
}


def gradient_sizes(net, images, labels):
    """Norm of the gradient at the output of each layer, from the first to the last."""
    sizes = []
    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_full_backward_hook(
                lambda _, __, gradients: sizes.append(gradients[0].norm().item())
            )
    images = images.clone().requires_grad_()  # or the first layer would be left out
    F.cross_entropy(net(images), labels).backward()
    return sizes[::-1]


def print_slopes(images):
    """Print dy_i/dx_i of the trained ResNet's blocks, which the notes hold to be >= 0."""
    net, inputs = trained("ResNet", resnet_mnist.Net, 0), {}
    for block in (net.rblock1, net.rblock2):
        block.register_forward_pre_hook(lambda b, x: inputs.update({b: x[0].detach()}))
    net(images)
    for name, block in (("rblock1", net.rblock1), ("rblock2", net.rblock2)):

        def y(x, block=block):
            return block.conv2(F.relu(block.conv1(x[None]))).flatten()

        x = inputs[block][
            :16
        ]  # the Jacobian of one digit has up to 2304 * 2304 entries
        jacobian = vmap(jacrev(y))(x).flatten(2)
        slopes = jacobian.diagonal(dim1=1, dim2=2)
        negative, least = (slopes < 0).float().mean(), slopes.min()
        print(
            f"{name}: {negative:.1%} of dy_i/dx_i are negative, the least is {least:.2f}"
        )


def main():
    images, labels = resnet_mnist.load_mnist(DATA, "cpu")[0]
    images, labels = images[:64], labels[:64]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, [run] in train_all(NETWORKS, [0]).items():
        torch.manual_seed(0)
        sizes = gradient_sizes(NETWORKS[name](), images, labels)
        label, curve = name[: -len(f"-depth-{DEPTH}")], run["accuracies"]
        print(f"{label}: {curve}, first gradient {sizes[0]:.1e}, last {sizes[-1]:.1e}")
        left.plot(range(1, 11), curve, marker="o", label=label)
        right.semilogy(range(1, len(sizes) + 1), sizes, marker=".", label=label)
    left.set(xlabel="epoch", ylabel="accuracy on the test set (%)", ylim=(0, 105))
    left.set(xticks=range(1, 11), title=f"{DEPTH} blocks a stage")
    right.set(xlabel="layer, from the image to the classifier")
    right.set(ylabel="norm of the gradient", title="before the first step")
    right.set_xticks(range(1, len(sizes) + 1, 2))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(FIGURES / "depth.png", dpi=90)
    train_all({"ResNet": resnet_mnist.Net}, [0])
    print_slopes(images)


if __name__ == "__main__":
    main()
