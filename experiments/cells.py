"""How the figures of runs are written: the cells of the tables and of the pictures."""

from math import sqrt
from statistics import mean, stdev, variance

from scipy.special import stdtrit  # scipy comes with mlxtend


def final(run):
    """The accuracy (%) after the last epoch."""
    return run["accuracies"][-1]


def finals(nets):
    """The accuracies (%) after the last epoch."""
    return [final(run) for run in nets]


def learns(run):
    """Whether at most 20 % are wrong at the end: more is "fail" in He et al. 2016."""
    return bool(run["accuracies"]) and final(run) >= 80


def cell(nets):
    """Accuracy of the runs (%), or how many learn where not all do."""
    learned = sum(learns(run) for run in nets)
    if learned == len(nets):
        return spread(finals(nets))
    diverges = "" if any(run["losses"] for run in nets) else ", diverges"
    return f"{learned} of {len(nets)} learn{diverges}"


def origin(nets):
    """How many runs, and where they were made."""
    devices = dict.fromkeys(run["device"] for run in nets)
    return f"{len(nets)}, {' and '.join(devices)}"


def spread(values):
    """Mean and, of several values, standard deviation."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def extent(values, form=".2f"):
    """The least and the most, once where they are written alike."""
    least = f"{min(values):{form}}"
    most = f"{max(values):{form}}"
    return least if least == most else f"{least} to {most}"


def welch(a, b):
    """Difference of two means and half of Welch's 95 % interval, 0 without variance."""
    error_a = variance(a) / len(a)
    error_b = variance(b) / len(b)
    error = error_a + error_b  # the square of the standard error
    if error == 0:
        return mean(a) - mean(b), 0.0
    parts = error_a**2 / (len(a) - 1) + error_b**2 / (len(b) - 1)
    return mean(a) - mean(b), stdtrit(error**2 / parts, 0.975) * sqrt(error)


def difference(ours, theirs, value=final, value_of_theirs=None):
    """Difference of the means of two groups of runs, and its 95 % interval.

    All are of one device. Nothing where a group has a single run, or is compared with
    itself.
    """
    if len({run["device"] for run in [*ours, *theirs]}) > 1:
        raise ValueError("a difference of two devices is none of two networks")
    if min(len(ours), len(theirs)) < 2 or (ours is theirs and not value_of_theirs):
        return ""
    a = [value(run) for run in ours]
    b = [(value_of_theirs or value)(run) for run in theirs]
    middle, half = welch(a, b)
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def markdown(rows):
    """Rows as the pages have them, below a head."""
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def heat_map(axes, texts, shades, rows, columns, **look):
    """Draw a table of texts, coloured by `shades`."""
    axes.imshow(shades, aspect="auto", alpha=0.6, **look)
    for y, line in enumerate(texts):
        for x, text in enumerate(line):
            axes.text(x, y, text, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
