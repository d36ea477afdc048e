"""Train networks with several seeds, and keep each finished run under results/runs/.

A run is `resnet_mnist.py` with another `Net`: what else the scripts have in common is the
same to the letter. A run that is kept is not made again, so that a long experiment goes
on where it was stopped. Two runs at a time, with one thread each.
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
sys.path.insert(0, str(ROOT))

import resnet_mnist


def seeds(count):
    """The seeds 0, 1, ...: as many as the command line says, else `count`."""
    return range(int(sys.argv[1]) if sys.argv[1:] else count)


def folder(name, seed, epochs=10):
    """Where a run keeps `run.json`, `log.txt` and the script's plot and checkpoint."""
    return ROOT / "results" / "runs" / f"{name}-{epochs}-epochs" / f"seed-{seed}"


def train(name, net, seed, epochs):
    """Run the script with `net`, a class or function that builds the network."""
    place = folder(name, seed, epochs)
    if (place / "run.json").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    mpl.use("agg")  # no window
    flags = ["--seed", seed, "--epochs", epochs, "--out", place, "--data", DATA]
    # Put back afterwards, or the next run of the process would find this net as ResNet.
    swapped = patch.object(resnet_mnist, "Net", net)
    with swapped, open(place / "log.txt", "w") as log, redirect_stdout(log):
        losses, accuracies = resnet_mnist.main(list(map(str, flags)))
    run = {"losses": losses, "accuracies": accuracies}
    (place / "run.json").write_text(json.dumps(run))
    print(f"{name}, seed {seed}: {accuracies[-1]:.2f} %", flush=True)


def train_all(networks, seeds, epochs=10):
    """Train each of {name: net} with each seed; return {name: [run of each seed]}.

    A run is a dictionary of two lists, an entry an epoch: "losses" and "accuracies" (%).
    """
    jobs = [(n, net, seed, epochs) for seed in seeds for n, net in networks.items()]
    with Pool(2) as pool:
        pool.starmap(train, jobs, chunksize=1)
    files = {n: [folder(n, s, epochs) / "run.json" for s in seeds] for n in networks}
    return {n: [json.loads(f.read_text()) for f in files[n]] for n in networks}


def trained(name, net, seed):
    """The network of a finished run of ten epochs, with its best parameters."""
    checkpoint = folder(name, seed) / "resnet_mnist.pt"
    net = net()
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    return net.eval()


def spread(values):
    """Mean and, of several values, standard deviation, as text."""
    return f"{mean(values):.2f}" + (
        f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    )


PICKS = {"epoch 1": lambda curve: curve[0], "epoch 10": lambda c: c[9], "best": max}
