"""The input: equal to torchvision's own pipeline, and an honest sample without it."""

import gzip
import hashlib
import shutil
import socket
import urllib.request
from http.client import BadStatusLine
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from conftest import files, idx
from torchvision import datasets, transforms

from resnet_mnist import load_mnist


@pytest.mark.parametrize("folder", ["tiny_mnist", "full_mnist"])
def test_tensors_equal_the_pipeline_bit_for_bit(folder, request):
    folder = request.getfixturevalue(folder)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    pipeline = transforms.Compose(steps)
    *sets, remark = load_mnist(folder, "cpu")
    assert remark == ""
    for train, (images, labels) in zip((True, False), sets):
        expected = datasets.MNIST(folder, train, transform=pipeline)
        assert images.shape == (len(expected), 1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        for i in range(0, len(expected), 10):
            assert torch.equal(images[i], expected[i][0])
            assert labels[i] == expected[i][1]


def pairs(images, labels):
    """{(image as bytes, label)}."""
    return {(x.numpy().tobytes(), y) for x, y in zip(images, labels.tolist())}


def test_sample_is_split_by_class_and_disjoint(sample):
    for (images, labels), size in zip(sample, (4000, 1000)):
        assert images.shape == (size, 28, 28)
        assert labels.bincount().tolist() == [size // 10] * 10
    assert not pairs(*sample[0]) & pairs(*sample[1])


# Whatever is wrong with the data: two lines, the sample, and a next run as good as this.


def assert_sample(folder, capsys, why, cure):
    train_set, test_set, remark = load_mnist(folder, "cpu")
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert remark == " (a sample of 5,000 digits)"
    output = capsys.readouterr().out  # in older releases torchvision prints too
    first, second = output.splitlines()[-2:]
    assert first.startswith("MNIST could not be loaded (")
    assert why in output
    raw = (folder / "MNIST" / "raw").resolve()
    assert second.startswith(f"For the full set {cure} {raw}, or")
    assert socket.getdefaulttimeout() is None  # as before


ARCHIVES = [name for name, _ in datasets.MNIST.resources]
NO_DOWNLOAD = [  # a wrong address, a silent server, a proxy that does not speak HTTP
    URLError("Connection refused"),
    TimeoutError("timed out"),
    BadStatusLine("\x05"),
]


@pytest.mark.parametrize("error", NO_DOWNLOAD)
def test_no_download(error, tmp_path, capsys, monkeypatch):
    def urlopen(*_, **__):
        assert socket.getdefaulttimeout() == 10
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.chdir(tmp_path)
    why, cure = str(error).strip("<>"), f"put {', '.join(ARCHIVES)} into"
    assert_sample(Path("data"), capsys, why, cure)


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_damaged_archive_and_the_next_run(
    name, tiny_mnist, tmp_path, capsys, monkeypatch
):
    raw, sums = tmp_path / "MNIST" / "raw", []
    raw.mkdir(parents=True)
    for archive in ARCHIVES:
        content = (tiny_mnist / "MNIST" / "raw" / archive[:-3]).read_bytes()
        (raw / archive).write_bytes(gzip.compress(content))
        sums.append((archive, hashlib.md5((raw / archive).read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    whole = (raw / name).read_bytes()
    (raw / name).write_bytes(whole[:-9])
    assert_sample(tmp_path, capsys, "MNIST could not be loaded (", f"put {name} into")
    (raw / name).write_bytes(whole)
    assert load_mnist(tmp_path, "cpu")[2] == ""


IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DIGITS = "(ValueError: not digits of 28x28 pixels, each with its label)"
SMALL = idx(torch.zeros(100, 27, 27, dtype=torch.uint8))
DAMAGES = [  # of a file, and what a user is told of it
    (IMAGES, lambda content: content[: len(content) // 2], "invalid"),
    (LABELS, lambda content: b"<html>for sale</html>", "(AssertionError)"),
    # a byte that stands for no type of values
    (LABELS, lambda content: content[:2] + b"\n" + content[3:], "(KeyError: 10)"),
    (LABELS, lambda content: content[:-1] + b"\xc8", DIGITS),  # a label of 200
    (LABELS, lambda content: idx(torch.zeros(334, dtype=torch.uint8)), DIGITS),
    (IMAGES, lambda content: SMALL, DIGITS),
]


@pytest.mark.parametrize(("name", "damage", "why"), DAMAGES)
def test_damaged_file(name, damage, why, tiny_mnist, tmp_path, capsys):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    file = tmp_path / "data" / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    before = files(file.parent)
    assert_sample(tmp_path / "data", capsys, why, "delete the files without .gz in")
    assert files(file.parent) == before
