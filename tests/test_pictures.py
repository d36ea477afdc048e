"""The pictures show what their labels say: those of experiments/, and the diagrams."""

import re
import runpy
import sys
from importlib import import_module
from inspect import getsource
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ROOT
from made_up import a_run, ends_with
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from pytest import approx

import googlenet_mnist
import resnet_mnist
from residual_variants import BLOCKS

sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "figures")]

import branches
import depth
import errors
import lecture
import more_epochs
import pages
import runs

FIGURES = ROOT / "figures"
DRAWN = [name for name in pages.SCRIPTS if hasattr(import_module(name), "draw")]
DIAGRAMS = [file.stem for file in FIGURES.glob("*.py") if file.stem != "diagrams"]


@pytest.fixture(autouse=True)
def saved(monkeypatch):
    """The mock that takes the place of saving a figure."""
    monkeypatch.setattr(Figure, "savefig", Mock())
    return Figure.savefig


def drawn(draw):
    """The panels of the figure that `draw` makes."""
    draw()
    return plt.gcf().axes


@pytest.fixture
def reads(monkeypatch):
    """Let a script read of each network the runs that a function of its name gives."""

    def found(runs_of):
        def read(group):
            return {name: runs_of(name) for name in group.networks}

        monkeypatch.setattr(runs, "read", read)
        monkeypatch.setattr(runs, "read_every_device", read)

    return found


