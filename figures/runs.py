"""Train networks with several seeds, and keep each finished run as a line of runs.txt.

A run is `resnet_mnist.py` with another `Net`: what else the scripts have in common is the
same to the letter. A line is JSON: network, seed, epochs, lr, the mean loss and the
accuracy (%) of each epoch, and what the experiment measured beside them; a run whose loss
was not finite has two empty lists, one of no epochs was measured before training. A run
that is kept is not made again: delete its line to have it made anew. Two runs at a time,
with one thread each.
"""

import json
import sys
from contextlib import redirect_stdout
from multiprocessing import Pool
from pathlib import Path
from statistics import mean, stdev
from unittest.mock import patch

import matplotlib as mpl
import torch

FIGURES = Path(__file__).resolve().parent
ROOT = FIGURES.parent
DATA = ROOT / "dataset" / "mnist"
RUNS = FIGURES / "runs.txt"
sys.path.insert(
    0, str(ROOT)
)  # so every script imports this module before the lecture's

import resnet_mnist


def seeds(count):
    """The seeds 0, 1, ...: as many as the command line says, else `count`."""
    return range(int(sys.argv[1]) if sys.argv[1:] else count)


def folder(network, seed, epochs=10, lr=0.01):
    """Where a run keeps its log and the script's plot and checkpoint."""
    return (
        ROOT / "results" / "runs" / f"{network}, {epochs} epochs, lr {lr}" / str(seed)
    )


def train(job):
    """Make one run, and return what is kept of it."""
    (network, seed, epochs, lr), net, measure = job
    torch.set_num_threads(1)
    mpl.use("agg")  # no window
    built = []

    def build():
        built.append(net())
        return built[-1]

    run = {"network": network, "seed": seed, "epochs": epochs, "lr": lr}
    losses, curve = [], []
    if epochs == 0:
        torch.manual_seed(seed)
        build()
    else:
        place = folder(network, seed, epochs, lr)
        place.mkdir(parents=True, exist_ok=True)
        flags = ["--seed", seed, "--epochs", epochs, "--lr", lr, "--out", place]
        flags = [*map(str, flags), "--data", str(DATA)]
        # Put back afterwards, or the next run of this process would take it for ResNet.
        swapped = patch.object(resnet_mnist, "Net", build)
        with swapped, open(place / "log.txt", "w") as log, redirect_stdout(log):
            try:
                losses, curve = resnet_mnist.main(flags)
            except SystemExit as stop:  # the loss is not finite
                print(stop)
    run.update(losses=[round(loss, 4) for loss in losses], accuracies=curve)
    diverged = epochs and not curve
    return {**run, **(measure(built[0]) if measure and not diverged else {})}


def kept():
    """{(network, seed, epochs, lr): run} of every finished run."""
    lines = RUNS.read_text().splitlines() if RUNS.exists() else []
    return {tuple(run.values())[:4]: run for run in map(json.loads, lines)}


def make(jobs):
    """Make the missing ones of `jobs`, [((network, seed, epochs, lr), net, measure)]."""
    finished = kept()
    missing = [job for job in jobs if job[0] not in finished]
    if missing:
        with Pool(2) as pool:
            for run in pool.imap_unordered(train, missing):
                with RUNS.open("a") as file:
                    print(json.dumps(run), file=file)
                print(*run.values(), flush=True)


def train_all(networks, seeds, epochs=10, lr=0.01, measure=None):
    """Train each of {name: net} with each seed; return {name: [run of each seed]}.

    `measure` takes a trained network and returns a dictionary to keep with its run.
    """
    keys = {name: [(name, seed, epochs, lr) for seed in seeds] for name in networks}
    jobs = [(key, networks[name], measure) for name in keys for key in keys[name]]
    make(sorted(jobs, key=lambda job: job[0][1]))  # seed by seed
    finished = kept()
    return {name: [finished[key] for key in keys[name]] for name in keys}


def kaiming(net, nonlinearity):
    """`net` from the initialisation of He et al. 2015 (arXiv:1502.01852), biases 0."""
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
            torch.nn.init.zeros_(layer.bias)
    return net


def spread(values):
    """Mean and, of several values, standard deviation, as text."""
    return f"{mean(values):.2f}" + (
        f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    )


def fields(axes, values, rows, columns, form, shade=float, **look):
    """Draw a table of values as fields with the numbers in them, coloured by `shade`."""
    shades = [[shade(value) for value in row] for row in values]
    axes.imshow(shades, aspect="auto", **{"cmap": "RdYlGn", "alpha": 0.7, **look})
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            axes.text(x, y, form(value), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)


PICKS = {"epoch 1": lambda curve: curve[0], "epoch 10": lambda c: c[9], "best": max}
