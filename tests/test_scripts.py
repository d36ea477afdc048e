"""Each script as a user starts it, and what a user is told when something goes wrong."""

import argparse
import io
import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
import zlib
from functools import partial
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from conftest import MODULES, ROOT, SCRIPTS, Stream, files

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

EPOCH = r"\[{}/{}\] Accuracy on test set: (\d+\.\d\d) %  \(\d+\.\d s\)"
SAMPLE = " (a sample of 5,000 digits)"


def run(script, *flags, monkeypatch):
    """Run a script within this process, as a notebook does; importing takes long."""
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *flags])
    runpy.run_path(str(ROOT / f"{script}.py"), run_name="__main__")


def assert_drawn(ours, notes, remark=""):
    """Check the last plot: {name: (losses, accuracies)}, {name: the notes' curve}."""
    left, right = plt.gcf().axes
    curves = {**{name: curve for name, (_, curve) in ours.items()}, **notes}
    legend = (plt.gcf().legends or [left.get_legend()])[0]
    assert [text.get_text() for text in legend.get_texts()] == list(curves)
    assert {line.get_label(): list(line.get_ydata()) for line in left.lines} == curves
    assert [list(x.get_ydata()) for x in right.lines] == [x for x, _ in ours.values()]
    for line in [*left.lines, *right.lines]:
        assert list(line.get_xdata()) == list(range(1, len(line.get_ydata()) + 1))
    looks = {(line.get_color(), line.get_marker()) for line in left.lines}
    assert len(looks) == len(curves)  # they can be told apart
    assert left.get_ylabel() == "accuracy on test set (%)"
    assert right.get_ylabel() == "mean loss of the epoch"
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    assert not any(tick % 1 for tick in [*left.get_xticks(), *right.get_xticks()])
    assert left.get_title() == f"MNIST{remark}"


def test_a_renamed_copy_runs_alone_until_nobody_reads_on(places, tmp_path):
    """As in `python "my net.py" | head -5`: from then on in silence."""
    shutil.copy(ROOT / "googlenet_mnist.py", tmp_path / "my net.py")
    command = [sys.executable, "my net.py", "--epochs", "20", *places]
    pipes = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        lines = [process.stdout.readline().decode().rstrip() for _ in range(5)]
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)
    assert lines[0].startswith("Loading MNIST from ")
    assert re.fullmatch(EPOCH.format(1, 20), lines[4])
    assert files(tmp_path).keys() > {"googlenet_mnist.png", "googlenet_mnist.pt"}


@pytest.mark.parametrize("data", ["tmp_path", "full_mnist"])
def test_a_checkpoint_gets_the_accuracy(data, tmp_path, request, monkeypatch, capsys):
    folder, full = request.getfixturevalue(data), data == "full_mnist"
    flags = ["--epochs", "1", "--data", str(folder), "--out", str(tmp_path)]
    run("resnet_mnist", *flags, monkeypatch=monkeypatch)
    output = capsys.readouterr().out
    *_, done, last = output.splitlines()
    accuracy = float(re.fullmatch(EPOCH.format(1, 1), done)[1])
    assert last == f"[{accuracy}]{'' if full else SAMPLE}"
    assert accuracy >= (90 if full else 80)
    assert output.count("] loss: ") == (3 if full else 0)
    checkpoint = torch.load(tmp_path / "resnet_mnist.pt", weights_only=True)
    net = resnet_mnist.Net().eval()
    net.load_state_dict(checkpoint.pop("state_dict"))
    assert checkpoint == {"epoch": 1, "accuracy": accuracy}
    images, labels = resnet_mnist.load_mnist(folder, "cpu")[1]
    with torch.inference_mode():
        answers = torch.cat([net(x).argmax(dim=1) for x in images.split(500)])
    assert round(100 * (answers == labels).float().mean().item(), 2) == accuracy
    with pytest.raises(NotImplementedError):  # "meta" has no data to copy to the CPU
        resnet_mnist.save_checkpoint(tmp_path / "x.pt", net.to("meta"), 1, 50.0)


FIRST = ["GoogLeNet: 97,298", "ResNet: 41,514", "constant-scaling: 41,514"]


