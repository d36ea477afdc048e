"""The experiments print what their page says, and train what they name."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from functools import lru_cache, partial
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from conftest import ROOT, SCRIPTS
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torchvision.transforms.functional import to_pil_image

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

EXPERIMENTS = ROOT / "experiments"
sys.path[:0] = [str(EXPERIMENTS), str(ROOT / "figures")]

import branches
import own_digit
import runs

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## `(\w+)\.py`(.*?)(?=^## |\Z)", PAGE))
NEED_DIGITS = ["branches", "errors", "own_digit"]
# "+1.00 (+0.50 to +1.50)", "98.00 ± 0.10" and "2 of 4" are one figure each.
FIGURE = r"[+-][\d.]+ \([+-][\d.]+ to [+-][\d.]+\)|[\d.]+ ± \d+\.\d+|\d+ of \d+"
FIGURE += r"|\d+\.\d+(?:e[+-]\d+)?"


def start(file, *flags, drawn):
    """Run a script as a user does; return what it prints, add its pictures to `drawn`."""
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, file, **__: drawn.append(file))
        patch.setattr(runs, "get_context", None)  # nothing is trained
        patch.setattr(sys, "argv", [file.name, *flags])
        patch.setattr(sys, "stdout", SimpleNamespace(write=printed.append))
        runpy.run_path(str(file), run_name="__main__")
    return "".join(printed)


@lru_cache(None)
def finished(name):
    """What an experiment prints, and its pictures."""
    drawn = []
    return start(EXPERIMENTS / f"{name}.py", drawn=drawn), drawn


def table(text):
    return re.findall(r"^\|.*", text, re.MULTILINE)


def test_every_script_has_its_place():
    assert {file.stem for file in EXPERIMENTS.glob("*.py")} == {*SECTIONS, "runs"}
    for name in ("googlenet", "resnet", "block_diagrams"):
        drawn, file = [], ROOT / "figures" / f"{name}.py"
        start(file, drawn=drawn)
        assert drawn == [file.with_suffix(".png")]


@pytest.mark.parametrize("name", SECTIONS)
def test_the_page_shows_what_the_script_prints(name, request):
    if name in NEED_DIGITS:
        request.getfixturevalue("full_mnist")
    output, drawn = finished(name)
    assert drawn == [*EXPERIMENTS.glob(f"{name}.png")]
    rows = re.sub(r"^\|.*\n\|-.*\n", "", SECTIONS[name], flags=re.MULTILINE)
    assert sorted(table(rows)) == sorted(table(output))
    prose = re.sub(
        r"^\|.*|\(arXiv.*?\)|lr 0\.\d+", "", SECTIONS[name], flags=re.MULTILINE
    )
    assert [
        figure for figure in re.findall(FIGURE, prose) if figure not in output
    ] == []


LINKED = [line for line in README.splitlines() if "experiments/README.md#" in line]


@pytest.mark.parametrize("paragraph", LINKED, ids=lambda paragraph: paragraph[:40])
def test_readme_gives_figures_of_the_experiments_that_it_links(paragraph, request):
    names = re.findall(r"README\.md#(\w+)py\)", paragraph)
    if set(names) & set(NEED_DIGITS):
        request.getfixturevalue("full_mnist")
    output = "".join(finished(name)[0] for name in names)
    words = r"\]\(.*?\)|al\. \d+|lr 0\.\d+|-110|-40|10,000"  # no figures of ours
    text = re.sub(words, "", paragraph)
    figures = re.findall(FIGURE + r"|\b\d{2,}\b", text)
    assert [figure for figure in figures if figure not in output] == []


def test_readme_has_the_rows_of_lecture_and_depth():
    for row in table(finished("lecture")[0])[:6]:
        name, _, *cells, _ = row.strip("| ").split(" | ")
        assert f"\n| {name} | {' | '.join(cells)} |\n" in README
    for row in table(finished("depth")[0])[: 1 + len(BLOCKS)]:
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        usual, slower = cells[3:5]
        cell = f"{usual}; {slower} with lr 0.001" if "±" in slower else usual
        if name != "`plain-he`":
            assert re.search(rf"\n\| {name} \|.*\| {re.escape(cell)} \|", README)


# What they train


@pytest.fixture
def few_digits(tiny_mnist, monkeypatch):
    """The training and the test set that the experiments get instead of the full ones."""
    *sets, _ = resnet_mnist.load_mnist(tiny_mnist, "cpu")
    monkeypatch.setattr(runs, "load", lambda device: sets)
    return sets


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store."""
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs.jsonl")
    runs.RUNS.touch()
    return runs.RUNS


