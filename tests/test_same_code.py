"""The scripts stand alone, and what they share is the same to the letter."""

import ast
from itertools import combinations

import pytest
from conftest import ROOT, SCRIPTS

STEPS = [
    "# 1 Dataset 准备数据集",
    "# 2 Model 建立模型",
    "# 3 Loss and optimiser 建立损失函数和优化器",
    "# 4 Training 定义训练函数",
    "# 5 Test 定义测试函数",
]
HEADINGS = {f"# {number}" for number in range(10)}
OWN = {"Net", "NAME", "FILE", "CURVE", "NOTES", "main"}  # of each script
SHARED = {"read_sample", "load_mnist", "loss_and_optimizer", "train", "test"}
SHARED |= {"save_checkpoint", "plot", "parse_command_line"}


def source(script):
    return (ROOT / f"{script}.py").read_text(encoding="utf-8")


def definitions(script):
    """{name: source} of all that a script defines at its top level."""
    text = source(script)
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            decorators = [ast.get_source_segment(text, d) for d in node.decorator_list]
            found[node.name] = [*decorators, ast.get_source_segment(text, node)]
        elif isinstance(node, ast.Assign):
            for target in ast.walk(node.targets[0]):
                if isinstance(target, ast.Name):
                    found[target.id] = ast.get_source_segment(text, node)
    return found


@pytest.mark.parametrize(("one", "other"), list(combinations(SCRIPTS, 2)))
def test_what_two_scripts_share_is_the_same(one, other):
    start = 'if __name__ == "__main__":'
    assert source(one).split(start)[1] == source(other).split(start)[1]
    imports = [
        source(script).split('"""', 2)[2].split(STEPS[0])[0] for script in (one, other)
    ]
    assert imports[0] == imports[1]
    one, other = definitions(one), definitions(other)
    common = one.keys() & other.keys()
    assert common >= SHARED
    assert {name for name in common if one[name] != other[name]} <= OWN


def test_googlenet_and_resnet_differ_in_docstring_and_model_alone():
    def without_model(script):
        text = source(script)
        docstring = ast.get_docstring(ast.parse(text), clean=False)
        before, model_on = text.replace(docstring, "").split(STEPS[1])
        return before, model_on.split(STEPS[2])[1]

    assert without_model("googlenet_mnist") == without_model("resnet_mnist")


def test_each_network_of_the_homework_runs_as_in_the_lesson():
    def steps(script, first, last):
        """The words of main between two lines, however they are wrapped."""
        main = definitions(script)["main"][0]
        text = main[main.index(first) : main.index(last)]
        return "".join(text.split()).replace(",)", ")")

    lesson = steps("resnet_mnist", "for epoch in", "finally:")
    lesson = lesson.replace('args.out/f"{FILE}.pt"', "file")
    assert steps("residual_variants", "for epoch in", "finally:") == lesson


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_five_steps_of_the_notes_are_the_headings(script):
    headings = [line for line in source(script).splitlines() if line[:3] in HEADINGS]
    assert [heading.rstrip(" -") for heading in headings] == STEPS


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_no_other(script):
    imported = set()
    for node in ast.walk(ast.parse(source(script))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.partition(".")[0])
    assert "torch" in imported
    assert not imported & {file.stem for file in ROOT.iterdir()}
