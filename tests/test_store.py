"""The store of finished runs: what it lacks, how it is read, how runs are made."""

import json
import math
import os
import shutil
import subprocess
import sys
from importlib import import_module
from unittest.mock import Mock

import pytest
import torch
from conftest import ROOT, SCRIPTS
from made_up import a_run

import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

sys.path.insert(0, str(ROOT / "experiments"))

import pages
import runs

GROUP = runs.Runs({"ResNet": resnet_mnist.Net}, epochs=10, seeds=3)
TWO = runs.Runs(dict.fromkeys(["a", "b"]), epochs=10, seeds=2)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store."""
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs.jsonl")
    return runs.RUNS


@pytest.fixture
def keep(store):
    """Put made-up runs into the store: of this device, if they say nothing else."""

    def put(*found):
        lines = [json.dumps({**a_run(device=runs.NAME), **run}) for run in found]
        store.write_text("".join(f"{line}\n" for line in lines))

    return put


@pytest.fixture
def digits(tiny_mnist, monkeypatch):
    """(training set, test set) of few digits in place of the full MNIST."""
    *sets, _ = resnet_mnist.load_mnist(tiny_mnist, "cpu")
    monkeypatch.setattr(runs, "load", lambda device: sets)
    return sets


# What is published


@pytest.mark.parametrize("script", pages.SCRIPTS)
def test_the_store_has_what_is_published(script):
    jobs = runs.missing(import_module(script).PLAN)
    lacking = [(job.network, job.seed, job.group.lr) for job in jobs]
    assert lacking == [], f"python experiments/{script}.py --train makes them"


def test_every_run_of_the_store_is_read_by_a_table(monkeypatch):
    read = []

    def noted(function):
        def call(group):
            found = function(group)
            read.extend(run for nets in found.values() for run in nets)
            return found

        return call

    for name in ("read", "read_every_device"):
        monkeypatch.setattr(runs, name, noted(getattr(runs, name)))
    pages.all_tables()
    for run in runs.parse(runs.RUNS.read_bytes()):
        assert run in read, "read it in a table or delete it from the store"


# What is missing


def missing(group, seeds=None):
    return [job.seed for job in runs.missing({"group": group}, seeds)]


def test_of_a_group_without_runs_every_seed_is_missing(store):
    assert missing(GROUP) == [0, 1, 2]


def test_a_finished_run_is_not_made_again(keep):
    keep({"seed": 0}, {"seed": 2})
    assert missing(GROUP) == [1]


@pytest.mark.parametrize(
    "other", [{"network": "x"}, {"epochs": 5}, {"lr": 0.05}, {"clip": 1}]
)
def test_a_run_that_was_made_otherwise_is_none_of_the_group(other, keep):
    keep(other)
    assert missing(GROUP) == [0, 1, 2]


def test_a_group_finished_on_another_device_is_not_made_again(keep):
    keep(*({"seed": seed, "device": "other"} for seed in range(3)))
    assert missing(GROUP) == []


def test_a_group_half_finished_on_another_device_is_made_here_whole(keep):
    keep({"seed": 0, "device": "other"}, {"seed": 1, "device": "other"}, {"seed": 2})
    assert missing(GROUP) == [0, 1]


def test_more_seeds_than_are_published_can_be_asked_for(keep):
    keep(*({"seed": seed} for seed in range(3)))
    assert missing(GROUP) == []
    assert missing(GROUP, seeds=5) == [3, 4]


def test_fewer_seeds_than_are_published_can_be_asked_for(store):
    assert missing(GROUP, seeds=1) == [0]


def test_an_untrained_net_is_measured_once_whatever_is_asked_for(store):
    assert missing(GROUP._replace(epochs=0, seeds=1), seeds=5) == [0]


def test_a_clipped_group_has_its_own_runs(keep):
    keep({"seed": 0, "clip": 1}, {"seed": 1})
    assert missing(GROUP._replace(clip=1)) == [1, 2]


def test_a_run_of_two_groups_is_made_once(store):
    assert len(runs.missing({"one": GROUP, "two": GROUP})) == 3


def test_a_run_is_made_again_with_what_was_measured_of_it_before(keep):
    keep({"seed": 0, "measured": {"errors": []}}, {"seed": 1})
    group = GROUP._replace(measure="derivative", seeds=2)
    scripts = [job.scripts for job in runs.missing({"group": group})]
    assert scripts == [["derivative", "errors"], ["derivative"]]


# Reading


def test_runs_are_read_in_the_order_of_their_seeds(keep):
    keep({"seed": 2}, {"seed": 0}, {"seed": 11})
    assert [run["seed"] for run in runs.read(GROUP)["ResNet"]] == [0, 2, 11]


def on(device, network, seeds):
    """So many runs of a network on a device."""
    run = {"device": device, "network": network}
    return [{**run, "seed": seed} for seed in range(seeds)]


def test_a_group_is_read_from_the_device_whose_rarest_network_has_most_seeds(keep):
    keep(*on("A", "a", 9), *on("A", "b", 1), *on("B", "a", 2), *on("B", "b", 2))
    found = runs.read(TWO)
    assert {run["device"] for run in found["a"] + found["b"]} == {"B"}


def test_a_group_is_not_put_together_from_two_devices(keep):
    keep(*on("A", "a", 2), *on("B", "b", 2))
    with pytest.raises(SystemExit):
        runs.read(TWO)


def test_every_device_can_be_read_one_after_the_other(keep):
    keep({"device": "A"}, {"device": "B"}, {"device": "A", "seed": 1})
    found = runs.read_every_device(GROUP)["ResNet"]
    assert [(run["device"], run["seed"]) for run in found] == [
        ("A", 0),
        ("A", 1),
        ("B", 0),
    ]


def test_a_run_without_the_measure_is_not_read(keep):
    keep({"seed": 0}, {"seed": 1, "measured": {"errors": []}})
    found = runs.read(GROUP._replace(measure="errors"))
    assert [run["seed"] for run in found["ResNet"]] == [1]


@pytest.mark.parametrize("read", [runs.read, runs.read_every_device])
def test_a_missing_run_ends_in_a_line_that_names_it_and_train(read, store):
    with pytest.raises(SystemExit, match=r"ResNet.*0\.01.*--train"):
        read(GROUP)


BAD = [b"half a li", b"[1, 2]", b"5", b'{"network": "ResNet"}', b"\xff\xfe{", b"\n{}"]


@pytest.mark.parametrize("text", BAD)
def test_a_line_that_is_no_run_is_named(text, keep):
    keep({})
    runs.RUNS.write_bytes(runs.RUNS.read_bytes() + text)
    with pytest.raises(SystemExit, match=r"^[^\n]*runs\.jsonl[^\n]*\b2\b[^\n]*$"):
        runs.read(GROUP)


# Making a run


def job(build, seed=0, scripts=(), **group):
    """A job of one epoch, if nothing else is said."""
    group = runs.Runs({"net": build}, **{"epochs": 1, **group})
    return runs.Job("net", seed, group, scripts)


def test_a_run_is_what_the_script_does(places, digits):
    block = BLOCKS["conv-shortcut"]
    run = runs.train(job(lambda: residual_variants.Net(block), 3, epochs=2, lr=0.05))
    flags = [
        "--blocks",
        "conv-shortcut",
        "--epochs",
        "2",
        "--lr",
        "0.05",
        "--seed",
        "3",
    ]
    [(losses, accuracies)] = residual_variants.main([*flags, *places]).values()
    assert run["losses"] == [round(loss, 4) for loss in losses]
    assert run["accuracies"] == accuracies


def test_a_run_says_how_it_was_made(digits):
    run = runs.train(job(resnet_mnist.Net, 3, lr=0.05, clip=1))
    made_so = {"network": "net", "seed": 3, "epochs": 1, "lr": 0.05, "clip": 1}
    assert {key: run[key] for key in made_so} == made_so
    assert (run["device"], run["torch"]) == (runs.NAME, torch.__version__)
    assert run.keys() == runs.KEYS


def test_the_trained_net_is_measured(digits):
    run = runs.train(job(resnet_mnist.Net, scripts=["errors"], epochs=2))
    assert len(run["measured"]["errors"]) == 100 - run["accuracies"][-1]


def test_a_net_of_no_epochs_is_measured_untrained(digits):
    run = runs.train(job(resnet_mnist.Net, scripts=["errors"], epochs=0))
    assert (run["losses"], run["accuracies"]) == ([], [])
    torch.manual_seed(0)
    accuracy = resnet_mnist.test(resnet_mnist.Net(), *digits[1])
    assert len(run["measured"]["errors"]) == 100 - accuracy


def test_a_gradient_clipped_to_nearly_nothing_leaves_the_net_as_it_was(digits):
    run = runs.train(job(resnet_mnist.Net, lr=0.5, clip=1e-9))
    torch.manual_seed(0)
    assert run["accuracies"] == [resnet_mnist.test(resnet_mnist.Net(), *digits[1])]


def weights(net):
    return torch.cat([part.detach().flatten() for part in net.parameters()])


def test_it_is_the_norm_of_the_gradient_that_is_clipped(digits, monkeypatch):
    one_batch = [(images[:64], labels[:64]) for images, labels in digits]
    monkeypatch.setattr(runs, "load", lambda device: one_batch)
    net = resnet_mnist.Net()
    before = weights(net)
    runs.train(job(lambda: net, lr=1, clip=0.01))
    moved = (weights(net) - before).norm().item()
    assert moved == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_run_that_diverges_is_kept_without_figures(loss, digits, monkeypatch):
    monkeypatch.setattr(resnet_mnist, "train", Mock(side_effect=[0.5, loss]))
    run = runs.train(job(resnet_mnist.Net, scripts=["errors"], epochs=3))
    assert (run["losses"], run["accuracies"], run["measured"]) == ([], [], {})


@pytest.mark.parametrize("make", [runs.train, lambda job: runs.make([job], 1)])
def test_without_the_full_mnist_no_run_is_made(make, tmp_path, monkeypatch, store):
    monkeypatch.setattr(runs, "DATA", tmp_path / "empty")  # so that there is a sample
    monkeypatch.setattr(runs, "load", runs.load.__wrapped__)
    with pytest.raises(SystemExit, match=r"^[^\n]*full MNIST[^\n]*empty[^\n]*$"):
        make(job(resnet_mnist.Net))
    assert not store.exists()


# Making many


def test_a_cut_last_line_gets_its_end_before_the_next_is_appended(store, digits):
    store.write_text("cut")
    runs.make([job(resnet_mnist.Net)], 1)
    first, second = store.read_text("utf-8").splitlines()
    assert (first, json.loads(second)["network"]) == ("cut", "net")


def test_a_run_is_kept_before_the_next_is_made(store, digits):
    kept = []

    def build():
        kept.append(store.read_text("utf-8").count("\n"))
        return resnet_mnist.Net()

    runs.make([job(build, seed) for seed in (0, 1, 2)], 1)
    assert kept == [0, 1, 2]


TWO_PROCESSES = """
import os, signal, sys, time
from pathlib import Path
from types import SimpleNamespace

