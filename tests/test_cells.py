"""The cells of the tables: statistics with known answers, rows of made-up runs."""

import sys
from unittest.mock import Mock

import matplotlib.pyplot as plt
import pytest
from conftest import ROOT
from made_up import a_run, ends_with
from pytest import approx

import googlenet_mnist

sys.path.insert(0, str(ROOT / "experiments"))

import cells
import depth
import errors
import lecture
import more_epochs
import runs
import small_gain

NOTES = ROOT.parent / "shared" / "notes.txt"


@pytest.fixture
def reads(monkeypatch):
    """Let a script read these runs: {name of a network: runs}."""

    def found(networks):
        monkeypatch.setattr(runs, "read", Mock(return_value=networks))
        monkeypatch.setattr(runs, "read_every_device", Mock(return_value=networks))

    return found


@pytest.fixture
def reads_of_each_group(monkeypatch):
    """Let a script read of each group and network what a function gives for them."""

    def found(runs_of):
        def read(group):
            return {name: runs_of(group, name) for name in group.networks}

        monkeypatch.setattr(runs, "read", read)
        monkeypatch.setattr(runs, "read_every_device", read)

    return found


# Statistics


def test_spread_is_mean_and_standard_deviation_of_a_sample():
    assert cells.spread([1.0, 2.0, 3.0]) == "2.00 ± 1.00"


def test_a_single_value_has_no_deviation():
    assert cells.spread([5.0]) == "5.00"


def test_extent_is_the_least_and_the_most():
    assert cells.extent([2.0, 3.0, 1.0]) == "1.00 to 3.00"


def test_extent_is_written_once_where_both_look_alike():
    assert cells.extent([0.201, 0.199], ".2f") == "0.20"


def test_difference_of_groups_of_unequal_size_is_welchs():
    # scipy 1.17: ttest_ind([2, 4, 6, 12], [1, 2, 3], equal_var=False)
    # .confidence_interval() is -2.6486, 10.6486
    found = cells.difference(ends_with(2, 4, 6, 12), ends_with(1, 2, 3))
    assert found == "+4.00 (-2.65 to +10.65)"


def test_difference_without_variance_is_a_point():
    found = cells.difference(ends_with(90, 90), ends_with(92, 92))
    assert found == "-2.00 (-2.00 to -2.00)"


def test_difference_is_of_the_value_that_is_asked_for():
    ours, theirs = [a_run(losses=[4.0])] * 2, [a_run(losses=[1.0])] * 3
    found = cells.difference(ours, theirs, lambda run: run["losses"][0])
    assert found == "+3.00 (+3.00 to +3.00)"


def test_a_difference_of_two_devices_is_refused():
    with pytest.raises(ValueError, match="device"):
        cells.difference(ends_with(90, 91), ends_with(90, 91, device="GPU"))


def test_a_single_run_has_no_difference():
    assert cells.difference(ends_with(90), ends_with(90, 91)) == ""
    assert cells.difference(ends_with(90, 91), ends_with(90)) == ""


def test_a_network_has_no_difference_from_itself():
    nets = ends_with(90, 91)
    assert cells.difference(nets, nets) == ""


def test_change_is_that_of_each_net():
    # scipy 1.17: ttest_1samp([1, 2, 6], 0).confidence_interval() is -3.5724, 9.5724
    nets = [a_run(losses=[n]) for n in (1, 2, 6)]
    found = cells.change(nets, lambda run: 10.0, lambda run: 10.0 + run["losses"][0])
    assert found == "+3.00 (-3.57 to +9.57)"


# Cells


def test_a_net_learns_with_at_most_20_percent_wrong():
    assert [cells.learns(run) for run in ends_with(79.99, 80.0)] == [False, True]


def test_a_net_that_diverged_does_not_learn():
    assert not cells.learns(a_run(accuracies=[], losses=[]))


def test_a_cell_has_the_accuracy_where_all_nets_learn():
    assert cells.cell(ends_with(80.0, 90.0)) == "85.00 ± 7.07"


def test_a_cell_says_how_many_learn_where_not_all_do():
    assert cells.cell(ends_with(90.0, 11.35, 79.0)) == "1 of 3 learn"


