"""Each script as a user starts it, and what a user is told when something goes wrong."""

import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ROOT, SCRIPTS, files

import residual_variants
import resnet_mnist
from residual_variants import BLOCKS


@pytest.fixture
def start():
    """Start a script as a user does; it is killed when its time is over."""
    processes, timers = [], []

    def start(script, *flags, seconds=120):
        command = [sys.executable, f"{script}.py", *map(str, flags)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=ROOT, **pipes))
        timers.append(Timer(seconds, processes[-1].kill))
        timers[-1].start()
        return processes[-1]

    yield start
    for process, timer in zip(processes, timers):
        timer.cancel()
        process.kill()


def run(script, *flags, monkeypatch):
    """Run a script within this process, as a notebook does; return what it defines."""
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *flags])
    return runpy.run_path(str(ROOT / f"{script}.py"), run_name="__main__")


def accuracies(output):
    """The list of accuracies (%) that each network of a run ended with."""
    lists = re.findall(r"^\[[\d., ]+\](?=$| \()", output, re.MULTILINE)
    return list(map(literal_eval, lists))


def assert_whole(folder):
    """Assert that every plot and every checkpoint in a folder is whole."""
    for plot in folder.glob("*.png"):
        assert plt.imread(plot).std() > 0.05  # something is drawn
    for checkpoint in folder.glob("*.pt"):
        torch.load(checkpoint, weights_only=True)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("data", ["tmp_path", "full_mnist"])
def test_a_script_prints_plots_and_saves(script, data, start, tmp_path, request):
    folder, out = request.getfixturevalue(data), tmp_path / "results"
    flags = ["--epochs", "1", "--data", folder, "--out", out]
    process = start(script, *flags, seconds=1200)
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    networks = 2 if "variants" in script else 1
    epoch = r"^Accuracy on test set: (\d+\.\d\d) %  \(\d+\.\d s\)$"
    printed = [[float(a)] for a in re.findall(epoch, output, re.MULTILINE)]
    assert printed == accuracies(output)
    assert len(printed) == networks
    if data == "full_mnist":
        assert output.endswith("]\n")
        assert output.count("] loss: ") == 3 * networks
        assert all(accuracy >= 90 for [accuracy] in printed)
    else:
        assert "MNIST could not be loaded" in output
        assert output.endswith("] (a sample of 5,000 digits)\n")

    checkpoints = sorted(out.glob(f"{script}*.pt"))
    assert {*out.iterdir()} == {out / f"{script}.png", *checkpoints}
    assert_whole(out)
    assert len(checkpoints) == networks
    for file, [accuracy] in zip(checkpoints, printed):
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


def test_all_blocks_train_and_a_depth_can_be_given(places, tmp_path):
    flags = ["--blocks", "all", "--depth", "2", "--epochs", "1"]
    curves = residual_variants.main([*flags, *places])
    assert list(curves) == [f"{name}, depth 2" for name in BLOCKS]
    assert_whole(tmp_path)
    assert {file.stem.split("_")[2] for file in tmp_path.glob("*.pt")} == set(BLOCKS)


def test_a_curve_of_the_notes_bears_the_name_of_the_block_that_made_it(places):
    residual_variants.main(["--epochs", "1", *places])
    legend = plt.gcf().axes[0].get_legend().get_texts()
    made_by_slip = [text.get_text() for text in legend][1::2]
    blocks = ["constant-scaling-published", "conv-shortcut-published"]
    assert made_by_slip == [f"{block}, the notes" for block in blocks]


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


def test_a_script_runs_pasted_into_a_notebook(tiny_mnist, tmp_path, monkeypatch):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    kernel = shutil.copy(ROOT / "resnet_mnist.py", "ipykernel_launcher.py")
    monkeypatch.setattr(sys, "argv", [kernel, "-f", "kernel.json"])  # not our flags
    runpy.run_path(kernel, run_name="__main__")
    assert files(tmp_path / "results").keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


# When something goes wrong


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--epochs 0", "--epochs and --batch-size must be at least 1"),
        ("--epochs ten", "--epochs: invalid int value: 'ten'"),
        ("--batch-size 0", "--batch-size"),
        ("--lr 0", "--lr"),
        ("--lr inf", "--lr"),
        ("--momentum 1", "--momentum"),
        ("--device cuda", "--device: invalid choice: 'cuda' (choose from"),
        ("--speed 9", "--speed"),
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
    with pytest.raises(SystemExit, match=r"The loss is (nan|inf) in epoch 1: .* --lr"):
        resnet_mnist.main(["--lr", "1e9", *places])
    assert files(tmp_path) == {}
    losses = iter([0.5, 0.4, float("nan")])
    monkeypatch.setattr(resnet_mnist, "train", lambda *_: next(losses))
    with pytest.raises(SystemExit, match="The loss is nan in epoch 3"):
        resnet_mnist.main(places)
    assert files(tmp_path).keys() == {"resnet_mnist.png", "resnet_mnist.pt"}
    assert_whole(tmp_path)


def test_out_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^[^\n]*file'[^\n]* with --out$"):
        run("resnet_mnist", "--out", str(tmp_path / "file"), monkeypatch=monkeypatch)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full of Linux")
def test_full_disk(places, tmp_path, monkeypatch):
    resnet_mnist.main(["--epochs", "1", *places])
    before = files(tmp_path)
    (tmp_path / "resnet_mnist.tmp").symlink_to("/dev/full")
    with pytest.raises(SystemExit, match=r"^[^\n]*No space left[^\n]* with --out$"):
        run("resnet_mnist", *places, monkeypatch=monkeypatch)
    (tmp_path / "resnet_mnist.tmp").unlink()
    assert files(tmp_path) == before


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix")


def stop(process, number, line, times=1):
    """Send a signal when a line has been printed so many times; return the output."""
    output = ""
    while output.count(line) < times:
        output += process.stdout.readline() or pytest.fail(process.stderr.read())
    process.send_signal(number)
    rest, errors = process.communicate()
    return output + rest, errors


@needs_signals
@pytest.mark.parametrize("script", ["googlenet_mnist", "residual_variants"])
def test_ctrl_c(script, places, start, tmp_path):
    process = start(script, "--epochs", "100000", *places)
    output, errors = stop(process, signal.SIGINT, "Accuracy", times=2)
    assert (process.returncode, errors.count("\n")) == (130, 1)
    assert errors.startswith("Interrupted")
    assert (tmp_path / f"{script}.png").exists()
    assert_whole(tmp_path)
    [checkpoint] = tmp_path.glob("*.pt")
    finished = re.findall(r"set: ([\d.]+) %", output)
    best = torch.load(checkpoint, weights_only=True)["accuracy"]
    assert best == max(map(float, finished))


@needs_signals
def test_ctrl_c_before_the_first_epoch_is_finished(places, start, tmp_path):
    process = start("resnet_mnist", "--batch-size", "1", *places)
    _, errors = stop(process, signal.SIGINT, "parameters")
    assert (process.returncode, errors.count("\n")) == (130, 1)
    assert files(tmp_path) == {}


@needs_signals
def test_kill_leaves_no_half_checkpoint(places, start, tmp_path):
    process = start("resnet_mnist", "--epochs", "100000", *places)
    stop(process, signal.SIGKILL, "Accuracy", times=3)
    assert_whole(tmp_path)
    (tmp_path / "resnet_mnist.tmp").write_bytes(b"half of a checkpoint")
    resnet_mnist.main(["--epochs", "1", *places])
    assert files(tmp_path).keys() == {"resnet_mnist.pt", "resnet_mnist.png"}