@pytest.mark.parametrize(("module", "first"), [*zip(MODULES, FIRST)])
def test_a_run_stopped_in_its_fourth_epoch_leaves_the_third(
    module, first, tiny_mnist, tmp_path, monkeypatch
):
    """Killed, it leaves what it drew, saved and flushed: the first of the best nets."""
    monkeypatch.chdir(tmp_path)
    stream, randperm, out = Stream(), torch.randperm, tmp_path.resolve() / "results"
    seen, weights, accuracies = [], [], iter([0.0, 70.0, 70.0])

    def start_of_an_epoch(count, **device):
        seen.append((stream.flushed.splitlines(), files(out)))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return randperm(count, **device)

    def test(net, *_):
        weights.append({k: v.clone() for k, v in net.state_dict().items()})
        return next(accuracies)

    monkeypatch.setattr(torch, "randperm", start_of_an_epoch)
    monkeypatch.setattr(module, "time", Mock(perf_counter=iter(range(99)).__next__))
    monkeypatch.setattr(module, "test", test)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(KeyboardInterrupt):
        module.main(["--data", os.path.relpath(tiny_mnist)])
    assert (stream.written.splitlines(), files(out)) == seen[3]  # and nothing more
    assert len(plt.get_fignums()) == 1  # one window, not one an epoch

    block = "_constant-scaling" if module is residual_variants else ""
    plot, checkpoint = f"{module.FILE}.png", f"{module.FILE}{block}.pt"
    data = f"{tiny_mnist / 'MNIST' / 'raw'}, else downloading it, else a sample"
    named = [f"Checkpoint: {out / checkpoint}", f"Plot: {out / plot}"]
    (before, there), *then = seen
    assert (before[0], there) == (f"Loading MNIST from {data}", {})
    assert sorted(before[1:]) == sorted([f"{first} parameters", *named])
    for epoch, best, (lines, now) in zip((1, 2, 3), (0, 1, 1), then):
        assert lines[:-1] == before
        assert re.fullmatch(EPOCH.format(epoch, 10), lines[-1])
        assert lines[-1].endswith("(1.0 s)")  # of this epoch alone
        assert now.keys() == {plot, checkpoint}
        assert now[plot] != there.get(plot)
        saved = torch.load(io.BytesIO(now[checkpoint]), weights_only=True)
        assert (saved["epoch"], saved["accuracy"]) == (best + 1, 70.0 * best)
        for name, tensor in saved["state_dict"].items():
            assert torch.equal(tensor, weights[best][name])
        before, there = lines, now


@pytest.mark.parametrize("module", [resnet_mnist, residual_variants])
def test_a_run_is_the_notes_loop(module, tiny_mnist, places, tmp_path, monkeypatch):
    """No flag is at its default. Of the homework the second block, deep and with BN."""
    monkeypatch.setattr(plt, "show", Mock())
    flags = "--epochs 2 --lr 0.03 --momentum 0.8 --batch-size 50 --seed 7"
    flags = [*flags.split(), *places]
    if module is resnet_mnist:
        build, found = resnet_mnist.Net, module.main(flags)
        assert_drawn({"ResNet": found}, {"the notes": resnet_mnist.CURVE})
        module.plot(*found, SAMPLE, tmp_path / "plot.png")
        assert_drawn({"ResNet": found}, {}, SAMPLE)  # of which the notes know nothing
    else:
        build = partial(residual_variants.Net, BLOCKS["original-bn"], 2)
        blocks = ["--depth", "2", "--blocks", "plain", "original-bn"]
        curves = module.main([*flags, *blocks])
        assert_drawn(curves, {})
        found = curves["original-bn-depth-2"]
        names = ["-depth-2.png", "_plain-depth-2.pt", "_original-bn-depth-2.pt"]
        assert files(tmp_path).keys() == {f"residual_variants{name}" for name in names}
        assert [len(build().rblock1), len(build().rblock2)] == [2, 2]
    assert plt.show.call_count == 1

    (images, labels), test_set, _ = resnet_mnist.load_mnist(tiny_mnist, "cpu")
    torch.manual_seed(7)
    net = build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.8)
    for loss, accuracy in zip(*found):
        net.train()
        losses = []
        for batch in torch.randperm(len(images)).split(50):
            optimizer.zero_grad()
            losses.append(F.cross_entropy(net(images[batch]), labels[batch]))
            losses[-1].backward()
            optimizer.step()
        answers = net.eval()(test_set[0]).argmax(dim=1)
        assert loss == pytest.approx(sum(losses).item() / len(losses))
        assert accuracy == (answers == test_set[1]).sum().item()  # of 100 digits
    assert list(map(len, found)) == [2, 2]


def test_the_homework_trains_blocks_and_draws_notes(places, capsys, monkeypatch):
    monkeypatch.setattr(plt.Figure, "savefig", Mock())  # sixteen pictures take long
    monkeypatch.setattr(residual_variants, "train", Mock(side_effect=range(99)))
    monkeypatch.setattr(residual_variants, "test", Mock(side_effect=range(99)))
    notes = {name: curve for name, (_, curve) in residual_variants.NOTES.items()}
    corrected, flags = ["constant-scaling", "conv-shortcut"], ["--epochs", "1", *places]
    for more, names in ([], corrected), (["--blocks", "all"], list(BLOCKS)):
        curves = residual_variants.main([*flags, *more])
        assert list(curves) == names
        assert_drawn(curves, notes)  # each once
    assert_drawn(residual_variants.main([*flags, "--data", places[-1]]), {}, SAMPLE)
    assert capsys.readouterr().out.endswith(f"]{SAMPLE}\n")


