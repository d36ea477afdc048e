"""Draw the plot of a first run, from a kept one: python figures/first_run.py"""

import sys

from diagrams import FIGURES

sys.path.append(str(FIGURES.parent / "experiments"))

import lecture
import runs

import googlenet_mnist

run = runs.read(lecture.PLAN["ten"])["GoogLeNet"][0]
file = FIGURES / "first_run.png"
googlenet_mnist.plot(run["losses"], run["accuracies"], remark="", file=file)
