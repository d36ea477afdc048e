"""The scripts stand alone, and what they share is the same to the letter."""

import re
from inspect import getsource

import pytest
from conftest import ROOT, SCRIPTS

import googlenet_mnist
import resnet_mnist

MODEL, TOGETHER = "2 Model 建立模型", "The five steps together 五步合在一起"
PLOT = "The plot, with the notes' accuracies (%) 画图，讲义的准确率"
SOURCES = {script: (ROOT / f"{script}.py").read_text("utf-8") for script in SCRIPTS}


def sections(script):
    """{heading: what stands below it} of a script."""
    _, *parts = re.split(r"^# (.*?) -+\n", SOURCES[script], flags=re.MULTILINE)
    last, start = parts.pop().split('if __name__ == "__main__":')
    return {**dict(zip(parts[::2], [*parts[1::2], last])), "start": start}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_has_the_steps_of_the_notes_and_imports_no_other(script):
    assert "".join(re.findall(r"(?m)^# (\d) .* -+$", SOURCES[script])) == "12345"
    imported = re.findall(r"(?m)^\s*(?:import|from) (\w+)", SOURCES[script])
    assert {"torch"} == set(imported) & {"torch", *(f.stem for f in ROOT.iterdir())}


def test_what_the_scripts_share_is_the_same():
    one, own = sections("resnet_mnist"), {MODEL, PLOT}
    for script, more in (("googlenet_mnist", set()), ("residual_variants", {TOGETHER})):
        other = sections(script)
        assert list(one) == list(other)
        assert {name for name in one if one[name] != other[name]} == own | more
    assert getsource(googlenet_mnist.plot) == getsource(resnet_mnist.plot)
