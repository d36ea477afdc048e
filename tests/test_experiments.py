"""The experiments train, keep and measure what they name, and draw it."""

import copy
import inspect
import json
import math
import re
import runpy
import shutil
import signal
import subprocess
import sys
import zlib
from functools import partial
from importlib import import_module
from itertools import chain
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from conftest import MEASURED, ROOT, SCRIPTS
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageDraw
from pytest import approx
from torch.overrides import TorchFunctionMode

import googlenet_mnist
import residual_variants
import resnet_mnist
from residual_variants import BLOCKS

FOLDER = ROOT / "experiments"
sys.path[:0] = [str(FOLDER), str(ROOT / "figures")]

import branches
import depth
import lecture
import own_digit
import pages
import runs
import small_gain

NETWORKS = {"GoogLeNet": googlenet_mnist.Net, "ResNet": resnet_mnist.Net}
for name, stages in ((block, d) for block in BLOCKS for d in (1, 2, 4, 8, 16)):
    suffix = "" if stages == 1 else f"-depth-{stages}"
    NETWORKS[name + suffix] = partial(residual_variants.Net, BLOCKS[name], stages)
RESNET = runs.Runs({"ResNet": resnet_mnist.Net}, epochs=10, seeds=3)
JOB = runs.Job("ResNet", 0, RESNET, [])


@pytest.fixture
def digits(tiny_mnist, monkeypatch):
    """The training and the test set that the experiments get instead of the full ones."""
    *sets, _ = resnet_mnist.load_mnist(tiny_mnist, "cpu")
    monkeypatch.setattr(runs, "load", lambda device: sets)
    return sets


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs.jsonl")
    return runs.RUNS


def line(seed=0, measured=(), **more):
    """A line of the store: a ResNet of ten epochs, if nothing else is said."""
    run = {"network": "ResNet", "seed": seed, "epochs": 10, "lr": 0.01, "clip": None}
    run.update(losses=[1.0] * 10, accuracies=[90.0] * 10, device=runs.NAME, torch="")
    return json.dumps({**run, "measured": {k: [] for k in measured}, **more}) + "\n"


def fingerprint(build):
    torch.manual_seed(0)
    net = build()
    layers = [type(layer).__name__ for layer in net.modules()]
    sums = [weights.sum().item() for weights in net.parameters()]
    return str([layer for layer in layers if layer != "Sequential"]), sums


def test_the_store_has_what_is_published_and_a_name_is_one_network(digits):
    prints = {name: fingerprint(build) for name, build in NETWORKS.items()}
    for name in pages.SCRIPTS:
        plan = import_module(name).PLAN
        assert runs.missing(plan) == []
        networks = {}
        for group in plan.values():
            assert group.measure in (None, name)
            assert group.seeds == min(map(len, runs.read(group).values()))
            networks.update(group.networks)
        for network, build in networks.items():
            found = fingerprint(build)
            assert found == prints.setdefault(network, found), network
    assert len({*map(str, prints.values())}) == len(prints)
    nets = small_gain.NETWORKS["GoogLeNet, Kaiming"](), depth.he(1)
    for net, gain, inputs in zip(nets, (1, 2), (88, 16)):
        assert net.conv2.weight.var().item() == approx(gain / (25 * inputs), rel=0.1)
        assert not any(conv.bias.any() for conv in (net.conv1, net.conv2))


def test_a_run_is_what_the_script_does(places, digits, monkeypatch):
    threads, nets = Mock(), []
    monkeypatch.setattr(torch, "set_num_threads", threads)

    def build():
        nets.append(residual_variants.Net(BLOCKS["conv-shortcut"]))
        return nets[-1]

    job = runs.Job("x", 3, runs.Runs({"x": build}, epochs=2, lr=0.05), ["errors"])
    run = runs.train(job)
    threads.assert_called_once_with(1)
    assert nets[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)
    flags = ["--lr", "0.05", "--blocks", "conv-shortcut", "--epochs", "2", *places]
    [(losses, accuracies)] = residual_variants.main([*flags, "--seed", "3"]).values()
    assert run["accuracies"] == accuracies
    assert run["losses"] == [round(loss, 4) for loss in losses]
    assert len(run["measured"]["errors"]) == 100 - accuracies[-1]
    clipped = runs.train(job._replace(group=job.group._replace(clip=1e-9)))
    torch.manual_seed(3)
    still = residual_variants.test(build(), *digits[1])
    assert (clipped["accuracies"], clipped["clip"]) == ([still] * 2, 1e-9)
    for loss in (math.nan, math.inf):  # diverged, it is not measured
        monkeypatch.setattr(resnet_mnist, "train", Mock(side_effect=[0.5, loss]))
        run = runs.train(job)
        assert (run["losses"], run["accuracies"], run["measured"]) == ([], [], {})


