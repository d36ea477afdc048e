"""Runs of each script as a user starts it."""

import re
import subprocess
import sys
from ast import literal_eval

import pytest
import torch
from conftest import (
    ARCHIVES,
    ROOT,
    SCRIPTS,
    archive_of,
    in_parallel,
    mirror,
    run_script,
    send,
)
from PIL import Image

import googlenet_mnist
import residual_variants
import resnet_mnist

NETWORKS = {
    "googlenet_mnist.pt": googlenet_mnist.Net,
    "resnet_mnist.pt": resnet_mnist.Net,
} | {
    f"residual_variants_{name}.pt": lambda block=block: residual_variants.Net(block)
    for name, block in residual_variants.BLOCKS.items()
}
CHECKPOINTS = {
    "googlenet_mnist": ["googlenet_mnist.pt"],
    "resnet_mnist": ["resnet_mnist.pt"],
    "residual_variants": [
        "residual_variants_constant-scaling.pt",
        "residual_variants_conv-shortcut.pt",
    ],
}


def accuracies(output):
    """The list of accuracies (%) that each network of a run ended with."""
    lists = re.findall(r"^\[[\d., ]+\](?=$| \()", output, re.MULTILINE)
    return list(map(literal_eval, lists))


def without_seconds(output):
    return re.sub(r"\([\d.]+ s\)", "", output)


def assert_whole_picture(file):
    with Image.open(file) as image:
        assert image.format == "PNG"
        image.load()
        assert image.width >= 600
        assert len(image.convert("L").getcolors(256)) > 10  # something is drawn


@pytest.fixture(scope="module", params=SCRIPTS)
def run_on_sample(request, tmp_path_factory):
    """A run of two epochs without MNIST: (script, output, folders data and out)."""
    folder = tmp_path_factory.mktemp(request.param)
    places = {"data": folder / "data", "out": folder / "out"}
    status, output, errors = run_script(request.param, "--epochs", "2", **places)
    assert (status, errors) == (0, "")
    return request.param, output, places


def test_output_is_that_of_the_notes(run_on_sample):
    script, output, _ = run_on_sample
    per_epoch = re.findall(
        r"^Accuracy on test set: (\d+\.\d\d) %  \(\d+\.\d s\)$", output, re.MULTILINE
    )
    per_epoch = list(map(float, per_epoch))
    lists = accuracies(output)
    assert len(lists) == len(CHECKPOINTS[script])
    assert [len(curve) for curve in lists] == [2] * len(lists)
    assert per_epoch == [accuracy for curve in lists for accuracy in curve]
    assert all(curve[-1] > 50 for curve in lists)  # of ten classes


def test_the_sample_is_marked(run_on_sample):
    _, output, _ = run_on_sample
    lines = output.splitlines()
    assert "could not be downloaded" in lines[0]
    assert lines[-1].endswith("] (a sample of 5,000 digits)")


def test_plot_is_a_picture_and_nothing_else_is_left(run_on_sample):
    script, _, places = run_on_sample
    assert_whole_picture(places["out"] / f"{script}.png")
    expected = {f"{script}.png", *CHECKPOINTS[script]}
    assert {file.name for file in places["out"].iterdir()} == expected


def test_checkpoint_gives_the_printed_accuracy_again(run_on_sample):
    script, output, places = run_on_sample
    test_set = resnet_mnist.load_mnist(places["data"], "cpu")[1]
    for name, curve in zip(CHECKPOINTS[script], accuracies(output), strict=True):
        checkpoint = torch.load(places["out"] / name, weights_only=True)
        assert checkpoint.keys() == {"state_dict", "epoch", "accuracy"}
        assert checkpoint["accuracy"] == max(curve)
        assert checkpoint["epoch"] == curve.index(max(curve)) + 1
        net = NETWORKS[name]()
        net.load_state_dict(checkpoint["state_dict"])
        assert resnet_mnist.test(net, *test_set) == checkpoint["accuracy"]


def test_same_seed_same_output(run_on_sample, tmp_path):
    script, output, places = run_on_sample
    again = run_script(script, "--epochs", "2", data=places["data"], out=tmp_path)[1]
    assert without_seconds(again) == without_seconds(output)


