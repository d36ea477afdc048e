"""An epoch and its accuracy, on nets so small that the answer is known by hand."""

import math
import sys

import pytest
import torch
from conftest import Stream
from torch import nn

from resnet_mnist import loss_and_optimizer, train
from resnet_mnist import test as accuracy_of


def line(weight):
    """The net y = weight * x."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, weight)
    return net


def epoch(net, images, labels, criterion, batch_size=1):
    """Train `net` for epoch 7; return the loss."""
    _, optimizer = loss_and_optimizer(net, lr=0.25, momentum=0.5)
    return train(net, images, labels, criterion, optimizer, batch_size, 7)


def test_the_loss_is_the_cross_entropy():
    criterion, _ = loss_and_optimizer(line(1), lr=0.1, momentum=0.5)
    logits = torch.tensor([[1.0, 3.0]]).log()  # 1/4 and 3/4
    loss = criterion(logits, torch.tensor([1])).item()
    assert loss == pytest.approx(-math.log(3 / 4))


def test_three_steps_are_those_of_sgd_with_momentum():
    """By hand: the gradients 2 (w - 1) are -2, -1, 0, the velocities -2, -2, -1."""
    net, ones = line(0), torch.ones(6, 1)
    loss = epoch(net, ones, ones, nn.MSELoss(), batch_size=2)
    assert net.weight.item() == 1.25  # after 0, 0.5 and 1
    assert loss == pytest.approx((1 + 0.25 + 0) / 3)


def test_a_digit_keeps_its_label():
    numbers = torch.arange(100.0).unsqueeze(1)
    assert epoch(line(1), numbers, numbers, nn.MSELoss()) == 0


def test_an_epoch_shows_every_digit_once_in_a_new_order():
    numbers, seen = torch.arange(100.0).unsqueeze(1), []

    def criterion(outputs, labels):
        seen.extend(labels.flatten().tolist())
        return 0 * outputs.sum()

    for _ in range(2):
        epoch(line(1), numbers, numbers, criterion)
    first, second = seen[:100], seen[100:]
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != sorted(first)
    assert first != second


def epoch_of_601_losses():
    """Train on batches whose losses are 1, 2, ..., 601; return the loss of the epoch."""
    ones, numbers = torch.ones(601, 1), iter(range(1, 602))
    return epoch(line(1), ones, ones, lambda y, _: 0 * y.sum() + next(numbers))


def test_the_loss_of_an_epoch_is_the_mean_of_all_batches():
    assert epoch_of_601_losses() == 301


def test_every_300_batches_their_mean_loss_is_said_at_once(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stream())
    epoch_of_601_losses()
    first, second = sys.stdout.flushed.splitlines()
    assert all(part in first for part in ("7", "300", "150.500"))
    assert all(part in second for part in ("7", "600", "450.500"))


def test_the_accuracy_is_the_share_of_right_answers():
    labels = torch.arange(300)
    labels[-1] = 0  # the identity answers 299
    assert accuracy_of(nn.Identity(), torch.eye(300), labels) == 99.67


def test_dropout_is_off_while_the_accuracy_is_measured():
    net = nn.Dropout(p=1.0)  # in training it answers nothing but 0
    assert accuracy_of(net.train(), torch.eye(10), torch.arange(10)) == 100


def test_dropout_is_on_in_every_epoch():
    net = nn.Sequential(line(1), nn.Dropout(p=1.0)).eval()  # as the accuracy leaves it
    ones = torch.ones(6, 1)
    assert epoch(net, ones, ones, nn.MSELoss()) == 1
