"""Time an epoch, training and test, of the notes' loop and of the scripts' own.

    python tests/benchmark.py                  # the full MNIST, five rounds
    python tests/benchmark.py --digits 6400    # its first digits alone, to try it out

The two loops take turns, A B A B, each time in a process of its own. Needs the full MNIST
in dataset/mnist; README.md says how long it takes.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import datasets, transforms

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import googlenet_mnist
import residual_variants as variants
import resnet_mnist

DATA = ROOT / "dataset" / "mnist"
NETWORKS = {
    "GoogLeNet": googlenet_mnist.Net,
    "ResNet": resnet_mnist.Net,
    "constant-scaling": lambda: variants.Net(variants.BLOCKS["constant-scaling"]),
    "conv-shortcut": lambda: variants.Net(variants.BLOCKS["conv-shortcut"]),
}


def seconds(function, *arguments):
    """Call a function; return how long it took and what it returned."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def notes_loop(build, digits):
    """The loop of the notes; return functions to train, to test and to load only."""
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    pipeline = transforms.Compose(steps)
    loaders = []
    for train, part in ((True, digits), (False, digits // 6)):
        split = datasets.MNIST(DATA, train, transform=pipeline)
        split = Subset(split, range(min(part, len(split))))
        loaders.append(DataLoader(split, batch_size=64, shuffle=train))
    train_loader, test_loader = loaders
    net = build()
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)

    def train():
        running_loss = 0.0
        for i, (images, labels) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            if i % 300 == 299:
                print(f"[1, {i + 1:5}] loss: {running_loss / 300:.3f}", file=sys.stderr)
                running_loss = 0.0

    def test():
        correct = 0
        with torch.no_grad():
            for images, labels in test_loader:
                correct += (net(images).argmax(dim=1) == labels).sum().item()
        return 100 * correct / len(test_loader.dataset)

    def load():
        for loader in loaders:
            for _ in loader:
                pass

    return train, test, load


def scripts_loop(build, digits):
    """The loop of the scripts, likewise."""
    train_set, test_set, _ = resnet_mnist.load_mnist(DATA, "cpu")
    images, labels = (tensor[:digits] for tensor in train_set)
    test_set = [tensor[: digits // 6] for tensor in test_set]
    net = build().to(memory_format=torch.channels_last)
    criterion, optimizer = resnet_mnist.loss_and_optimizer(net, 0.01, 0.5)

    def train():
        resnet_mnist.train(net, images, labels, criterion, optimizer, 64, 1)

    def test():
        return resnet_mnist.test(net, *test_set)

    def load():
        for batch in torch.randperm(len(images)).split(64):
            images[batch], labels[batch]

    return train, test, load


LOOPS = {"notes": notes_loop, "here": scripts_loop}


def measure(loop, name, digits, seed):
    """Time one epoch in this process; return the figures of it."""
    torch.manual_seed(seed)
    sys.stdout = sys.stderr  # what the training prints; the figures alone go to stdout
    train, test, load = LOOPS[loop](NETWORKS[name], digits)
    train_seconds, _ = seconds(train)
    test_seconds, accuracy = seconds(test)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB on Linux
    load_seconds, _ = seconds(load)
    return {
        "epoch": train_seconds + test_seconds,
        "loading": load_seconds / (train_seconds + test_seconds),
        "digits/s": digits / train_seconds,
        "accuracy": accuracy,
        "memory": peak,
    }


def measure_apart(*arguments):
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def floating_point_limit():
    """Floating-point operations a second of a large float32 matrix product."""
    a, b = torch.randn(2, 2048, 2048)
    a @ b
    return max(2 * 2048**3 / seconds(torch.matmul, a, b)[0] for _ in range(10))


def operations_a_digit(build):
    """Floating-point operations of the training, forward and backward, of one digit."""
    net, images = build(), torch.randn(64, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        net(images).sum().backward()
    return counter.get_total_flops() / 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--digits", type=int, default=60_000, help="digits to train on")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loop")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        loop, name, digits, seed = args.measure
        json.dump(measure(loop, name, int(digits), int(seed)), sys.__stdout__)
        return

    print(f"{args.digits:,} digits to train, {args.digits // 6:,} to test; ", end="")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, build in NETWORKS.items():
        runs = {loop: [] for loop in LOOPS}
        limits = []
        for seed in range(args.rounds):
            limits.append(floating_point_limit())
            for loop in LOOPS:
                runs[loop].append(measure_apart(loop, name, args.digits, seed))
        limit = median(limits)
        ratios = [
            notes["epoch"] / here["epoch"]
            for notes, here in zip(runs["notes"], runs["here"], strict=True)
        ]
        print(f"\n{name}: {median(ratios):.2f} times faster ", end="")
        print(f"({min(ratios):.2f} to {max(ratios):.2f})")
        for loop, measured in runs.items():
            m = {key: median(run[key] for run in measured) for key in measured[0]}
            used = m["digits/s"] * operations_a_digit(build) / limit
            print(
                f"  {loop:5}  epoch {m['epoch']:6.2f} s, loading {m['loading']:5.1%}, "
                f"{m['digits/s']:6,.0f} digits/s, {used:5.1%} of the limit of "
                f"{limit / 1e9:.0f} GFLOP/s, peak {m['memory']:,.0f} MiB, "
                f"accuracy {m['accuracy']:.2f} %"
            )


if __name__ == "__main__":
    main()