def test_what_is_missing_is_made_and_the_most_seeds_are_read(store, monkeypatch):
    def missing(*lines, measure=None, seeds=None):
        store.write_text("".join(lines))
        jobs = runs.missing({"group": RESNET._replace(measure=measure)}, seeds)
        return [(job.seed, job.scripts) for job in jobs]

    def read(*lines, **how):
        store.write_text("".join(lines))
        return [run["seed"] for run in runs.read(RESNET, **how)["ResNet"]]

    every = [(0, []), (1, []), (2, [])]
    elsewhere = [line(seed, device="B") for seed in (3, 4, 5)]
    others = line(0, clip=1), line(1, lr=0.05), line(2, epochs=5), line(network="x")
    assert missing() == missing(*elsewhere[:2]) == missing(*others) == every
    assert missing(line(0), line(2)) == [(1, [])]
    assert missing(*elsewhere) == missing(line(0), seeds=1) == []
    store.write_text("")
    rates = {lr: RESNET._replace(lr=lr, seeds=1) for lr in (0.01, 0.05)}
    assert len(runs.missing(rates)) == 2
    assert len(runs.missing({0: RESNET._replace(epochs=0, seeds=1)}, 5)) == 1
    monkeypatch.setattr(sys, "argv", ["x", "--train"])
    monkeypatch.setattr(runs, "make", Mock())
    runs.main(runs.command_line(""), {"group": RESNET}, dict)
    assert len(runs.make.call_args[0][0]) == 3
    # A run is made again with all that was measured of it.
    lines = line(0, ["errors"]), line(1, ["derivative"])
    again = [(0, ["derivative", "errors"]), (2, ["derivative"])]
    assert missing(*lines, measure="derivative") == again
    ours = line(2), line(0)
    assert read(*ours, *elsewhere[1:]) == [0, 2]
    assert read(*ours, *elsewhere) == [3, 4, 5]
    assert read(*ours, *elsewhere, every_device=True) == [0, 2, 3, 4, 5]


def test_a_run_is_kept_before_the_next_is_made(store, digits, monkeypatch, capsys):
    """On a line of its own; and Ctrl-C reaches the parent alone."""
    store.write_text(line(1).strip())
    before = signal.getsignal(signal.SIGINT)

    def imap_unordered(train, jobs):
        assert signal.getsignal(signal.SIGINT) == before
        yield json.loads(line(2))
        assert store.read_text() == line(1) + line(2)
        raise KeyboardInterrupt

    def pool(processes):
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        first = f"1 runs, 10 epochs on {runs.NAME}, 7 runs at a time\n"
        assert (processes, capsys.readouterr().out) == (7, first)
        return MagicMock(imap_unordered=imap_unordered)

    monkeypatch.setattr(runs, "get_context", lambda how: Mock(Pool=pool))
    with pytest.raises(SystemExit, match="^Interrupted: the finished runs are kept$"):
        runs.make([JOB], 7)


def test_a_process_makes_what_is_missing(tiny_mnist, tmp_path):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    shutil.copytree(FOLDER, tmp_path / "experiments")
    for script in SCRIPTS:
        shutil.copy(ROOT / f"{script}.py", tmp_path)
    store = tmp_path / "experiments" / "runs.jsonl"
    store.write_text(line(0, ["depth"]))
    command = [sys.executable, "experiments/errors.py", "--processes", "1"]
    pipes = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([*command, "--train", "1"], check=False, **pipes)
    assert (done.returncode, done.stderr) == (0, "")
    assert ", 1 runs at a time\n[1/1] ResNet, seed 0: [" in done.stdout
    assert f"\nerrors\n| 1, {runs.NAME} | " in done.stdout
    before, new = map(json.loads, store.read_text("utf-8").splitlines())
    assert new.keys() == runs.KEYS
    assert new["measured"].keys() == {"depth", "errors"}
    keys = runs.KEYS - {"losses", "accuracies", "measured", "torch"}
    assert all(new[key] == before[key] for key in keys)


