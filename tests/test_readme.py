"""What README.md says is so: its map of the lines, its commands and its example."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ARCHIVES, ROOT, run_script

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = re.findall(
    r"\[`(\w+)`, lines (\d+)–(\d+)\]\((\w+\.py)#L(\d+)-L(\d+)\)", README
)  # (name, first and last line as text, file, first and last line as link)


def test_the_map_names_the_main_parts():
    names = {name for name, *_ in MAP}
    assert names >= {"load_mnist", "loss_and_optimizer", "train", "test", "InceptionA"}
    assert names >= {"ResidualBlock", "Net", "Dense", "BLOCKS"}


@pytest.mark.parametrize("entry", MAP)
def test_the_map_points_at_the_lines(entry):
    name, *text, file, first, last = entry
    assert text == [first, last]
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        names = [getattr(node, "name", None)]
        if isinstance(node, ast.Assign):
            names = [getattr(target, "id", None) for target in node.targets]
        if name in names:
            start = min([node, *getattr(node, "decorator_list", [])], key=line).lineno
            assert (int(first), int(last)) == (start, node.end_lineno)
            return
    pytest.fail(f"{file} has no {name}")


def line(node):
    return node.lineno


def test_local_links_and_pictures_exist():
    links = re.findall(r"\]\(([^):#]+)[^):]*\)", README)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_archive_is_named():
    for name, _ in ARCHIVES:
        assert name in README


@pytest.mark.parametrize("script", ["resnet_mnist", "residual_variants"])
def test_every_flag_is_in_the_table(script):
    command = [sys.executable, f"{script}.py", "--help"]
    help_text = subprocess.check_output(command, cwd=ROOT, text=True)
    for flag in set(re.findall(r"--[a-z-]+", help_text)) - {"--help"}:
        assert f"`{flag}" in README


def test_example_classifies_a_digit(tiny_mnist, tmp_path):
    places = {"data": tiny_mnist, "out": tmp_path / "results"}
    assert run_script("resnet_mnist", "--epochs", "1", **places)[0] == 0
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mnist").symlink_to(tiny_mnist)
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    output = subprocess.check_output(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert re.fullmatch(r"epoch 1, [\d.]+ %\nit is a \d, and the net says \d\n", output)
