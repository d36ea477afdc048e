"""Does the dense block do as well as a residual one? Ten epochs."""

from functools import partial

import runs
from cells import difference, finals, origin, spread

from residual_variants import BLOCKS, Net

NETWORKS = {
    "ResNet": partial(Net, BLOCKS["original"]),
    "original-bn": partial(Net, BLOCKS["original-bn"]),
    "dense": partial(Net, BLOCKS["dense"]),
}
PLAN = {"ten": runs.Runs(NETWORKS, epochs=10, seeds=5)}


def accuracies():
    """Accuracy after the first epoch and the last, and points from the two others."""
    found = runs.read(PLAN["ten"])
    rows = []
    for name, nets in found.items():
        first = spread([run["accuracies"][0] for run in nets])
        gains = [difference(nets, found[other]) for other in ("ResNet", "original-bn")]
        rows.append([name, origin(nets), first, spread(finals(nets)), *gains])
    return rows


def tables():
    return {"dense": accuracies()}


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables)
