"""The store of finished runs, and how a run is made.

A line of runs.jsonl is a run: what makes it (network, seed, epochs, lr, and clip, the
largest norm of the gradient, or null), the mean loss and the accuracy (%) of each epoch,
what each script measured of the net afterwards, device and torch version. A run whose
loss was not finite has two empty lists; one of no epochs was measured untrained.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import signal
import sys
import warnings
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from cells import markdown
from joblib import Parallel, delayed  # 1.4 or newer; joblib comes with mlxtend

EXPERIMENTS = Path(__file__).resolve().parent
ROOT = EXPERIMENTS.parent
DATA = ROOT / "dataset" / "mnist"
RUNS = EXPERIMENTS / "runs.jsonl"
KEYS = {"network", "seed", "epochs", "lr", "clip"}  # what makes a run, and what it gave
KEYS |= {"losses", "accuracies", "measured", "device", "torch"}
if torch.cuda.is_available():
    DEVICE = "cuda"
    NAME = torch.cuda.get_device_name()
else:
    DEVICE = "cpu"
    NAME = f"CPU ({torch.backends.cpu.get_cpu_capability()})"
sys.path.insert(0, str(ROOT))

import resnet_mnist


class Runs(NamedTuple):
    """Runs that differ in network and seed alone."""

    networks: dict  # {name: function that builds the net}
    epochs: int
    lr: float = 0.01
    clip: float | None = None
    measure: str | None = None  # the script whose `measure` takes the trained net
    seeds: int = 10  # how many are published

    @property
    def made_by(self):
        return self.epochs, self.lr, self.clip


class Job(NamedTuple):
    """A run to be made, and the scripts that measure its net."""

    network: str
    seed: int
    group: Runs
    scripts: list


@lru_cache(None)
def load(device):
    """Training and test set as load_mnist gives them; exits without the full MNIST."""
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
    torch.set_num_threads(1)
    train_set, test_set = load(DEVICE)
    group = job.group
    torch.manual_seed(job.seed)
    net = group.networks[job.network]().to(DEVICE, memory_format=torch.channels_last)
    criterion, optimizer = resnet_mnist.loss_and_optimizer(net, group.lr, momentum=0.5)

    def clip_gradient(*_):
        torch.nn.utils.clip_grad_norm_(net.parameters(), group.clip)

    if group.clip:
        optimizer.register_step_pre_hook(clip_gradient)
    run = {"network": job.network, "seed": job.seed, "epochs": group.epochs}
    run.update(lr=group.lr, clip=group.clip, losses=[], accuracies=[], measured={})
    run.update(device=NAME, torch=torch.__version__)
    for epoch in range(1, group.epochs + 1):
        with redirect_stdout(io.StringIO()):
            loss = resnet_mnist.train(net, *train_set, criterion, optimizer, 64, epoch)
        if not math.isfinite(loss):
            return {**run, "losses": [], "accuracies": []}
        run["losses"].append(round(loss, 4))
        run["accuracies"].append(resnet_mnist.test(net, *test_set))
    for script in job.scripts:
        measure = import_module(script).measure
        run["measured"][script] = measure(net, train_set, test_set)
    return run


@lru_cache(1)
def parse(content):
    """The runs of a store with this content (bytes)."""
    found = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            run = json.loads(line)
        except ValueError:
            run = None
        if not isinstance(run, dict) or not KEYS <= run.keys():
            sys.exit(f"{RUNS}, line {number} is not a run: correct it or delete it")
        found.append(run)
    return found


def finished(group):
    """{device: {name of a network: {seed: run}}} of the finished runs of a group."""
    devices = {}
    for run in parse(RUNS.read_bytes() if RUNS.exists() else b""):
        made_so = (run["epochs"], run["lr"], run["clip"]) == group.made_by
        measured = group.measure is None or group.measure in run["measured"]
        if run["network"] in group.networks and made_so and measured:
            empty = {name: {} for name in group.networks}
            networks = devices.setdefault(run["device"], empty)
            networks[run["network"]][run["seed"]] = run
    return devices


def fewest(networks):
    """How many seeds the network with the fewest has."""
    return min(len(seeds) for seeds in networks.values())


def read(group):
    """{name of a network: its finished runs, by seed}; exits where there is none.

    All are of one device, the one with the most seeds that every network has.
    """
    networks = max(finished(group).values(), key=fewest, default={})
    for name in group.networks:
        if not networks.get(name):
            sys.exit(f"{name}, lr {group.lr}: no run is kept; --train makes it")
    return {name: [seeds[i] for i in sorted(seeds)] for name, seeds in networks.items()}


def read_every_device(group):
    """The same of every device, one after the other."""
    read(group)  # exits where there is none
    found = {name: [] for name in group.networks}
    for networks in finished(group).values():
        for name, seeds in networks.items():
            found[name] += [seeds[i] for i in sorted(seeds)]
    return found


def missing(plan, seeds=None):
    """The jobs of the groups in `plan` of which no device has enough seeds.

    A run without the measure is made again, with all that was measured of it before.
    """
    jobs = {}
    for group in plan.values():
        devices = finished(group)
        wanted = group.seeds
        if seeds and group.epochs:  # of an untrained net one is enough
            wanted = seeds
        if any(fewest(networks) >= wanted for networks in devices.values()):
            continue
        measured_here = devices.get(NAME, {})
        made_here = finished(group._replace(measure=None)).get(NAME, {})
        for name in group.networks:
            for seed in set(range(wanted)) - measured_here.get(name, {}).keys():
                before = made_here.get(name, {}).get(seed, {"measured": {}})
                scripts = {*before["measured"], group.measure} - {None}
                job = Job(name, seed, group, sorted(scripts))
                jobs[name, seed, group.made_by] = job
    return sorted(jobs.values(), key=lambda job: job.seed)


def make(jobs, processes):
    """Make the runs of `jobs`, several at a time, and keep each when it is finished."""
    load("cpu")  # exits without the full MNIST
    epochs = sum(job.group.epochs for job in jobs)
    print(f"{len(jobs)} runs, {epochs} epochs on {NAME}, {processes} runs at a time")
    parallel = Parallel(processes, return_as="generator_unordered")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the processes inherit it
    results = parallel(delayed(train)(job) for job in jobs)
    signal.signal(signal.SIGINT, before)  # so that Ctrl-C ends this process alone
    with RUNS.open("a", encoding="utf-8") as store:
        content = RUNS.read_bytes()
        if content and not content.endswith(b"\n"):  # the last line has lost its end
            print(file=store)
        try:
            for i, run in enumerate(results, start=1):
                print(json.dumps(run, ensure_ascii=False), file=store, flush=True)
                which = f"{run['network']}, seed {run['seed']}"
                print(f"[{i}/{len(jobs)}] {which}: {run['accuracies']}", flush=True)
        except KeyboardInterrupt:
            warnings.simplefilter("ignore")  # joblib's, of runs that nobody uses
            results.close()  # ends the processes, which else are waited for
            sys.exit("Interrupted: the finished runs are kept")
        except BrokenProcessPool:
            why = "A process was killed, perhaps for lack of memory"
            sys.exit(f"{why}: the finished runs are kept; try fewer --processes")


def command_line(description):
    """A parser for the flags that the experiments share."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    what = "make what the published tables lack, or SEEDS runs of each network"
    parser.add_argument(
        "--train", nargs="?", type=int, const=0, metavar="SEEDS", help=what
    )
    cores = min(4, os.cpu_count())
    parser.add_argument("--processes", type=int, default=cores, help="1.2 GB each")
    return parser


def main(parser, plan, tables, draw=None):
    """Make what is missing of `plan` if asked, print the tables, draw the picture."""
    args = parser.parse_args()
    if args.processes < 1 or (args.train or 0) < 0:
        parser.error("need --processes of at least 1, SEEDS of at least 1")
    if hasattr(sys.stdout, "reconfigure"):  # a terminal may lack a character
        sys.stdout.reconfigure(errors="replace")
    if args.train is not None:
        jobs = missing(plan, args.train)
        print(f"{len(jobs)} runs are missing", flush=True)
        if jobs:
            make(jobs, args.processes)
    for name, rows in tables().items():
        print(name, markdown(rows), sep="\n")
    if draw:
        draw()