def test_the_curves_are_those_of_the_notes():
    of_notes = {name: curve for name, (_, curve) in residual_variants.NOTES.items()}
    curves = {"1": googlenet_mnist.CURVE, "2": resnet_mnist.CURVE, **of_notes}
    assert zlib.crc32(json.dumps(curves).encode()) == 2131110732
    notes = ROOT.parent / "shared" / "notes.txt"
    if notes.exists():
        lists = re.findall(r"^\[9[\d., ]+\]$", notes.read_text("utf-8"), re.MULTILINE)
        assert list(map(json.loads, lists)) == list(curves.values())


@pytest.mark.parametrize("module", MODULES)
def test_defaults_are_those_of_readme(module, monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f" {FIRST[0]} parameters " in readme
    assert re.search(EPOCH.format(1, 10), readme)
    table = dict(re.findall(r"\n\| `--([a-z-]+)` \| `?([\w./]+)`? \|", readme))
    with pytest.raises(SystemExit, match="^0$"):
        module.main(["--help"])
    assert capsys.readouterr().out.isascii()  # for any terminal
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for flags, device in ([], "cuda"), (["--device", "cuda:0"], "cuda:0"):
        args = vars(module.parse_command_line(argparse.ArgumentParser(), flags))
        assert args.pop("device") == device
        assert all(str(args[x]) == table[x.replace("_", "-")] for x in args)
        assert len(args) == 7


@pytest.mark.parametrize("script", SCRIPTS)
def test_flags_are_read_where_the_file_was_started(script, tmp_path, monkeypatch):
    """By its name or path, renamed too; not pasted into a cell, or by another file."""
    monkeypatch.chdir(tmp_path)
    ctrl_c = Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr("torchvision.datasets.MNIST", ctrl_c)
    launchers = "ipykernel_launcher.py ipykernel/__main__.py pydevconsole.py pytest -c"
    code = (ROOT / f"{script}.py").read_text("utf-8").split('"""', 2)[2]

    def end(argv, **place):
        """What ends the script: 2, a flag was read and refused, or Ctrl-C."""
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.setattr(sys, "stdout", Stream())
        with pytest.raises((SystemExit, KeyboardInterrupt)) as stop:
            exec(code, {"__name__": "__main__", "__doc__": None, **place})  # noqa: S102
        assert stop.value.code == 2 or sys.stdout.flushed.startswith("Loading ")
        return stop.value.code

    for file in (f"/home/{script}.py", "/home/my net.py"):
        for program in (file, file.rpartition("/")[2]):
            assert end([program, "--epochs", "0"], __file__=file) == 2
            assert end([program, "--epochs", "1"], __file__=file) == "Interrupted"
        for program in launchers.split():
            argv = [program, "-f", "kernel.json"]
            assert end(argv, __file__=file) == end(argv) == "Interrupted"


WRONG = ["--epochs 0", "--batch-size 60001", "--seed -1", "--lr 0", "--momentum 1"]


@pytest.mark.parametrize("flags", [*WRONG, "--depth 0"])
def test_wrong_command_line(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        residual_variants.main(flags.split())
    assert re.search(f": error: .*{flags.split()[0]}", capsys.readouterr().err)
    assert files(tmp_path) == {}


def test_a_loss_that_is_not_finite_ends_the_run(places, tmp_path):
    largest = ["--lr", "9e37", "--batch-size", "60000", "--seed", str(2**64 - 1)]
    with pytest.raises(SystemExit, match=r"^The loss is (nan|inf) in epoch 2: .* --lr"):
        resnet_mnist.main([*largest, *places])
    assert files(tmp_path).keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


def test_a_block_that_diverges_does_not_stop_the_next(places, monkeypatch, capsys):
    losses = Mock(side_effect=[math.nan, 0.5, 0.4, math.inf])
    monkeypatch.setattr(residual_variants, "train", losses)
    blocks = ["--blocks", "dropout-shortcut", "original", "plain"]
    with pytest.raises(SystemExit, match="^No finite loss: dropout-shortcut, plain$"):
        residual_variants.main([*blocks, "--epochs", "2", *places])
    lines = "dropout-shortcut: The loss is nan in epoch 1: .*\nplain: The loss is inf in .*\n"
    assert re.fullmatch(lines, capsys.readouterr().err)
    assert [line.get_label() for line in plt.gcf().axes[0].lines] == ["original"]


def test_what_cannot_be_written_leaves_what_was(places, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource", reason="needs Unix")
    resnet_mnist.main(["--epochs", "1", *places])
    before, limit = files(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # as of a full disk
    try:
        with pytest.raises(SystemExit, match="^[^\n]*File too large; if --out [^\n]*$"):
            run("resnet_mnist", "--epochs", "1", *places, monkeypatch=monkeypatch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    out = str(tmp_path / "resnet_mnist.pt")  # a file
    with pytest.raises(SystemExit, match=r"^[^\n]*mnist.pt'[^\n]* choose another$"):
        run("resnet_mnist", "--out", out, monkeypatch=monkeypatch)
    assert files(tmp_path) == before
