"""The scripts stand alone, and what they share is the same to the letter."""

import re

import pytest
from conftest import ROOT, SCRIPTS

STEPS = [
    "1 Dataset 准备数据集",
    "2 Model 建立模型",
    "3 Loss and optimiser 建立损失函数和优化器",
    "4 Training 定义训练函数",
    "5 Test 定义测试函数",
]
CURVES = "The notes' accuracies (%), drawn beside ours 讲义的准确率"
TOGETHER = "The five steps together 五步合在一起"


def source(script):
    return (ROOT / f"{script}.py").read_text(encoding="utf-8")


def sections(script):
    """{heading: what stands below it} of a script."""
    _, docstring, text = source(script).split('"""', 2)
    imports, *parts = re.split(r"^# (.*?) -+\n", text, flags=re.MULTILINE)
    last, start = parts.pop().split('if __name__ == "__main__":')
    parts = dict(zip(parts[::2], [*parts[1::2], last]))
    return {"docstring": docstring, "imports": imports, **parts, "start": start}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_has_the_steps_of_the_notes_and_imports_no_other(script):
    assert [name for name in sections(script) if name[0].isdigit()] == STEPS
    imported = re.findall(r"^\s*(?:import|from) (\w+)", source(script), re.MULTILINE)
    assert {"torch"} == set(imported) & {"torch", *(f.stem for f in ROOT.iterdir())}


def test_what_the_scripts_share_is_the_same():
    one, own = sections("googlenet_mnist"), {"docstring", "2 Model 建立模型", CURVES}
    for script, more in (("resnet_mnist", set()), ("residual_variants", {TOGETHER})):
        other = sections(script)
        assert one.keys() == other.keys()
        assert {name for name in one if one[name] != other[name]} == own | more


def test_each_network_of_the_homework_runs_as_in_the_lesson():
    def loop(script):
        """The words of the loop over the epochs, however they are wrapped."""
        text = sections(script)[TOGETHER]
        text = text[text.index("for epoch in") : text.index("finally:")]
        return "".join(text.split()).replace(",)", ")")

    assert loop("residual_variants") == loop("resnet_mnist")