BAD = [b"half a li", b"[1, 2]", b"5", b'{"network": "ResNet"}', b"\xff\xfe{", b"\n{}"]


def test_a_fault_ends_in_one_line(store, tmp_path, monkeypatch, capsys):
    def ends(call, why):
        with pytest.raises(SystemExit, match=f"^[^\n]*{why}[^\n]*$"):
            call()

    read = partial(runs.read, RESNET)
    ends(read, "^ResNet, lr 0.01: no run is kept; --train makes it")
    for flags in ("--processes=0", "--train=-1"):
        monkeypatch.setattr(sys, "argv", ["x", flags])
        ends(partial(runs.main, runs.command_line(""), {}, dict), "2")
        assert "error: need --processes" in capsys.readouterr().err.splitlines()[-1]
    monkeypatch.setattr(runs, "DATA", tmp_path / "empty")  # so that there is a sample
    monkeypatch.setattr(runs, "load", runs.load.__wrapped__)
    monkeypatch.setattr(runs, "get_context", None)
    for make in (partial(runs.make, [JOB], 1), partial(runs.train, JOB)):
        ends(make, "This needs the full MNIST in ")
    assert not store.exists()
    for text in BAD:
        store.write_bytes(line().encode() + text)
        ends(read, "runs.jsonl, line 2 is not a run: ")
    store.write_bytes(b"\xef\xbb\xbf" + line().encode())  # an editor's mark is read
    assert read() == {"ResNet": [json.loads(line())]}


def test_figures_are_those_of_a_textbook_and_of_the_notes():
    a, b = [1.0, 2.0, 3.0], [2.0, 4.0, 6.5]
    assert runs.spread(a) == "2.00 ± 1.00"
    assert runs.difference(b, a) == "+2.17 (-2.60 to +6.93)"  # as SciPy's ttest_ind
    nets = [json.loads(line(accuracies=[last])) for last in (79.99, 80.0, 80.0)]
    assert [runs.cell(nets), runs.cell(nets[1:])] == ["2 of 3 learn", "80.00 ± 0.00"]
    papers = list(depth.ERRORS.items())[:16]
    sums = [zlib.crc32(repr(x).encode()) for x in (lecture.PRINTED, papers)]
    assert sums == [481630147, 3288513140]
    notes = ROOT.parent / "shared" / "notes.txt"
    if notes.exists():
        printed = re.findall(r"\n\[.*\] loss: 0\.(\d+)", notes.read_text("utf-8"))
        losses = " ".join(lecture.PRINTED.values()).split()
        assert [loss.zfill(3) for loss in losses] == printed


@pytest.mark.parametrize("name", MEASURED)
def test_measuring_leaves_the_net_as_it_was(name, digits, monkeypatch):
    found, (images, labels) = own_digit.load_digits(), digits[1]
    few = SimpleNamespace(images=found.images[:9], target=found.target[:9])
    monkeypatch.setattr(own_digit, "load_digits", lambda: few)
    monkeypatch.setattr(own_digit, "test_sets", own_digit.test_sets.__wrapped__)
    plan = import_module(name).PLAN.values()
    [build, *_] = next(group for group in plan if group.measure).networks.values()
    net = build()
    answers = net(images[::5]).argmax(dim=1)
    digits[1] = images[::50], labels[::50]
    if name == "own_digit":  # let the net be right
        digits[1] = images[::5], answers
    before = copy.deepcopy(list(net.parameters()))
    found = import_module(name).measure(net, *digits)
    assert json.loads(json.dumps(found)) == found
    assert all(map(torch.equal, net.parameters(), before))
    if name == "own_digit":
        white = (1 - 2 * 0.1307) / 0.3081 - images[::5]
        (as_is, _), _, (right, _), *_ = own_digit.test_sets()["restored"]
        assert (right - as_is).abs().max() < 0.01
        change, bar = own_digit.CHANGES, torch.zeros(1, 1, 28, 28)
        bar[..., 9:19, 11:17] = 1
        for n in (2, 4, 6):
            assert torch.equal(change[f"{n} pixels to the right"](bar), bar.roll(n, 3))
        for n in (0.6, 1.4):
            area = change[f"scaled to {n}"](bar).sum() / 60
            assert area == approx(n**2, rel=0.15)
        assert found["changed"][:2] == [100, resnet_mnist.test(net, white, answers)]