import runs

def train(job):
    if job.seed > 0:
        while not store.read_text():  # until the first run is kept
            time.sleep(0.1)
        if end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(os.getpgrp(), signal.SIGINT)  # as Ctrl-C does in a terminal
        time.sleep(1000)
    return {"network": "x", "seed": job.seed, "accuracies": []}

signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's "&" ignored
store, end = Path(sys.argv[1]), sys.argv[2]
runs.RUNS, runs.train, runs.load = store, train, lambda device: None
group = SimpleNamespace(epochs=1)
runs.make([SimpleNamespace(seed=seed, group=group) for seed in (0, 1)], 2)
"""


def two_processes(end, store):
    """Let two processes make a run each, the second with this end; return its line."""
    if os.name == "nt":
        pytest.skip("Windows has neither signal")
    command = [sys.executable, "-c", TWO_PROCESSES, str(store), end]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "experiments")}
    how = {"env": environment, "start_new_session": True, "timeout": 100}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    return line


def test_a_killed_process_ends_in_one_line_and_keeps_the_finished_runs(store):
    assert "killed" in two_processes("killed", store)
    [line] = store.read_text("utf-8").splitlines()
    assert json.loads(line)["seed"] == 0


def test_ctrl_c_ends_in_one_line_and_keeps_the_finished_runs(store):
    assert "Interrupted" in two_processes("ctrl-c", store)
    [line] = store.read_text("utf-8").splitlines()
    assert json.loads(line)["seed"] == 0


@pytest.fixture
def place(tiny_mnist, tmp_path):
    """A copy of experiments/ and of what they need, with few digits and one run."""
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    for script in SCRIPTS:
        shutil.copy(ROOT / f"{script}.py", tmp_path)
    run = a_run(device=runs.NAME, measured={"depth": 1})
    (tmp_path / "experiments" / "runs.jsonl").write_text(f"{json.dumps(run)}\n")
    return tmp_path


def test_a_process_makes_what_is_missing_and_prints_the_table(place):
    flags = ["experiments/errors.py", "--train", "1", "--processes", "1"]
    pipes = {"capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([sys.executable, *flags], cwd=place, check=False, **pipes)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nerrors\n| 1, {runs.NAME} | " in done.stdout
    store = place / "experiments" / "runs.jsonl"
    _, new = map(json.loads, store.read_text("utf-8").splitlines())
    assert new["measured"].keys() == {"depth", "errors"}
    assert len(new["accuracies"]) == 10


# The command line


@pytest.fixture
def call(monkeypatch, store):
    """Call main with these flags; return the jobs that it makes."""

    def with_flags(*flags, tables=dict):
        monkeypatch.setattr(sys, "argv", ["x", *flags])
        monkeypatch.setattr(runs, "make", Mock())
        runs.main(runs.command_line("text"), {"group": GROUP}, tables)
        return [job for call in runs.make.call_args_list for job in call[0][0]]

    return with_flags


def test_train_makes_what_is_published(call):
    assert [job.seed for job in call("--train")] == [0, 1, 2]


def test_train_makes_as_many_seeds_as_are_asked_for(call):
    assert [job.seed for job in call("--train", "5")] == [0, 1, 2, 3, 4]


def test_each_table_stands_below_its_name(call, capsys):
    call(tables=lambda: {"name": [["a", 1]], "other": [["b", 2]]})
    assert capsys.readouterr().out == "name\n| a | 1 |\n\nother\n| b | 2 |\n\n"


@pytest.mark.parametrize("flag", ["--processes=0", "--train=-1"])
def test_a_number_too_small_is_refused(flag, call, capsys):
    with pytest.raises(SystemExit):
        call(flag)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "--processes" in last
    assert "SEEDS" in last
