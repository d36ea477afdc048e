"""Your own digit: why does the net so often get it wrong, and what makes it right?

`own_digit.py PHOTO` asks the net that resnet_mnist.py has left in results/, and leaves
own_digit_answer.png there; without a photo it prints the table of the changed test
sets and draws own_digit.png here.
"""

import sys
from contextlib import suppress
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import runs
import torch
from cells import origin, spread
from PIL import Image, ImageOps
from scipy import ndimage  # scipy and scikit-learn come with mlxtend
from sklearn.datasets import load_digits
from torchvision.transforms import functional as TF

from resnet_mnist import Net, test

MEAN, STD = 0.1307, 0.3081  # of MNIST, as in resnet_mnist.py
CHECKPOINT = runs.ROOT / "results" / "resnet_mnist.pt"
PLAN = {"trained": runs.Runs({"ResNet": Net}, epochs=10, measure="own_digit")}


def on_white_paper(photo):
    """A PIL image of any kind as RGB: upright, and at most 1,000 pixels long."""
    photo = ImageOps.exif_transpose(photo)
    if photo.mode.startswith("I"):  # 16 bits a pixel, to 8
        photo = photo.convert("I").point(lambda value: value / 257).convert("L")
    photo = photo.convert("RGBA")
    photo.thumbnail((1000, 1000))  # which averages its noise
    paper = Image.new("RGBA", photo.size, "white")
    return Image.alpha_composite(paper, photo).convert("RGB")


def find_ink(photo):
    """How much darker than the paper's light around it the ink is, 0 elsewhere: (H, W).

    ValueError where there is none.
    """
    grey = on_white_paper(photo).convert("L")
    pixels = np.asarray(grey, dtype="float32") / 255  # (H, W)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    paper = (np.median(edge) + np.median(pixels)) / 2
    if paper < (pixels.min() + pixels.max()) / 2:
        pixels = 1 - pixels  # so that the paper is light
    window = max(pixels.shape) // 3 + 1  # wider than a stroke, not than a shadow
    light = ndimage.grey_closing(pixels, (window, window))
    ink = (light - pixels) / light.clip(min=0.3)
    smooth = ndimage.gaussian_filter(ink, max(ink.shape) / 300)  # noise is averaged
    if smooth.max() - np.median(ink) < 0.2:  # most of a picture is paper
        raise ValueError("there is no digit in it")
    return ink * (ink > 0.4 * ink.max())


def find_parts(ink):
    """The connected parts of the ink: their numbers (H, W), and {number: box}.

    A box is a slice of rows and one of columns.
    """
    numbers, _ = ndimage.label(ink, np.ones((3, 3)))
    return numbers, dict(enumerate(ndimage.find_objects(numbers), start=1))


def longer_side(box):
    return max(side.stop - side.start for side in box)


def touches_border(box, shape):
    return any(side.start == 0 or side.stop == n for side, n in zip(box, shape))


def cut_out_digit(ink):
    """The digit alone, cropped: no specks, no shadow and no table at the border."""
    numbers, boxes = find_parts(ink)
    sizes = {i: longer_side(box) for i, box in boxes.items()}
    inner = [i for i, box in boxes.items() if not touches_border(box, ink.shape)]
    largest = max(sizes.values())
    if any(sizes[i] > 0.3 * largest for i in inner):  # else the digit is at the border
        sizes = {i: sizes[i] for i in inner}
    digit = [i for i, size in sizes.items() if size > 0.1 * largest]
    is_digit = np.isin(numbers, digit)
    [box] = ndimage.find_objects(is_digit.astype(int))
    return (ink * is_digit)[box]


def refuse_two(digit):
    """ValueError where two parts, both nearly as high as the whole, are far apart."""
    height = len(digit)
    _, boxes = find_parts(digit)
    tall = [x for y, x in boxes.values() if y.stop - y.start > 0.75 * height]
    if tall:
        gap = max(x.start for x in tall) - min(x.stop for x in tall)
        if gap > height / 4:
            raise ValueError("there is more than one digit in it")


def to_28x28(digit):
    """Scale to 20 pixels and pad, so that the centre of mass is in the middle."""
    longest = max(digit.shape)
    height, width = [max(1, round(20 * side / longest)) for side in digit.shape]
    digit = torch.from_numpy(digit)[None]  # (1, H, W)
    digit = TF.resize(digit, [height, width], antialias=True)
    digit = digit / digit.max()  # a thin pen has become faint
    y, x = ndimage.center_of_mass(digit[0].numpy())  # is brought to 14, 14
    top = min(max(round(14 - y), 0), 28 - height)
    left = min(max(round(14 - x), 0), 28 - width)
    return TF.pad(digit, [left, top, 28 - left - width, 28 - top - height])


def like_mnist(photo):
    """Make of a PIL image what MNIST's makers made of a digit: (1, 28, 28), in [0, 1].

    Light on dark, cropped, scaled to 20 pixels, its centre of mass in the middle (LeCun
    et al. 1998, "Gradient-Based Learning Applied to Document Recognition", Section III).
    ValueError: no digit, or two.
    """
    digit = cut_out_digit(find_ink(photo))
    refuse_two(digit)
    return to_28x28(digit)