def line(name, seed=0, epochs=10, lr=0.01, **measured):
    """A line of the store."""
    run = {"network": name, "seed": seed, "epochs": epochs, "lr": lr, "torch": ""}
    run.update(losses=[1.0] * epochs, accuracies=[90 + seed / 10] * epochs)
    return json.dumps({**run, "device": runs.NAME, **measured}) + "\n"


def fingerprint(build):
    torch.manual_seed(0)
    net = build()
    return str(net), [weights.sum().item() for weights in net.parameters()]


NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
for block in BLOCKS:
    for depth in (1, 2, 4, 8, 16):
        name = block if depth == 1 else f"{block}-depth-{depth}"
        NETWORKS[name] = partial(residual_variants.Net, BLOCKS[block], depth)
MEASURED = {key: [1.0] * 8 for keys in runs.MEASURES.values() for key in keys}
MEASURED.update({"gradient": 1.0, "wrong": [[0, 1]], "ratios": [[1.0] * 3] * 4})
PLAN = {  # {(epochs, lr): how many networks}; ten ResNets where nothing else stands
    "lecture": {(10, 0.01): 6},
    "branches": {(5, 0.01): 7},
    "small_gain": {(5, 0.01): 9, (5, 0.05): 9},
    "more_epochs": {(30, 0.01): 1},
    "depth": {(1, 0.01): 56, (1, 0.001): 5, (0, 0.01): 85, (1, 0.1): 2},
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_script_trains_what_it_names(name, store, few_digits, monkeypatch):
    made, found, plan = [], {}, {}
    measured = {key: MEASURED[key] for key in runs.MEASURES.get(name, [])}

    def make(jobs, processes):
        made.extend(jobs)
        with store.open("a") as file:
            file.writelines(line(job[0], *job[2:5], **measured) for job in jobs)

    monkeypatch.setattr(runs, "make", make)
    start(EXPERIMENTS / f"{name}.py", "--train", drawn=[])
    for network, _, seed, epochs, lr, clip, scripts in made:
        found.setdefault((network, epochs, lr), []).append(seed)
        assert clip == (1 if "clipped" in network else None)
        assert scripts == [name] * (name in runs.MEASURES and epochs != 1)
    for (_, epochs, lr), seeds in found.items():
        plan[epochs, lr] = plan.get((epochs, lr), 0) + 1
        assert seeds == list(range(10 if epochs else 1))
    assert plan == PLAN.get(name, {(10, 0.01): 1})
    builds = {job[0]: job[1] for job in made if not job[5]}
    prints = {network: fingerprint(build) for network, build in builds.items()}
    assert all(prints[n] == fingerprint(NETWORKS[n]) for n in prints.keys() & NETWORKS)
    assert len({str(found) for found in prints.values()}) == len(prints)


def test_a_run_is_what_the_script_does(places, few_digits):
    build, flags = NETWORKS["conv-shortcut"], ["--epochs", "2", "--seed", "3"]
    run = runs.train(("name", build, 3, 2, 0.05, None, ["errors"]))
    flags += ["--lr", "0.05", "--blocks", "conv-shortcut", *places]
    [(losses, accuracies)] = residual_variants.main(flags).values()
    assert run["accuracies"] == accuracies
    assert run["losses"] == [round(loss, 4) for loss in losses]
    assert len(run["wrong"]) == 100 - accuracies[-1]
    clipped = runs.train(("name", build, 3, 2, 0.05, 1e-9, []))["accuracies"]
    torch.manual_seed(3)
    assert clipped == [residual_variants.test(build(), *few_digits[1])] * 2


def test_a_branch_starts_as_loud_as_it_should(few_digits):
    net = branches.start(1, 1, 3, 1)
    for module in (net.incep1, net.incep2):
        quiet, five, loud, pool = (s.item() for s in branches.loudness(net, module))
        assert [five, loud, pool] == pytest.approx([quiet, 3 * quiet, quiet], rel=1e-3)


def test_two_processes_make_what_is_missing(tiny_mnist, tmp_path):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    shutil.copytree(EXPERIMENTS, tmp_path / "experiments")
    for script in SCRIPTS:
        shutil.copy(ROOT / f"{script}.py", tmp_path)
    store = tmp_path / "experiments" / "runs.jsonl"
    before = line("ResNet", seed=1, gradient=1.0) + line("GoogLeNet", wrong=[])
    store.write_text(before)
    flags = ["--train", "--seeds", "2", "--processes", "2"]
    command = [sys.executable, "experiments/errors.py", *flags]
    pipes = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(command, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ResNet")
    assert "| 2, CPU" in done.stdout
    made = store.read_text()[len(before) :].splitlines()
    assert store.read_text().startswith(before)
    assert sorted(json.loads(run)["seed"] for run in made) == [0, 1]
    # A run is made again with all that was measured of it.
    keys = runs.FIELDS | {"wrong", "gradient"}
    assert all(keys <= json.loads(run).keys() for run in made)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_sample_gives_neither_run_nor_picture(name, store, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "DATA", tmp_path / "empty")
    monkeypatch.setattr(runs, "load", runs.load.__wrapped__)
    drawn, needs = [], {"match": "^This needs the full MNIST in [^\n]*$"}
    with pytest.raises(SystemExit, **needs):
        start(EXPERIMENTS / f"{name}.py", "--train", drawn=drawn)
    assert store.read_text() == ""
    if name in NEED_DIGITS:
        monkeypatch.setattr(runs, "RUNS", EXPERIMENTS / "runs.jsonl")
        with pytest.raises(SystemExit, **needs):
            start(EXPERIMENTS / f"{name}.py", drawn=drawn)
    assert drawn == []


@pytest.mark.parametrize("text", ["half a li", "[1, 2]", '{"network": "ResNet"}'])
def test_a_line_that_is_no_run_is_named(text, store):
    store.write_text(line("ResNet") + text)
    with pytest.raises(SystemExit, match=r"runs\.jsonl, line 2 is not a run: [^\n]*$"):
        runs.by_device("ResNet", 10, 0.01)


def test_ctrl_c_loses_only_the_runs_in_progress(store, few_digits, monkeypatch):
    def imap_unordered(train, jobs):
        yield json.loads(line("ResNet"))
        raise KeyboardInterrupt

    context = MagicMock()
    context.return_value.Pool.return_value.imap_unordered = imap_unordered
    monkeypatch.setattr(runs, "get_context", context)
    with pytest.raises(SystemExit, match="Interrupted: the finished runs are kept"):
        runs.make([("ResNet", None, 0)], 1)
    assert store.read_text() == line("ResNet")


# Your own digit


@pytest.mark.parametrize("paper", ["white", "black"])
def test_a_photo_becomes_like_mnist(paper, sample):
    for digit in sample[1][0][::100] / 255:
        large = to_pil_image(digit if paper == "black" else 1 - digit)
        photo = Image.new("RGB", (600, 500), paper)
        photo.paste(large.resize((280, 280), Image.BILINEAR), (200, 30))
        [seen] = own_digit.like_mnist(photo)
        for side in (seen.sum(dim=1), seen.sum(dim=0)):
            assert 13.4 < (side * torch.arange(28)).sum() / side.sum() < 14.6
        places = (seen > 0).nonzero()
        assert max(places.amax(dim=0) - places.amin(dim=0)) + 1 == 20
    thin = Image.new("L", (1000, 1000), paper)
    ink = {"white": "black", "black": "white"}[paper]
    ImageDraw.Draw(thin).line([(300, 100), (700, 900)], fill=ink, width=5)
    assert own_digit.like_mnist(thin).max() == 1


def test_a_photo_is_answered_or_one_line_says_why_not(tmp_path, monkeypatch, capsys):
    checkpoint, photo = tmp_path / "resnet_mnist.pt", tmp_path / "photo.png"
    monkeypatch.setattr(own_digit, "CHECKPOINT", checkpoint)
    net = resnet_mnist.Net()
    weights = net.state_dict()
    torch.save({"state_dict": weights}, checkpoint)
    whole, paper = checkpoint.read_bytes(), Image.new("L", (50, 50), "white")

    def refuses(why):
        with pytest.raises(SystemExit, match=f"^[^\n]*{why}[^\n]*$"):
            own_digit.show_answer(photo)

    refuses("No such file")
    photo.write_bytes(b"\0\0\0\x18ftypheic")
    refuses("save it as JPEG or PNG")
    paper.save(photo)
    refuses("there is no digit in it")
    ImageDraw.Draw(paper).line([(20, 10), (25, 40)], fill="black", width=3)
    paper.save(photo)
    own_digit.show_answer(photo)
    seen = (own_digit.like_mnist(paper) - 0.1307) / 0.3081
    [chances] = net(seen[None]).softmax(dim=1)
    answer = f"The net says {chances.argmax()} ({chances.max():.1%})\n"
    assert capsys.readouterr().out == answer
    assert checkpoint.with_name("own_digit.png").exists()
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        refuses("exceeds limit")
    for content in (b"", b"text", whole[: len(whole) // 2]):
        checkpoint.write_bytes(content)
        refuses("no checkpoint of resnet_mnist.py: run it first")
    for content in (weights, {"state_dict": googlenet_mnist.Net().state_dict()}, [1]):
        torch.save(content, checkpoint)
        refuses("no checkpoint of resnet_mnist.py: run it first")
