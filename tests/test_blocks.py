"""Each block computes its equation, from its own weights and by functional calls."""

import pytest
import torch
import torch.nn.functional as F

from residual_variants import BLOCKS, Dense

CHANNELS = 16


def conv(layer, x):
    padding = layer.kernel_size[0] // 2
    return F.conv2d(x, layer.weight, layer.bias, padding=padding)


def bn(layer, x, training):
    """Batch normalisation that leaves the statistics of the layer alone."""
    mean, variance = layer.running_mean.clone(), layer.running_var.clone()
    return F.batch_norm(x, mean, variance, layer.weight, layer.bias, training)


def residual(b, x):
    return conv(b.conv2, F.relu(conv(b.conv1, x)))


def gate(b, x):
    return torch.sigmoid(conv(b.conv_gate, x))


def dropout_shortcut(b, x, training):
    shortcut = F.dropout(x, 0.5, training)
    return F.relu(shortcut + residual(b, x))


def dense(b, x, training):
    for layer in b.layers:
        y = conv(layer.conv, F.relu(bn(layer.bn, x, training)))
        x = torch.cat([x, y], 1)
    return conv(b.transition.conv, F.relu(bn(b.transition.bn, x, training)))


def post_activated(b, x, t):
    return conv(b.conv2, F.relu(bn(b.bn1, conv(b.conv1, x), t)))


EQUATIONS = {  # of the block, its input and whether it is training
    "plain": lambda b, x, t: F.relu(residual(b, x)),
    "original": lambda b, x, t: F.relu(x + residual(b, x)),
    "constant-scaling": lambda b, x, t: F.relu(0.5 * (x + residual(b, x))),
    "constant-scaling-published": lambda b, x, t: F.relu(0.5 * (x + conv(b.conv2, x))),
    "exclusive-gating": lambda b, x, t: F.relu(
        (1 - gate(b, x)) * x + gate(b, x) * residual(b, x)
    ),
    "shortcut-only-gating": lambda b, x, t: F.relu(
        (1 - gate(b, x)) * x + residual(b, x)
    ),
    "conv-shortcut": lambda b, x, t: F.relu(conv(b.conv3, x) + residual(b, x)),
    "conv-shortcut-published": lambda b, x, t: F.relu(
        conv(b.conv3, x) + conv(b.conv2, x)
    ),
    "dropout-shortcut": dropout_shortcut,
    "plain-bn": lambda b, x, t: F.relu(bn(b.bn2, post_activated(b, x, t), t)),
    "original-bn": lambda b, x, t: F.relu(x + bn(b.bn2, post_activated(b, x, t), t)),
    "bn-after-addition": lambda b, x, t: F.relu(
        bn(b.bn2, x + post_activated(b, x, t), t)
    ),
    "relu-before-addition": lambda b, x, t: (
        x + F.relu(bn(b.bn2, post_activated(b, x, t), t))
    ),
    "relu-only-pre-activation": lambda b, x, t: (
        x + bn(b.bn2, conv(b.conv2, F.relu(bn(b.bn1, conv(b.conv1, F.relu(x)), t))), t)
    ),
    "full-pre-activation": lambda b, x, t: (
        x + conv(b.conv2, F.relu(bn(b.bn2, conv(b.conv1, F.relu(bn(b.bn1, x, t))), t)))
    ),
    "dense": dense,
}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(8, CHANNELS, 6, 5)


@pytest.fixture(params=BLOCKS)
def name(request):
    return request.param


def build(name):
    """A block whose every weight and statistic differs from its initial value."""
    torch.manual_seed(1)
    block = BLOCKS[name](CHANNELS)
    for tensor in block.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return block


def test_every_block_has_an_equation():
    assert EQUATIONS.keys() == BLOCKS.keys()


@pytest.mark.parametrize("training", [True, False])
def test_forward_is_the_equation(name, training, x):
    block = build(name).train(training)
    torch.manual_seed(2)
    expected = EQUATIONS[name](block, x, training)
    torch.manual_seed(2)
    torch.testing.assert_close(block(x), expected)
    assert expected.shape == x.shape


@pytest.mark.parametrize("name", ["exclusive-gating", "shortcut-only-gating"])
def test_gates_start_nearly_closed(name, x):
    block = BLOCKS[name](CHANNELS)
    assert (block.conv_gate.bias == -6).all()
    assert gate(block, x).max() < 0.05


def test_dense_block_is_as_large_as_the_others():
    def size(block):
        return sum(p.numel() for p in block.parameters())

    for channels in (16, 32):
        ratio = size(Dense(channels)) / size(BLOCKS["original"](channels))
        assert 0.9 < ratio < 1.25
