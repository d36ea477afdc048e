"""Your own digit: why does the net so often get it wrong, and what makes it right?

    python figures/own_digit.py PHOTO    # what the net of resnet_mnist.py sees and says
    python figures/own_digit.py          # prints README's table, draws own_digit.png

The first needs results/resnet_mnist.pt, which `python resnet_mnist.py` leaves.
"""

import sys

import matplotlib.pyplot as plt
import torch
from errors import wrong
from PIL import Image, ImageOps, UnidentifiedImageError
from runs import DATA, FIGURES, ROOT, seeds, spread, train_all
from slopes import slopes
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine, pil_to_tensor

from resnet_mnist import Net, load_mnist, test

MEAN, STD = 0.1307, 0.3081


def changed(angle=0.0, right=0, scale=1.0):
    """A function that turns, moves or scales light digits on black, (N, 1, 28, 28)."""
    move = {"angle": angle, "translate": [right, 0], "scale": scale, "shear": [0.0]}
    return lambda x: affine(x, **move, interpolation=InterpolationMode.BILINEAR)


CHANGES = {
    "as it is": lambda x: x,
    "black on white": lambda x: 1 - x,
    "2 pixels to the right": changed(right=2),
    "4 pixels to the right": changed(right=4),
    "6 pixels to the right": changed(right=6),
    "scaled to 0.6": changed(scale=0.6),
    "scaled to 1.4": changed(scale=1.4),
    "rotated by 30°": changed(angle=30.0),
}


def accuracies(net):
    """{"changed": the accuracy (%) of a trained net for each of CHANGES}."""
    images, labels = load_mnist(DATA, "cpu")[1]
    pixels = images * STD + MEAN  # from 0 to 1
    sets = [(change(pixels) - MEAN) / STD for change in CHANGES.values()]
    return {"changed": [test(net, x, labels) for x in sets]}


def of_resnet(net):
    """All that the experiments measure of a trained net of resnet_mnist.py."""
    return {**accuracies(net), **slopes(net), **wrong(net)}


def like_mnist(photo):
    """Make of a PIL image what MNIST's makers made of a digit: (1, 1, 28, 28), in [0, 1].

    Light on dark, cropped, scaled to 20 pixels, its centre of mass in the middle (LeCun
    et al. 1998, "Gradient-Based Learning Applied to Document Recognition", Section III).
    Raises ValueError if there is nothing to crop.
    """
    photo = ImageOps.exif_transpose(photo).convert("RGBA")
    photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
    pixels = pil_to_tensor(photo.convert("L"))[0] / 255  # (H, W)
    edge = torch.cat([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).median()
    ink = (pixels - edge).abs()  # what differs from the paper
    ink = torch.where(ink > 0.4 * ink.max(), ink / ink.max().clamp(min=0.1), 0.0)
    rows, columns = ink.sum(dim=1).nonzero(), ink.sum(dim=0).nonzero()
    if len(rows) == 0:
        raise ValueError("there is no digit in it")
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = 20 / max(ink.shape)
    size = [max(1, round(side * scale)) for side in ink.shape]
    ink = torch.nn.functional.interpolate(
        ink[None, None], size, mode="bilinear", antialias=True
    )[0, 0]
    digit = torch.zeros(28, 28)
    middle = [  # the first row and column that bring the centre of mass to 14, 14
        round(
            14 - float((ink.sum(dim=1 - d) * torch.arange(size[d])).sum() / ink.sum())
        )
        for d in (0, 1)
    ]
    top, left = (min(max(m, 0), 28 - s) for m, s in zip(middle, size))
    digit[top : top + size[0], left : left + size[1]] = ink
    return digit[None, None]


def read(file):
    """Print and draw what the net of resnet_mnist.py makes of a picture."""
    checkpoint = ROOT / "results" / "resnet_mnist.pt"
    if not checkpoint.exists():
        sys.exit(f"{checkpoint} is missing: run resnet_mnist.py first")
    try:
        digit = like_mnist(Image.open(file))
    except (OSError, ValueError, UnidentifiedImageError) as error:
        sys.exit(f"{file} is not a picture of a digit: {error}")
    net = Net()
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    with torch.inference_mode():
        [chances] = net.eval()((digit - MEAN) / STD).softmax(dim=1)
    print(f"The net says {chances.argmax()} ({chances.max():.1%})")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    left.imshow(digit[0, 0].numpy(), cmap="gray")
    left.set(title="what the net sees")
    right.bar(range(10), chances)
    right.set(title="what it says", xlabel="digit", ylabel="probability", ylim=(0, 1))
    right.set_xticks(range(10))
    figure.savefig(ROOT / "results" / "own_digit.png", dpi=90)
    plt.show()


def main():
    [runs] = train_all({"ResNet": Net}, seeds(3), measure=of_resnet).values()
    digit = load_mnist(DATA, "cpu")[1][0][:1] * STD + MEAN  # a 7
    figure, panels = plt.subplots(2, 4, figsize=(9, 5), layout="constrained")
    made = zip(*(run["changed"] for run in runs))
    for panel, name, of_seeds in zip(panels.flat, CHANGES, made):
        panel.imshow(CHANGES[name](digit)[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        panel.set_title(f"{name}\n{spread(list(of_seeds))} %", fontsize=10)
        panel.axis("off")
        print(f"| {name} | {spread(list(of_seeds))} |")
    figure.savefig(FIGURES / "own_digit.png", dpi=90)


if __name__ == "__main__":
    read(sys.argv[1]) if sys.argv[1:] and not sys.argv[1].isdigit() else main()
