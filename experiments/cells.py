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


def interval(middle, half):
    """A difference and its 95 % interval."""
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def welch(a, b):
    """Half of Welch's 95 % interval of the difference of two means."""
    error_a = variance(a) / len(a)
    error_b = variance(b) / len(b)
    error = error_a + error_b  # the square of the standard error
    if error == 0:
        return 0.0
    parts = error_a**2 / (len(a) - 1) + error_b**2 / (len(b) - 1)
    return stdtrit(error**2 / parts, 0.975) * sqrt(error)


def difference(ours, theirs, value=final):
    """Difference of the means of two networks' runs, all of one device.

    Nothing where a network has a single run, or is compared with itself.
    """
    if len({run["device"] for run in [*ours, *theirs]}) > 1:
        raise ValueError("these runs are of two devices, which differ by themselves")
    if ours is theirs or min(len(ours), len(theirs)) < 2:
        return ""
    a = [value(run) for run in ours]
    b = [value(run) for run in theirs]
    return interval(mean(a) - mean(b), welch(a, b))


def change(nets, before, after):
    """Mean of the change from `before` to `after` of each of several nets."""
    changes = [after(run) - before(run) for run in nets]
    half = stdtrit(len(nets) - 1, 0.975) * stdev(changes) / sqrt(len(nets))
    return interval(mean(changes), half)


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
