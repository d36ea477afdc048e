"""What the scripts share is the same to the letter."""

from inspect import getsource

import pytest
from conftest import ROOT

import googlenet_mnist
import resnet_mnist

MODEL, PLOT, TOGETHER = "# 2 Model", "# The plot", "# The five steps together"
OWN = {"googlenet_mnist": (MODEL, PLOT), "residual_variants": (MODEL, PLOT, TOGETHER)}


def sections(script):
    """{heading: what stands below it} of a script, without what is above the first."""
    found, heading = {}, ""
    for line in (ROOT / f"{script}.py").read_text("utf-8").splitlines():
        if line.endswith("----") or line.startswith("if __name__"):
            heading = line
        found[heading] = found.get(heading, "") + line + "\n"
    del found[""]
    return found


@pytest.mark.parametrize("script", OWN)
def test_a_script_has_the_steps_of_the_others(script):
    assert list(sections(script)) == list(sections("resnet_mnist"))


@pytest.mark.parametrize("script", OWN)
def test_what_the_scripts_share_is_the_same(script):
    other = sections("resnet_mnist")
    for heading, code in sections(script).items():
        if not heading.startswith(OWN[script]):
            assert code == other.get(heading), f"change {heading} in all scripts"


def test_the_plot_of_the_two_networks_is_the_same():
    assert getsource(googlenet_mnist.plot) == getsource(resnet_mnist.plot)
