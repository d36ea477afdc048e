"""Each block computes the equation that its docstring, and README's row, begins with."""

import pytest
import torch
from torch.nn.functional import dropout, relu

from residual_variants import BLOCKS, Block, Gated

HELP = """{name}: the docstring of its class begins with {equation!r}, which cannot be
computed ({error!r}). Begin it with the equation, in Python, as those of the other blocks
do. If the equation has a new name, say in `meanings` in tests/test_blocks.py what it is."""


def meanings(block, x):
    """{name in an equation: what it means in this block, with the input `x`}."""
    layers = dict(block.named_children())
    convolutions = iter([layer for name, layer in layers.items() if "conv" in name])
    normalisations = iter([layer for name, layer in layers.items() if "bn" in name])
    known = {"x": x, "relu": relu, **layers}  # conv2 and conv3 are layers
    # Without a number they are the block's first, then its second: Python computes an
    # equation from the inside out, as the block does.
    known["conv"] = lambda z: next(convolutions)(z)
    known["BN"] = lambda z: next(normalisations)(z)
    known["dropout"] = lambda z: dropout(z, 0.5, training=block.training)
    if isinstance(block, Block):
        known["y"] = block.conv2(relu(block.conv1(x)))
    if isinstance(block, Gated):
        known["g"] = torch.sigmoid(block.conv_gate(x))
    return known


def dense(block, x):
    """What the equation of Dense means, which is not one in Python."""
    for layer in block.layers:
        x = torch.cat([x, layer.conv(relu(layer.bn(x)))], dim=1)
    return block.transition.conv(relu(block.transition.bn(x)))


def by_equation(name, block, x):
    if name == "dense":
        return dense(block, x)
    equation = (block.__doc__ or "").split(". ")[0].split(": ")[0].rstrip(".")
    try:
        return eval(equation, meanings(block, x))
    except Exception as error:  # noqa: BLE001 - any docstring
        pytest.fail(HELP.format(name=name, equation=equation, error=error))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_computes_its_equation(name, training):
    block = BLOCKS[name](16).train(training)
    for tensor in block.state_dict().values():
        if tensor.is_floating_point():  # no longer at its initial value
            tensor.add_(0.1 * torch.rand_like(tensor))
    x = torch.randn(8, 16, 6, 5, requires_grad=True)
    outputs = []
    for compute in (block, lambda x: by_equation(name, block, x)):
        torch.manual_seed(1)  # the same dropout
        outputs.append(compute(x))
    gradients = [torch.autograd.grad(y.square().sum(), x) for y in outputs]
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("name", ["exclusive-gating", "shortcut-only-gating"])
def test_a_gate_starts_nearly_closed(name):
    assert set(BLOCKS[name](16).conv_gate.bias.tolist()) == {-6}


def test_dense_has_the_five_layers_of_the_paper():
    assert len(BLOCKS["dense"](16).layers) == 5
