"""What the experiments measure, on nets with known answers, and the nets they build."""

import sys
from collections import OrderedDict, defaultdict
from functools import partial
from importlib import import_module

import pytest
import torch
from conftest import ROOT
from pytest import approx
from torch import nn

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

sys.path.insert(0, str(ROOT / "experiments"))

import branches
import depth
import derivative
import errors
import pages
import runs
import small_gain


def seeded(build):
    """The net that `build` gives from seed 0."""
    torch.manual_seed(0)
    return build()


# A name is one network


def builders():
    """{name: each function that builds a net of this name}, of all scripts."""
    found = defaultdict(list)
    found["GoogLeNet"].append(googlenet_mnist.Net)
    found["ResNet"].append(resnet_mnist.Net)
    for name, block in BLOCKS.items():
        found[name].append(partial(residual_variants.Net, block))
        found[f"{name}-depth-4"].append(partial(residual_variants.Net, block, 4))
    for script in pages.SCRIPTS:
        networks = {}
        for group in import_module(script).PLAN.values():
            networks.update(group.networks)
        for name, build in networks.items():
            found[name].append(build)
    return found


def answers(build, images):
    torch.manual_seed(0)
    with torch.no_grad():
        return build()(images)


def test_a_name_is_one_network_in_all_scripts(batch):
    for name, builds in builders().items():
        if len(builds) > 1:
            first, *others = [answers(build, batch[0][:4]) for build in builds]
            assert all(torch.equal(first, other) for other in others), name


# small_gain.py

WITH = {
    "ReLU": ["Conv2d", "ReLU"],
    "BN": ["Conv2d", "BatchNorm2d"],
    "BN and ReLU": ["Conv2d", "BatchNorm2d", "ReLU"],
}
WITHOUT = ["GoogLeNet, Kaiming", "second fc layer", "second fc layer, no ReLU"]
WITHOUT += ["average pooling"]


def kinds(net):
    """The names of the layers' classes, in their order."""
    return [type(layer).__name__ for layer in net]


@pytest.mark.parametrize("change", [*WITH, *WITHOUT])
def test_a_module_has_relu_and_bn_only_where_the_name_has(change):
    net = small_gain.NETWORKS[change]()
    after_each_conv = [*net.incep1.children(), *net.incep2.children()]
    assert len(after_each_conv) == 14
    for layers in after_each_conv:
        leaves = [layer for layer in layers.modules() if not list(layer.children())]
        assert kinds(leaves) == WITH.get(change, ["Conv2d"])


def test_one_5x5_a_module_is_one_convolution():
    net = small_gain.NETWORKS["one 5×5 a module"]()
    assert net.incep1.kernel_size == net.incep2.kernel_size == (5, 5)
    assert net.incep1(torch.randn(1, 10, 12, 12)).shape == (1, 88, 12, 12)


def is_linear(layer, size=1408):
    a, b = torch.randn(2, 1, size)
    together = layer(a + b) + layer(torch.zeros(1, size))
    return torch.allclose(together, layer(a) + layer(b), atol=1e-4)


def test_a_second_fc_layer_is_no_linear_map():
    assert not is_linear(small_gain.NETWORKS["second fc layer"]().fc)


def test_a_second_fc_layer_without_relu_is_one_linear_map():
    assert is_linear(small_gain.NETWORKS["second fc layer, no ReLU"]().fc)


def test_average_pooling_is_the_mean_of_each_channel():
    pool = small_gain.NETWORKS["average pooling"]().fc[0]
    channels = pool(torch.arange(88.0 * 16)[None])  # 0 to 15, 16 to 31, ...
    assert channels.tolist() == [[16 * c + 7.5 for c in range(88)]]


def test_lecture_10_has_two_convolutions_and_one_fc_layer(batch):
    net = small_gain.NETWORKS["lecture 10's CNN"]()
    layers = [kind for kind in kinds(net) if kind != "Identity"]
    stage = ["Conv2d", "MaxPool2d", "ReLU"]
    assert layers == [*stage, *stage, "Flatten", "Linear"]
    assert net(batch[0]).shape == (64, 10)


def test_bn_of_lecture_10_stands_before_the_relu():
    stage = ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
    net = small_gain.CONTROLS["lecture 10's CNN, BN"]()
    assert kinds(net) == [*stage, *stage, "Flatten", "Linear"]


# Kaiming's start: standard deviation sqrt(gain / inputs of a neuron), gain 2 before ReLU


@pytest.mark.parametrize(("nonlinearity", "gain"), [("linear", 1), ("relu", 2)])
def test_kaimings_start_keeps_the_size_of_a_signal(nonlinearity, gain):
    net = nn.Sequential(nn.Conv2d(30, 60, kernel_size=5), nn.Linear(9, 9))
    linear = net[1].weight.clone()
    conv = runs.kaiming(net, nonlinearity)[0]
    assert conv.weight.var().item() == approx(gain / (30 * 25), rel=0.05)
    assert conv.bias.count_nonzero() == 0
    assert torch.equal(net[1].weight, linear)


