"""The networks are exactly the notes', and every one of them learns."""

import inspect
import re
from functools import partial
from itertools import groupby

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
NETWORKS["dense, depth 2"] = partial(residual_variants.Net, BLOCKS["dense"], 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_one_batch(name, batch):
    images, labels = batch
    torch.manual_seed(0)
    net = NETWORKS[name]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(10):
        logits = net(images)
        assert logits.shape == (64, 10)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        for parameter_name, p in net.named_parameters():
            slip = "published" in name and "block" in parameter_name
            if slip and "conv1" in parameter_name:
                assert p.grad is None, parameter_name
            else:
                assert p.grad.abs().max() > 1e-7, parameter_name
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]  # which is false for nan, too


def conv(weights, name, x, padding=0):
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 1, padding)


def inception(weights, name, x):
    """The Inception module of the notes, computed from its weights by name."""
    y5x5 = conv(weights, f"{name}.branch5x5_1", x)
    y3x3 = conv(weights, f"{name}.branch3x3_1", x)
    y3x3 = conv(weights, f"{name}.branch3x3_2", y3x3, padding=1)
    pooled = F.avg_pool2d(x, 3, stride=1, padding=1)
    branches = [
        conv(weights, f"{name}.branch1x1", x),
        conv(weights, f"{name}.branch5x5_2", y5x5, padding=2),
        conv(weights, f"{name}.branch3x3_3", y3x3, padding=1),
        conv(weights, f"{name}.branch_pool", pooled),
    ]
    return torch.cat(branches, 1)


def residual(weights, name, x):
    y = F.relu(conv(weights, f"{name}.conv1", x, padding=1))
    return F.relu(x + conv(weights, f"{name}.conv2", y, padding=1))


def test_googlenet_computes_what_the_notes_do(batch):
    net = googlenet_mnist.Net()
    w = net.state_dict()
    x = F.relu(F.max_pool2d(conv(w, "conv1", batch[0]), 2))
    x = inception(w, "incep1", x)
    x = F.relu(F.max_pool2d(conv(w, "conv2", x), 2))
    x = inception(w, "incep2", x).view(64, 1408)
    expected = F.linear(x, w["fc.weight"], w["fc.bias"])
    torch.testing.assert_close(net(batch[0]), expected)


@pytest.mark.parametrize("name", ["ResNet", "original"])
def test_resnet_computes_what_the_notes_do(name, batch):
    net = NETWORKS[name]()
    w = net.state_dict()
    x = F.max_pool2d(F.relu(conv(w, "conv1", batch[0])), 2)
    x = residual(w, "rblock1", x)
    x = F.max_pool2d(F.relu(conv(w, "conv2", x)), 2)
    x = residual(w, "rblock2", x).view(64, 512)
    expected = F.linear(x, w["fc.weight"], w["fc.bias"])
    torch.testing.assert_close(net(batch[0]), expected)


def test_sizes_are_those_of_the_notes():
    inception = {"branch1x1": 16, "branch5x5_1": 16, "branch5x5_2": 24}
    inception.update(branch3x3_1=16, branch3x3_2=24, branch3x3_3=24, branch_pool=24)
    module = googlenet_mnist.InceptionA(in_channels=10)
    sizes = {name: layer.out_channels for name, layer in module.named_children()}
    assert sizes == inception
    google, res = (
        {name: tuple(p.shape) for name, p in net().named_parameters()}
        for net in (googlenet_mnist.Net, resnet_mnist.Net)
    )
    assert google["conv1.weight"] == (10, 1, 5, 5)
    assert google["conv2.weight"] == (20, 88, 5, 5)
    assert google["fc.weight"] == (10, 1408)
    assert res["conv1.weight"] == (16, 1, 5, 5)
    assert res["conv2.weight"] == (32, 16, 5, 5)
    assert res["fc.weight"] == (10, 512)
    for sizes in (google, res):
        layers = {name.rpartition(".")[0] for name in sizes}
        assert all(f"{layer}.bias" in sizes for layer in layers)


def written(function):
    """The shapes in the comments of a function, each once for as long as it stays."""
    comments = re.findall(r"# \((N, .*)\)", inspect.getsource(function))
    return [shape for shape, _ in groupby(comments)]


@pytest.mark.parametrize("name", ["GoogLeNet", "ResNet", "dense"])
def test_shape_beside_each_step_is_true(name):
    net, shapes = NETWORKS[name](), []
    for layer in net.children():
        layer.register_forward_hook(
            lambda _, x, y: shapes.extend([x[0].shape, y.shape])
        )
    net(torch.randn(7, 1, 28, 28))
    texts = [", ".join(["N", *map(str, shape[1:])]) for shape in shapes]
    assert written(net.forward) == [text for text, _ in groupby(texts)]


def test_shape_of_each_branch_is_true():
    module, shapes = googlenet_mnist.InceptionA(10), []
    for layer in module.children():
        layer.register_forward_hook(lambda _, x, y: shapes.append(y.shape))
    assert module(torch.randn(7, 10, 12, 9)).shape == (7, 88, 12, 9)
    assert {shape[2:] for shape in shapes} == {(12, 9)}
    texts = [f"N, {shape[1]}, H, W" for shape in shapes]
    assert written(module.forward) == [text for text, _ in groupby(texts)]


def multiplications(module, x):
    """{name of each convolution in `module`: its multiplications for one x}."""
    counts = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda conv, _, output, name=name: counts.update(
                    {name: output.numel() * conv.weight[0].numel()}
                )
            )
    module(x)
    return counts


def test_a_1x1_convolution_in_front_saves_nine_tenths_in_the_example():
    x = torch.randn(1, 192, 28, 28)
    direct = nn.Sequential(nn.Conv2d(192, 32, kernel_size=5, padding=2))
    reduced = nn.Sequential(
        nn.Conv2d(192, 16, kernel_size=1), nn.Conv2d(16, 32, kernel_size=5, padding=2)
    )
    assert direct(x).shape == reduced(x).shape == (1, 32, 28, 28)
    assert sum(multiplications(direct, x).values()) == 120_422_400
    assert sum(multiplications(reduced, x).values()) == 12_443_648


def test_in_this_network_it_saves_in_the_second_module_alone():
    count = multiplications(googlenet_mnist.Net(), torch.randn(1, 1, 28, 28))

    def with_and_without(module, channels, branch, kernel_size):
        first, second = f"{module}.{branch}_1", f"{module}.{branch}_2"
        pixels = count[second] // (16 * 24 * kernel_size**2)
        without = pixels * channels * 24 * kernel_size**2
        return count[first] + count[second], without

    assert with_and_without("incep1", 10, "branch5x5", 5) == (1_405_440, 864_000)
    assert with_and_without("incep1", 10, "branch3x3", 3) == (520_704, 311_040)
    assert with_and_without("incep2", 20, "branch5x5", 5) == (158_720, 192_000)
    assert with_and_without("incep2", 20, "branch3x3", 3) == (60_416, 69_120)


def test_without_relu_the_inception_module_is_one_affine_map():
    module, (x, y) = googlenet_mnist.InceptionA(10), torch.randn(2, 1, 10, 6, 6)
    torch.testing.assert_close(module((x + y) / 2), (module(x) + module(y)) / 2)


def first_gradient(block, batch):
    torch.manual_seed(0)
    net = residual_variants.Net(BLOCKS[block], depth=8)
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    return net.conv1.weight.grad.norm()


@pytest.mark.parametrize("block", ["original", "plain-bn"])
def test_shortcut_or_batch_normalisation_keep_the_first_gradient(block, batch):
    assert first_gradient(block, batch) > 1000 * first_gradient("plain", batch)
