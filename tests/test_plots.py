"""The plots: each curve has its name, and the notes' curves are the notes'."""

import matplotlib.pyplot as plt
import pytest

import googlenet_mnist
import resnet_mnist
from residual_variants import BLOCKS, CURVES
from residual_variants import plot as plot_blocks

NETWORKS = {"GoogLeNet": googlenet_mnist, "ResNet": resnet_mnist}
RUN = [0.5], [90.0]  # losses and accuracies of an epoch
SAMPLE = " (a sample)"


def names_in_legend():
    figure = plt.gcf()
    legends = figure.legends or [figure.axes[0].get_legend()]
    return [text.get_text() for text in legends[0].get_texts()]


def test_the_curves_are_those_of_the_notes():
    curves = [googlenet_mnist.CURVE, resnet_mnist.CURVE, *CURVES.values()]
    assert [len(curve) for curve in curves] == [10, 10, 10, 10]
    sums = [round(sum(curve), 2) for curve in curves]
    assert sums == [982.18, 985.7, 981.76, 985.15]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_curve_of_the_notes_is_beside_that_of_the_run(name, tmp_path):
    NETWORKS[name].plot(*RUN, "", tmp_path / "plot.png")
    left, right = plt.gcf().axes
    _, notes = left.lines
    assert list(notes.get_ydata()) == NETWORKS[name].CURVE
    assert list(notes.get_xdata()) == list(range(1, 11))
    ours, of_notes = names_in_legend()
    assert ours == name
    assert "notes" in of_notes
    assert name in left.get_title()
    assert name in right.get_title()


def test_on_the_sample_no_curve_of_the_notes_is_drawn(tmp_path):
    for name, script in NETWORKS.items():
        script.plot(*RUN, SAMPLE, tmp_path / "plot.png")
        assert names_in_legend() == [name]
    plot_blocks({name: RUN for name in CURVES}, SAMPLE, tmp_path / "plot.png")
    assert names_in_legend() == list(CURVES)


@pytest.mark.parametrize("slip", ["", "-published"])
def test_a_block_and_its_curve_of_the_notes_have_one_colour(slip, tmp_path):
    plot_blocks({name + slip: RUN for name in CURVES}, "", tmp_path / "plot.png")
    scaling, its_notes, conv, notes_of_conv = plt.gcf().axes[0].lines
    assert scaling.get_color() == its_notes.get_color()
    assert conv.get_color() == notes_of_conv.get_color()
    assert scaling.get_color() != conv.get_color()
    assert list(its_notes.get_ydata()) == CURVES["constant-scaling"]
    assert list(notes_of_conv.get_ydata()) == CURVES["conv-shortcut"]


def test_what_the_notes_did_not_train_has_no_curve_of_theirs(tmp_path):
    curves = {"original": RUN, "conv-shortcut-depth-2": RUN}
    plot_blocks(curves, "", tmp_path / "plot.png")
    assert names_in_legend() == list(curves)


def test_all_blocks_can_be_told_apart(tmp_path):
    plot_blocks({name: RUN for name in BLOCKS}, SAMPLE, tmp_path / "plot.png")
    assert names_in_legend() == list(BLOCKS)
    for axes in plt.gcf().axes:
        looks = {(line.get_color(), line.get_marker()) for line in axes.lines}
        assert len(looks) == len(BLOCKS)


def test_epochs_are_whole_numbers(tmp_path):
    resnet_mnist.plot(*RUN, SAMPLE, tmp_path / "plot.png")
    assert all(tick == int(tick) for tick in plt.gcf().axes[0].get_xticks())