def biases(net):
    return [m.bias for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_plain_he_starts_for_relu():
    net = depth.he(4)
    assert net.conv2.weight.var().item() == approx(2 / (16 * 25), rel=0.1)
    assert not any(bias.any() for bias in biases(net))
    assert len(net.rblock1) == 4


# depth.py


def test_the_nets_with_a_last_activation_have_16_blocks():
    assert {len(build().rblock1) for build in depth.ENDS.values()} == {16}


def test_a_last_activation_is_bn_and_relu_after_the_last_block():
    net = depth.last_activation(BLOCKS["original-bn"], 4)
    assert len(net.rblock1) == 4
    assert kinds(net.rblock2)[3:] == ["OriginalBN", "Sequential"]
    assert kinds(net.rblock2[-1]) == ["BatchNorm2d", "ReLU"]


def two_outputs():
    """A net whose gradient at conv1 is (-x / 2, x / 2) for an input x of label 0."""
    net = nn.Sequential(OrderedDict(conv1=nn.Linear(1, 2, bias=False)))
    nn.init.zeros_(net.conv1.weight)  # so that both outputs have probability 1/2
    return net


def test_the_first_gradient_is_that_of_the_first_64_digits():
    images = torch.cat([torch.full((64, 1), 2.0), torch.full((9, 1), 100.0)])
    labels = torch.zeros(73, dtype=torch.long)
    assert depth.measure(two_outputs(), (images, labels), None) == 1.4  # sqrt(2)


def test_the_first_gradients_of_the_store_are_measured_again(full_mnist):
    for blocks in (1, 4):
        group = depth.PLAN["gradient", blocks]
        for name, [run] in runs.read(group).items():
            if "dropout" not in name:  # which drops other pixels on another device
                found = runs.train(runs.Job(name, 0, group, ["depth"]))["measured"]
                assert found["depth"] == approx(run["measured"]["depth"], rel=0.1), name


# errors.py


def test_a_wrong_digit_has_its_index_and_the_nets_answer():
    labels = torch.arange(600) % 10
    given = labels.clone()
    given[[0, 249, 250, 599]] = torch.tensor([7, 1, 2, 3])  # in each of three batches
    logits = nn.functional.one_hot(given, 10).float()
    found = errors.measure(nn.Identity(), None, (logits, labels))
    assert found == [[0, 7], [249, 1], [250, 2], [599, 3]]


# derivative.py: a branch that is a multiple of x


@pytest.fixture
def two_digits(batch):
    return batch[0][::32], batch[1][::32]


def is_multiple(block, factor):
    """Let y of a block be `factor` times x, for x above 0."""
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)  # the kernel that leaves x as it is
        nn.init.zeros_(conv.bias)
    block.conv2.weight.mul_(factor)


@torch.no_grad()
def net_of_multiples(first, second):
    """A ResNet of which both blocks get an x above 0 and have such branches."""
    net = resnet_mnist.Net()
    net.conv1.bias.fill_(20)
    net.conv2.weight.abs_()
    net.fc.weight *= 0.01  # so that no digit's loss is 0
    is_multiple(net.rblock1, first)
    is_multiple(net.rblock2, second)
    return net


def test_the_derivatives_of_a_branch_are_its_factor(two_digits):
    found = derivative.measure(net_of_multiples(-0.5, 0.25), None, two_digits)
    assert found["least"] == [-0.5, 0.25]
    assert found["negative"] == [100.0, 0.0]


def test_what_the_inner_relu_stops_has_the_derivative_0(two_digits):
    net = net_of_multiples(0.5, 0.5)
    net.rblock1.conv1.weight.data.neg_()  # so that conv1(x) is below 0
    found = derivative.measure(net, None, two_digits)
    assert (found["least"][0], found["negative"][0]) == (0, 0)


def test_a_block_multiplies_the_gradient_by_1_and_the_factor(two_digits):
    found = derivative.measure(net_of_multiples(-0.5, 0.25), None, two_digits)
    half, more = [0.5, 0.5, 100.0], [1.25, 1.25, 0.0]  # median, least, share below 1
    assert found["ratios"] == [half, half, more, more]


@torch.no_grad()
def shut(conv, channels):
    conv.weight[:channels] *= -10


def test_what_the_last_relu_stops_is_lost_after_it_alone(two_digits):
    net = net_of_multiples(0.5, 0.5)
    shut(net.rblock1.conv2, 8)  # in half of the channels x + y is below 0
    after_sum, after_relu, *_ = derivative.measure(net, None, two_digits)["ratios"]
    assert after_sum[0] == 1.5
    assert after_relu[0] < 1.4


