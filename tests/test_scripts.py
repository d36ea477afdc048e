"""Each script as a user starts it, and what a user is told when something goes wrong."""

import argparse
import json
import math
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from ast import literal_eval
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from conftest import MODULES, ROOT, SCRIPTS, files
from matplotlib.figure import Figure

import googlenet_mnist
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


def accuracy_of(file, net, folder):
    """What a checkpoint's net gets right (%) of the test set in `folder`."""
    net.load_state_dict(torch.load(file, weights_only=True)["state_dict"])
    images, labels = resnet_mnist.load_mnist(folder, "cpu")[1]
    with torch.inference_mode():
        answers = [net.eval()(x).argmax(dim=1) for x in images.split(500)]
    return round(100 * (torch.cat(answers) == labels).float().mean().item(), 2)


NETS = {"googlenet_mnist": googlenet_mnist.Net, "resnet_mnist": resnet_mnist.Net}
for name in ("constant-scaling", "conv-shortcut"):
    build = partial(residual_variants.Net, BLOCKS[name])
    NETS[f"residual_variants_{name}"] = build


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
        for (_, file), [accuracy] in zip(named, printed):
            checkpoint = torch.load(file, weights_only=True)
            assert checkpoint.keys() == {"state_dict", "epoch", "accuracy"}
            assert (checkpoint["epoch"], checkpoint["accuracy"]) == (1, accuracy)
            assert accuracy_of(file, NETS[Path(file).stem](), folder) == accuracy


def test_a_run_is_the_loop_of_the_notes(tiny_mnist, places, tmp_path):
    """With BN, the second of two blocks, and no flag at its default."""
    flags = "--epochs 3 --lr 0.03 --momentum 0.8 --batch-size 50 --seed 7 --depth 2"
    flags = [*flags.split(), "--blocks", "plain", "original-bn", *places]
    losses, accuracies = residual_variants.main(flags)["original-bn-depth-2"]

    (images, labels), test_set, _ = resnet_mnist.load_mnist(tiny_mnist, "cpu")
    torch.manual_seed(7)
    net = residual_variants.Net(BLOCKS["original-bn"], 2)
    net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.8)
    for loss, accuracy in zip(losses, accuracies):
        net.train()
        of_batches = []
        for batch in torch.randperm(len(images)).split(50):
            optimizer.zero_grad()
            of_batches.append(F.cross_entropy(net(images[batch]), labels[batch]))
            of_batches[-1].backward()
            optimizer.step()
        answers = net.eval()(test_set[0]).argmax(dim=1)
        assert loss == pytest.approx(sum(of_batches).item() / len(of_batches))
        assert accuracy == (answers == test_set[1]).sum().item()  # of 100 digits
    assert len(losses) == len(accuracies) == 3
    # Beside a run of another depth, not over it.
    names = ["-depth-2.png", "_plain-depth-2.pt", "_original-bn-depth-2.pt"]
    assert files(tmp_path).keys() == {f"residual_variants{name}" for name in names}


def test_the_best_epoch_is_kept_the_first_of_equals(places, tmp_path, monkeypatch):
    results, seen = iter([50.0, 70.0, 70.0, 60.0]), []

    def test(net, *_):
        seen.append({k: v.clone() for k, v in net.state_dict().items()})
        return next(results)

    monkeypatch.setattr(resnet_mnist, "test", test)
    resnet_mnist.main(["--epochs", "4", *places])
    checkpoint = torch.load(tmp_path / "resnet_mnist.pt", weights_only=True)
    assert (checkpoint["epoch"], checkpoint["accuracy"]) == (2, 70.0)
    torch.testing.assert_close(checkpoint["state_dict"], seen[1], rtol=0, atol=0)


def test_a_checkpoint_has_tensors_of_the_cpu(tmp_path):
    net = resnet_mnist.Net().to("meta")  # a device whose tensors have no data to copy
    with pytest.raises(NotImplementedError):
        resnet_mnist.save_checkpoint(tmp_path / "x.pt", net, 1, 50.0)


@pytest.mark.parametrize("module", MODULES)
def test_defaults_are_those_of_readme(module):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"\n\| `--([a-z-]+)` \| `?([\w./]+)`? \|", readme))
    parser = argparse.ArgumentParser()
    args = vars(module.parse_command_line(parser, []))
    assert parser.format_help().isascii()  # for any terminal
    assert args.pop("device") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert len(args) == 7
    for name, value in args.items():
        assert str(value) == table[name.replace("_", "-")]


# The plot


def legend():
    """The names beside the curves of the last plot."""
    return [text.get_text() for text in plt.gcf().legends[0].get_texts()]


def test_the_plot_shows_the_accuracies_and_the_losses(places, tmp_path):
    losses, accuracies = resnet_mnist.main(["--epochs", "2", *places])
    left, right = plt.gcf().axes
    [ours, notes], [loss] = left.lines, right.lines
    assert list(ours.get_xdata()) == list(loss.get_xdata()) == [1, 2]
    assert list(ours.get_ydata()) == accuracies
    assert list(loss.get_ydata()) == losses
    assert list(notes.get_ydata()) == resnet_mnist.CURVE
    assert list(notes.get_xdata()) == list(range(1, 11))
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    assert left.get_ylabel() == "accuracy on test set (%)"
    assert right.get_ylabel() == "mean loss of the epoch"
    assert legend() == ["ResNet", "the notes"]
    assert left.get_title() == "MNIST"
    resnet_mnist.main(["--epochs", "1", *places, "--data", str(tmp_path / "empty")])
    assert legend() == ["ResNet"]  # the notes did not train on the sample
    assert plt.gcf().axes[0].get_title() == "MNIST (a sample of 5,000 digits)"


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


