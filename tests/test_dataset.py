"""The input: equal to torchvision's own pipeline, and an honest sample without it."""

import gzip
import hashlib
import shutil
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from conftest import files
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
    train, test = sample
    assert train[0].shape == (4000, 28, 28)
    assert train[1].bincount().tolist() == [400] * 10
    assert test[0].shape == (1000, 28, 28)
    assert test[1].bincount().tolist() == [100] * 10
    assert not pairs(*train) & pairs(*test)


def test_sample_is_a_part_of_mnist(sample, full_mnist):
    mnist = datasets.MNIST(full_mnist, train=True)
    assert pairs(*sample[0]) | pairs(*sample[1]) <= pairs(mnist.data, mnist.targets)


# Whatever is wrong with the data: two lines, the sample, and a next run as good as this.


def assert_sample(folder, capsys, why):
    timeout = socket.getdefaulttimeout()
    train_set, test_set, remark = load_mnist(folder, "cpu")
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert remark == " (a sample of 5,000 digits)"
    output = capsys.readouterr().out  # in older releases torchvision prints too
    first, second = output.splitlines()[-2:]
    assert first.startswith("MNIST could not be loaded (")
    assert why in output
    assert f"empty {folder}/MNIST/raw and run again" in second
    assert socket.getdefaulttimeout() == timeout


def test_no_network(tmp_path, capsys):
    assert_sample(tmp_path, capsys, "refused")


@pytest.fixture
def serve(tiny_mnist, monkeypatch):
    """Let torchvision download few digits from here: `serve(answer)` says how.

    `answer(request, content)` answers a request for the archive with that content.
    """
    archives = {
        f"{file.name}.gz": gzip.compress(file.read_bytes())
        for file in (tiny_mnist / "MNIST" / "raw").iterdir()
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.answer(self, archives[self.path.strip("/")])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    sums = [(name, hashlib.md5(archives[name]).hexdigest()) for name in archives]
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield lambda answer: setattr(server, "answer", answer)
    server.shutdown()
    server.server_close()


def send(request, content, part=1.0):
    """Answer a request with `content`, or break off after a part of it."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: int(len(content) * part)])


BROKEN = {  # what a server does, and what a user is told of it
    "403": lambda request, _: request.send_error(403),
    "corrupted": lambda request, _: send(request, b"<html>for sale</html>"),
    "": lambda request, content: send(request, content, part=0.5),
    "without response": lambda request, _: request.connection.shutdown(2),
    "\x05": lambda request, _: request.wfile.write(b"\x05\xff"),  # a proxy that is none
    "timed out": lambda *_: time.sleep(2),
}


@pytest.mark.parametrize("why", BROKEN)
def test_broken_download_and_the_next_one(why, serve, tmp_path, capsys, monkeypatch):
    wait = socket.setdefaulttimeout
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda s: wait(s and s / 20))
    serve(BROKEN[why])
    assert_sample(tmp_path, capsys, why)
    serve(send)
    assert load_mnist(tmp_path, "cpu")[2] == ""


IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DAMAGES = [
    (IMAGES, lambda content: content[: len(content) // 2]),
    (IMAGES, lambda content: content + b"more"),
    (IMAGES, lambda content: b""),
    (LABELS, lambda content: b"<html>for sale</html>"),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damaged_file(name, damage, tiny_mnist, tmp_path, capsys):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    file = tmp_path / "data" / "MNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    before = files(file.parent)
    assert_sample(tmp_path / "data", capsys, "")
    assert files(file.parent) == before
