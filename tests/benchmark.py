"""Time an epoch, training and test, of the notes' loop and of the scripts' own.

    python tests/benchmark.py                  # the full MNIST, three rounds
    python tests/benchmark.py --digits 6400    # its first digits alone, to try it out

The two loops take turns, A B A B, each time in a process of its own. Needs the full MNIST
in dataset/mnist.
"""

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import googlenet_mnist
import resnet_mnist
from residual_variants import BLOCKS
from residual_variants import Net as VariantNet

DATA = ROOT / "dataset" / "mnist"
NETWORKS = {
    "GoogLeNet": googlenet_mnist.Net,
    "ResNet": resnet_mnist.Net,
    "constant-scaling": partial(VariantNet, BLOCKS["constant-scaling"]),
    "conv-shortcut": partial(VariantNet, BLOCKS["conv-shortcut"]),
}


def notes_epoch(net, digits):
    """The loop of the notes; returns a function to train and test, and one to load."""
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    pipeline = transforms.Compose(steps)
    loaders = []
    for train, part in ((True, digits), (False, digits // 6)):
        split = Subset(datasets.MNIST(DATA, train, transform=pipeline), range(part))
        loaders.append(DataLoader(split, batch_size=64, shuffle=train))
    criterion, optimizer = resnet_mnist.loss_and_optimizer(net, 0.01, 0.5)

    def epoch():
        running_loss = 0.0
        for images, labels in loaders[0]:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        correct = 0
        with torch.no_grad():
            for images, labels in loaders[1]:
                correct += (net(images).argmax(dim=1) == labels).sum().item()

    def load():
        for loader in loaders:
            for _ in loader:
                pass

    return epoch, load


def scripts_epoch(net, digits):
    """The loop of the scripts, likewise."""
    train_set, test_set, _ = resnet_mnist.load_mnist(DATA, "cpu")
    images, labels = (tensor[:digits] for tensor in train_set)
    test_set = [tensor[: digits // 6] for tensor in test_set]
    net = net.to(memory_format=torch.channels_last)
    criterion, optimizer = resnet_mnist.loss_and_optimizer(net, 0.01, 0.5)

    def epoch():
        resnet_mnist.train(net, images, labels, criterion, optimizer, 64, 1)
        resnet_mnist.test(net, *test_set)

    def load():
        for batch in torch.randperm(len(images)).split(64):
            images[batch], labels[batch]

    return epoch, load


LOOPS = {"notes": notes_epoch, "here": scripts_epoch}


def measure(loop, name, digits):
    """Return the seconds of one epoch and of its loading, measured in this process."""
    torch.manual_seed(0)
    seconds = []
    for function in LOOPS[loop](NETWORKS[name](), digits):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def measure_apart(*arguments):
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--digits", type=int, default=60_000, help="digits to train on")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each loop")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        loop, name, digits = args.measure
        print(json.dumps(measure(loop, name, int(digits))))
        return

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| network | faster (least to most) | loading, notes | loading, here |")
    print("|---|---|---|---|")
    for name in NETWORKS:
        ratios, shares = [], {loop: [] for loop in LOOPS}
        for _ in range(args.rounds):
            epochs = {}
            for loop in LOOPS:
                epochs[loop], load = measure_apart(loop, name, args.digits)
                shares[loop].append(load / epochs[loop])
            ratios.append(epochs["notes"] / epochs["here"])
        faster = f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        loading = [f"{median(share):.1%}" for share in shares.values()]
        print("|", " | ".join([name, faster, *loading]), "|", flush=True)


if __name__ == "__main__":
    main()
