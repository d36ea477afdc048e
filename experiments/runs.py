"""The store of finished runs, and how a run is made.

A line of runs.jsonl is a run: network, seed, epochs, lr, the mean loss and the accuracy (%)
of each epoch, what was measured of the net afterwards, device and torch version. A run
whose loss was not finite has two empty lists; one of no epochs was measured untrained.

    python experiments/X.py            # prints and draws what is in the store
    python experiments/X.py --train    # makes the runs that are missing first
"""

import argparse
import io
import json
import math
import os
import signal
import sys
from contextlib import redirect_stdout
from functools import lru_cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev, variance

import torch
from scipy.stats import t as students_t  # scipy comes with mlxtend

EXPERIMENTS = Path(__file__).resolve().parent
ROOT = EXPERIMENTS.parent
DATA, RUNS = ROOT / "dataset" / "mnist", EXPERIMENTS / "runs.jsonl"
FIELDS = {"network", "seed", "epochs", "lr", "losses", "accuracies", "device", "torch"}
MEASURES = {  # script whose `measure` takes them of a net: their names in a run
    "branches": ["weights 1", "lost 1", "weights 2", "lost 2"],
    "depth": ["gradient"],
    "derivative": ["negative", "least", "ratios"],
    "errors": ["wrong"],
    "own_digit": ["changed", "restored", "others"],
}
DEVICE, NAME = "cpu", f"CPU ({torch.backends.cpu.get_cpu_capability()})"
if torch.cuda.is_available():
    DEVICE, NAME = "cuda", torch.cuda.get_device_name()
sys.path.insert(0, str(ROOT))

import resnet_mnist


def command_line(description):
    """A parser for the flags that the experiments share."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--train", action="store_true", help="make what is missing")
    parser.add_argument("--seeds", type=int, default=10, help="runs a network")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser


@lru_cache(None)
def load(device):
    """Training and test set as load_mnist gives them; the end without the full MNIST."""
    with redirect_stdout(io.StringIO()):
        train_set, test_set, remark = resnet_mnist.load_mnist(DATA, device)
    if remark:
        sys.exit(f"This needs the full MNIST in {DATA}: see README.md")
    return train_set, test_set


def kaiming(net, nonlinearity):
    """`net` from the initialisation of He et al. 2015 (arXiv:1502.01852), biases 0."""
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
            torch.nn.init.zeros_(layer.bias)
    return net


def train(job):
    """Make one run as the scripts do, with another net; return what is kept of it."""
    name, build, seed, epochs, lr, clip, scripts = job
    torch.set_num_threads(1)
    train_set, test_set = load(DEVICE)
    torch.manual_seed(seed)
    net = build().to(DEVICE, memory_format=torch.channels_last)
    criterion, optimizer = resnet_mnist.loss_and_optimizer(net, lr, momentum=0.5)

    def clip_gradient(*_):
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)

    if clip:
        optimizer.register_step_pre_hook(clip_gradient)
    losses, accuracies = [], []
    for epoch in range(1, epochs + 1):
        with redirect_stdout(io.StringIO()):
            loss = resnet_mnist.train(net, *train_set, criterion, optimizer, 64, epoch)
        if not math.isfinite(loss):
            losses, accuracies, scripts = [], [], []
            break
        losses.append(round(loss, 4))
        accuracies.append(resnet_mnist.test(net, *test_set))
    run = {"network": name, "seed": seed, "epochs": epochs, "lr": lr}
    run.update(losses=losses, accuracies=accuracies)
    for script in scripts:
        run.update(import_module(script).measure(net))
    return {**run, "device": NAME, "torch": torch.__version__}


def make(jobs, processes):
    """Make the runs of `jobs`, several at a time, and keep each when it is finished."""
    load("cpu")  # or end here
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the processes inherit
    pool = get_context("spawn").Pool(processes)
    signal.signal(signal.SIGINT, before)  # the parent takes Ctrl-C
    with pool, RUNS.open("a", encoding="utf-8") as store:
        try:
            for run in pool.imap_unordered(train, sorted(jobs, key=lambda job: job[2])):
                print(json.dumps(run, ensure_ascii=False), file=store, flush=True)
                print(run["network"], run["seed"], run["accuracies"], flush=True)
        except KeyboardInterrupt:
            sys.exit("Interrupted: the finished runs are kept")


def kept():
    """Every run of the store."""
    for number, line in enumerate(RUNS.read_text("utf-8").splitlines(), start=1):
        try:
            run = json.loads(line)
            assert FIELDS <= run.keys()
        except (ValueError, AttributeError, AssertionError):
            sys.exit(f"{RUNS}, line {number} is not a run: correct it or delete it")
        yield run


def by_device(name, epochs, lr, measure=None):
    """{device: {seed: run}} of a network's runs that have what `measure` takes."""
    found = {}
    for run in kept():
        same = (run["network"], run["epochs"], run["lr"]) == (name, epochs, lr)
        if same and all(key in run for key in MEASURES.get(measure, [])):
            found.setdefault(run["device"], {})[run["seed"]] = run
    return found


