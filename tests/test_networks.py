"""The networks are exactly the notes', and every one of them learns."""

import inspect
import re
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
NETWORKS |= {
    f"{name}, depth {depth}": lambda block=block, depth=depth: residual_variants.Net(
        block, depth
    )
    for name, block in BLOCKS.items()
    for depth in (1, 2)
}


@pytest.fixture(params=NETWORKS)
def net(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]()


@pytest.fixture(scope="module")
def batch(sample):
    images, labels = sample[0]
    images = (images[::63, None] / 255 - 0.1307) / 0.3081
    return images, labels[::63]  # (64, 1, 28, 28) and (64,)


def test_shape_and_loss(net, batch):
    images, labels = batch
    logits = net(images)
    assert logits.shape == (64, 10)
    assert F.cross_entropy(logits, labels).isfinite()


def test_every_parameter_gets_a_gradient(net, batch):
    images, labels = batch
    F.cross_entropy(net(images), labels).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-7, name


def test_loss_falls_on_one_batch(net, batch):
    images, labels = batch
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


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


@pytest.mark.parametrize(
    "net", [resnet_mnist.Net(), residual_variants.Net(BLOCKS["original"])]
)
def test_resnet_computes_what_the_notes_do(net, batch):
    w = net.state_dict()
    x = F.max_pool2d(F.relu(conv(w, "conv1", batch[0])), 2)
    x = residual(w, "rblock1", x)
    x = F.max_pool2d(F.relu(conv(w, "conv2", x)), 2)
    x = residual(w, "rblock2", x).view(64, 512)
    expected = F.linear(x, w["fc.weight"], w["fc.bias"])
    torch.testing.assert_close(net(batch[0]), expected)


def test_shape_of_each_inception_branch():
    module = googlenet_mnist.InceptionA(in_channels=10)
    shapes = {}
    for name, layer in module.named_children():
        layer.register_forward_hook(
            lambda _, __, output, name=name: shapes.update({name: output.shape})
        )
    assert module(torch.randn(2, 10, 12, 9)).shape == (2, 88, 12, 9)
    channels = {"branch1x1": 16, "branch5x5_1": 16, "branch5x5_2": 24}
    channels |= {"branch3x3_1": 16, "branch3x3_2": 24, "branch3x3_3": 24}
    channels |= {"branch_pool": 24}
    assert shapes == {name: (2, c, 12, 9) for name, c in channels.items()}


@pytest.mark.parametrize("net", [NETWORKS["GoogLeNet"](), NETWORKS["ResNet"]()])
def test_layers_have_biases_and_sizes_of_the_notes(net):
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.bias is not None
    sizes = {name: tuple(p.shape) for name, p in net.named_parameters()}
    if isinstance(net, googlenet_mnist.Net):
        assert sizes["conv1.weight"] == (10, 1, 5, 5)
        assert sizes["conv2.weight"] == (20, 88, 5, 5)
        assert sizes["fc.weight"] == (10, 1408)
    else:
        assert sizes["conv1.weight"] == (16, 1, 5, 5)
        assert sizes["conv2.weight"] == (32, 16, 5, 5)
        assert sizes["fc.weight"] == (10, 512)


def shapes_line_by_line(module, x):
    """[(shape in the comment, shape that is there)] for the lines of forward."""
    lines, start = inspect.getsourcelines(type(module).forward)
    found, before = [], None

    def trace(frame, event, result):
        nonlocal before
        if frame.f_code is not type(module).forward.__code__:
            return None
        if before is not None and event in ("line", "return"):
            line = lines[before - start]
            comment = re.search(r"# \((N, .*)\)", line)
            if comment:
                variable = line.partition(" = ")[0].strip() if " = " in line else "x"
                there = result if event == "return" else frame.f_locals[variable]
                found.append((comment[1], there.shape))
        before = frame.f_lineno
        return trace

    tracer = sys.gettrace()
    sys.settrace(trace)
    try:
        module(x)
    finally:
        sys.settrace(tracer)
    return found


@pytest.mark.parametrize(
    ("module", "x", "count"),
    [
        (googlenet_mnist.Net(), torch.randn(7, 1, 28, 28), 9),
        (googlenet_mnist.InceptionA(10), torch.randn(7, 10, 12, 9), 7),
        (resnet_mnist.Net(), torch.randn(7, 1, 28, 28), 9),
        (residual_variants.Net(BLOCKS["dense"]), torch.randn(7, 1, 28, 28), 9),
    ],
)
def test_shape_beside_each_step_is_true(module, x, count):
    shapes = shapes_line_by_line(module, x)
    assert len(shapes) == count
    for comment, shape in shapes:
        names = {"N": 7, "H": x.shape[2], "W": x.shape[3]}
        sizes = [int(names.get(size, size)) for size in comment.split(", ")]
        assert sizes == list(shape)


def count_multiplications(layers, x):
    with FlopCounterMode(display=False) as counter:
        layers(x)
    return counter.get_total_flops() // 2  # a multiplication and an addition each


def test_a_1x1_convolution_in_front_saves_nine_tenths_of_the_multiplications():
    x = torch.randn(1, 192, 28, 28)
    direct = nn.Conv2d(192, 32, kernel_size=5, padding=2)
    reduced = nn.Sequential(
        nn.Conv2d(192, 16, kernel_size=1), nn.Conv2d(16, 32, kernel_size=5, padding=2)
    )
    assert direct(x).shape == reduced(x).shape == (1, 32, 28, 28)
    assert count_multiplications(direct, x) == 120_422_400
    assert count_multiplications(reduced, x) == 12_443_648


def first_gradient(block, depth, batch):
    torch.manual_seed(0)
    net = residual_variants.Net(block, depth)
    F.cross_entropy(net(batch[0]), batch[1]).backward()
    return net.conv1.weight.grad.norm()


def test_the_shortcut_carries_the_gradient_to_the_first_layer(batch):
    plain = first_gradient(BLOCKS["plain"], 8, batch)
    original = first_gradient(BLOCKS["original"], 8, batch)
    assert original > 1000 * plain
