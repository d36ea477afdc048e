"""The input: equal to torchvision's own pipeline, and an honest sample without it."""

import shutil
import socket
import time

import pytest
import torch
from conftest import files, mirror, send
from torchvision import datasets, transforms

import resnet_mnist

PIPELINE = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
)


def assert_equals_pipeline(folder):
    train_set, test_set, remark = resnet_mnist.load_mnist(folder, "cpu")
    assert remark == ""
    for train, (images, labels) in ((True, train_set), (False, test_set)):
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        expected = datasets.MNIST(folder, train, transform=PIPELINE)
        assert images.shape == (len(expected), 1, 28, 28)
        for i in range(0, len(expected), 10):
            assert torch.equal(images[i], expected[i][0])
            assert labels[i] == expected[i][1]


def test_tensors_equal_the_pipeline_bit_for_bit(tiny_mnist):
    assert_equals_pipeline(tiny_mnist)


def test_tensors_of_full_mnist_equal_the_pipeline_bit_for_bit(full_mnist):
    assert_equals_pipeline(full_mnist)


def test_sample_is_split_by_class_and_disjoint(sample):
    (train_images, train_labels), (test_images, test_labels) = sample
    assert train_images.shape == (4000, 28, 28)
    assert test_images.shape == (1000, 28, 28)
    assert train_labels.bincount().tolist() == [400] * 10
    assert test_labels.bincount().tolist() == [100] * 10
    train = {image.numpy().tobytes() for image in train_images}
    assert not train & {image.numpy().tobytes() for image in test_images}


def test_sample_is_a_part_of_the_training_set_of_mnist(sample, full_mnist):
    mnist = datasets.MNIST(full_mnist, train=True)
    pairs = zip(mnist.data, mnist.targets.tolist())
    known = {image.numpy().tobytes(): label for image, label in pairs}
    for images, labels in sample:
        for image, label in zip(images, labels.tolist()):
            assert known[image.numpy().tobytes()] == label


# Whatever is wrong with the data: two lines, the sample, and a next run as good as this.


def assert_sample(folder, capsys, why):
    timeout = socket.getdefaulttimeout()
    train_set, test_set, remark = resnet_mnist.load_mnist(folder, "cpu")
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert remark == " (a sample of 5,000 digits)"
    output = capsys.readouterr().out  # in older releases torchvision prints too
    first, second = output.splitlines()[-2:]
    assert first.startswith("MNIST could not be loaded (")
    assert why in output
    assert str(folder / "MNIST" / "raw") in second
    assert socket.getdefaulttimeout() == timeout


def test_no_network(tmp_path, capsys, quick_sample):
    assert_sample(tmp_path, capsys, "refused")


def test_folder_cannot_be_used(tmp_path, capsys, quick_sample):
    (tmp_path / "file").touch()
    assert_sample(tmp_path / "file", capsys, "Not a directory")


BROKEN = {  # what a server does, and what a user is told of it
    "403": lambda request: request.send_error(403),
    "corrupted": lambda request: send(request, b"<html>for sale</html>" * 1000),
    "": lambda request: send(request, bytes(10**6), part=0.5),
    "without response": lambda request: request.connection.shutdown(socket.SHUT_RDWR),
    "timed out": lambda request: time.sleep(2),
}


@pytest.mark.parametrize("why", BROKEN)
def test_broken_download(why, tmp_path, capsys, quick_sample, monkeypatch):
    wait = socket.setdefaulttimeout
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda s: wait(s and s / 20))
    with mirror(monkeypatch, BROKEN[why]):
        assert_sample(tmp_path, capsys, why)


def test_download_after_a_broken_one(archives, tmp_path, quick_sample, monkeypatch):
    def whole(request):
        send(request, (archives / request.path.strip("/")).read_bytes())

    def broken(request):
        content = (archives / request.path.strip("/")).read_bytes()
        send(request, content, 0.5 if "t10k" in request.path else 1)

    for answer, is_sample in ((broken, True), (whole, False)):
        with mirror(monkeypatch, answer):
            assert bool(resnet_mnist.load_mnist(tmp_path, "cpu")[2]) == is_sample
    assert resnet_mnist.load_mnist(tmp_path, "cpu")[2] == ""  # with no network


def test_damaged_archive_is_downloaded_again(archives, tmp_path, monkeypatch):
    def whole(request):
        send(request, (archives / request.path.strip("/")).read_bytes())

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in archives.glob("*.gz"):
        shutil.copy(archive, raw)
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not what torchvision knows")
    with mirror(monkeypatch, whole):
        assert resnet_mnist.load_mnist(tmp_path, "cpu")[2] == ""


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DAMAGES = [
    (IMAGES, lambda content: content[: len(content) // 2]),
    (LABELS, lambda content: content[:-1]),
    (LABELS, lambda content: content[:6]),
    (IMAGES, lambda content: content + b"more"),
    (IMAGES, lambda content: b""),
    (LABELS, lambda content: b"<html>for sale</html>" * 1000),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damaged_file(name, damage, tiny_mnist, tmp_path, capsys, quick_sample):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    file = tmp_path / "data" / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    before = files(file.parent)
    assert_sample(tmp_path / "data", capsys, "")
    assert files(file.parent) == before