def load_net():
    """The net that resnet_mnist.py has trained; exits with one line without it."""
    net = Net()
    try:
        content = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)
        net.load_state_dict(content["state_dict"])
    except Exception:  # noqa: BLE001 - missing, damaged, or of another content
        sys.exit(f"{CHECKPOINT} is no checkpoint of resnet_mnist.py: run it first")
    return net.eval()


def show_answer(file):
    """Print what the net says of a picture; draw the picture, what it sees and says."""
    net = load_net()
    try:
        with Image.open(file) as content:
            photo = on_white_paper(content)
        digit = like_mnist(photo)
    except Image.UnidentifiedImageError:
        sys.exit(f"{file} is no picture that can be read: save it as JPEG or PNG")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        sys.exit(f"{file}: {error}")
    with torch.inference_mode():
        [chances] = net((digit[None] - MEAN) / STD).softmax(dim=1)
    print(f"The net says {chances.argmax()} ({chances.max():.1%})")
    if chances.max() < 2 / 3:
        print("It is not sure: look in the picture at what it sees. Is it your digit?")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    panels[0].imshow(photo)
    panels[0].set(title="the photo")
    panels[0].axis("off")
    panels[1].imshow(digit[0].numpy(), cmap="gray", vmin=0, vmax=1)
    panels[1].set(title="what the net sees")
    panels[2].bar(range(10), chances.tolist())
    panels[2].set(title="what it says", xlabel="digit", xticks=range(10))
    panels[2].set(ylabel="probability", ylim=(0, 1))
    picture = CHECKPOINT.with_name("own_digit_answer.png")
    figure.savefig(picture, dpi=90)
    print(f"Picture: {picture}", flush=True)
    plt.show()


def moved(angle=0.0, right=0, scale=1.0):
    """A function that turns, moves or scales light digits on black, (N, 1, 28, 28)."""
    move = {"angle": angle, "translate": [right, 0], "scale": scale, "shear": [0.0]}
    return lambda x: TF.affine(x, **move, interpolation=TF.InterpolationMode.BILINEAR)


CHANGES = {
    "as it is": lambda x: x,
    "black on white": lambda x: 1 - x,
    "2 pixels to the right": moved(right=2),
    "4 pixels to the right": moved(right=4),
    "6 pixels to the right": moved(right=6),
    "scaled to 0.6": moved(scale=0.6),
    "scaled to 1.4": moved(scale=1.4),
    "rotated by 30°": moved(angle=30.0),
}


def restored(images):
    """What like_mnist makes of digits (N, 1, H, W), each by itself; if refused, black."""
    seen = torch.zeros(len(images), 1, 28, 28)
    for i, image in enumerate(images):
        with suppress(ValueError):
            seen[i] = like_mnist(TF.to_pil_image(image))
    return seen


@lru_cache(None)
def test_sets():
    """{measure: [(images from 0 to 1, labels)]}: MNIST's, changed, and other people's."""
    images, labels = runs.load("cpu")[1]
    sets = [change(images * STD + MEAN).clamp(0, 1) for change in CHANGES.values()]
    digits = load_digits()  # 1,797 of 8x8 pixels, from 0 to 16
    small = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    others = TF.resize(small, [28, 28], antialias=True)  # (N, 1, 28, 28)
    large = TF.resize(small, [160, 160], antialias=True)
    on_paper = 1 - TF.pad(large, [60])  # black on white, (N, 1, 280, 280)
    answers = torch.tensor(digits.target)
    return {
        "changed": [(x, labels) for x in sets],
        "restored": [(restored(x), labels) for x in sets],
        "others": [(others, answers), (restored(on_paper), answers)],
    }


def measure(net, train_set, test_set):
    """The accuracies (%) of a net on each of `test_sets`."""
    device = net.fc.weight.device
    return {
        name: [test(net, ((x - MEAN) / STD).to(device), y.to(device)) for x, y in sets]
        for name, sets in test_sets().items()
    }


def accuracies():
    """Accuracy on the changed test sets, and after like_mnist."""
    [nets] = runs.read(PLAN["trained"]).values()
    found = [run["measured"]["own_digit"] for run in nets]
    rows = []
    for i, name in enumerate(CHANGES):
        changed = spread([of_net["changed"][i] for of_net in found])
        after = spread([of_net["restored"][i] for of_net in found])
        rows.append([name, origin(nets), changed, after])
    others = [spread(values) for values in zip(*(of_net["others"] for of_net in found))]
    return [*rows, ["other people's digits", origin(nets), *others]]


def tables():
    return {"own_digit": accuracies()}


def show(panel, image, title):
    panel.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    panel.set_title(title, fontsize=10)
    panel.axis("off")


def draw():
    figure, panels = plt.subplots(2, 8, figsize=(15, 4.8), layout="constrained")
    digit = runs.load("cpu")[1][0][:1] * STD + MEAN  # a 7
    for (upper, lower), change, row in zip(panels.T, CHANGES.values(), accuracies()):
        name, _, changed, after = row
        show(upper, change(digit), f"{name}\n{changed} %")
        show(lower, restored(change(digit)), f"as like_mnist sees it\n{after} %")
    figure.savefig(runs.EXPERIMENTS / "own_digit.png", dpi=90)


if __name__ == "__main__":
    parser = runs.command_line(__doc__)
    parser.add_argument("photo", nargs="?", help="picture of a digit")
    photo = parser.parse_args().photo
    if photo:
        show_answer(photo)
    else:
        runs.main(parser, PLAN, tables, draw)
