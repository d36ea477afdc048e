"""What the pages say is so: tables, figures, map, commands, links and examples."""

import re
import runpy
import shutil
import sys
from argparse import ArgumentParser

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import MODULES, ROOT

import resnet_mnist

sys.path.insert(0, str(ROOT / "experiments"))

import pages

README, CHINESE, EXPERIMENTS = (page.read_text("utf-8") for page in pages.PAGES)
BOTH = {"README.md": README, "README.zh-CN.md": CHINESE}
WRITE = "`python experiments/pages.py` writes the tables anew"


def rows(text):
    """The lines of the tables of a page."""
    return [line for line in text.splitlines() if line.startswith("|")]


def prose(text):
    """A page without its tables, its code and the targets of its links."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"^(\|| {4}).*", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\(.*?\)", "]", text)


def code(text):
    """What stands between `...` in a text."""
    return re.findall(r"`([^`\n]+)`", text)


# The tables


def test_the_tables_are_those_of_the_store():
    for page, text in pages.written().items():
        before = page.read_text("utf-8")
        differ = set(before.splitlines()) ^ set(text.splitlines())
        assert before == text, f"{page}: {WRITE}, {sorted(differ)}"


def test_a_script_writes_each_table_of_the_experiments():
    heads = re.findall(r"^\|-", EXPERIMENTS, re.MULTILINE)
    names = [table["name"] for table in pages.TABLE.finditer(EXPERIMENTS)]
    assert len(names) == len(heads), (
        "put <!-- NAME --> and an empty line before a table"
    )
    assert len(names) == len(set(names))


@pytest.mark.parametrize("script", pages.SCRIPTS)
def test_a_script_has_its_section_and_an_answer_links_to_it(script):
    assert f"\n## `{script}.py`\n" in EXPERIMENTS
    for page, text in BOTH.items():
        assert f"experiments/README.md#{script}py)" in text, f"no answer in {page}"


# Figures in sentences

INTERVAL = r"[+-]\d+\.\d\d \([+-]\d+\.\d\d to [+-]\d+\.\d\d\)|\d+\.\d\d ± \d+\.\d\d"
TWO_DECIMALS = r"(?<![\d.])\d+\.\d\d(?![\d.])"


@pytest.mark.parametrize("text", [README, EXPERIMENTS], ids=["README", "EXPERIMENTS"])
def test_a_figure_of_a_sentence_stands_in_a_table(text):
    tables = "\n".join(rows(README) + rows(EXPERIMENTS))
    for figure in re.findall(INTERVAL, prose(text)):
        assert figure in tables, f"{figure} stands in no table"
    for figure in re.findall(TWO_DECIMALS, re.sub(INTERVAL, "", prose(text))):
        assert figure in tables, f"{figure} stands in no table"


def test_an_interval_of_a_row_of_readme_stands_in_the_experiments():
    tables = "\n".join(rows(EXPERIMENTS))
    for figure in re.findall(INTERVAL, "\n".join(rows(README))):
        assert figure in tables, f"{figure} stands in no table"


def test_the_multiplications_of_the_slide():
    assert f"{28**2 * 32 * 192 * 5**2:,}" in README
    assert f"{28**2 * (16 * 192 + 32 * 16 * 5**2):,}" in README


# The two languages


def test_both_languages_have_the_same_sections():
    heads = [re.findall(r"^#+", text, re.MULTILINE) for text in BOTH.values()]
    assert heads[0] == heads[1]


def test_both_languages_have_the_same_figures():
    """Those with a decimal point, and in any order."""
    ours, theirs = (set(re.findall(r"\d+\.\d+", text)) for text in BOTH.values())
    assert ours ^ theirs == set()


def test_both_languages_have_the_same_addresses():
    pattern = r"https?://[\w./-]+"
    ours, theirs = (set(re.findall(pattern, text)) for text in BOTH.values())
    assert ours ^ theirs == set()


def test_both_languages_have_the_same_rows():
    for ours, theirs in zip(rows(README), rows(CHINESE)):
        assert sorted(code(ours)) == sorted(code(theirs)), f"{ours}\n{theirs}"
    assert len(rows(README)) == len(rows(CHINESE))


def test_both_languages_have_the_same_commands_and_examples():
    assert re.findall(r"^    .*", README, re.MULTILINE) == re.findall(
        r"^    .*", CHINESE, re.MULTILINE
    )
    ours, theirs = (re.findall(r"```.*?```", text, re.DOTALL) for text in BOTH.values())
    assert ours == theirs
    ours, theirs = ({*code(prose(text))} for text in BOTH.values())
    assert ours ^ theirs == set()


# Commands, flags, names


COMMAND = r"(?:python3?|uv run|%run)\b([^\n`#]*? )([\w/]+\.py)\b([^\n`#]*)"
COMMANDS = {*re.findall(COMMAND, README + EXPERIMENTS)}


class Parsed(Exception):
    """The flags were taken; the script does not go on."""


@pytest.mark.parametrize(("before", "file", "flags"), sorted(COMMANDS))
def test_a_command_is_one_that_the_script_takes(before, file, flags, monkeypatch):
    file = file.replace("NAME", "lecture")
    assert (ROOT / file).exists()
    if "pytest" in before or file.endswith("pages.py"):
        return
    argv = [file, *flags.replace("my-block", "plain").split()]
    parse = ArgumentParser.parse_args

    def parse_and_stop(parser, argv=None):
        parse(parser, argv)
        raise Parsed

    monkeypatch.setattr(ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(Parsed):
        runpy.run_path(str(ROOT / file), run_name="__main__")


@pytest.mark.parametrize("module", MODULES)
def test_flags_and_defaults_are_those_of_the_table(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    table = {code(row)[0]: row for row in rows(README) if row.startswith("| `--")}
    args = module.parse_command_line(ArgumentParser(), [])
    for name, default in vars(args).items():
        flag = f"--{name.replace('_', '-')}"
        assert flag in table, f"{flag} needs a row in README and README.zh-CN.md"
        assert str(default) in table[flag].replace("`", "").split()


def test_the_map_names_what_is_there():
    part = README.partition("\n## The notes and the code\n")[2].partition("\n- ")[0]
    assert code(part)
    for name in code(part):
        assert (ROOT / name).exists() or any(hasattr(m, name) for m in MODULES), name


@pytest.mark.parametrize("package", ["torch", "torchvision", "matplotlib", "mlxtend"])
def test_what_a_script_imports_is_installed(package):
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert any(line.startswith(f"{package}>=") for line in lines)


def test_links_lead_somewhere():
    for page in pages.PAGES:
        text = page.read_text("utf-8")
        for file, place in re.findall(r"\]\(([^):#]*)(?:#([^):]*))?\)", text):
            target = (page.parent / file) if file else page
            assert target.exists(), f"{page}: {file}"
            if place:
                heads = re.findall(r"\n#+ (.*)", target.read_text("utf-8").lower())
                anchors = [re.sub(r"[^\w\- ]", "", h).replace(" ", "-") for h in heads]
                assert place in anchors, f"{page}: no section {place} in {file}"


def test_every_picture_is_shown_and_stands_beside_its_script():
    shown = re.findall(r"!\[.*?\]\((.*?)\)", README)
    shown += [
        f"experiments/{name}" for name in re.findall(r"!\[.*?\]\((.*?)\)", EXPERIMENTS)
    ]
    pictures = {*ROOT.glob("figures/*.png"), *ROOT.glob("experiments/*.png")}
    assert {ROOT / name for name in shown} == pictures
    assert all(picture.with_suffix(".py").exists() for picture in pictures)


SAID = ["MNIST could not be loaded", "Interrupted", "No finite loss", "need --epochs"]


@pytest.mark.parametrize("message", SAID)
def test_the_faults_name_what_the_scripts_say(message):
    assert message in (ROOT / "residual_variants.py").read_text("utf-8")
    assert any(message in row for row in rows(README))


def test_the_files_of_mnist_are_those_of_torchvision():
    named = {name for name in code(README) if name.endswith(".gz")}
    assert named == {name for name, _ in resnet_mnist.datasets.MNIST.resources}


# The examples

SHAPE, MISTAKES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_shape_before_fc_is_1408(capsys):
    exec(SHAPE, {})  # noqa: S102
    assert capsys.readouterr().out == "torch.Size([1, 1408])\n"


def test_the_example_shows_what_the_net_gets_wrong(
    tiny_mnist, tmp_path, monkeypatch, capsys
):
    shutil.copytree(tiny_mnist, tmp_path / "dataset" / "mnist")
    monkeypatch.chdir(tmp_path)
    _, [accuracy] = resnet_mnist.main(["--epochs", "1", "--lr", "0.1"])
    capsys.readouterr()
    names = {}
    exec(MISTAKES, names)  # noqa: S102
    assert capsys.readouterr().out.endswith(f"\nepoch 1: {accuracy} %\n")
    titles = [axes.get_title() for axes in plt.gcf().axes]
    wrong = [(y, a) for y, a in zip(names["labels"], names["answers"]) if y != a]
    assert titles == [f"{label} -> {answer}" for label, answer in wrong[:10]]
    assert (tmp_path / "results" / "mistakes.png").exists()
