"""What README.md says is so: its map of the lines, its commands and its example."""

import ast
import os
import re
import subprocess
import sys

import pytest
from conftest import MODULES, ROOT
from torchvision import datasets

import resnet_mnist

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = re.findall(
    r"\[`(\w+)`, lines (\d+)–(\d+)\]\((\w+\.py)#L(\d+)-L(\d+)\)", README
)  # (name, first and last line as text, file, first and last line as link)


def test_the_map_names_the_main_parts():
    names = {name for name, *_ in MAP}
    assert names >= {"load_mnist", "loss_and_optimizer", "train", "test", "InceptionA"}
    assert names >= {"ResidualBlock", "Net", "Dense", "BLOCKS", "main"}


@pytest.mark.parametrize("entry", MAP)
def test_the_map_points_at_the_lines(entry):
    name, *text, file, first, last = entry
    assert text == [first, last]
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        names = [getattr(node, "name", None)]
        if isinstance(node, ast.Assign):
            names = [getattr(target, "id", None) for target in node.targets]
        if name in names:
            lines = [n.lineno for n in [node, *getattr(node, "decorator_list", [])]]
            assert (int(first), int(last)) == (min(lines), node.end_lineno)
            return
    pytest.fail(f"{file} has no {name}")


def test_local_links_and_pictures_exist():
    links = re.findall(r"\]\(([^):#]+)[^):]*\)", README)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_picture_is_shown_beside_the_script_that_draws_it():
    pictures = list((ROOT / "figures").glob("*.png"))
    assert len(pictures) > 5
    for picture in pictures:
        assert f"](figures/{picture.name})" in README, picture
        assert picture.with_suffix(".py").exists(), picture


def test_the_chinese_part_gives_the_same_figures():
    english, chinese = README.split("\n## 中文说明\n")

    def figures(text):
        return {found.rstrip(".,") for found in re.findall(r"\d[\d.,]*", text)}

    assert len(figures(chinese)) > 40
    assert figures(chinese) <= figures(english)


def test_every_archive_and_the_mirror_are_named():
    for name, _ in datasets.MNIST.resources:
        assert name in README
    assert any(mirror in README for mirror in datasets.MNIST.mirrors)


@pytest.mark.parametrize("module", MODULES)
def test_every_flag_is_in_the_table(module, capsys):
    with pytest.raises(SystemExit):
        module.main(["--help"])
    help_text = capsys.readouterr().out
    assert help_text.isascii()  # for any terminal
    flags = set(re.findall(r"--[a-z-]+", help_text)) - {"--help", "--help-"}
    assert len(flags) >= 8
    for flag in flags:
        assert f"| `{flag}` |" in README, flag


def test_example_classifies_a_digit(tiny_mnist, tmp_path):
    places = ["--data", str(tiny_mnist), "--out", str(tmp_path / "results")]
    resnet_mnist.main(["--epochs", "1", *places])
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mnist").symlink_to(tiny_mnist)
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    output = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert re.fullmatch(r"epoch 1, [\d.]+ %\nit is a \d, and the net says \d\n", output)