# branches.py


def test_loudness_is_the_deviation_over_digits_of_each_branch():
    digits = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    signals = [
        s * digits.expand(2, c, 3, 3) for s, c in zip((1, 2, 3, 4), branches.CHANNELS)
    ]
    images = torch.cat(signals, dim=1) + 7  # which is the same for each digit
    module = nn.Identity()
    found = branches.loudness(module, module, images)
    assert [std.item() for std in found] == approx([2**0.5 * s for s in (1, 2, 3, 4)])


@pytest.fixture
def digits(batch, monkeypatch):
    """Some digits in place of those that a start is made for."""
    monkeypatch.setattr(runs, "load", lambda device: (batch, batch))
    return batch[0]


@pytest.mark.parametrize("module", ["incep1", "incep2"])
def test_a_loud_branch_starts_three_times_as_loud(module, digits):
    net = seeded(branches.STARTS["GoogLeNet, 5×5 loud"])
    found = branches.loudness(net, getattr(net, module), digits)
    assert [(std / found[0]).item() for std in found] == approx([1, 3, 1, 1], rel=1e-3)


def power(net, digits):
    found = branches.loudness(net, net.incep1, digits)
    return sum(c * std**2 for c, std in zip(branches.CHANNELS, found))


def test_a_module_starts_with_the_power_as_ever(digits):
    as_ever = power(seeded(googlenet_mnist.Net), digits)
    loud = power(seeded(branches.STARTS["GoogLeNet, 3×3 loud"]), digits)
    assert loud.item() == approx(as_ever.item(), rel=1e-3)


def test_a_loud_branch_puts_out_what_it_did_times_a_factor(digits):
    as_ever = seeded(googlenet_mnist.Net).incep1
    loud = seeded(branches.STARTS["GoogLeNet, pool loud"]).incep1
    x = torch.randn(2, 10, 12, 12)
    before = as_ever(x).split(branches.CHANNELS, dim=1)
    for y, y_before in zip(loud(x).split(branches.CHANNELS, dim=1), before):
        factor = y.norm() / y_before.norm()
        torch.testing.assert_close(y, factor * y_before)


def readers(net):
    """What reads incep1 and incep2, a view of each by branch."""
    weights = net.conv2.weight, net.fc.weight.view(10, 88, 16)
    return [w.detach().split(branches.CHANNELS, dim=1) for w in weights]


@torch.no_grad()
def measured(net, batch):
    """What branches.py measures of a net that is right in all test digits."""
    net.conv1.weight *= 20  # so that the answers differ
    labels = net(batch[0]).argmax(dim=1)
    return branches.measure(net, (batch[0] * 2, None), (batch[0], labels))


@pytest.mark.parametrize("module", [1, 2])
@pytest.mark.parametrize("alone", range(4))
def test_a_branch_that_alone_is_read_has_the_largest_weights_and_is_missed_most(
    alone, module, batch
):
    net = googlenet_mnist.Net()
    for branch, part in enumerate(readers(net)[module - 1]):
        part *= branch == alone
    found = measured(net, batch)
    weights = found[f"weights {module}"]
    lost = found[f"lost {module}"]
    others = [i for i in range(4) if i != alone]
    assert weights[alone] > 0
    assert lost[alone] > 30
    assert [weights[i] for i in others] == [lost[i] for i in others] == [0, 0, 0]


@pytest.mark.parametrize("module", [1, 2])
def test_weights_are_the_root_mean_square_of_each_reader(module, batch):
    net = googlenet_mnist.Net()
    for value, part in zip((-1, 2, -3, 4), readers(net)[module - 1]):
        part.fill_(value)
    assert measured(net, batch)[f"weights {module}"] == [1, 2, 3, 4]


@pytest.mark.parametrize("module", ["incep1", "incep2"])
def test_loudness_is_measured_on_the_training_set(module, batch):
    net = googlenet_mnist.Net()
    found = measured(net, batch)[f"loudness {module[-1]}"]
    stds = branches.loudness(net, getattr(net, module), batch[0] * 2)
    assert found == approx([std.item() for std in stds], abs=1e-3)


# All

NETS = {
    "branches": googlenet_mnist.Net,
    "depth": resnet_mnist.Net,
    "derivative": resnet_mnist.Net,
    "errors": resnet_mnist.Net,
}


@pytest.mark.parametrize("script", NETS)
def test_measuring_leaves_the_weights_as_they_were(script, two_digits):
    net = NETS[script]()
    before = [weights.clone() for weights in net.parameters()]
    import_module(script).measure(net, two_digits, two_digits)
    assert all(map(torch.equal, net.parameters(), before))
