"""Train the four networks of the notes with five seeds and set them beside the notes.

    python tests/accuracy.py

Needs the full MNIST and about twenty minutes on two cores. Prints README's table, draws
figures/accuracy.png and keeps each run's output as results/seed-N/SCRIPT.log.
"""

import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from statistics import mean, stdev

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import googlenet_mnist
import residual_variants
import resnet_mnist

SCRIPTS = [googlenet_mnist, resnet_mnist, residual_variants]
NOTES = {name: curve for script in SCRIPTS for name, curve in script.NOTES.items()}
SEEDS = range(5)


def read_curves(output):
    """Read {network: accuracies (%)} from what a script printed."""
    names = re.findall(r"^(\S+): [\d,]+ parameters$", output, re.MULTILINE)
    curves = re.findall(r"^\[[\d., ]+\]$", output, re.MULTILINE)
    return dict(zip(names, map(literal_eval, curves), strict=True))


def train(seed):
    """Run the three scripts as a user does; return their curves."""
    folder = ROOT / "results" / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    curves = {}
    for script in SCRIPTS:
        file = Path(script.__file__)
        command = [sys.executable, file.name, "--seed", str(seed), "--out", folder]
        run = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
        )
        if run.returncode:
            sys.exit(f"{file.name} ended with status {run.returncode}")
        (folder / f"{file.stem}.log").write_text(run.stdout)
        print(f"seed {seed}: {file.name} is done", flush=True)
        curves |= read_curves(run.stdout)
    return curves


def print_table(runs):
    """Print mean and standard deviation of `runs`, one {network: curve} a seed."""
    print("| network | epoch 1 | notes | epoch 10 | notes | best epoch | notes |")
    print("|---|---|---|---|---|---|---|")
    for name, notes in NOTES.items():
        curves = [run[name] for run in runs]
        cells = []
        for pick in (lambda c: c[0], lambda c: c[-1], max):
            here = [pick(curve) for curve in curves]
            cells += [f"{mean(here):.2f} ± {stdev(here):.2f}", f"{pick(notes):.2f}"]
        print("|", " | ".join([name, *cells]), "|")


def draw(runs, file):
    """Draw for each network the band of all runs, their mean and the notes' curve."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), sharex=True, sharey=True)
    for panel, (name, notes) in zip(panels.flat, NOTES.items(), strict=True):
        epochs = range(1, len(notes) + 1)
        values = list(zip(*(run[name] for run in runs), strict=True))
        low, high = list(map(min, values)), list(map(max, values))
        panel.fill_between(epochs, low, high, alpha=0.3, label=f"{len(runs)} seeds")
        panel.plot(epochs, list(map(mean, values)), label="their mean")
        panel.plot(epochs, notes, "k--", marker=".", label="the notes")
        panel.set(title=name, xticks=epochs)
        panel.grid(alpha=0.3)
    panels[0, 0].legend(loc="lower right")
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on the test set (%)")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    runs = [train(seed) for seed in SEEDS]
    print_table(runs)
    draw(runs, ROOT / "figures" / "accuracy.png")
