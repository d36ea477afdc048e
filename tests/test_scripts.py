"""Each script as a user starts it, and what a user is told when something goes wrong."""

import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from ast import literal_eval
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import MODULES, ROOT, SCRIPTS, files
from PIL import Image

import googlenet_mnist
import residual_variants
import resnet_mnist

NETWORKS = {  # by the name of their checkpoint
    "googlenet_mnist.pt": googlenet_mnist.Net,
    "resnet_mnist.pt": resnet_mnist.Net,
}
for name, block in residual_variants.BLOCKS.items():
    NETWORKS[f"residual_variants_{name}.pt"] = partial(residual_variants.Net, block)

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="needs the signals of Unix"
)


class Script:
    """A running script. It listens to Ctrl-C, even if the tests were told not to."""

    def __init__(self, name, *flags, data, out):
        command = [sys.executable, "-u", f"{name}.py", "--data", data, "--out", out]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if sys.platform != "win32":
            ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            pipes["preexec_fn"] = ctrl_c
        command = list(map(str, [*command, *flags]))
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
        self.output = ""

    def wait_for(self, text):
        """Read the output up to the first line with `text`, or to its end."""
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return

    def end(self, signal_number=None, timeout=120):
        """Send a signal and wait; return (exit status, standard output, errors)."""
        if signal_number:
            self.process.send_signal(signal_number)
        try:
            output, errors = self.process.communicate(timeout=timeout)
        finally:
            self.process.kill()
        return self.process.returncode, self.output + output, errors


def accuracies(output):
    """The list of accuracies (%) that each network of a run ended with."""
    lists = re.findall(r"^\[[\d., ]+\](?=$| \()", output, re.MULTILINE)
    return list(map(literal_eval, lists))


def assert_whole(folder):
    """Assert that every plot and every checkpoint in a folder is whole."""
    for plot in folder.glob("*.png"):
        with Image.open(plot) as image:
            image.load()
            assert image.width >= 600
            assert len(image.convert("L").getcolors(256)) > 10  # something is drawn
    for checkpoint in folder.glob("*.pt"):
        torch.load(checkpoint, weights_only=True)


