"""The networks are exactly the notes', and every weight gets its gradient."""

import inspect
import re
import sys
from functools import partial
from itertools import groupby

import pytest
import torch
import torch.nn.functional as F
from conftest import Stream

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
NETWORKS.update((n, partial(residual_variants.Net, b)) for n, b in BLOCKS.items())
NETWORKS["dense, depth 2"] = partial(residual_variants.Net, BLOCKS["dense"], 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_gets_a_gradient_but_for_the_slip_of_the_notes(name, batch):
    net = NETWORKS[name]()
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    without = {n for n, weights in net.named_parameters() if weights.grad is None}
    slip = {f"rblock{i}.conv1.{kind}" for i in "12" for kind in ("weight", "bias")}
    assert without == (slip if "published" in name else set())


def same(conv, x):
    return F.conv2d(x, conv.weight, conv.bias, padding="same")


def inception(m, x):
    """What the notes' Inception module computes with the layers of `m`."""
    branches = [
        same(m.branch1x1, x),
        same(m.branch5x5_2, same(m.branch5x5_1, x)),
        same(m.branch3x3_3, same(m.branch3x3_2, same(m.branch3x3_1, x))),
        same(m.branch_pool, F.avg_pool2d(x, 3, stride=1, padding=1)),
    ]
    return torch.cat(branches, 1)


def test_googlenet_computes_what_the_notes_do(batch):
    net = googlenet_mnist.Net()
    x = inception(net.incep1, F.relu(F.max_pool2d(net.conv1(batch[0]), 2)))
    x = inception(net.incep2, F.relu(F.max_pool2d(net.conv2(x), 2)))
    torch.testing.assert_close(net(batch[0]), net.fc(x.view(64, 1408)))


def residual(block, x):
    return F.relu(x + same(block.conv2, F.relu(same(block.conv1, x))))


@pytest.mark.parametrize("name", ["ResNet", "original"])
def test_resnet_computes_what_the_notes_do(name, batch):
    net = NETWORKS[name]()
    x = residual(net.rblock1, F.max_pool2d(F.relu(net.conv1(batch[0])), 2))
    x = residual(net.rblock2, F.max_pool2d(F.relu(net.conv2(x)), 2))
    torch.testing.assert_close(net(batch[0]), net.fc(x.view(64, 512)))


@pytest.mark.parametrize("name", ["GoogLeNet", "ResNet", "dense"])
def test_shape_beside_each_step_is_true(name):
    net, shapes = NETWORKS[name](), []
    for layer in net.children():
        layer.register_forward_hook(lambda _, x, y: shapes.extend([*x, y]))
    net(torch.randn(7, 1, 28, 28))
    true = [", ".join(["N", *map(str, x.shape[1:])]) for x in shapes]
    written = re.findall(r"# \((N, .*)\)", inspect.getsource(net.forward))
    assert [text for text, _ in groupby(written)] == [text for text, _ in groupby(true)]


@pytest.mark.parametrize("name", ["ResNet", "original", "full-pre-activation", "dense"])
def test_sixty_steps_learn_a_batch_by_heart(name, batch):
    torch.manual_seed(0)
    net = NETWORKS[name]()
    means = resnet_mnist.loss_and_optimizer(net, lr=0.05, momentum=0.9)
    for epoch in range(60):
        resnet_mnist.train(net, *batch, *means, 64, epoch)
    assert resnet_mnist.test(net, *batch) == 100
    one_wrong = torch.cat([9 - batch[1][:1], batch[1][1:]])
    assert resnet_mnist.test(net, batch[0], one_wrong) == 98.44  # of 64


def test_an_epoch_prints_and_returns_its_mean_losses(batch, monkeypatch):
    images, labels = batch[0][:1].expand(601, -1, -1, -1), batch[1][:1].expand(601)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    stream, losses = Stream(), []
    monkeypatch.setattr(sys, "stdout", stream)

    def criterion(logits, target):
        losses.append(F.cross_entropy(logits, target))
        return losses[-1]

    _, optimizer = resnet_mnist.loss_and_optimizer(net, lr=1e-5, momentum=0.0)
    mean = resnet_mnist.train(net, images, labels, criterion, optimizer, 1, 7)
    assert mean == pytest.approx(sum(losses).item() / 601)
    means = [sum(losses[i : i + 300]).item() / 300 for i in (0, 300)]
    lines = [f"[7, {n:5}] loss: {x:.3f}\n" for n, x in zip((300, 600), means)]
    assert stream.flushed == "".join(lines)


def test_a_1x1_convolution_saves_in_the_example_and_in_incep2_alone():
    """README's figures. One multiplication for each weight and pixel."""
    assert 28**2 * 32 * 192 * 5**2 == 120_422_400
    assert 28**2 * (16 * 192 + 32 * 16 * 5**2) == 12_443_648
    net = googlenet_mnist.Net()
    rows = [(net.incep1, 12, 864_000, 1_405_440), (net.incep2, 4, 192_000, 158_720)]
    for module, side, alone, reduced in rows:
        one, two = module.branch5x5_1.weight, module.branch5x5_2.weight
        assert side**2 * len(two) * one.shape[1] * 5**2 == alone
        assert side**2 * (one.numel() + two.numel()) == reduced