def test_the_curves_are_those_of_the_notes():
    notes = ROOT.parent / "shared" / "notes.txt"
    if not notes.exists():
        pytest.skip("needs the notes beside the repository")
    lists = re.findall(r"^\[9[\d., ]+\]$", notes.read_text("utf-8"), re.MULTILINE)
    curves = [googlenet_mnist.CURVE, resnet_mnist.CURVE]
    curves += [curve for _, curve in residual_variants.NOTES.values()]
    assert list(map(json.loads, lists)) == curves
    assert residual_variants.NOTES.keys() == {
        "constant-scaling-published, the notes",
        "conv-shortcut-published, the notes",
    }


# Where it runs


@pytest.mark.parametrize("module", MODULES)
def test_a_script_runs_in_a_notebook(module, tiny_mnist, tmp_path, monkeypatch):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    # Where a notebook, Spyder or IDLE prints to can't do all that a file can.
    printed, show = [], Mock()
    stream = SimpleNamespace(write=printed.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(plt, "show", show)
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setattr(module, "train", lambda *_: 0.5)
    module.main()  # with its own flags, not the kernel's
    assert sys.stdout is stream
    assert show.call_count == 1
    networks = 2 if module is residual_variants else 1
    assert len(accuracies("".join(printed))) == networks
    assert len(files(tmp_path / "results")) == networks + 1


# When something goes wrong


WRONG = {  # flags: what a user is told
    "--epochs 0": "need --epochs >= 1, --batch-size 1..60000",
    "--epochs ten": "--epochs: invalid int value: 'ten'",
    "--batch-size 0": "--batch-size 1..60000",
    "--batch-size 60001": "--batch-size 1..60000",
    "--seed -1": "--seed 0..2**64-1",
    "--seed 18446744073709551616": "--seed 0..2**64-1",
    "--lr 0": "need --lr above 0 and below 1e38",
    "--lr 1e300": "need --lr above 0 and below 1e38",
    "--momentum 1": "--momentum from 0 to below 1",
    "--momentum -0.1": "--momentum from 0 to below 1",
    "--device tpu": "--device: invalid choice: 'tpu' (choose from",
    "--blocks dens": "dense",
    "--depth 0": "--depth must be at least 1",
}


@pytest.mark.parametrize("flags", WRONG)
def test_wrong_command_line(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        residual_variants.main(flags.split())
    output, errors = capsys.readouterr()
    assert output == ""
    assert re.search(f": error: .*{re.escape(WRONG[flags])}.*\n$", errors)
    assert files(tmp_path) == {}


def test_a_loss_that_is_not_finite_ends_the_run(places, tmp_path):
    largest = ["--lr", "9e37", "--batch-size", "60000", "--seed", str(2**64 - 1)]
    with pytest.raises(SystemExit, match=r"The loss is (nan|inf) in epoch 2: .* --lr"):
        resnet_mnist.main([*largest, *places])
    assert files(tmp_path).keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


def test_a_block_that_diverges_does_not_stop_the_next(places, monkeypatch, capsys):
    losses = iter([0.5, math.nan, 0.4])
    monkeypatch.setattr(residual_variants, "train", lambda *_: next(losses))
    blocks = ["--blocks", "plain", "dropout-shortcut", "original"]
    with pytest.raises(SystemExit, match="^1$"):
        residual_variants.main([*blocks, "--epochs", "1", *places])
    line = "dropout-shortcut: The loss is nan in epoch 1: try a lower --lr\n"
    assert capsys.readouterr().err == line
    assert legend() == ["plain", "original"]


def test_out_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^[^\n]*file'[^\n]* choose another$"):
        run("resnet_mnist", "--out", str(tmp_path / "file"), monkeypatch=monkeypatch)


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix")
def test_a_disk_that_fills_leaves_the_former_checkpoint(places, tmp_path):
    resnet_mnist.main(["--epochs", "1", *places])
    before = files(tmp_path)
    flags = shlex.join([sys.executable, "resnet_mnist.py", "--epochs", "1", *places])
    limit = f"ulimit -f 100; {flags}"  # blocks of 1,024 bytes; a checkpoint has 170
    done = subprocess.run(["bash", "-c", limit], check=False, **PIPES)
    assert done.returncode == 1
    assert re.fullmatch("[^\n]*File too large; if --out [^\n]*\n", done.stderr)
    assert files(tmp_path) == before


@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c(script, epochs, places, tmp_path, monkeypatch, capsys):
    orders = [torch.arange(334)] * epochs + [KeyboardInterrupt]
    monkeypatch.setattr(torch, "randperm", Mock(side_effect=orders))
    with pytest.raises(SystemExit, match="^Interrupted$"):
        run(script, *places, monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    assert output.count("Plot: ") == len(accuracies(output)) == bool(epochs)
    assert len(files(tmp_path)) == 2 * bool(epochs)


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix")
def test_a_reader_that_stops_reading_stops_the_script_in_silence(places):
    flags = shlex.join([sys.executable, "resnet_mnist.py", "--epochs", "20", *places])
    done = subprocess.run(f"{flags} | head -1", shell=True, check=False, **PIPES)
    assert done.stdout.startswith("ResNet")
    assert done.stdout.count("\n") == 1
    assert "rror" not in done.stderr
