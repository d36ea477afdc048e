"""Which test digits do most of the trained ResNets get wrong?"""

from collections import Counter, defaultdict

import matplotlib.pyplot as plt
import runs as store
import torch

from resnet_mnist import Net


@torch.inference_mode()
def measure(net):
    """[index of a test digit, the net's answer] for each that it gets wrong."""
    images, labels = store.load(net.fc.weight.device.type)[1]
    answers = torch.cat([net.eval()(x).argmax(dim=1) for x in images.split(250)])
    places = (answers != labels).nonzero().flatten().tolist()
    return {"wrong": [[i, answers[i].item()] for i in places]}


if __name__ == "__main__":
    args = store.command_line(__doc__).parse_args()
    [runs] = store.collect(args, {"ResNet": Net}, 10, measure="errors").values()
    nets, answers = len(runs), defaultdict(list)
    for run in runs:
        for i, answer in run["wrong"]:
            answers[i].append(answer)
    most = sorted(i for i in answers if len(answers[i]) > nets / 2)
    every = sum(len(given) == nets for given in answers.values())
    a_net = f"{sum(len(run['wrong']) for run in runs) / nets:.1f}"
    store.row(store.origin(runs), a_net, len(answers), len(most), every)

    images, labels = store.load("cpu")[1]
    size = -(-len(most) // 10), 10
    figure, panels = plt.subplots(*size, figsize=(11, 9.5), layout="constrained")
    for panel in panels.flat:
        panel.axis("off")
    for panel, i in zip(panels.flat, sorted(most, key=lambda i: -len(answers[i]))):
        [(answer, _)] = Counter(answers[i]).most_common(1)
        panel.imshow(images[i, 0].numpy(), cmap="gray")
        panel.set_title(f"{labels[i]} → {answer} ({len(answers[i])})", fontsize=10)
    figure.suptitle(f"label → answer (wrong nets of {nets})")
    figure.savefig(store.EXPERIMENTS / "errors.png", dpi=90)
