"""What a script promises: files, lines, flags, and one line when something is wrong."""

import io
import math
import os
import runpy
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from unittest.mock import Mock, patch

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ROOT, SCRIPTS, Stream, files

import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

FILES = {  # googlenet_mnist.py has resnet_mnist.py's `main`: tests/test_same_code.py
    resnet_mnist: ["resnet_mnist.png", "resnet_mnist.pt"],
    residual_variants: ["residual_variants.png", "residual_variants_original.pt"],
}


@pytest.fixture(params=FILES, ids=["resnet", "homework"])
def module(request):
    return request.param


def start(module, *flags):
    """Train a ResNet, in the homework the block `original`; return its two curves."""
    if module is resnet_mnist:
        return module.main(list(flags))
    return module.main(["--blocks", "original", *flags])["original"]


def pretend(module, monkeypatch, losses, accuracies=()):
    """Let the epochs of `module` have these losses and accuracies, in no time."""
    monkeypatch.setattr(module, "train", Mock(side_effect=losses))
    monkeypatch.setattr(module, "test", Mock(side_effect=accuracies))


def start_file(file, *flags):
    """Run a file in this process, as `%run` does: a process of its own takes seconds."""
    with patch.object(sys, "argv", [str(file), *flags]):
        runpy.run_path(str(file), run_name="__main__")


def last_line(call, *args):
    """Call what must fail; return the line that it ends with. The exit status is 1."""
    with pytest.raises((SystemExit, KeyboardInterrupt)) as stop:
        call(*args)
    assert stop.type is SystemExit
    assert isinstance(stop.value.code, str), "an exit status alone tells nothing"
    assert "\n" not in stop.value.code
    return stop.value.code


# In a process of its own -------------------------------------------------------------
def python(file, *flags, **how):
    command = [sys.executable, str(file), *flags]
    how = {"stderr": subprocess.PIPE, "text": True, "timeout": 120, **how}
    return subprocess.run(command, check=False, **how)


@pytest.mark.parametrize("script", ["googlenet_mnist", "residual_variants"])
def test_a_copy_runs_alone_and_keeps_its_own_files(script, places, tmp_path):
    shutil.copy(ROOT / f"{script}.py", tmp_path / "my net.py")
    done = python("my net.py", "--epochs", "1", *places, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"my net.py", "my net.png"} < files(tmp_path).keys()
    assert all(name.startswith("my net") for name in files(tmp_path))


def test_a_reader_who_leaves_sees_no_traceback(places):
    """As in `python resnet_mnist.py | head -1`."""
    read, write = os.pipe()
    os.close(read)
    done = python(ROOT / "resnet_mnist.py", *places, stdout=write)
    os.close(write)
    assert (done.stderr, done.returncode) == ("", 0)


# What a user has when an epoch begins, and so when the run is killed in it -----------
@pytest.fixture(scope="module", params=FILES, ids=["resnet", "homework"])
def seen(request, tiny_mnist, tmp_path_factory):
    """[(flushed lines, files)] at the start of each of five epochs, of 7 s each."""
    module, folder = request.param, tmp_path_factory.mktemp("seen")
    stream, seen = Stream(), []

    def train(net, *_, **__):
        seen.append((stream.flushed.splitlines(), files(folder)))
        net.fc.bias.data.fill_(len(seen))  # the net tells its epoch
        return 0.5

    with pytest.MonkeyPatch.context() as here:
        here.setattr(sys, "stdout", stream)
        here.setattr(module, "train", train)
        here.setattr(module, "test", Mock(side_effect=[50.0, 70.0, 60.0, 70.0, 60.0]))
        clock = Mock(perf_counter=lambda: 7 * len(seen))
        here.setattr(module, "time", clock, raising=False)
        places = ["--data", str(tiny_mnist), "--out", str(folder)]
        start(module, "--epochs", "5", *places)
    return seen


def test_each_epoch_is_said_at_once(seen):
    accuracies = ["50.00 %", "70.00 %", "60.00 %", "70.00 %"]
    for epoch, accuracy in enumerate(accuracies, start=1):
        lines, _ = seen[epoch]
        assert f"{epoch}/5" in lines[-1]
        assert accuracy in lines[-1]


def test_the_time_of_an_epoch_is_its_own(seen):
    assert all("(7.0 s)" in lines[-1] for lines, _ in seen[1:])


def test_each_epoch_is_drawn_at_once(seen):
    pictures = {c for _, found in seen for name, c in found.items() if ".png" in name}
    assert len(pictures) == 4


def test_the_first_of_the_best_nets_is_kept_at_once(seen):
    best = [(1, 50.0), (2, 70.0), (2, 70.0), (2, 70.0)]
    for (_, found), (epoch, accuracy) in zip(seen[1:], best):
        [content] = [found[name] for name in found if ".pt" in name]
        checkpoint = torch.load(io.BytesIO(content), weights_only=True)
        assert (checkpoint["epoch"], checkpoint["accuracy"]) == (epoch, accuracy)
        assert checkpoint["state_dict"]["fc.bias"][0] == epoch


