"""Each block computes its equation in the papers."""

import pytest
import torch
from torch.nn.functional import dropout, relu

from residual_variants import BLOCKS


def f(b, x):
    return b.conv2(relu(b.conv1(x)))


def f_bn(b, x):
    return b.conv2(relu(b.bn1(b.conv1(x))))


def g(b, x):
    return torch.sigmoid(b.conv_gate(x))


def dense(b, x):
    for layer in b.layers:
        x = torch.cat([x, layer.conv(relu(layer.bn(x)))], 1)
    return b.transition.conv(relu(b.transition.bn(x)))


EQUATIONS = {  # of a block and its input
    "plain": lambda b, x: relu(f(b, x)),
    "original": lambda b, x: relu(x + f(b, x)),
    "constant-scaling": lambda b, x: relu(0.5 * x + 0.5 * f(b, x)),
    "constant-scaling-published": lambda b, x: relu(0.5 * (x + b.conv2(x))),
    "exclusive-gating": lambda b, x: relu((1 - g(b, x)) * x + g(b, x) * f(b, x)),
    "shortcut-only-gating": lambda b, x: relu((1 - g(b, x)) * x + f(b, x)),
    "conv-shortcut": lambda b, x: relu(b.conv3(x) + f(b, x)),
    "conv-shortcut-published": lambda b, x: relu(b.conv3(x) + b.conv2(x)),
    "dropout-shortcut": lambda b, x: relu(dropout(x, 0.5, b.training) + f(b, x)),
    "plain-bn": lambda b, x: relu(b.bn2(f_bn(b, x))),
    "original-bn": lambda b, x: relu(x + b.bn2(f_bn(b, x))),
    "bn-after-addition": lambda b, x: relu(b.bn2(x + f_bn(b, x))),
    "relu-before-addition": lambda b, x: x + relu(b.bn2(f_bn(b, x))),
    "relu-only-pre-activation": lambda b, x: x + b.bn2(f_bn(b, relu(x))),
    "full-pre-activation": lambda b, x: (
        x + b.conv2(relu(b.bn2(b.conv1(relu(b.bn1(x))))))
    ),
    "dense": dense,
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BLOCKS)
def test_forward_is_the_equation(name, training):
    torch.manual_seed(1)
    block = BLOCKS[name](16).train(training)
    for tensor in block.state_dict().values():
        if tensor.is_floating_point():  # no longer at its initial value
            tensor.add_(0.1 * torch.rand_like(tensor))
    x = torch.randn(8, 16, 6, 5)
    torch.manual_seed(2)
    expected = EQUATIONS[name](block, x)
    torch.manual_seed(2)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("name", ["exclusive-gating", "shortcut-only-gating"])
def test_gates_start_nearly_closed(name):
    assert g(BLOCKS[name](16), torch.randn(8, 16, 6, 5)).max() < 0.05