def table(axes):
    """{(row, column): text} of a heat map, by the labels at its sides."""
    left, *_ = axes.figure.axes  # whose rows are those of all
    rows = [label.get_text() for label in left.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    places = [(text.get_position(), text.get_text()) for text in axes.texts]
    return {(rows[y], columns[x]): text for (x, y), text in places}


# Every picture


@pytest.mark.parametrize("script", DRAWN)
def test_an_experiment_saves_its_picture_beside_itself(
    script, saved, monkeypatch, batch
):
    digits = batch[0][:1].expand(10_000, 1, 28, 28), batch[1][:1].expand(10_000)
    monkeypatch.setattr(runs, "load", lambda device: (digits, digits))
    import_module(script).draw()
    assert saved.call_args[0][0] == ROOT / "experiments" / f"{script}.png"


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_figure_is_saved_beside_its_script(name, saved):
    runpy.run_path(str(FIGURES / f"{name}.py"))
    assert saved.call_args[0][0] == FIGURES / f"{name}.png"


# lecture.png


def of_lecture(name):
    """Two runs between which no other network's lie."""
    place = list(lecture.NETWORKS).index(name)
    low = a_run(accuracies=[95.0 + place / 4] * 10, losses=[0.1] * 10)
    return [low, a_run(accuracies=[95.1 + place / 4] * 10, losses=[0.3] * 10)]


@pytest.fixture
def panels_of_lecture(reads):
    reads(of_lecture)
    return drawn(lecture.draw)


def labelled(panels, word):
    """{title: panel} of those that have this word at the left."""
    return {axes.get_title(): axes for axes in panels if word in axes.get_ylabel()}


def extent(band):
    """The least and the most of a band."""
    box = band.get_paths()[0].get_extents()
    return [box.y0, box.y1]


def test_accuracies_of_the_notes_stand_in_the_panel_of_their_network(panels_of_lecture):
    panels = labelled(panels_of_lecture, "accuracy")
    curves = {name: list(axes.lines[0].get_ydata()) for name, axes in panels.items()}
    assert curves == lecture.ACCURACIES


def test_the_band_of_a_panel_is_that_of_its_networks_runs(panels_of_lecture):
    for name, axes in labelled(panels_of_lecture, "accuracy").items():
        low, high = of_lecture(name)
        found = extent(axes.collections[0])
        assert found == approx([low["accuracies"][0], high["accuracies"][0]]), name


def test_losses_of_lecture_are_divided_by_the_mean_of_the_runs(panels_of_lecture):
    panels = labelled(panels_of_lecture, "loss")
    assert panels.keys() == lecture.NETWORKS.keys()
    for name, axes in panels.items():  # the losses of the runs are 0.1 and 0.3
        quotients = [loss / 0.2 for loss in lecture.notes_losses(name)]
        assert list(axes.lines[0].get_ydata()) == approx(quotients), name
        assert extent(axes.collections[0]) == approx([0.5, 1.5])


# branches.png


def of_branches(name):
    lost = 57.9 if name == "GoogLeNet, 5×5 loud" else 2.0
    measured = {"lost 1": [3.0, lost, 4.0, 5.0], "lost 2": [6.0, 7.0, 8.0, 9.0]}
    return [a_run(measured={"branches": measured})] * 3


def test_points_lost_stand_in_the_row_of_the_start_and_below_the_branch(reads):
    reads(of_branches)
    texts = table(drawn(branches.draw)[0])
    assert texts["GoogLeNet, 5×5 loud (3 seeds)", "incep1\n5×5"] == "57.9"
    assert texts["GoogLeNet (3 seeds)", "incep1\n5×5"] == "2.0"
    assert texts["GoogLeNet (3 seeds)", "incep2\npool"] == "9.0"


# depth.png


def of_depth(name):
    """`plain` learns with few blocks; `original` has a first gradient of 0.02."""
    block, _, blocks = name.partition("-depth-")
    accuracy = 90.0 + int(blocks or 1) / 4
    if name == "plain-depth-16":
        accuracy = 11.0
    gradient = 0.02 if block == "original" else 3.0
    return ends_with(accuracy, measured={"depth": gradient})


def test_an_accuracy_stands_in_the_row_of_the_block_and_below_its_depth(reads):
    reads(of_depth)
    texts = table(drawn(depth.draw)[0])
    assert texts["plain", "1"] == "90.25"
    assert texts["plain", "16"] == "0 of 1 learn"
    assert texts["dense", "4"] == "91.00"


def test_a_first_gradient_stands_in_the_row_of_its_block(reads):
    reads(of_depth)
    texts = table(drawn(depth.draw)[1])
    assert [texts["original", depth] for depth in ("1", "4", "16")] == ["2e-02"] * 3
    assert texts["plain", "1"] == "3e+00"


def test_a_first_gradient_and_its_colour_are_of_one_block(reads):
    reads(of_depth)
    axes = drawn(depth.draw)[1]
    for name, norms in zip(depth.NETWORKS, axes.images[0].get_array().tolist()):
        assert norms == [0.02 if name == "original" else 3.0] * 3


# errors.png


@pytest.fixture
def wrong_digits(reads, monkeypatch):
    """The panels of three nets: all say 7 of digit 5, a 3, and two say 9 of 8, a 4."""
    twice = a_run(measured={"errors": [[5, 7], [8, 9]]})
    once = a_run(measured={"errors": [[5, 7], [1, 0]]})
    reads(lambda name: [twice, twice, once])
    images = torch.arange(9.0).view(9, 1, 1, 1)  # digit 5 is a pixel of 5
    labels = torch.tensor([0, 0, 0, 0, 0, 3, 0, 0, 4])
    monkeypatch.setattr(runs, "load", lambda device: (None, (images, labels)))
    return [axes for axes in drawn(errors.draw) if axes.get_title()]


def test_above_each_wrong_digit_its_label_stands_first(wrong_digits):
    first, second = [axes.get_title() for axes in wrong_digits]
    assert first.index("3") < first.index("7")
    assert second.index("4") < second.index("9")


def test_a_wrong_digit_is_the_one_that_its_label_names(wrong_digits):
    images = [axes.images[0].get_array().item() for axes in wrong_digits]
    assert images == [5, 8]


# more_epochs.png


def of_more_epochs(name):
    accuracies = [97.0 + epoch / 100 for epoch in range(30)]
    if name == "ResNet":
        accuracies = [value + 1 for value in accuracies]
    return [a_run(seed=4, accuracies=accuracies, losses=[0.2] * 29 + [0.1])]


def last_values(panels):
    """{title to its comma: the last value of the first line} of some panels."""
    lines = {axes.get_title().split(",")[0]: axes.lines[0] for axes in panels}
    return {name: line.get_ydata()[-1] for name, line in lines.items()}


def test_accuracies_and_losses_of_thirty_epochs_stand_where_the_labels_say(reads):
    reads(of_more_epochs)
    panels = drawn(more_epochs.draw)
    accuracies = [axes for axes in panels if "accuracy" in axes.get_ylabel()]
    losses = [axes for axes in panels if "loss" in axes.get_ylabel()]
    assert last_values(accuracies) == approx({"GoogLeNet": 97.29, "ResNet": 98.29})
    assert last_values(losses) == {"GoogLeNet": 0.1, "ResNet": 0.1}


# The diagrams


def diagram(name):
    """{title: panel} of a diagram of figures/."""
    runpy.run_path(str(FIGURES / f"{name}.py"))
    return {axes.get_title(): axes for axes in plt.gcf().axes}


def texts(axes):
    """The texts of a panel, in the order in which they are drawn."""
    return [text.get_text() for text in axes.texts if text.get_text()]


def boxes(axes):
    """The texts in boxes, from top to bottom."""
    found = [text for text in axes.texts if text.get_bbox_patch()]
    return sorted(found, key=lambda text: text.get_position()[1])


def arrows_into(axes, word):
    """How many arrows end at the box that has this word."""
    [box] = [box for box in boxes(axes) if word in box.get_text()]
    x, y = box.get_position()
    tips = [text.xy for text in axes.texts if isinstance(text, Annotation)]
    return sum(abs(to_x - x) < 0.5 and abs(to_y - y) < 0.5 for to_x, to_y in tips)


def test_the_plot_of_a_first_run_is_that_of_a_googlenet():
    left, _ = diagram("first_run").values()
    run = runs.read(lecture.PLAN["ten"])["GoogLeNet"][0]
    assert list(left.lines[0].get_ydata()) == run["accuracies"]
    assert "GoogLeNet" in left.get_title()


NETS = {"googlenet": googlenet_mnist.Net, "resnet": resnet_mnist.Net}


@pytest.mark.parametrize("name", NETS)
def test_the_diagram_of_a_net_has_the_shapes_of_its_code(name):
    """Those are true: see tests/test_networks.py."""
    shapes = re.findall(r"# (\(N, .*\))", getsource(NETS[name].forward))
    shown = [text for text in texts(diagram(name)["Net"]) if text.startswith("(N")]
    assert shown == shapes


BRANCHES = [
    "branch1x1 conv 1×1 16",
    "branch5x5 conv 1×1 16 conv 5×5 24",
    "branch3x3 conv 1×1 16 conv 3×3 24 conv 3×3 24",
    "branch_pool average pool 3×3 C conv 1×1 24",
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_of_the_inception_diagram_has_its_layers_and_channels(branch):
    assert branch in " ".join(texts(diagram("googlenet")["InceptionA(C)"]))


def test_the_branches_of_the_inception_diagram_are_concatenated():
    module = diagram("googlenet")["InceptionA(C)"]
    assert arrows_into(module, "concat") == 4
    assert "16 + 24 + 24 + 24" in " ".join(texts(module))
    assert "(N, 88, H, W)" in texts(module)


def test_the_diagram_of_a_residual_block_has_a_branch_and_a_shortcut():
    _, block = diagram("resnet").values()
    steps = [box.get_text() for box in boxes(block)]
    assert steps == ["conv1 3×3", "ReLU", "conv2 3×3", "+", "ReLU"]
    assert arrows_into(block, "+") == 2


Y, Y_BN = "conv 3×3, ReLU, conv 3×3", "conv 3×3, BN, ReLU, conv 3×3"
GATE = "conv 1×1, σ, × (1 − g)"
STEPS = {  # equation of a block: what stands below x, and what at the shortcut
    "relu(y)": (f"{Y}, ReLU", ""),
    "relu(x + y)": (f"{Y}, +, ReLU", ""),
    "relu(0.5 * (x + y))": (f"{Y}, +, × 0.5, ReLU", ""),
    "relu(0.5 * (x + conv2(x)))": ("conv 3×3, +, × 0.5, ReLU", ""),
    "relu((1 - g) * x + g * y)": (f"{Y}, × g, +, ReLU", GATE),
    "relu((1 - g) * x + y)": (f"{Y}, +, ReLU", GATE),
    "relu(conv3(x) + y)": (f"{Y}, +, ReLU", "conv 1×1"),
    "relu(conv3(x) + conv2(x))": ("conv 3×3, +, ReLU", "conv 1×1"),
    "relu(dropout(x) + y)": (f"{Y}, +, ReLU", "dropout"),
    "relu(BN(conv(relu(BN(conv(x))))))": (f"{Y_BN}, BN, ReLU", ""),
    "relu(x + BN(conv(relu(BN(conv(x))))))": (f"{Y_BN}, BN, +, ReLU", ""),
    "relu(BN(x + conv(relu(BN(conv(x))))))": (f"{Y_BN}, +, BN, ReLU", ""),
    "x + relu(BN(conv(relu(BN(conv(x))))))": (f"{Y_BN}, BN, ReLU, +", ""),
    "x + BN(conv(relu(BN(conv(relu(x))))))": (f"ReLU, {Y_BN}, BN, +", ""),
    "x + conv(relu(BN(conv(relu(BN(x))))))": (f"BN, ReLU, {Y_BN}, +", ""),
    "transition([x, x1, ..., x5]), xi = layer_i([x, ..., x(i-1)])": (
        "BN, ReLU, conv 3×3, concat, BN, ReLU, conv 1×1",
        "",
    ),
}


@pytest.fixture(scope="module")
def panels():
    """{name of a block: its panel}."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", Mock())
        return diagram("block_diagrams")


def test_every_block_has_a_panel(panels):
    lacking = BLOCKS.keys() - panels.keys()
    assert not lacking, "add it to PANELS in figures/block_diagrams.py"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_panel_shows_the_equation_of_its_block(name, panels):
    equation = BLOCKS[name].__doc__.split(". ")[0].split(": ")[0]
    assert equation in STEPS, "add its boxes to STEPS, above"
    places = [(box.get_position()[0], box.get_text()) for box in boxes(panels[name])]
    column = min(x for x, _ in places)
    below_x = [text.split(" (conv2)")[0] for x, text in places if x == column]
    beside = [text for x, text in places if x > column]
    assert (", ".join(below_x), ", ".join(beside)) == STEPS[equation]


@pytest.mark.parametrize("name", BLOCKS)
def test_branch_and_shortcut_reach_the_sum(name, panels):
    merge = "concat" if name == "dense" else "+"
    if "plain" in name:  # which has no shortcut
        assert merge not in texts(panels[name])
    else:
        assert arrows_into(panels[name], merge) == 2
