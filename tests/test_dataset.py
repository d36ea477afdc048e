"""The digits: torchvision's own, bit for bit, or an honest sample without them."""

import shutil
import socket
import sys
from http.client import BadStatusLine
from pathlib import Path
from unittest.mock import Mock
from urllib.error import URLError

import pytest
import torch
from conftest import Stream, files, idx
from torchvision import datasets, transforms

import resnet_mnist
from resnet_mnist import load_mnist

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("folder", ["tiny_mnist", "full_mnist"])
def test_the_digits_are_those_of_torchvisions_pipeline(folder, request):
    folder = request.getfixturevalue(folder)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    pipeline = transforms.Compose(steps)
    *sets, remark = load_mnist(folder, "cpu")
    assert remark == ""
    for train, (images, labels) in zip((True, False), sets):
        expected = datasets.MNIST(folder, train, transform=pipeline)
        assert images.shape == (len(expected), 1, 28, 28)
        assert torch.equal(labels, expected.targets)
        for i in range(0, len(expected), 33):
            assert torch.equal(images[i], expected[i][0])


def test_the_digits_are_on_the_device(tiny_mnist):
    *sets, _ = load_mnist(tiny_mnist, "meta")
    assert {part.device.type for both in sets for part in both} == {"meta"}


def test_the_sample_has_as_many_digits_of_each_class(sample):
    for (images, labels), size in zip(sample, (4000, 1000)):
        assert images.shape == (size, 28, 28)
        assert labels.bincount().tolist() == [size // 10] * 10


def test_no_test_digit_of_the_sample_is_a_training_digit(sample):
    train, test = ({x.numpy().tobytes() for x in images} for images, _ in sample)
    assert not train & test


def test_the_folder_is_said_before_it_is_looked_into(ctrl_c, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", Stream())
    with pytest.raises(KeyboardInterrupt):
        load_mnist("data", "cpu")
    assert str(Path("data", "MNIST", "raw").resolve()) in sys.stdout.flushed


def load_sample(folder, monkeypatch):
    """Load the sample, as `folder` has no digits; return what is said before it is read."""
    stream, said, read = Stream(), [], resnet_mnist.read_sample

    def takes_seconds():
        said.append(stream.flushed)
        return read()

    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(resnet_mnist, "read_sample", takes_seconds)
    (images, _), (test_images, _), remark = load_mnist(folder, "cpu")
    assert (len(images), len(test_images)) == (4000, 1000)
    assert "sample" in remark
    return said[0]


# A wrong address, a silent server, a proxy that does not speak HTTP.
@pytest.mark.parametrize("error", [URLError(""), TimeoutError(), BadStatusLine("\x05")])
def test_without_a_network_the_sample_is_loaded(error, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", Mock(side_effect=error))
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{IMAGES}.gz").write_bytes(b"half a download")
    load_sample(tmp_path, monkeypatch)


def test_a_user_reads_why_and_which_files_to_put_where(tmp_path, monkeypatch):
    error = TimeoutError("the server is silent")
    monkeypatch.setattr("urllib.request.urlopen", Mock(side_effect=error))
    said = load_sample(tmp_path, monkeypatch)
    assert repr(error) in said
    last = said.splitlines()[-1]
    assert str((tmp_path / "MNIST" / "raw").resolve()) in last
    assert all(name in last for name, _ in datasets.MNIST.resources)


def test_a_silent_server_is_left_after_seconds(tmp_path, monkeypatch):
    timeouts = []

    def urlopen(*_, **__):
        timeouts.append(socket.getdefaulttimeout())
        raise TimeoutError

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    load_mnist(tmp_path, "cpu")
    assert timeouts
    assert all(seconds and seconds <= 30 for seconds in timeouts)


@pytest.mark.parametrize("there", [True, False])
def test_the_time_out_is_as_before(there, tiny_mnist, tmp_path):
    socket.setdefaulttimeout(7)
    load_mnist(tiny_mnist if there else tmp_path, "cpu")
    assert socket.getdefaulttimeout() == 7


DAMAGES = {
    "half an images' file": (IMAGES, lambda content: content[: len(content) // 2]),
    "a page of HTML": (LABELS, lambda content: b"<html>for sale</html>"),
    "values of no type": (LABELS, lambda content: content[:2] + b"\n" + content[3:]),
    "values of two bytes": (LABELS, lambda content: content[:2] + b"\t" + content[3:]),
    "a label of 10": (LABELS, lambda content: content[:-1] + b"\n"),
    "too many labels": (LABELS, lambda content: idx(torch.zeros(334).byte())),
    "27x27 pixels": (IMAGES, lambda content: idx(torch.zeros(100, 27, 27).byte())),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_files_are_left_and_the_sample_is_loaded(
    what, tiny_mnist, tmp_path, monkeypatch
):
    shutil.copytree(tiny_mnist / "MNIST", tmp_path / "MNIST")
    name, damage = DAMAGES[what]
    file = tmp_path / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    before = files(file.parent)
    said = load_sample(tmp_path, monkeypatch)
    assert "Error" in said  # its name: an error may say no more
    assert files(file.parent) == before
