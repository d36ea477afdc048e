"""What the two pages say is so: tables, figures, map, commands, links and example."""

import re
import runpy
import shutil
import sys
from argparse import ArgumentParser
from importlib import import_module
from operator import attrgetter

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

import resnet_mnist
from googlenet_mnist import InceptionA

sys.path.insert(0, str(ROOT / "experiments"))

import lecture
import pages

README, PAGE = (page.read_text("utf-8") for page in pages.PAGES)
PARTS = README.split("\n## 中文说明\n")
NUMBER = r"(?<![\d.,])[+-]?\d+\.\d\d(?!\d|\.\d)"
INTERVAL = r"[+-]\d+\.\d\d \([+-]?\d+\.\d\d to [+-]?\d+\.\d\d\)|\d+\.\d+ ± \d+\.\d+"
FIGURE = rf"{INTERVAL}|\d\.\de[+-]\d\d|(?<![\d.])\d+\.\d to \d+\.\d(?!\d)|{NUMBER}"
# Free are versions of Python and torch, p-values, learning rates and addresses.
FREE = r"\b3\.1\d(?! ±)|torch 2\.\d+|p [=<>] [\d.]+(?: and [\d.]+)?|(?:lr|rate) [\d.]+"
FREE += r"|\]\([^)]*\)"


def figures(text, form=FIGURE):
    """The figures of a text, without the sign of what is above 0."""
    text = re.sub(r"（(\S+?)）", r" (\1)", text).replace("～", " to ")
    found = re.findall(form, re.sub(FREE, "", text))
    return {re.sub(r"(?<!e)\+", "", figure) for figure in found}


def prose(text):
    return re.sub(r"^(?:\||    ).*", "", text, flags=re.MULTILINE)


