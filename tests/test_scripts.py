"""Each script as a user starts it, and what a user is told when something goes wrong."""

import errno
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ROOT, SCRIPTS, files
from matplotlib.figure import Figure

import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

PIPES = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 900}


def run(script, *flags, monkeypatch):
    """Run a script within this process, as a notebook does; return what it defines."""
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *flags])
    return runpy.run_path(str(ROOT / f"{script}.py"), run_name="__main__")


def accuracies(output):
    """The list of accuracies (%) that each network of a run ended with."""
    lists = re.findall(r"^\[[\d., ]+\](?=$| \()", output, re.MULTILINE)
    return list(map(literal_eval, lists))


@pytest.mark.parametrize("data", ["tmp_path", "full_mnist"])
def test_the_scripts_print_plot_and_save(data, tmp_path, request):
    folder, full = request.getfixturevalue(data), data == "full_mnist"

    def start(script):
        flags = ["--epochs", "1", "--data", folder, "--out", tmp_path / script]
        if full and script == "residual_variants":
            flags += ["--blocks", "conv-shortcut"]  # two would take long
        command = [sys.executable, f"{script}.py", *flags]
        return subprocess.run(command, check=False, **PIPES)

    with ThreadPoolExecutor(2) as pool:  # an epoch of the full set is long
        runs = list(pool.map(start, SCRIPTS))
    for script, networks, done in zip(SCRIPTS, (1, 1, 2 - full), runs):
        assert done.returncode == 0, done.stderr
        output = done.stdout
        epoch = r"^\[1/1\] Accuracy on test set: (\d+\.\d\d) %  \(\d+\.\d s\)$"
        printed = [[float(a)] for a in re.findall(epoch, output, re.MULTILINE)]
        assert printed == accuracies(output)
        if full:
            assert output.count("] loss: ") == 3 * networks
            assert all(accuracy >= 90 for [accuracy] in printed)
        else:
            assert "MNIST could not be loaded" in output
            assert output.count("] (a sample of 5,000 digits)\n") == networks

        named = re.findall("\nPlot: (.*), checkpoint: (.*)$", output, re.MULTILINE)
        assert len(named) == len(printed) == networks
        assert {*map(str, (tmp_path / script).iterdir())} == set(sum(named, ()))
        for (plot, file), [accuracy] in zip(named, printed):
            assert plt.imread(plot).std() > 0.05  # something is drawn
            checkpoint = torch.load(file, weights_only=True)
            assert checkpoint.keys() == {"state_dict", "epoch", "accuracy"}
            assert (checkpoint["epoch"], checkpoint["accuracy"]) == (1, accuracy)


def test_the_seed_decides(places):
    flags = ["--epochs", "2", *places, "--seed"]
    first, again, other = (resnet_mnist.main([*flags, seed]) for seed in "001")
    assert first == again != other
    assert [len(curve) for curve in first] == [2, 2]


def test_best_epoch_is_kept(places, tmp_path, monkeypatch):
    results = iter([50.0, 70.0, 60.0])
    monkeypatch.setattr(resnet_mnist, "test", lambda *_: next(results))
    assert resnet_mnist.main(["--epochs", "3", *places])[1] == [50.0, 70.0, 60.0]
    checkpoint = torch.load(tmp_path / "resnet_mnist.pt", weights_only=True)
    assert (checkpoint["epoch"], checkpoint["accuracy"]) == (2, 70.0)


def test_a_run_of_another_depth_keeps_its_own_files(places, tmp_path):
    flags = ["--blocks", "original", "--epochs", "1", *places]
    residual_variants.main(flags)
    before = files(tmp_path)
    curves = residual_variants.main([*flags, "--depth", "2"])
    assert list(curves) == ["original-depth-2"]
    after = files(tmp_path)
    assert {name: after.pop(name) for name in before} == before
    ends = ["-depth-2.png", "_original-depth-2.pt"]
    assert sorted(after) == [f"residual_variants{end}" for end in ends]


def legend():
    """The names beside the curves of the last plot."""
    return [text.get_text() for text in plt.gcf().legends[0].get_texts()]


