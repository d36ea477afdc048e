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

import branches
import cells
import dense
import depth
import derivative
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


def test_the_last_accuracy_counts_not_the_best():
    nets = [a_run(accuracies=[91.0, 99.0, 95.0])]
    assert cells.finals(nets) == [95.0]


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


def test_origin_names_each_device_once():
    nets = [*ends_with(90, 91, device="B"), *ends_with(92, device="A")]
    assert cells.origin(nets) == "3, B and A"


def test_rows_are_those_of_a_markdown_table():
    assert cells.markdown([["a", 1], ["b", 2.5]]) == "| a | 1 |\n| b | 2.5 |\n"


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


def test_the_published_slip_is_beside_the_same_notes():
    for name in lecture.HOMEWORK:
        assert lecture.notes(f"{name}-published") == lecture.notes(name)


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


def test_accuracies_stand_beside_the_notes(reads):
    reads({"GoogLeNet": [a_run(accuracies=[95.0, *[99.5] * 8, 98.0])]})
    [[name, made, first, *rest, outside]] = lecture.accuracies()
    assert (name, made, first, outside) == ("GoogLeNet", "1, CPU", "95.00", 10)
    assert rest == ["96.51", "98.00", "98.90", "99.50", "98.90"]


def test_the_short_table_has_the_accuracy_after_ten_epochs(reads):
    reads({"ResNet": [a_run(accuracies=[95.0, *[99.5] * 8, 98.0])]})
    assert lecture.short() == [["ResNet", "98.00", "98.98", 10]]


def test_losses_stand_beside_the_notes(reads):
    nets = [a_run(losses=[first, *[9.0] * 8, 0.025]) for first in (0.3, 0.4)]
    reads({"GoogLeNet": nets})
    [[_, *figures, outside]] = lecture.losses()
    assert figures == ["0.300 to 0.400", "0.356", "0.025", "0.034"]
    assert outside == "2, 3, 4, 5, 6, 7, 8, 9, 10"


def test_the_slip_is_compared_after_the_first_epoch_and_the_last(reads):
    slip = [a_run(accuracies=[91.0] * 9 + [95.0])] * 2
    right = [a_run(accuracies=[93.0] * 9 + [94.0])] * 2
    reads({**dict.fromkeys(lecture.NETWORKS, right), "conv-shortcut-published": slip})
    rows = {row[0]: row[1:] for row in lecture.pairs()}
    points = ["-2.00 (-2.00 to -2.00)", "+1.00 (+1.00 to +1.00)"]
    assert rows["conv-shortcut-published - conv-shortcut"] == points


# more_epochs.py


def test_early_is_8_to_12_middle_18_to_22_late_26_to_30():
    run = a_run(accuracies=[*range(1, 31)])
    spans = more_epochs.early, more_epochs.middle, more_epochs.late
    assert [span(run) for span in spans] == [10, 20, 28]


def test_the_gain_of_thirty_epochs_is_late_less_early_and_less_middle(reads):
    reads({"ResNet": [a_run(accuracies=[*range(n, n + 30)]) for n in (1, 1)]})
    [[_, _, *spans, from_early, from_middle]] = more_epochs.spans()
    assert spans == ["10.00 ± 0.00", "20.00 ± 0.00", "28.00 ± 0.00"]
    assert from_early == "+18.00 (+18.00 to +18.00)"
    assert from_middle == "+8.00 (+8.00 to +8.00)"


def test_the_best_of_ten_epochs_stands_beside_that_of_thirty(reads):
    accuracies = [90.0] * 8 + [97.0] + [90.0] * 10 + [98.0] + [91.0] * 10
    reads({"ResNet": [a_run(seed=3, accuracies=accuracies, losses=[*range(30)])]})
    losses = ["0.0000", "9.0000", "29.0000"]
    row = ["ResNet", 3, "CPU", "97.00", "98.00", 20, "91.00", *losses]
    assert more_epochs.each() == [row]


# dense.py


def test_dense_is_compared_with_both_residual_blocks(reads):
    nets = {"ResNet": 90, "original-bn": 92, "dense": 91}
    reads({name: ends_with(last, last) for name, last in nets.items()})
    *_, row = dense.accuracies()
    gains = ["+1.00 (+1.00 to +1.00)", "-1.00 (-1.00 to -1.00)"]
    assert row == ["dense", "2, CPU", "91.00 ± 0.00", "91.00 ± 0.00", *gains]


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


# branches.py


def net_with(lost, weights):
    measured = {"loudness 1": [1, 2, 3, 4], "loudness 2": [5, 6, 7, 8]}
    measured.update({"lost 1": lost, "lost 2": lost[::-1]})
    measured.update({"weights 1": weights, "weights 2": weights})
    return a_run(measured={"branches": measured})


def test_points_lost_stand_in_the_order_of_the_branches(reads):
    reads({"GoogLeNet": [net_with([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1])]})
    lost = ["1.00", "2.00", "3.00", "4.00", "4.00", "3.00", "2.00", "1.00"]
    assert branches.points() == [["GoogLeNet", "1, CPU", "90.00", "", *lost]]


def test_the_heaviest_branch_is_beside_the_one_that_is_missed_most(reads):
    reads({"GoogLeNet": [net_with([0, 9, 0, 0], [1, 2, 1, 1])] * 2})
    first, second = branches.which()
    assert first == ["GoogLeNet", "incep1", "5×5 2", "5×5 2", "2 of 2"]
    assert second == ["GoogLeNet", "incep2", "5×5 2", "3×3 2", "0 of 2"]


def test_loudness_stands_in_a_row_of_each_module(reads):
    reads({"GoogLeNet": [net_with([0] * 4, [0] * 4)]})
    _, row = branches.loud()
    assert row == ["GoogLeNet", "incep2", "5.000", "6.000", "7.000", "8.000"]