def test_the_tables_are_what_the_scripts_write():
    assert pages.written() == dict(zip(pages.PAGES, (README, PAGE)))
    for table in re.findall(r"(?:^\|.*\n)+", README + PAGE, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
    names = [name for _, name, _ in pages.TABLE.findall(PAGE)]
    assert len({*names}) == len(names) == len(re.findall(r"^\|-", PAGE, re.MULTILINE))
    assert sorted(re.findall(r"^## `(\w+)\.py`$", PAGE, re.MULTILINE)) == pages.SCRIPTS
    linked = re.findall(r"experiments/README\.md#(\w+)py\)", PARTS[0])
    assert sorted({*linked}) == pages.SCRIPTS


def test_figures_of_prose_stand_in_a_table():
    tables = "\n".join(re.findall(r"^\|.*", README + PAGE, re.MULTILINE))
    known = figures(tables) | figures(tables, NUMBER)
    known |= {f"{a:.2f}" for curve in lecture.ACCURACIES.values() for a in curve}
    assert figures(prose(PAGE)) - known == set()
    linked = [text for text in README.splitlines() if "experiments/README.md#" in text]
    assert figures("\n".join(linked)) - known == set()
    assert figures(prose(README), INTERVAL) - known == set()
    assert figures(PARTS[1]) - figures(PARTS[0], NUMBER) - known == set()
    free = "Section 12, 15 epochs, 在 3.13 上测试过, p < 0.05, 0 (zero), lr 0.25"
    assert figures(free) == set()
    slide = 784 * 25 * 192 * 32, 784 * 16 * (192 + 25 * 32)  # multiplications
    assert all(f"{count:,}" in part for count in slide for part in PARTS)


def test_the_map_names_what_is_there():
    part = README.partition("\n## The notes and the code")[2].partition("\n\n- ")[0]
    for row in re.findall(r"^\| (?!in the notes).*", part, re.MULTILINE):
        found = re.findall(r"([^|]*?)\[`([^`]*)`\]\(([^)]*)\)", row)
        assert found, row
        for names, file, target in found:
            assert file == target
            module = import_module(file[:-3].rpartition("/")[2])
            for name in re.findall(r"`([^`]+)`", names):
                source = (ROOT / file).read_text("utf-8")
                assert f'"{name}"' in source or attrgetter(name)(module)


CODE = "\n".join(re.findall(r"^    .*|`[^`\n]+`", README + PAGE, re.MULTILINE))
COMMAND = r"(?:python3?|uv run|%run)\b([^\n`#]*? )([\w/]+\.py)\b([^\n`#]*)"


@pytest.mark.parametrize("command", sorted({*re.findall(COMMAND, CODE)}))
def test_a_command_is_one_that_the_script_takes(command, monkeypatch):
    before, file, flags = command
    if "-m pytest" in before or file.endswith("pages.py"):
        assert all((ROOT / name).exists() for name in (file + flags).split())
        return
    parse = ArgumentParser.parse_args

    def parse_args(parser, argv=None):
        parser.allow_abbrev = False
        sys.exit(f"parsed {parse(parser, argv)}")

    monkeypatch.setattr(ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr(sys, "argv", [file, *flags.split()])
    with pytest.raises(SystemExit, match="parsed"):
        runpy.run_path(str(ROOT / file.replace("NAME", "lecture")), run_name="__main__")


def test_the_files_that_the_page_names_are_there():
    lists = re.findall(r"-(?:r|-with-requirements) ([\w/]+\.\w+)", README)
    assert all((ROOT / name).exists() for name in lists)
    names = sorted(name for name, _ in resnet_mnist.datasets.MNIST.resources)
    assert all(sorted(re.findall(r"`([\w-]+\.gz)`", part)) == names for part in PARTS)
    raw = {*re.findall(r"`(\S*MNIST/raw)`", README)}
    assert raw == {"MNIST/raw", "dataset/mnist/MNIST/raw"}


OWN = ["MNIST could not be loaded", "The loss is nan in epoch 1", "need --lr above 0"]
OWN += ["No finite loss", "Interrupted", "invalid choice: 'cuda:0'"]


def test_messages_and_files_are_those_of_the_scripts(capsys):
    source = (ROOT / "residual_variants.py").read_text("utf-8")
    with pytest.raises(SystemExit):
        resnet_mnist.main(["--device", "cuda:0"])
    source = source.replace("{loss}", "nan").replace("{epoch}", "1")
    source += capsys.readouterr().err
    for message in OWN:
        assert message in source
        assert all(re.search(f"`[^`\n]*{message}", part) for part in PARTS), message
    names = (
        r"(?:googlenet|resnet)_mnist\.pt|residual_variants_<block>(?:-depth-\d+)?\.pt"
    )
    files = re.findall(r"results/([^\s`\"]+)", README + PAGE)
    assert [file for file in files if not re.fullmatch(names, file)] == []


def test_links_lead_somewhere_and_every_picture_is_shown():
    shown = set()
    for page, text in zip(pages.PAGES, (README, PAGE)):
        for file, place in re.findall(r"\]\(([^):#]*)(?:#([^):]*))?\)", text):
            target = (page.parent / file if file else page).resolve()
            shown.add(target)
            if target.suffix == ".md" and place:
                heads = re.findall(r"\n#+ (.*)", target.read_text("utf-8").lower())
                anchors = [re.sub(r"[^\w\- ]", "", h).replace(" ", "-") for h in heads]
                assert place in anchors  # as GitHub makes them
    assert all(file.exists() for file in shown)
    pictures = {file for file in shown if file.suffix == ".png"}
    assert pictures == {*ROOT.glob("figures/*.png"), *ROOT.glob("experiments/*.png")}
    assert all(picture.with_suffix(".py").exists() for picture in pictures)


def test_example_classifies_a_digit(tiny_mnist, tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    resnet_mnist.main(["--epochs", "1"])
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.py").write_text(example, "utf-8")
    capsys.readouterr()
    runpy.run_path("example.py")
    printed = r"epoch 1, [\d.]+ %\nLoading .*\nit is a \d, and the net says \d\n"
    assert re.fullmatch(printed, capsys.readouterr().out)


@pytest.mark.parametrize(("channels", "size", "pixels"), [(10, 12, 64), (20, 4, 0)])
def test_a_module_is_one_5x5_convolution_away_from_the_border(channels, size, pixels):
    module, x = InceptionA(channels), torch.randn(2, channels, size, size)
    impulses = torch.zeros(channels + 1, channels, 9, 9)  # one a channel, and none
    impulses[range(channels), range(channels), 4, 4] = 1
    *answers, nothing = module(impulses)  # (88, 9, 9) each
    kernels = [(y - nothing)[:, 2:7, 2:7].flip(1, 2) for y in answers]
    expected = F.conv2d(x, torch.stack(kernels, dim=1), nothing[:, 4, 4], padding=2)
    same = (module(x) - expected).abs().amax(dim=(0, 1)) < 1e-5
    assert same.sum() == pixels