# A run as it should be


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{script: (output, folder)} of a run of each script on the sample."""
    folder = tmp_path_factory.mktemp("runs")
    running = {
        name: Script(name, "--epochs", "1", data=folder / "data", out=folder / name)
        for name in SCRIPTS
    }
    results = {name: script.end() for name, script in running.items()}
    assert all(status == 0 for status, *_ in results.values()), results
    return {name: (output, folder / name) for name, (_, output, _) in results.items()}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_prints_plots_and_saves(script, runs, sample, quick_sample, tmp_path):
    output, folder = runs[script]
    checkpoints = [name for name in NETWORKS if (folder / name).exists()]
    assert {file.name for file in folder.iterdir()} == {f"{script}.png", *checkpoints}
    assert_whole(folder)

    lines = output.splitlines()
    assert "MNIST could not be loaded" in output
    assert lines[-1].endswith("] (a sample of 5,000 digits)")
    epoch = r"^Accuracy on test set: (\d+\.\d\d) %  \(\d+\.\d s\)$"
    printed = [[float(a)] for a in re.findall(epoch, output, re.MULTILINE)]
    assert printed == accuracies(output)
    assert len(printed) == len(checkpoints) == (2 if "variants" in script else 1)

    test_set = resnet_mnist.load_mnist(tmp_path, "cpu")[1]
    for name, [accuracy] in zip(checkpoints, printed):
        checkpoint = torch.load(folder / name, weights_only=True)
        assert checkpoint.keys() == {"state_dict", "epoch", "accuracy"}
        assert (checkpoint["epoch"], checkpoint["accuracy"]) == (1, accuracy)
        net = NETWORKS[name]()
        net.load_state_dict(checkpoint["state_dict"])
        assert resnet_mnist.test(net, *test_set) == accuracy


@pytest.mark.parametrize("script", SCRIPTS)
def test_one_epoch_on_full_mnist(script, full_mnist, tmp_path):
    running = Script(script, "--epochs", "1", data=full_mnist, out=tmp_path)
    status, output, errors = running.end(timeout=1200)
    assert (status, errors) == (0, "")
    assert "sample" not in output
    curves = accuracies(output)
    assert output.count("] loss: ") == 3 * len(curves) > 0
    assert all(accuracy >= 90 for [accuracy] in curves)


@pytest.fixture
def places(tiny_mnist, tmp_path):
    return ["--data", str(tiny_mnist), "--out", str(tmp_path)]


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


def test_loss_is_that_of_the_printed_batches(places, capsys):
    flags = ["--epochs", "1", "--batch-size", "1", "--lr", "1e-9"]
    [loss], _ = resnet_mnist.main([*flags, *places])
    [printed] = re.findall(
        r"^\[1,   300\] loss: (\d\.\d+)$", capsys.readouterr().out, 8
    )
    assert float(printed) == pytest.approx(loss, rel=0.02)  # 300 of 320 batches


def test_all_blocks_train_and_a_depth_can_be_given(places, tmp_path):
    flags = ["--blocks", "all", "--depth", "2", "--epochs", "1"]
    curves = residual_variants.main([*flags, *places])
    assert curves.keys() == residual_variants.BLOCKS.keys()
    assert_whole(tmp_path)
    for name, block in residual_variants.BLOCKS.items():
        file = tmp_path / f"residual_variants_{name}.pt"
        state_dict = torch.load(file, weights_only=True)["state_dict"]
        residual_variants.Net(block, depth=2).load_state_dict(state_dict)


# In a notebook, Spyder, IDLE


class Stream:
    """Where a notebook prints to: no file, and without much of what a file can do."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_session_stays_as_it_was(script, places, monkeypatch):
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--epochs", "1", *places])
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    names = runpy.run_path(str(ROOT / f"{script}.py"), run_name="__main__")
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before
    assert "Net" in names
    assert len(accuracies(stream.text)) == (2 if "variants" in script else 1)


def test_a_script_runs_pasted_into_a_notebook(tiny_mnist, tmp_path, monkeypatch):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mnist").symlink_to(tiny_mnist)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["", "-f", "kernel.json"])  # not our flags
    kernel = shutil.copy(ROOT / "resnet_mnist.py", tmp_path / "ipykernel_launcher.py")
    runpy.run_path(str(kernel), run_name="__main__")
    assert files(tmp_path / "results").keys() == {"resnet_mnist.png", "resnet_mnist.pt"}