def test_other_seed_other_output(tiny_mnist, tmp_path):
    def run(seed):
        places = {"data": tiny_mnist, "out": tmp_path / seed}
        return run_script("resnet_mnist", "--epochs", "2", "--seed", seed, **places)[1]

    one, other = in_parallel(run, [["0"], ["1"]])
    assert accuracies(one) != accuracies(other)


def test_loss_is_printed_every_300_batches(tiny_mnist, tmp_path):
    flags = ["--epochs", "2", "--batch-size", "1"]
    output = run_script("resnet_mnist", *flags, data=tiny_mnist, out=tmp_path)[1]
    losses = re.findall(r"^\[(\d), +(\d+)\] loss: \d\.\d\d\d$", output, re.MULTILINE)
    assert losses == [("1", "300"), ("2", "300")]


def test_all_blocks_train_and_a_depth_can_be_given(tiny_mnist, tmp_path):
    flags = ["--blocks", "all", "--depth", "2", "--epochs", "1"]
    places = {"data": tiny_mnist, "out": tmp_path}
    status, output, errors = run_script("residual_variants", *flags, **places)
    assert (status, errors) == (0, "")
    names = re.findall(r"^(\S+): [\d,]+ parameters$", output, re.MULTILINE)
    assert names == list(residual_variants.BLOCKS)
    assert_whole_picture(tmp_path / "residual_variants.png")
    for name, block in residual_variants.BLOCKS.items():
        file = tmp_path / f"residual_variants_{name}.pt"
        state_dict = torch.load(file, weights_only=True)["state_dict"]
        residual_variants.Net(block, depth=2).load_state_dict(state_dict)


@pytest.mark.parametrize("script", SCRIPTS)
def test_importing_a_script_trains_nothing(script, tmp_path):
    command = [sys.executable, "-c", f"import {script}"]
    output = subprocess.check_output(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.STDOUT
    )
    assert output == b""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_flag_and_waits_for_no_torchvision(script):
    code = (
        f"import sys, runpy; sys.argv = ['{script}.py', '--help']\n"
        f"try: runpy.run_path('{script}.py', run_name='__main__')\n"
        "finally: print('torchvision' in sys.modules, 'mlxtend' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    flags = [
        "--epochs",
        "--batch-size",
        "--lr",
        "--momentum",
        "--seed",
        "--data",
        "--out",
        "--device",
    ]
    flags += ["--blocks", "--depth", "dense"] if script == "residual_variants" else []
    for flag in flags:
        assert flag in output
    assert output.isascii()
    assert output.endswith("False False\n")


def test_download_from_a_mirror(archives, tmp_path):
    with mirror(lambda request: send(request, archive_of(request, archives))) as proxy:
        status, output, _ = run_script(
            *("resnet_mnist", "--epochs", "1"), data=tmp_path, out=tmp_path, proxy=proxy
        )
    assert status == 0
    assert "sample" not in output
    assert accuracies(output)[0][0] >= 96
    raw = tmp_path / "MNIST" / "raw"
    unpacked = {name.removesuffix(".gz"): size for name, size in ARCHIVES}
    assert {file.name: file.stat().st_size for file in raw.iterdir()} == unpacked


@pytest.mark.parametrize("script", SCRIPTS)
def test_one_epoch_on_full_mnist(script, full_mnist, tmp_path):
    places = {"data": full_mnist, "out": tmp_path}
    status, output, errors = run_script(script, "--epochs", "1", **places)
    assert (status, errors) == (0, "")
    assert "sample" not in output
    lines = output.splitlines()
    assert sum("] loss: " in line for line in lines) == 3 * len(CHECKPOINTS[script])
    targets = [95, 96] if script == "residual_variants" else [96]  # constant scaling
    for [accuracy], target in zip(accuracies(output), targets, strict=True):
        assert accuracy >= target


def test_archives_on_disk_need_no_network(archives, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, _ in ARCHIVES:
        (raw / name).write_bytes((archives / name).read_bytes())
    train_set, test_set, remark = resnet_mnist.load_mnist(tmp_path, "cpu")
    assert (len(train_set[0]), len(test_set[0]), remark) == (60_000, 10_000, "")