# derivative.py


@pytest.fixture
def two_nets(reads):
    ratios = [[n, n / 10, n * 10] for n in (1.0, 2.0, 3.0, 4.0)]
    one = {"negative": [40.0, 50.0], "least": [-1.0, -0.5], "ratios": ratios}
    two = {"negative": [45.0, 50.0], "least": [-0.2, -0.7], "ratios": ratios}
    reads({"ResNet": [a_run(measured={"derivative": found}) for found in (one, two)]})


def test_each_block_has_its_share_below_0_and_its_least(two_nets):
    first = ["rblock1", "2, CPU", "40.0 to 45.0 %", -1.0]
    assert derivative.signs() == [first, ["rblock2", "2, CPU", "50.0 %", -0.7]]


def test_ratios_stand_beside_their_block_and_place(two_nets):
    rows = derivative.norms()
    assert [row[:2] for row in rows[1:3]] == [
        ["rblock1", "ReLU(x + y)"],
        ["rblock2", "x + y"],
    ]
    assert rows[2][2:] == ["3.00", "0.30", "30.0 %"]


# small_gain.py


def test_a_gain_is_that_over_googlenet(reads):
    one = [a_run(accuracies=[80.0, 81.0, 90.0])] * 2
    reads({"GoogLeNet": one, "BN": [a_run(accuracies=[82.0, 83.0, 93.0])] * 2})
    rows = small_gain.from_googlenet({0.05: None}, early=2)
    assert rows[0] == [0.05, "GoogLeNet", "2, CPU", "81.00 ± 0.00", "90.00 ± 0.00", ""]
    figures = ["83.00 ± 0.00", "93.00 ± 0.00", "+3.00 (+3.00 to +3.00)"]
    assert rows[1] == [0.05, "BN", "2, CPU", *figures]


def test_a_network_that_diverges_has_no_gain(reads):
    nets = [*ends_with(90.0), a_run(losses=[], accuracies=[])]
    reads({"GoogLeNet": nets})
    [row] = small_gain.from_googlenet({0.01: None}, early=1)
    assert row == [0.01, "GoogLeNet", "2, CPU", "1 of 2 diverge", "", ""]


def test_a_pair_is_the_first_less_the_second(reads):
    reads({"a": ends_with(93.0, 93.0), "b": ends_with(90.0, 90.0)})
    rows = small_gain.pairs({0.01: None}, [("a", "b")])
    assert rows == [[0.01, "a - b", "+3.00 (+3.00 to +3.00)"]]


def test_rates_are_compared_fast_less_slow(reads_of_each_group):
    reads_of_each_group(lambda group, name: ends_with(*[100 * group.lr] * 2))
    assert small_gain.rates()[0] == ["GoogLeNet", "+4.00 (+4.00 to +4.00)"]


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


def test_of_blocks_knows_a_net_with_another_end(reads):
    reads({f"original-bn-depth-16, {depth.LAST}": ["runs"]})
    assert depth.of_blocks("ends") == {"original-bn": ["runs"]}


def test_each_depth_has_its_column(reads_of_each_group):
    reads_of_each_group(by_depth)
    rows = {row[0]: row[1:] for row in depth.learned()}
    accuracies = ["81.00", "84.00", "96.00"]
    assert rows["`plain`"] == ["1, CPU", *accuracies, "", ""]
    assert rows["`original-bn`"] == ["1, CPU", *accuracies, "97.00", "98.00"]


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


def test_each_seed_has_its_accuracy_and_its_loss(reads):
    nets = [a_run(accuracies=[n], losses=[n / 100]) for n in (90, 80)]
    reads({"plain-depth-16": nets})
    assert depth.each_seed() == [["`plain-depth-16`", "90.00, 80.00", "0.90, 0.80"]]


def test_a_rate_of_plain_he_has_its_row(reads_of_each_group):
    reads_of_each_group(lambda group, name: ends_with(group.lr, losses=[2 * group.lr]))
    assert [0.05, "CPU", "0.05", "0.10"] in depth.he_rates()


def test_a_first_gradient_stands_below_its_depth(reads_of_each_group):
    def runs_of(group, name):
        return [a_run(measured={"depth": depth_of(name) / 100})]

    reads_of_each_group(runs_of)
    norms = ["1.0e-02", "2.0e-02", "4.0e-02", "8.0e-02", "1.6e-01"]
    assert depth.first_gradient()[0] == ["`plain`", *norms]


def test_clipped_runs_stand_beside_their_device(reads_of_each_group):
    def runs_of(group, name):
        accuracy = group.lr * 100 + (group.clip or 0)
        return [*ends_with(accuracy), *ends_with(50, device="GPU")]

    reads_of_each_group(runs_of)
    rows = depth.clipped()
    assert [0.1, 1, "CPU", "11.00"] in rows
    assert [0.1, "no", "CPU", "10.00"] in rows
    assert [0.01, 1, "GPU", "50.00"] in rows


def test_a_block_of_the_page_has_equation_size_accuracy_and_error(reads_of_each_group):
    reads_of_each_group(by_depth)
    rows = {row[0]: row[1:] for row in depth.blocks()}
    assert rows["`original`"] == ["`relu(x + y)`", "41,514", "96.00", "6.61"]
    assert rows["`dropout-shortcut`"][2] == "96.00; lr 0.001: 97.00"


def test_a_block_without_runs_has_an_empty_cell(reads_of_each_group, monkeypatch):
    reads_of_each_group(by_depth)
    monkeypatch.setitem(depth.BLOCKS, "new", depth.BLOCKS["original"])
    assert depth.blocks()[-1] == ["`new`", "`relu(x + y)`", "41,514", "", ""]