def missing(seeds, name, build, epochs, lr, measure, clip):
    """The jobs of a network that no device has finished for as many seeds.

    A run without the measure is made again, with all that was measured of it before.
    """
    found = by_device(name, epochs, lr, measure)
    if any(len(runs) >= seeds for runs in found.values()):
        return []
    before = by_device(name, epochs, lr).values()
    had = {key for runs in before for run in runs.values() for key in run}
    scripts = [s for s in MEASURES if s == measure or had.intersection(MEASURES[s])]
    left = [seed for seed in range(seeds) if seed not in found.get(NAME, {})]
    return [(name, build, seed, epochs, lr, clip, scripts) for seed in left]


def collect(args, networks, epochs, lr=0.01, measure=None, clip=None, seeds=None):
    """{name: its finished runs, by seed} for {name: function that builds a network}.

    They are of the device with the most seeds, or the first; ends where none is kept.
    """
    how, jobs = (epochs, lr, measure, clip), []
    for name, build in networks.items() if args.train else ():
        jobs += missing(seeds or args.seeds, name, build, *how)
    if jobs:
        make(jobs, args.processes)
    found = {}
    for name in networks:
        runs = max(by_device(name, epochs, lr, measure).values(), key=len, default={})
        if not runs:
            sys.exit(f"{name}, lr {lr}: no run is kept; --train makes it")
        found[name] = [runs[seed] for seed in sorted(runs)]
    return found


def last(runs):
    """The accuracies (%) after the last epoch."""
    return [run["accuracies"][-1] for run in runs]


def learns(run):
    """Whether at most 20 % are wrong at the end: more is "fail" in He et al. 2016."""
    return bool(run["accuracies"]) and run["accuracies"][-1] >= 80


def cell(runs):
    """Accuracy of the runs (%), or how many learn where not all do."""
    learned = sum(map(learns, runs))
    if learned == len(runs):
        return spread(last(runs))
    diverges = "" if any(run["losses"] for run in runs) else ", diverges"
    return f"{learned} of {len(runs)} learn{diverges}"


def origin(runs):
    """How many seeds, and where."""
    return f"{len(runs)}, {runs[0]['device']}"


def spread(values):
    """Mean and, of several values, standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if values[1:] else "")


def difference(ours, theirs):
    """Difference of two means and Welch's 95 % interval; nothing of a single run."""
    if ours == theirs or min(len(ours), len(theirs)) < 2:
        return ""
    a, b = variance(ours) / len(ours), variance(theirs) / len(theirs)
    freedom = (a + b) ** 2 / (a**2 / (len(ours) - 1) + b**2 / (len(theirs) - 1))
    half = students_t.ppf(0.975, freedom) * math.sqrt(a + b)
    middle = mean(ours) - mean(theirs)
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def row(*cells):
    print("|", " | ".join(map(str, cells)), "|")


def fields(axes, texts, shades, rows, columns, **look):
    """Draw a table of texts as fields, coloured by `shades`."""
    axes.imshow(shades, aspect="auto", alpha=0.6, **look)
    for y, line in enumerate(texts):
        for x, text in enumerate(line):
            axes.text(x, y, text, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
