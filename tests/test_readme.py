"""What README.md says is so: its map of the lines, its figures and its example."""

import ast
import re
import runpy
import shutil

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

import resnet_mnist
from googlenet_mnist import InceptionA
from residual_variants import BLOCKS, Net

README = (ROOT / "README.md").read_text(encoding="utf-8")


def lines(name, file):
    """First and last line of what a script defines under a name, as text."""
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        targets = getattr(node, "targets", [node])
        if any(name in (getattr(t, "name", 0), getattr(t, "id", 0)) for t in targets):
            heads = [node, *getattr(node, "decorator_list", [])]
            return str(min(n.lineno for n in heads)), str(node.end_lineno)


def test_the_map_points_at_the_lines():
    entry = r"\[`(\w+)`, lines (\d+)–(\d+)\]\((\w+\.py)#L(\d+)-L(\d+)\)"
    entries = re.findall(entry, README)
    for name, first, last, file, link_first, link_last in entries:
        assert (first, last) == (link_first, link_last) == lines(name, file), name
    names = {name for name, *_ in entries}
    assert names >= {"load_mnist", "loss_and_optimizer", "train", "test", "InceptionA"}
    assert names >= {"ResidualBlock", "Net", "Dense", "BLOCKS", "main"}


def anchor(heading):
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere_and_every_picture_is_shown():
    shown = set()
    for page in (ROOT / "README.md", ROOT / "experiments" / "README.md"):
        text = page.read_text(encoding="utf-8")
        for file, place in re.findall(r"\]\(([^):#]*)(?:#([^):]*))?\)", text):
            target = (page.parent / file if file else page).resolve()
            shown.add(target)
            if target.suffix == ".md" and place:
                heads = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.MULTILINE)
                assert place in map(anchor, heads)
    assert all(file.exists() for file in shown)
    pictures = {file for file in shown if file.suffix == ".png"}
    assert pictures == {*ROOT.glob("figures/*.png"), *ROOT.glob("experiments/*.png")}
    assert all(picture.with_suffix(".py").exists() for picture in pictures)


def test_the_chinese_part_gives_the_same_figures():
    english, chinese = README.split("\n## 中文说明\n")

    def figures(text):
        found = re.findall(r"[\d.]+ ± [\d.]+|\d[\d.,]*", text)
        return {figure.rstrip(".,") for figure in found}

    assert len(figures(chinese)) > 40
    assert figures(chinese) <= figures(english)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_table_of_blocks_is_complete(name):
    size = sum(parameter.numel() for parameter in Net(BLOCKS[name]).parameters())
    assert re.search(rf"\n\| `{name}` \| [^|]* \| {size:,} \| ", README)


def test_example_classifies_a_digit(tiny_mnist, tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    resnet_mnist.main(["--epochs", "1"])
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    capsys.readouterr()
    runpy.run_path("example.py")
    printed = r"epoch 1, [\d.]+ %\nit is a \d, and the net says \d\n"
    assert re.fullmatch(printed, capsys.readouterr().out)


def test_a_module_is_one_5x5_convolution_away_from_the_border():
    module, x = InceptionA(10), torch.randn(2, 10, 12, 12)
    impulses = torch.zeros(11, 10, 9, 9)  # one a channel, and none
    impulses[range(10), range(10), 4, 4] = 1
    *answers, nothing = module(impulses)  # (88, 9, 9) each
    kernels = [(y - nothing)[:, 2:7, 2:7].flip(1, 2) for y in answers]
    expected = F.conv2d(x, torch.stack(kernels, dim=1), nothing[:, 4, 4], padding=2)
    differ = (module(x) - expected).abs().amax(dim=(0, 1)) > 1e-5
    assert not differ[2:-2, 2:-2].any()
    assert differ[:2].any() and differ[-2:].any()
