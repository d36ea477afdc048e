"""The input: equal to torchvision's own pipeline, and an honest sample without it."""

import gzip
import hashlib
import shutil
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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


def assert_sample(folder, capsys, why, cure):
    timeout = socket.getdefaulttimeout()
    train_set, test_set, remark = load_mnist(folder, "cpu")
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert remark == " (a sample of 5,000 digits)"
    output = capsys.readouterr().out  # in older releases torchvision prints too
    first, second = output.splitlines()[-2:]
    assert first.startswith("MNIST could not be loaded (")
    assert why in output
    raw = (folder / "MNIST" / "raw").resolve()
    assert second.startswith(f"For the full set {cure} {raw}, or")
    assert socket.getdefaulttimeout() == timeout


def put_all():
    return f"put {', '.join(name for name, _ in datasets.MNIST.resources)} into"


def test_no_network(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_sample(Path("data"), capsys, "refused", put_all())


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


BROKEN = [  # what a user is told, and what a server does
    ("403", lambda request, _: request.send_error(403)),
    ("corrupted", lambda request, _: send(request, b"<html>for sale</html>")),
    ("corrupted", lambda request, content: send(request, content, part=0.5)),
    ("without response", lambda request, _: request.connection.shutdown(2)),
    ("\x05", lambda request, _: request.wfile.write(b"\x05\xff")),  # a proxy of SOCKS
    ("timed out", lambda *_: time.sleep(5)),
]


@pytest.mark.parametrize(("why", "answer"), BROKEN)
def test_broken_download_and_the_next_one(why, answer, serve, tmp_path, capsys):
    serve(answer)
    with pytest.MonkeyPatch.context() as patch:
        wait = socket.setdefaulttimeout
        if why == "timed out":
            patch.setattr(socket, "setdefaulttimeout", lambda s: wait(s and s / 10))
        assert_sample(tmp_path, capsys, why, put_all())
    serve(send)
    assert load_mnist(tmp_path, "cpu")[2] == ""


def test_the_one_archive_that_is_damaged_is_named(serve, tmp_path, capsys):
    serve(send)
    load_mnist(tmp_path, "cpu")
    raw = tmp_path / "MNIST" / "raw"
    for file in raw.glob("*-ubyte"):
        file.unlink()
    archive = raw / "t10k-labels-idx1-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-9])
    serve(lambda request, _: request.send_error(403))
    assert_sample(tmp_path, capsys, "403", f"put {archive.name} into")


TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"
DIGITS = "not digits of 28x28 pixels"
DAMAGES = [  # a file, what it is replaced by, what a user is told of it
    (TRAIN, lambda raw, content: content[: len(content) // 2], "invalid"),
    (TRAIN, lambda raw, content: content + b"more", "invalid"),
    (TRAIN, lambda raw, content: b"", "invalid"),
    (LABELS, lambda raw, content: b"<html>for sale</html>", "AssertionError"),
    (LABELS, lambda raw, content: content[:2] + b"\n" + content[3:], "(10)"),
    (LABELS, lambda raw, content: content[:-1] + b"\xc8", DIGITS),  # a label of 200
    (LABELS, lambda raw, _: (raw / "train-labels-idx1-ubyte").read_bytes(), DIGITS),
    (
        TEST,
        lambda raw, _: (
            bytes([0, 0, 8, 3, 0, 0, 0, 100, 0, 0, 0, 27, 0, 0, 0, 27])
            + bytes(100 * 27 * 27)
        ),
        DIGITS,
    ),
]


@pytest.mark.parametrize(("name", "damage", "why"), DAMAGES)
def test_damaged_file(name, damage, why, tiny_mnist, tmp_path, capsys):
    shutil.copytree(tiny_mnist, tmp_path / "data")
    file = tmp_path / "data" / "MNIST" / "raw" / name
    file.write_bytes(damage(file.parent, file.read_bytes()))
    before = files(file.parent)
    cure = "delete the files without .gz in"
    assert_sample(tmp_path / "data", capsys, why, cure)
    assert files(file.parent) == before