def test_a_run_leaves_a_plot_a_checkpoint_and_nothing_else(seen):
    assert all(sorted(found) in FILES.values() for _, found in seen[1:])


# The files ---------------------------------------------------------------------------
def test_first_it_is_said_where_the_files_will_be(module, tmp_path, monkeypatch):
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.chdir(tmp_path)
    pretend(module, monkeypatch, losses=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        start(module)
    for name in FILES[module]:
        assert str(Path("results", name).resolve()) in stream.flushed


def test_the_net_of_the_checkpoint_has_its_accuracy(module, places, tmp_path):
    start(module, "--epochs", "2", "--lr", "0.1", *places)
    checkpoint = torch.load(tmp_path / FILES[module][1], weights_only=True)
    net = resnet_mnist.Net()  # `original` has the same weights
    net.load_state_dict(checkpoint["state_dict"])
    _, (images, labels), _ = module.load_mnist(places[1], "cpu")
    right = (net(images).argmax(dim=1) == labels).sum().item()
    assert checkpoint["accuracy"] == right  # of 100 digits


def test_a_short_try_keeps_the_checkpoint_of_before(
    module, places, tmp_path, monkeypatch, capsys
):
    file = tmp_path / FILES[module][1]
    file.write_bytes(b"a good net")
    pretend(module, monkeypatch, losses=[0.5, 0.4], accuracies=[60.0, 70.0])
    start(module, "--epochs", "2", *places)
    before = file.with_suffix(".before.pt")
    assert before.read_bytes() == b"a good net"
    assert before.name in capsys.readouterr().out


def test_a_checkpoint_is_of_the_cpu(tmp_path):
    net = torch.nn.Linear(1, 1, device="meta")  # that has nothing to copy to the CPU
    with pytest.raises(NotImplementedError):
        resnet_mnist.save_checkpoint(tmp_path / "net.pt", net, 1, 50.0)


def test_a_full_disk_leaves_what_was(places, tmp_path):
    resource = pytest.importorskip("resource", reason="needs Unix")
    (tmp_path / "resnet_mnist.pt").write_bytes(b"a good net")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        line = last_line(start_file, ROOT / "resnet_mnist.py", *places)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "File too large" in line
    assert "--out" in line
    assert files(tmp_path) == {"resnet_mnist.pt": b"a good net"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file")
    line = last_line(start_file, ROOT / "resnet_mnist.py", "--out", folder)
    assert "--out" in line
    assert folder in line


# The plot, of which more is in tests/test_plots.py -----------------------------------
def test_a_plot_shows_accuracies_left_and_losses_right(module, places, monkeypatch):
    pretend(module, monkeypatch, losses=[0.5, 0.4], accuracies=[60.0, 70.0])
    assert start(module, "--epochs", "2", *places) == ([0.5, 0.4], [60.0, 70.0])
    left, right = plt.gcf().axes
    assert "accuracy" in left.get_ylabel()
    assert "loss" in right.get_ylabel()
    assert [list(x) for x in left.lines[0].get_data()] == [[1, 2], [60, 70]]
    assert [list(x) for x in right.lines[0].get_data()] == [[1, 2], [0.5, 0.4]]


def test_a_run_opens_one_window(module, places, monkeypatch):
    monkeypatch.setattr(plt, "show", Mock())
    pretend(module, monkeypatch, losses=[0.5, 0.4], accuracies=[60.0, 70.0])
    start(module, "--epochs", "2", *places)
    assert (len(plt.get_fignums()), plt.show.call_count) == (1, 1)


def test_the_sample_is_marked(module, tmp_path, monkeypatch, capsys):
    pretend(module, monkeypatch, losses=[0.5], accuracies=[60.0])
    start(module, "--epochs", "1", "--data", str(tmp_path), "--out", str(tmp_path))
    assert "sample" in capsys.readouterr().out.splitlines()[-1]
    assert "sample" in plt.gcf().axes[0].get_title()


# The flags ---------------------------------------------------------------------------
def test_the_defaults_are_those_of_the_notes():
    args = resnet_mnist.parse_command_line(ArgumentParser(), [])
    notes = 10, 64, 0.01, 0.5
    assert (args.epochs, args.batch_size, args.lr, args.momentum) == notes


def test_cuda_is_used_where_it_is_and_another_can_be_chosen(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for flags, device in ([], "cuda"), (["--device", "cuda:0"], "cuda:0"):
        args = resnet_mnist.parse_command_line(ArgumentParser(), flags)
        assert args.device == device


def test_help_can_be_printed_by_every_terminal(module, capsys):
    with pytest.raises(SystemExit, match="0"):
        module.main(["--help"])
    assert capsys.readouterr().out.isascii()


def test_the_same_flags_give_the_same_and_others_not(module, places, monkeypatch):
    monkeypatch.setattr(plt.Figure, "savefig", Mock())  # takes longer than the rest
    usual = start(module, "--epochs", "1", *places)
    assert start(module, "--epochs", "1", *places) == usual
    for flag in ("--seed 1", "--batch-size 32", "--lr 0.02", "--momentum 0.9"):
        found = start(module, "--epochs", "1", *places, *flag.split())
        assert found != usual, f"{flag} is ignored"


def test_the_homework_trains_the_two_blocks_of_the_notes_or_all(places, monkeypatch):
    monkeypatch.setattr(plt.Figure, "savefig", Mock())
    pretend(residual_variants, monkeypatch, [0.5] * 99, [60.0] * 99)
    curves = residual_variants.main(["--epochs", "1", *places])
    assert list(curves) == ["constant-scaling", "conv-shortcut"]
    curves = residual_variants.main(["--blocks", "all", "--epochs", "1", *places])
    assert list(curves) == list(BLOCKS)


def test_a_block_starts_from_the_seed_whichever_comes_before(places, monkeypatch):
    monkeypatch.setattr(plt.Figure, "savefig", Mock())
    flags = ["--epochs", "1", *places, "--blocks"]
    alone = residual_variants.main([*flags, "original"])
    second = residual_variants.main([*flags, "plain", "original"])
    assert second["original"] == alone["original"]


def test_deeper_nets_keep_their_own_files(places, tmp_path, monkeypatch, capsys):
    pretend(residual_variants, monkeypatch, [0.5], [60.0])
    flags = ["--blocks", "original", "--depth", "2", "--epochs", "1"]
    residual_variants.main([*flags, *places])
    assert "64,650" in capsys.readouterr().out  # parameters
    names = "residual_variants-depth-2.png", "residual_variants_original-depth-2.pt"
    assert sorted(files(tmp_path)) == sorted(names)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_flags_of_a_copy_are_read(script, tmp_path, capsys):
    copy = shutil.copy(ROOT / f"{script}.py", tmp_path / "my net.py")
    with pytest.raises(SystemExit, match="2"):
        start_file(copy, "--epochs", "0")
    assert "--epochs" in capsys.readouterr().err


LAUNCHERS = ["ipykernel_launcher.py", "ipykernel/__main__.py", "pydevconsole.py", "-c"]


@pytest.mark.parametrize("program", LAUNCHERS)
def test_the_flags_of_a_notebook_are_left_alone(program, ctrl_c, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program, "-f", "kernel.json"])
    with pytest.raises(KeyboardInterrupt):
        resnet_mnist.main()


@pytest.mark.parametrize("script", SCRIPTS)
def test_pasted_into_a_cell_a_script_runs(script, ctrl_c, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    code = (ROOT / f"{script}.py").read_text("utf-8").split('"""', 2)[2]
    cell = {"__name__": "__main__", "__doc__": None}  # and no __file__
    last_line(exec, code, cell)
    assert cell["FILE"] == script


# What is wrong, in a line ------------------------------------------------------------
WRONG = ["--epochs 0", "--batch-size 0", "--lr 0", "--momentum -1", "--depth 0"]


@pytest.mark.parametrize("flag", [*WRONG, "--blocks best", "--device tpu"])
def test_a_wrong_flag_is_named_and_nothing_is_written(
    flag, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        residual_variants.main(flag.split())
    assert flag.split()[0] in capsys.readouterr().err.splitlines()[-1]
    assert files(tmp_path) == {}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(loss, places, tmp_path, monkeypatch):
    pretend(resnet_mnist, monkeypatch, losses=[loss])
    line = last_line(resnet_mnist.main, places)
    assert str(loss) in line
    assert "--lr" in line
    assert files(tmp_path) == {}


def test_a_block_that_diverges_does_not_stop_the_next(places, monkeypatch, capsys):
    pretend(residual_variants, monkeypatch, [math.nan, 0.5, math.inf], [60.0])
    blocks = ["--blocks", "dropout-shortcut", "original", "plain", "--epochs", "1"]
    line = last_line(residual_variants.main, [*blocks, *places])
    assert "dropout-shortcut" in line
    assert "plain" in line
    assert "--lr" in capsys.readouterr().err
    assert [line.get_label() for line in plt.gcf().axes[0].lines] == ["original"]


def test_an_epoch_of_the_full_mnist_learns(full_mnist, tmp_path, capsys):
    places = ["--data", str(full_mnist), "--out", str(tmp_path)]
    _, [accuracy] = resnet_mnist.main(["--epochs", "1", *places])
    output = capsys.readouterr().out
    assert accuracy >= 90
    assert all(f" {batches}] " in output for batches in (300, 600, 900))
