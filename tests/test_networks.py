"""The networks are the notes', and every weight of each is trained."""

from functools import partial
from inspect import getsource

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
NETWORKS.update((n, partial(residual_variants.Net, b)) for n, b in BLOCKS.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_goes_through_and_every_weight_gets_a_gradient(name, batch):
    images, labels = batch
    net = NETWORKS[name]()
    F.cross_entropy(net(images), labels).backward()
    without = {key for key, weights in net.named_parameters() if weights.grad is None}
    slip = {f"rblock{i}.conv1.{kind}" for i in "12" for kind in ("weight", "bias")}
    assert without == (slip if name.endswith("published") else set())


PARAMETERS = {"GoogLeNet": 97_298, "ResNet": 41_514, "dense": 43_794}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_network_has_its_number_of_parameters(name):
    net = NETWORKS[name]()
    assert sum(weights.numel() for weights in net.parameters()) == PARAMETERS[name]


def test_each_branch_of_inception_answers_a_pixel_as_a_textbook_says():
    """All weights are 1, and the pixel is -1, so that a ReLU would be seen."""
    module = googlenet_mnist.InceptionA(in_channels=1)
    for name, parameter in module.named_parameters():
        nn.init.constant_(parameter, 0 if name.endswith("bias") else 1)
    image = torch.zeros(1, 1, 9, 9)
    image[..., 0, 4] = -1  # at the border, so that the padding is seen
    rows = [  # the one through the pixel, in a channel of each branch
        [0, 0, 0, 0, -1, 0, 0, 0, 0],
        [0, 0, -16, -16, -16, -16, -16, 0, 0],  # 16 channels, 5x5
        [0, 0, -768, -1536, -2304, -1536, -768, 0, 0],  # 16 * 24 channels, 3x3 twice
        [0, 0, 0, -1 / 9, -1 / 9, -1 / 9, 0, 0, 0],  # the mean of 3x3
    ]
    expected = torch.tensor(rows).repeat_interleave(torch.tensor([16, 24, 24, 24]), 0)
    torch.testing.assert_close(module(image)[0, :, 0], expected)


def test_googlenet_computes_what_the_notes_do(batch):
    net, x = googlenet_mnist.Net(), batch[0]
    for conv, module in ((net.conv1, net.incep1), (net.conv2, net.incep2)):
        x = module(F.relu(F.max_pool2d(conv(x), 2)))
    torch.testing.assert_close(net(batch[0]), net.fc(x.flatten(1)))


@pytest.mark.parametrize("name", ["ResNet", "original"])
def test_resnet_computes_what_the_notes_do(name, batch):
    net, x = NETWORKS[name](), batch[0]
    for conv, block in ((net.conv1, net.rblock1), (net.conv2, net.rblock2)):
        x = F.max_pool2d(F.relu(conv(x)), 2)
        x = F.relu(x + block.conv2(F.relu(block.conv1(x))))
    torch.testing.assert_close(net(batch[0]), net.fc(x.flatten(1)))


@pytest.mark.parametrize("name", ["GoogLeNet", "ResNet", "original"])
def test_the_shapes_beside_the_steps_are_true(name, batch):
    net = NETWORKS[name]()
    names = {"self": net, "x": batch[0], "F": F}
    first, *steps = getsource(net.forward).splitlines()
    assert "(N, 1, 28, 28)" in first
    for line in steps:
        step, shape = line.strip().split("  # ")
        exec(step.replace("return", "x ="), names)  # noqa: S102
        assert shape == f"(N, {', '.join(map(str, names['x'].shape[1:]))})", step


@pytest.mark.parametrize("name", ["ResNet", "full-pre-activation", "dense"])
def test_a_network_learns_sixteen_digits_by_heart(name, batch):
    images, labels = (part[::4] for part in batch)
    net = NETWORKS[name]()
    how = resnet_mnist.loss_and_optimizer(net, lr=0.02, momentum=0.9)
    for epoch in range(30):
        resnet_mnist.train(net, images, labels, *how, batch_size=16, epoch=epoch)
    assert resnet_mnist.test(net, images, labels) == 100