def test_all_blocks_train_and_their_curves_can_be_told_apart(places, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", Mock())  # sixteen pictures take long
    curves = residual_variants.main(["--blocks", "all", "--epochs", "1", *places])
    assert list(curves) == list(BLOCKS)
    # A curve of the notes is there once, and named after the block that made it.
    slips = ["constant-scaling-published", "conv-shortcut-published"]
    assert legend() == [*BLOCKS, *(f"{block}, the notes" for block in slips)]
    accuracy, loss = plt.gcf().axes
    looks = [(line.get_color(), line.get_marker()) for line in accuracy.lines]
    assert len(set(looks)) == len(looks) == len(BLOCKS) + 2
    assert len(loss.lines) == len(BLOCKS)


def test_a_plot_of_the_sample_says_so_and_has_no_curve_of_the_notes(places, tmp_path):
    resnet_mnist.main(["--epochs", "1", *places])
    assert legend() == ["ResNet", "the notes"]
    assert plt.gcf().axes[0].get_title() == "MNIST"
    empty = ["--data", str(tmp_path / "empty")]
    resnet_mnist.main(["--epochs", "1", *places, *empty])
    assert legend() == ["ResNet"]
    assert plt.gcf().axes[0].get_title() == "MNIST (a sample of 5,000 digits)"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_session_stays_as_it_was(script, places, monkeypatch):
    printed, shown = [], []
    # Where a notebook, Spyder or IDLE prints to can't do all that a file can.
    stream = SimpleNamespace(write=printed.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(resnet_mnist.plt, "show", lambda: shown.append("plot"))
    before = signal.getsignal(signal.SIGINT), socket.getdefaulttimeout()
    names = run(script, "--epochs", "1", *places, monkeypatch=monkeypatch)
    assert (signal.getsignal(signal.SIGINT), socket.getdefaulttimeout()) == before
    assert sys.stdout is stream
    assert shown == ["plot"]
    assert "Net" in names
    assert len(accuracies("".join(printed))) == (2 if "variants" in script else 1)


def test_a_script_runs_in_a_notebook(tiny_mnist, tmp_path, monkeypatch):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setattr(resnet_mnist, "train", lambda *_: 0.5)
    resnet_mnist.main()  # with its own flags, not the kernel's
    assert files(tmp_path / "results").keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


# When something goes wrong


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--epochs 0", "need --epochs >= 1, --batch-size 1..60000"),
        ("--epochs ten", "--epochs: invalid int value: 'ten'"),
        ("--batch-size 0", "--batch-size"),
        ("--batch-size 99999999999999999999", "--batch-size 1..60000"),
        ("--seed 18446744073709551616", "--seed 0..2**64-1"),
        ("--lr 1e300", "--lr above 0 and below 1e38"),
        ("--lr inf", "--lr"),
        ("--momentum 1", "--momentum"),
        ("--device cuda", "--device: invalid choice: 'cuda' (choose from"),
        ("--blocks dens", "dense"),
        ("--depth 0", "--depth must be at least 1"),
    ],
)
def test_wrong_command_line(flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        residual_variants.main(flags.split())
    output, errors = capsys.readouterr()
    assert output == ""
    assert ": error: " in errors.splitlines()[-1]
    assert words in errors.splitlines()[-1]
    assert files(tmp_path) == {}


def test_loss_that_is_not_finite(places, tmp_path, monkeypatch):
    largest = ["--lr", "9e37", "--batch-size", "60000", "--seed", str(2**64 - 1)]
    with pytest.raises(SystemExit, match=r"The loss is (nan|inf) in epoch 2: .* --lr"):
        resnet_mnist.main([*largest, *places])
    losses = iter([0.5, 0.4, float("nan")])
    monkeypatch.setattr(resnet_mnist, "train", lambda *_: next(losses))
    with pytest.raises(SystemExit, match="The loss is nan in epoch 3"):
        resnet_mnist.main(places)
    assert files(tmp_path).keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


def test_out_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^[^\n]*file'[^\n]* another --out$"):
        run("resnet_mnist", "--out", str(tmp_path / "file"), monkeypatch=monkeypatch)


def test_an_error_elsewhere_brings_no_advice_on_folders(places, monkeypatch):
    monkeypatch.setattr(plt, "show", Mock(side_effect=OSError("libGL.so: not found")))
    with pytest.raises(SystemExit, match="^libGL.so: not found$"):
        run("resnet_mnist", "--epochs", "1", *places, monkeypatch=monkeypatch)


def test_a_disk_that_fills_leaves_the_former_checkpoint(places, tmp_path, monkeypatch):
    resnet_mnist.main(["--epochs", "1", *places])
    before = files(tmp_path)["resnet_mnist.pt"]

    def save(content, file):
        with open(file, "wb") if isinstance(file, Path) else file as f:
            f.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(SystemExit, match=r"^[^\n]*No space left[^\n]* another --out$"):
        run("resnet_mnist", *places, monkeypatch=monkeypatch)
    assert files(tmp_path)["resnet_mnist.pt"] == before
    monkeypatch.undo()
    resnet_mnist.main(["--epochs", "1", *places])
    assert files(tmp_path).keys() == {"resnet_mnist.pt", "resnet_mnist.png"}


@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c(script, epochs, places, tmp_path, monkeypatch, capsys):
    orders = [torch.arange(334)] * epochs + [KeyboardInterrupt]
    monkeypatch.setattr(torch, "randperm", Mock(side_effect=orders))
    with pytest.raises(SystemExit, match="130"):
        run(script, *places, monkeypatch=monkeypatch)
    output, errors = capsys.readouterr()
    assert errors == "Interrupted\n"
    assert output.count("Plot: ") == len(accuracies(output)) == bool(epochs)
    assert len(files(tmp_path)) == 2 * bool(epochs)


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix")
def test_a_reader_that_stops_reading_stops_the_script_in_silence(places):
    flags = shlex.join([sys.executable, "resnet_mnist.py", "--epochs", "20", *places])
    done = subprocess.run(f"{flags} | head -1", shell=True, check=False, **PIPES)
    assert done.stdout.startswith("ResNet")
    assert done.stdout.count("\n") == 1
    assert "rror" not in done.stderr