def test_derivative(digits):
    net, (images, labels) = resnet_mnist.Net(), [part[::50] for part in digits[1]]
    found = import_module("derivative").measure(net, None, (images, labels))
    x, steps, stages = images, [], ((net.conv1, net.rblock1), (net.conv2, net.rblock2))
    for i, (conv, block) in enumerate(stages):
        x = net.mp(F.relu(conv(x)))
        inner = block.conv1(x)
        steps += [x, x + block.conv2(F.relu(inner))]
        x = F.relu(steps[-1])
        steps.append(x)
        # From x_i to y_i: the products of the two kernels' weights on each way.
        kernel = block.conv2.weight * block.conv1.weight.transpose(0, 1).flip(2, 3)
        diagonal = F.conv2d((inner > 0).float(), kernel, padding=1)
        assert found["least"][i] == approx(diagonal.min().item(), abs=0.001)
        negative = 100 * (diagonal < 0).float().mean().item()
        assert found["negative"][i] == approx(negative, abs=0.1)
    loss = F.cross_entropy(net.fc(x.flatten(1)), labels, reduction="sum")
    norms = [g.flatten(1).norm(dim=1) for g in torch.autograd.grad(loss, steps)]
    for i, (before, after) in enumerate(((0, 1), (0, 2), (3, 4), (3, 5))):
        ratios = norms[before] / norms[after]
        figures = ratios.median(), ratios.min(), 100 * (ratios < 1).float().mean()
        assert found["ratios"][i] == approx(list(map(float, figures)), abs=0.01)


@torch.no_grad()
def test_branches(digits):
    net, images = googlenet_mnist.Net(), digits[0][0][::4]
    net.conv1.weight.mul_(20)  # so that the answers differ
    labels = net(images).argmax(dim=1)
    found = branches.measure(net, (images, None), (images, labels))
    x = net.incep1(F.relu(net.mp(net.conv1(images))))
    outputs = x, net.incep2(F.relu(net.mp(net.conv2(x))))
    readers = net.conv2.weight, net.fc.weight.view(10, 88, 16)
    for i, *parts in zip((1, 2), outputs, readers):
        outs, weights = (part.split([16, 24, 24, 24], dim=1) for part in parts)
        loud = [out.std(dim=0).square().mean().sqrt().item() for out in outs]
        assert found[f"loudness {i}"] == approx(loud, abs=0.001)
        rms = [(w.norm() / w.numel() ** 0.5).item() for w in weights]
        assert found[f"weights {i}"] == approx(rms, abs=1e-4)
        lost = []
        for name in ("branch1x1", "branch5x5_2", "branch3x3_3", "branch_pool"):
            without = copy.deepcopy(net)
            for weight in without.get_submodule(f"incep{i}.{name}").parameters():
                weight.zero_()
            lost.append(100 - googlenet_mnist.test(without, images, labels))
        assert found[f"lost {i}"] == approx(lost)
        assert max(lost) > 0
    torch.manual_seed(0)
    net = branches.start(1, 1, 3, 1)
    torch.manual_seed(0)
    as_ever = googlenet_mnist.Net()
    powers = []
    for net_of in (net, as_ever):
        loud = branches.loudness(net_of, net_of.incep1, digits[0][0])
        powers.append(sum(c * a**2 for c, a in zip(branches.CHANNELS, loud)))
    torch.testing.assert_close(*powers, rtol=1e-3, atol=0)
    for module in (net.incep1, net.incep2):
        a, *others = branches.loudness(net, module, digits[0][0])
        assert [other / a for other in others] == approx([1, 3, 1], rel=1e-3)


