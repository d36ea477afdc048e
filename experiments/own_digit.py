"""Your own digit: why does the net so often get it wrong, and what makes it right?

`own_digit.py PHOTO` asks the net that resnet_mnist.py has left in results/; without a
photo it prints the table of the changed test sets and draws own_digit.png.
"""

import sys
from functools import lru_cache

import matplotlib.pyplot as plt
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


def like_mnist(photo):
    """Make of a PIL image what MNIST's makers made of a digit: (1, 28, 28), in [0, 1].

    Light on dark, cropped, scaled to 20 pixels, its centre of mass in the middle (LeCun
    et al. 1998, "Gradient-Based Learning Applied to Document Recognition", Section III).
    Shadows, specks and a table at the border are left out. ValueError: no digit, or two.
    """
    photo = ImageOps.exif_transpose(photo).convert("RGBA")
    photo.thumbnail((1000, 1000))  # which averages its noise
    paper = Image.new("RGBA", photo.size, "white")
    [pixels] = TF.to_tensor(Image.alpha_composite(paper, photo).convert("L"))  # (H, W)
    edge = torch.cat([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if edge.median() + pixels.median() < pixels.min() + pixels.max():
        pixels = 1 - pixels  # so that the paper is light
    window = [max(pixels.shape) // 3 + 1] * 2  # wider than a stroke, not than a shadow
    light = torch.from_numpy(ndimage.grey_closing(pixels.numpy(), window))
    ink = (light - pixels) / light.clamp(min=0.3)  # of the paper's light
    if ink.max() < 0.25:
        raise ValueError("there is no digit in it")
    ink = torch.where(ink > 0.4 * ink.max(), ink, 0.0)
    labels, _ = ndimage.label(ink, torch.ones(3, 3))
    boxes, (height, width) = ndimage.find_objects(labels), ink.shape
    gaps = [[y.start, x.start, height - y.stop, width - x.stop] for y, x in boxes]
    sizes = [max(y.stop - y.start, x.stop - x.start) for y, x in boxes]
    parts = [i for i, size in enumerate(sizes) if size > 0.1 * max(sizes)]
    inner = [i for i in parts if gaps[i].count(0) < 2]  # no table along the border
    if max((sizes[i] for i in inner), default=0) > 0.3 * max(sizes):
        parts = inner
    ink[~torch.isin(torch.from_numpy(labels), torch.tensor(parts) + 1)] = 0
    ink = ink[ndimage.find_objects((ink > 0).int())[0]]
    boxes = [boxes[i] for i in parts]
    tall = [x for y, x in boxes if y.stop - y.start > 0.75 * len(ink)]
    if tall and max(x.start for x in tall) - min(x.stop for x in tall) > len(ink) / 4:
        raise ValueError("there is more than one digit in it")
    size = [max(1, round(20 * side / max(ink.shape))) for side in ink.shape]
    [ink] = TF.resize(ink[None], size, antialias=True)
    ink = ink / ink.max()  # a thin pen has become faint
    middle = ndimage.center_of_mass(ink.numpy())  # is brought to 14, 14
    corner = [min(max(round(14 - m), 0), 28 - n) for m, n in zip(middle, size)]
    return TF.pad(ink[None], [corner[1], corner[0], 28, 28])[:, :28, :28]


def load_net():
    """The net that resnet_mnist.py has trained; one line and the end without it."""
    net = Net()
    try:
        content = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)
        net.load_state_dict(content["state_dict"])
    except Exception:  # noqa: BLE001 - missing, damaged, or of another content
        sys.exit(f"{CHECKPOINT} is no checkpoint of resnet_mnist.py: run it first")
    return net.eval()


def show_answer(file):
    """Print what the net says of a picture; draw what it sees and its probabilities."""
    net = load_net()
    try:
        with Image.open(file) as photo:
            digit = like_mnist(photo)
    except Image.UnidentifiedImageError:
        sys.exit(f"{file} is no picture that can be read: save it as JPEG or PNG")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        sys.exit(f"{file}: {error}")
    with torch.inference_mode():
        [chances] = net((digit[None] - MEAN) / STD).softmax(dim=1)
    print(f"The net says {chances.argmax()} ({chances.max():.1%})")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    left.imshow(digit[0].numpy(), cmap="gray")
    left.set(title="what the net sees")
    right.bar(range(10), chances.tolist())
    right.set(title="what it says", xlabel="digit", xticks=range(10))
    right.set(ylabel="probability", ylim=(0, 1))
    figure.savefig(CHECKPOINT.with_name("own_digit.png"), dpi=90)
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
    """What like_mnist makes of digits (N, 1, H, W), each by itself."""
    return torch.stack([like_mnist(TF.to_pil_image(image)) for image in images])


@lru_cache(None)
def test_sets():
    """{measure: [(images from 0 to 1, labels)]}: MNIST's, changed, and other people's."""
    images, labels = runs.load("cpu")[1]
    sets = [change(images * STD + MEAN).clamp(0, 1) for change in CHANGES.values()]
    digits = load_digits()  # 1,797 of 8x8 pixels, from 0 to 16
    others = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    on_paper = 1 - TF.pad(TF.resize(others, [160, 160], antialias=True), [60])
    others = TF.resize(others, [28, 28], antialias=True)
    answers = torch.tensor(digits.target)
    return {
        "changed": [(x, labels) for x in sets],
        "restored": [(restored(x), labels) for x in sets],
        "others": [(others, answers), (restored(on_paper), answers)],
    }


def measure(net, train_set, test_set):
    """The accuracies (%) of a net on each of `test_sets`."""
    place = net.fc.weight.device
    return {
        name: [test(net, ((x - MEAN) / STD).to(place), y.to(place)) for x, y in sets]
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


def draw():
    figure, panels = plt.subplots(2, 8, figsize=(15, 4.8), layout="constrained")
    digit = runs.load("cpu")[1][0][:1] * STD + MEAN  # a 7
    for column, change, row in zip(panels.T, CHANGES.values(), accuracies()):
        name, _, *values = row
        images = change(digit), restored(change(digit))
        titles = f"{name}\n{values[0]} %", f"as like_mnist sees it\n{values[1]} %"
        for panel, image, title in zip(column, images, titles):
            panel.imshow(image[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
            panel.set_title(title, fontsize=10)
            panel.axis("off")
    figure.savefig(runs.EXPERIMENTS / "own_digit.png", dpi=90)


if __name__ == "__main__":
    parser = runs.command_line(__doc__)
    parser.add_argument("photo", nargs="?", help="picture of a digit")
    photo = parser.parse_args().photo
    if photo:
        show_answer(photo)
    else:
        runs.main(parser, PLAN, tables, draw)