def test_a_cell_says_that_all_nets_diverge():
    diverged = a_run(accuracies=[], losses=[])
    assert cells.cell([diverged, diverged]) == "0 of 2 learn, diverges"
    assert cells.cell([diverged, *ends_with(50.0)]) == "0 of 2 learn"


def test_a_text_of_a_heat_map_stands_in_its_row_and_column():
    axes = plt.figure().subplots()
    cells.heat_map(axes, [["a", "b", "c"]], [[0, 1, 2]], ["row"], ["x", "y", "z"])
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places == {"a": (0, 0), "b": (1, 0), "c": (2, 0)}


# The numbers of the notes and of the papers


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("GoogLeNet", 2614),
        ("ResNet", 1888),
        ("constant-scaling", 2945),
        ("conv-shortcut", 2242),
    ],
)
def test_the_notes_losses_have_their_sum(name, total):
    assert sum(map(int, lecture.PRINTED[name].split())) == total


def test_the_notes_losses_are_those_of_the_notes():
    if not NOTES.exists():
        pytest.skip(f"needs {NOTES}")
    lines = NOTES.read_text("utf-8").splitlines()
    printed = [line.split("] loss: 0.")[1] for line in lines if "] loss: 0." in line]
    copied = " ".join(lecture.PRINTED.values()).split()
    assert [loss.zfill(3) for loss in copied] == printed


def test_the_last_38_batches_of_an_epoch_count_as_the_300_before():
    # (300 * (767 + 186 + 141) + 38 * 141) / 938 = 355.6 thousandths
    assert lecture.notes_losses("GoogLeNet")[0] == approx(0.3556, abs=1e-4)
    # (300 * (109 + 98 + 96) + 38 * 96) / 938 = 100.8
    assert lecture.notes_losses("GoogLeNet")[1] == approx(0.1008, abs=1e-4)


def test_the_errors_of_table_1_are_the_papers():
    """He et al. 2016, "Identity Mappings", ResNet-110: Figure 2 and a net without."""
    names = ["plain", "original", "constant-scaling", "exclusive-gating"]
    names += ["shortcut-only-gating", "conv-shortcut", "dropout-shortcut"]
    table = ["fail", "6.61", "12.35", "8.70", "6.91", "12.22", "fail"]
    assert [depth.ERRORS[name] for name in names] == table


def test_the_errors_of_table_2_are_the_papers():
    """The same paper, Figure 4, ResNet-110."""
    names = ["original-bn", "bn-after-addition", "relu-before-addition"]
    names += ["relu-only-pre-activation", "full-pre-activation"]
    table = ["6.61", "8.17", "7.84", "6.71", "6.37"]
    assert [depth.ERRORS[name] for name in names] == table


# lecture.py


def test_the_notes_are_outside_where_no_run_reaches_them():
    curve = googlenet_mnist.CURVE
    low = [a_run(accuracies=[value - 1 for value in curve])]
    assert lecture.outside("GoogLeNet", low, "accuracies") == [*range(1, 11)]


def test_the_notes_are_not_outside_where_a_run_equals_them():
    nets = [a_run(accuracies=[*googlenet_mnist.CURVE[:9], 0.0])]
    assert lecture.outside("GoogLeNet", nets, "accuracies") == [10]


# more_epochs.py


def test_early_is_8_to_12_middle_18_to_22_late_26_to_30():
    run = a_run(accuracies=[*range(1, 31)])
    spans = more_epochs.early, more_epochs.middle, more_epochs.late
    assert [span(run) for span in spans] == [10, 20, 28]


# errors.py: digit 1 is wrong in all three nets, digit 2 in two, digit 3 in one


@pytest.fixture
def three_nets():
    errors_of = [[[1, 7], [2, 5]], [[1, 7], [2, 5], [3, 9]], [[1, 4]]]
    return [a_run(measured={"errors": found}) for found in errors_of]


def test_a_wrong_digit_keeps_the_answers_that_it_gets(three_nets):
    assert errors.wrong_answers(three_nets) == {1: [7, 7, 4], 2: [5, 5], 3: [9]}