@pytest.mark.parametrize("module", MODULES)
def test_a_window_is_shown_where_there_are_windows(module, places, monkeypatch):
    shown = []
    monkeypatch.setattr(module.plt, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(module.plt, "show", lambda: shown.append(True))
    module.main(["--epochs", "1", *places])
    assert shown == [True]


# When something goes wrong


WRONG = [  # flags, and what the line says
    ("--epochs 0", "--epochs and --batch-size must be at least 1"),
    ("--epochs ten", "--epochs: invalid int value: 'ten'"),
    ("--batch-size 0", "--batch-size"),
    ("--lr 0", "--lr"),
    ("--lr nan", "--lr"),
    ("--lr inf", "--lr"),
    ("--momentum 1", "--momentum"),
    ("--momentum -0.5", "--momentum"),
    ("--device cuda", "--device: invalid choice: 'cuda' (choose from"),
    ("--speed 9", "--speed"),
]
WRONG_BLOCKS = [("--blocks dens", "dense"), ("--blocks", "--blocks")]
WRONG_BLOCKS += [("--depth 0", "--depth must be at least 1")]


@pytest.mark.parametrize(
    ("module", "flags", "words"),
    [(module, *wrong) for wrong in WRONG for module in MODULES]
    + [(residual_variants, *wrong) for wrong in WRONG_BLOCKS],
)
def test_wrong_command_line(module, flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        module.main(flags.split())
    assert end.value.code == 2
    usage, errors = capsys.readouterr()
    assert usage == ""
    assert ": error: " in errors.splitlines()[-1]
    assert words in errors.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", MODULES)
def test_loss_that_is_not_finite(module, places, tmp_path):
    module.main(["--epochs", "1", *places])
    before = files(tmp_path)
    with pytest.raises(SystemExit, match=r"The loss is (nan|inf) in epoch 1: .* --lr"):
        module.main(["--lr", "1e9", *places])
    assert files(tmp_path) == before


def test_loss_that_is_not_finite_later(places, tmp_path, monkeypatch):
    losses = iter([0.5, 0.4, float("nan")])
    monkeypatch.setattr(resnet_mnist, "train", lambda *_: next(losses))
    with pytest.raises(SystemExit, match="The loss is nan in epoch 3"):
        resnet_mnist.main(places)
    assert files(tmp_path).keys() == {"resnet_mnist.png", "resnet_mnist.pt"}
    assert_whole(tmp_path)


def assert_one_line(errors, *words):
    assert errors.count("\n") == 1, errors
    assert all(word in errors for word in words), errors


def test_out_cannot_be_written(tiny_mnist, tmp_path):
    (tmp_path / "file").touch()
    running = Script("resnet_mnist", data=tiny_mnist, out=tmp_path / "file")
    status, output, errors = running.end()
    assert (status, output) == (1, "")
    assert_one_line(errors, str(tmp_path / "file"), "--out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full of Linux")
def test_full_disk(tiny_mnist, tmp_path):
    flags = ["--data", str(tiny_mnist), "--out", str(tmp_path)]
    resnet_mnist.main(["--epochs", "1", *flags])
    before = files(tmp_path)
    (tmp_path / "resnet_mnist.tmp").symlink_to("/dev/full")
    status, _, errors = Script("resnet_mnist", data=tiny_mnist, out=tmp_path).end()
    assert status == 1
    assert_one_line(errors, "No space left on device", "--out")
    (tmp_path / "resnet_mnist.tmp").unlink()
    assert files(tmp_path) == before


@needs_signals
@pytest.mark.parametrize("script", ["googlenet_mnist", "residual_variants"])
def test_ctrl_c(script, tiny_mnist, tmp_path):
    running = Script(script, "--epochs", "100000", data=tiny_mnist, out=tmp_path)
    running.wait_for("Accuracy")
    running.wait_for("Accuracy")
    status, output, errors = running.end(signal.SIGINT)
    assert status == 130
    assert_one_line(errors, "Interrupted")
    finished = re.findall(r"set: ([\d.]+) %", output)
    assert_whole(tmp_path)
    [checkpoint] = tmp_path.glob("*.pt")
    checkpoint = torch.load(checkpoint, weights_only=True)
    assert checkpoint["accuracy"] == max(map(float, finished))
    assert (tmp_path / f"{script}.png").exists()


@needs_signals
def test_ctrl_c_before_the_first_epoch_is_finished(tiny_mnist, tmp_path):
    flags = ["--epochs", "1", "--batch-size", "1"]
    running = Script("resnet_mnist", *flags, data=tiny_mnist, out=tmp_path)
    running.wait_for("parameters")
    status, _, errors = running.end(signal.SIGINT)
    assert status == 130
    assert_one_line(errors, "Interrupted")
    assert files(tmp_path) == {}


@needs_signals
@pytest.mark.parametrize("seconds", [0, 0.7])
def test_kill_leaves_no_half_checkpoint(seconds, tiny_mnist, tmp_path):
    running = Script(
        "resnet_mnist", "--epochs", "100000", data=tiny_mnist, out=tmp_path
    )
    running.wait_for("Accuracy")
    time.sleep(seconds)
    running.end(signal.SIGKILL)
    assert_whole(tmp_path)
    (tmp_path / "resnet_mnist.tmp").write_bytes(b"half of a checkpoint")
    resnet_mnist.main(
        ["--epochs", "1", "--data", str(tiny_mnist), "--out", str(tmp_path)]
    )
    assert files(tmp_path).keys() == {"resnet_mnist.pt", "resnet_mnist.png"}