def test_errors_and_first_gradient(digits):
    net, (images, labels) = resnet_mnist.Net(), digits[0]
    for x, y in zip(images[:64], labels[:64]):
        F.cross_entropy(net(x[None]), y[None]).backward()
    norm = net.conv1.weight.grad.norm().item() / 64
    assert depth.measure(net, *digits) == approx(norm, rel=0.06)
    answers = net(images).argmax(dim=1)
    labels = torch.where(torch.arange(len(images)) % 99 == 98, 9 - answers, answers)
    wrong = [[i, answers[i].item()] for i in (98, 197, 296)]
    assert import_module("errors").measure(net, None, (images, labels)) == wrong


def test_the_first_gradients_of_the_store_are_measured_again(full_mnist):
    for group in (depth.PLAN["gradient", 1], depth.PLAN["gradient", 4]):
        for name, [run] in runs.read(group).items():
            found = runs.train(runs.Job(name, 0, group, ["depth"]))["measured"]
            if "dropout" not in name:  # which drops other pixels on another CPU
                assert found["depth"] == approx(run["measured"]["depth"], rel=0.1), name


def drawn(draw, file):
    """The texts of each panel of the figure that `draw` saves in `file`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", Mock())
        draw()
        assert [call[0][0] for call in Figure.savefig.call_args_list] == [file]
    panels = {a.get_title(): a.texts for a in plt.gcf().axes if a.get_title()}
    return {name: [t.get_text() for t in texts] for name, texts in panels.items()}


def diagram(name):
    file = ROOT / "figures" / f"{name}.py"
    return drawn(partial(runpy.run_path, str(file)), file.with_suffix(".png"))


@pytest.mark.parametrize("name", pages.SCRIPTS)
def test_a_script_draws_its_picture(name, request):
    draw = getattr(import_module(name), "draw", None)
    if draw and "runs.load(" in inspect.getsource(draw):
        request.getfixturevalue("full_mnist")
    if draw:
        drawn(draw, FOLDER / f"{name}.png")


@pytest.mark.parametrize("module", [googlenet_mnist, resnet_mnist])
def test_a_diagram_is_the_forward_of_its_net(module):
    net, *module_or_block = diagram(module.NAME.lower()).values()
    forward = inspect.getsource(module.Net.forward)
    shapes = [text for text in net if text.startswith("(N")]
    assert shapes == re.findall(r"# (\(N, .*\))", forward)
    step = r"conv\d|mp|relu|incep\d|rblock\d|flatten|fc"
    steps = [re.findall(step, text)[::-1] for text in forward.splitlines()]
    texts = " ".join(net).lower().replace("max pool", "mp")
    assert re.findall(step, texts) == [*chain(*steps)]
    convs = [m for m in module.Net().modules() if isinstance(m, torch.nn.Conv2d)]
    kernels = [str(conv.kernel_size[0]) for conv in convs]
    found = re.findall(r"conv\d? (\d)×\1", " ".join(chain(net, *module_or_block)))
    assert found == kernels[: len(found)]


class Operations(TorchFunctionMode):
    """Notes what is computed, in the words of the diagrams."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        words = {"batch_norm": "BN", "relu": "ReLU", "dropout": "dropout"}
        name, self.found = function.__name__, getattr(self, "found", [])
        if name == "conv2d":
            words[name] = "conv {2}×{3}".format(*args[1].shape)
        self.found += [words[name]] if name in words else []
        return function(*args, **(kwargs or {}))


def test_the_branches_of_the_inception_diagram():
    text = " ".join(diagram("googlenet")["InceptionA(C)"])
    assert " + ".join(map(str, branches.CHANNELS)) in text
    _, *parts = text.split(" branch")
    convs = dict(googlenet_mnist.InceptionA(10).named_children())
    for part in parts:
        name = "branch" + part.split()[0]
        own = [c for n, c in convs.items() if n.startswith(name)]
        assert re.findall(r"conv (\d)", part) == [str(c.kernel_size[0]) for c in own]
        numbers = re.findall(r" (\d\d)(?= |$)", part)
        assert numbers == [str(c.out_channels) for c in own]