def test_most_nets_are_more_than_half(three_nets):
    assert errors.wrong_for_most(three_nets) == [1, 2]
    assert errors.wrong_for_most(three_nets[1:]) == [1]


def test_an_error_is_shared_if_most_of_the_other_nets_make_it(three_nets):
    # digit 2: of the two other nets one alone, which is not most of them
    assert errors.shared_with_most(three_nets) == 50


def test_errors_are_counted(three_nets, reads):
    reads({"ResNet": three_nets})
    # of a net, of any, of one alone, of most, of all, shared (%)
    assert errors.counts() == [["3, CPU", "2.0", 3, 1, 2, 1, "50"]]


# small_gain.py


def test_a_network_that_diverges_has_no_gain(reads):
    nets = [*ends_with(90.0), a_run(losses=[], accuracies=[])]
    reads({"GoogLeNet": nets})
    [row] = small_gain.from_googlenet({0.01: None}, early=1)
    assert row == [0.01, "GoogLeNet", "2, CPU", "1 of 2 diverge", "", ""]


def test_a_pair_is_the_first_less_the_second(reads):
    reads({"a": ends_with(93.0, 93.0), "b": ends_with(90.0, 90.0)})
    rows = small_gain.pairs({0.01: None}, [("a", "b")])
    assert rows == [[0.01, "a - b", "+3.00 (+3.00 to +3.00)"]]


def test_each_network_stands_at_its_better_rate(reads_of_each_group):
    def runs_of(group, name):
        worse = name == "ReLU" and group.lr == 0.05
        return ends_with(*[90 if worse else 91 + group.lr] * 2, lr=group.lr)

    reads_of_each_group(runs_of)
    rows = {row[0]: row[1:] for row in small_gain.better()}
    assert rows["GoogLeNet"] == ["97,298", 0.05, "91.05 ± 0.00", ""]
    assert rows["ReLU"][1:3] == [0.01, "91.01 ± 0.00"]


def test_a_rate_at_which_a_run_diverges_is_not_the_better(reads_of_each_group):
    def runs_of(group, name):
        diverged = a_run(losses=[], accuracies=[], lr=group.lr)
        nets = ends_with(90.0 + group.lr, 90.0 + group.lr, lr=group.lr)
        return [diverged, diverged] if group.lr == 0.05 else nets

    reads_of_each_group(runs_of)
    assert {row[2] for row in small_gain.better()} == {0.01}


# depth.py


def depth_of(name):
    return int(name.partition("-depth-")[2] or 1)


def by_depth(group, name):
    """81 % with one block, 84 with four, 96 with 16; 97 at a low rate, 98 with an end."""
    if depth.LAST in name:
        return ends_with(98.0)
    if group.lr == 0.001:
        return ends_with(97.0)
    return ends_with(80.0 + depth_of(name))


def test_of_blocks_keeps_each_block_apart(reads):
    names = ["plain", "plain-he", "plain-bn", "original", "original-bn"]
    reads({f"{name}-depth-16": [name] for name in names})
    assert depth.of_blocks(16) == {name: [name] for name in names}


def test_points_from_original_stand_where_both_learn(reads_of_each_group):
    def runs_of(group, name):
        fails = name == "plain-depth-16"
        return ends_with(*[11 if fails else 90 + name.startswith("plain")] * 2)

    reads_of_each_group(runs_of)
    rows = {row[0]: row[1:] for row in depth.from_original()}
    gain = "+1.00 (+1.00 to +1.00)"
    assert rows["`plain`"] == [gain, gain, ""]
    assert rows["`original`"] == ["", "", ""]


def test_a_run_that_diverged_is_nan_among_the_others():
    nets = [*ends_with(90.0), a_run(accuracies=[], losses=[])]
    assert depth.of_each(nets, "accuracies") == "90.00, nan"


def test_a_block_without_runs_has_an_empty_cell(reads_of_each_group, monkeypatch):
    reads_of_each_group(by_depth)
    monkeypatch.setitem(depth.BLOCKS, "new", depth.BLOCKS["original"])
    assert depth.blocks()[-1] == ["`new`", "`relu(x + y)`", "41,514", "", ""]
