"""Which test digits do most of the trained ResNets get wrong?"""

from collections import Counter, defaultdict
from math import ceil

import matplotlib.pyplot as plt
import runs
import torch
from cells import origin

from resnet_mnist import Net

PLAN = {"trained": runs.Runs({"ResNet": Net}, epochs=10, measure="errors")}


@torch.inference_mode()
def measure(net, train_set, test_set):
    """[index of a test digit, the net's answer] for each that it gets wrong."""
    images, labels = test_set
    answers = torch.cat([net.eval()(x).argmax(dim=1) for x in images.split(250)])
    places = (answers != labels).nonzero().flatten().tolist()
    return [[i, answers[i].item()] for i in places]


def wrong_answers(nets):
    """{index of a test digit: the wrong answers that it gets}."""
    answers = defaultdict(list)
    for run in nets:
        for i, answer in run["measured"]["errors"]:
            answers[i].append(answer)
    return answers


def wrong_for_most(nets):
    """The digits that more than half of the nets get wrong."""
    answers = wrong_answers(nets)
    return [i for i in answers if len(answers[i]) > len(nets) / 2]


def shared_with_most(nets):
    """Share (%) of the nets' errors that most of the other nets make too."""
    times = [len(given) for given in wrong_answers(nets).values()]
    others = len(nets) - 1
    shared = sum(n for n in times if n - 1 > others / 2)
    return 100 * shared / sum(times)


def counts():
    """Wrong digits: of a net, of any, of one net alone, of most of the nets, of all."""
    [nets] = runs.read(PLAN["trained"]).values()
    times = [len(given) for given in wrong_answers(nets).values()]
    a_net = f"{sum(times) / len(nets):.1f}"
    figures = [len(times), times.count(1), len(wrong_for_most(nets))]
    figures.append(times.count(len(nets)))
    return [[origin(nets), a_net, *figures, f"{shared_with_most(nets):.0f}"]]


def tables():
    return {"errors": counts()}


def draw():
    [nets] = runs.read(PLAN["trained"]).values()
    answers = wrong_answers(nets)
    most = sorted(wrong_for_most(nets), key=lambda i: (-len(answers[i]), i))
    images, labels = runs.load("cpu")[1]
    rows = ceil(len(most) / 10)
    figure, panels = plt.subplots(rows, 10, figsize=(11, 9.5), layout="constrained")
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, most):
        [(answer, _)] = Counter(answers[i]).most_common(1)
        panel.imshow(images[i, 0].numpy(), cmap="gray")
        panel.set_title(f"{labels[i]} → {answer} ({len(answers[i])})", fontsize=10)
    figure.suptitle(f"label → answer (wrong nets of {len(nets)})")
    figure.savefig(runs.EXPERIMENTS / "errors.png", dpi=90)


if __name__ == "__main__":
    runs.main(runs.command_line(__doc__), PLAN, tables, draw)