def test_a_panel_shows_what_its_block_computes():
    def branch_first(operation):
        return operation in ("conv 1×1", "dropout")

    panels = diagram("block_diagrams")
    assert list(panels) == list(BLOCKS)
    for name, texts in panels.items():
        layers = {"layers": 1} if name == "dense" else {}  # "four times more"
        with Operations() as operations:
            BLOCKS[name](16, **layers)(torch.randn(2, 16, 4, 4))
        words = re.findall(r"conv \d×\d|BN|ReLU|dropout", " ".join(texts))
        true = sorted(operations.found, key=branch_first)
        assert sorted(words, key=branch_first) == true, name
        equation, text = BLOCKS[name].__doc__.split(". ")[0], " ".join(texts)
        for part, box in (("+", "+"), ("(1 - g)", "× (1 − g)"), ("0.5", "× 0.5")):
            assert (part in equation) == (box in text), name
        if "+" in texts:  # what comes after the sum
            outer = equation.partition("x")[0].replace("relu", "ReLU")
            after = re.findall("BN|ReLU", text.partition("+")[2])
            assert after[::-1] == re.findall("BN|ReLU", outer), name


def photo(*more):
    """A 7 on white paper, with other black lines (points, width)."""
    seven = Image.new("L", (400, 300), "white")
    for points, width in (([(150, 70), (250, 70), (190, 230)], 16), *more):
        ImageDraw.Draw(seven).line(points, fill="black", width=width)
    return seven


def test_a_photo_becomes_like_mnist():
    [seen] = own_digit.like_mnist(photo())
    for side in (seen.sum(dim=1), seen.sum(dim=0)):
        assert (side * torch.arange(28)).sum() / side.sum() == approx(14, abs=0.6)
    assert seen.sum(dim=1).count_nonzero() == 20  # it is higher than wide
    thin = Image.new("L", (1000, 1000), "black")
    ImageDraw.Draw(thin).line([(300, 100), (700, 900)], fill="white", width=5)
    assert own_digit.like_mnist(thin).max() == 1
    turned, shadow = photo().transpose(Image.ROTATE_90), Image.new("L", (400, 300), 255)
    turned.getexif()[274] = 6  # to be turned clockwise
    shadow.paste(140, (206, 0, 400, 300))
    around = photo(([(0, 290), (400, 290)], 21), ([(50, 50), (53, 53)], 5))
    shaded = ImageChops.multiply(photo(), shadow)
    for same in (turned, shaded, around, ImageChops.invert(photo())):
        assert (own_digit.like_mnist(same) - seen).abs().mean() < 0.02
    with pytest.raises(ValueError, match="more than one"):
        own_digit.like_mnist(photo(([(330, 70), (330, 230)], 16)))


def test_a_photo_is_answered_or_one_line_says_why_not(tmp_path, monkeypatch, capsys):
    net, file = resnet_mnist.Net(), tmp_path / "photo.png"
    assert own_digit.CHECKPOINT == ROOT / "results" / f"{resnet_mnist.FILE}.pt"
    monkeypatch.setattr(own_digit, "CHECKPOINT", tmp_path / "resnet_mnist.pt")
    torch.save({"state_dict": net.state_dict()}, own_digit.CHECKPOINT)

    def refuses(why):
        with pytest.raises(SystemExit, match=f"^[^\n]*{why}[^\n]*$"):
            own_digit.show_answer(file)

    refuses("No such file")
    Image.effect_noise((400, 300), 60).save(file)  # of two chunks
    start, end = file.read_bytes().rsplit(b"IDAT", 1)
    for content in (start + b"I\0AT" + end, b"\0\0\0\x18ftypheic"):
        file.write_bytes(content)
        refuses("broken PNG" if start in content else "save it as JPEG or PNG")
    for paper in ("white", "black", "gray"):
        Image.new("L", (50, 50), paper).save(file)
        refuses("there is no digit in it")
    photo().save(file)
    own_digit.show_answer(file)
    [chances] = net((own_digit.like_mnist(photo())[None] - 0.1307) / 0.3081).softmax(1)
    answer = f"The net says {chances.argmax()} ({chances.max():.1%})\n"
    assert capsys.readouterr().out == answer
    assert file.with_name("own_digit.png").exists()
    other = {"state_dict": googlenet_mnist.Net().state_dict()}
    torch.save(other, tmp_path / "other.pt")
    for content in (b"text", (tmp_path / "other.pt").read_bytes()):
        own_digit.CHECKPOINT.write_bytes(content)
        refuses("no checkpoint of resnet_mnist.py: run it first")
