"""What the tests share: data to run on, and a server of MNIST on this machine."""

import os
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["googlenet_mnist", "resnet_mnist", "residual_variants"]
sys.path.insert(0, str(ROOT))

# No test may reach the internet: every request goes to a port where nobody listens,
# unless a test names its own server.
NOWHERE = "http://127.0.0.1:9"
PROXIES = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
os.environ.update(dict.fromkeys(PROXIES, NOWHERE), no_proxy="", NO_PROXY="")
os.environ["MPLBACKEND"] = "agg"  # no windows
os.environ["OMP_NUM_THREADS"] = "1"  # small batches; on a busy machine threads wait
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same seed gives the same on a CPU alone

import torch
from torchvision import datasets

import googlenet_mnist
import residual_variants
import resnet_mnist

MODULES = [googlenet_mnist, resnet_mnist, residual_variants]


def files(folder):
    """{name: content} of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="session")
def full_mnist():
    """The folder dataset/mnist; skip a test that needs the full MNIST, fail it in CI."""
    folder = ROOT / "dataset" / "mnist"
    raw = folder / "MNIST" / "raw"
    for name, _ in datasets.MNIST.resources:
        if not (raw / name).exists() and not (raw / name).with_suffix("").exists():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(
                f"needs {raw / name}"
            )
    return folder


@pytest.fixture(scope="session")
def archives(full_mnist):
    """The folder with MNIST's four archives, as a mirror serves them."""
    raw = full_mnist / "MNIST" / "raw"
    if not all((raw / name).exists() for name, _ in datasets.MNIST.resources):
        pytest.skip(f"needs the .gz files in {raw}")
    return raw


@pytest.fixture(scope="session")
def sample():
    """The sample as the scripts read it: [(images, labels) to train, to test]."""
    return resnet_mnist.read_sample()


@pytest.fixture
def quick_sample(sample, monkeypatch):
    """Let the scripts have the sample at once: to read it takes seconds."""
    for module in MODULES:
        monkeypatch.setattr(module, "read_sample", lambda: sample)


@pytest.fixture(scope="session")
def batch(sample):
    """Some digits of each class, (64, 1, 28, 28), normalised, and their labels (64,)."""
    images, labels = sample[0]
    return (images[::63, None] / 255 - 0.1307) / 0.3081, labels[::63]


@pytest.fixture(scope="session")
def tiny_mnist(sample, tmp_path_factory):
    """A folder with 320 digits to train and 100 to test, in the format of MNIST."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, size, (images, labels) in zip(("train", "t10k"), (320, 100), sample):
        digits = torch.arange(size) * len(images) // size
        count = size.to_bytes(4, "big")
        head = bytes([0, 0, 8, 3]) + count + bytes([0, 0, 0, 28, 0, 0, 0, 28])
        content = head + images[digits].numpy().tobytes()
        (raw / f"{split}-images-idx3-ubyte").write_bytes(content)
        content = bytes([0, 0, 8, 1]) + count + bytes(labels[digits].tolist())
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(content)
    return folder


@contextmanager
def mirror(monkeypatch, answer):
    """Let torchvision download from here: `answer(request)` handles each of its GETs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with monkeypatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setattr(datasets.MNIST, "mirrors", [address])
        yield
    server.shutdown()
    server.server_close()


def send(request, content, part=1.0):
    """Answer a request with `content`, or break off after a part of it."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: int(len(content) * part)])
