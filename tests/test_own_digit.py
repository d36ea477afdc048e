"""A photo of a digit: what the net sees of it, and what a user is told."""

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ROOT
from PIL import Image, ImageChops, ImageDraw, ImageOps
from pytest import approx

import googlenet_mnist
import resnet_mnist

sys.path.insert(0, str(ROOT / "experiments"))

import own_digit
import runs
from own_digit import like_mnist


def photo(*more):
    """A 7 on white paper, with other black lines (points, width)."""
    seven = Image.new("L", (400, 300), "white")
    for points, width in (([(150, 70), (250, 70), (190, 230)], 16), *more):
        ImageDraw.Draw(seven).line(points, fill="black", width=width)
    return seven


def shadow(*corners):
    """The photo with a shadow over the polygon between these corners."""
    light = Image.new("L", (400, 300), "white")
    ImageDraw.Draw(light).polygon(corners, fill=140)
    return ImageChops.multiply(photo(), light)


def turned():
    """The photo, lying on its side, with the mark that says so."""
    lying = photo().transpose(Image.ROTATE_90)
    lying.getexif()[274] = 6
    return lying


def sixteen_bits():
    return photo().convert("I").point(lambda value: value * 257)


SEEN_ALIKE = {
    "turned": turned(),
    "light on dark": ImageOps.invert(photo()),
    "16 bits": sixteen_bits(),
    "upright shadow": shadow((206, 0), (400, 0), (400, 300), (206, 300)),
    "slanted shadow": shadow((330, 0), (400, 0), (400, 300), (270, 300)),
    "table": photo(([(0, 290), (400, 290)], 21)),
    "speck": photo(([(50, 50), (53, 53)], 5)),
}


@pytest.mark.parametrize("what", SEEN_ALIKE)
def test_however_it_was_photographed_the_same_digit_is_seen(what):
    difference = like_mnist(SEEN_ALIKE[what]) - like_mnist(photo())
    assert difference.abs().mean() < 0.02


def test_a_digit_is_twenty_pixels_long_and_its_mass_in_the_middle():
    [seen] = like_mnist(photo())
    assert seen.sum(dim=1).count_nonzero() == 20  # it is higher than wide
    for side in (seen.sum(dim=0), seen.sum(dim=1)):
        assert (side * torch.arange(28)).sum() / side.sum() == approx(14, abs=0.6)


def test_a_thin_pen_is_as_light_as_a_thick_one():
    thin = Image.new("L", (1000, 1000), "white")
    ImageDraw.Draw(thin).line([(300, 100), (700, 900)], fill="black", width=5)
    assert like_mnist(thin).max() == 1


def test_a_large_photo_is_made_smaller():
    assert own_digit.on_white_paper(Image.new("L", (3000, 1500))).size == (1000, 500)


def test_two_digits_are_refused():
    with pytest.raises(ValueError, match="more than one"):
        like_mnist(photo(([(330, 70), (330, 230)], 16)))


@pytest.mark.parametrize("grey", [30, 128, 235])
@pytest.mark.parametrize("noise", [0, 15])
def test_a_blank_sheet_has_no_digit(grey, noise):
    pixels = (grey + noise * torch.randn(300, 300)).clamp(0, 255).byte()
    with pytest.raises(ValueError, match="no digit"):
        like_mnist(Image.fromarray(pixels.numpy()))


# What a user is told


@pytest.fixture
def net(tmp_path, monkeypatch):
    """The net of the checkpoint that is asked."""
    monkeypatch.setattr(own_digit, "CHECKPOINT", tmp_path / "resnet_mnist.pt")
    net = resnet_mnist.Net()
    torch.save({"state_dict": net.state_dict()}, own_digit.CHECKPOINT)
    return net


@pytest.fixture
def file(tmp_path):
    photo().save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def lines_after(net, file, capsys, bias):
    """What is printed of a photo by a net with this much for a 3."""
    net.fc.bias.data[3] = bias
    torch.save({"state_dict": net.state_dict()}, own_digit.CHECKPOINT)
    own_digit.show_answer(file)
    return capsys.readouterr().out.splitlines()


def test_the_checkpoint_is_that_of_the_script():
    assert own_digit.CHECKPOINT == ROOT / "results" / "resnet_mnist.pt"


def test_a_sure_answer_is_said_with_its_chance_and_the_place_of_the_picture(
    net, file, capsys
):
    answer, place = lines_after(net, file, capsys, bias=50)
    assert "3" in answer
    assert "100.0%" in answer
    picture = own_digit.CHECKPOINT.with_name("own_digit_answer.png")
    assert str(picture) in place
    assert picture.exists()


def test_an_answer_below_two_thirds_is_said_to_be_not_sure(net, file, capsys):
    _, not_sure, _ = lines_after(net, file, capsys, bias=2.3)  # about 1/2
    assert "not sure" in not_sure


def test_the_picture_shows_the_photo_what_is_seen_and_what_is_said(net, file):
    own_digit.show_answer(file)
    shown, seen, said = plt.gcf().axes
    assert shown.images[0].get_array().shape == (300, 400, 3)
    assert torch.equal(torch.tensor(seen.images[0].get_array()), like_mnist(photo())[0])
    [chances] = net((like_mnist(photo())[None] - 0.1307) / 0.3081).softmax(dim=1)
    assert [bar.get_height() for bar in said.patches] == approx(chances.tolist())


def last_line(file):
    with pytest.raises(SystemExit) as stop:
        own_digit.show_answer(file)
    assert "\n" not in stop.value.code
    return stop.value.code


def test_a_missing_photo_is_named(net, tmp_path):
    assert "none.png" in last_line(tmp_path / "none.png")


def test_a_damaged_png_is_named(net, file):
    Image.effect_noise((400, 300), 60).save(file)  # of two chunks
    start, end = file.read_bytes().rsplit(b"IDAT", 1)
    file.write_bytes(start + b"I\0AT" + end)
    assert str(file) in last_line(file)


def test_of_a_heic_photo_the_cure_is_said(net, file):
    file.write_bytes(b"\0\0\0\x18ftypheic")
    assert "JPEG" in last_line(file)


def test_a_photo_without_a_digit_is_said_to_have_none(net, file):
    Image.new("L", (50, 50), "white").save(file)
    assert "no digit" in last_line(file)


def test_another_checkpoint_is_said_to_be_none(net, file):
    other = {"state_dict": googlenet_mnist.Net().state_dict()}
    torch.save(other, own_digit.CHECKPOINT)
    assert "resnet_mnist.py" in last_line(file)
    own_digit.CHECKPOINT.write_bytes(b"text")
    assert "resnet_mnist.py" in last_line(file)


# The changed test sets

BAR = torch.zeros(1, 1, 28, 28)
BAR[..., 13:15, 4:24] = 1


@pytest.mark.parametrize("pixels", [2, 4, 6])
def test_a_moved_digit_is_so_many_pixels_to_the_right(pixels):
    moved = own_digit.CHANGES[f"{pixels} pixels to the right"](BAR)
    torch.testing.assert_close(moved[..., pixels:], BAR[..., :-pixels])


@pytest.mark.parametrize("scale", [0.6, 1.4])
def test_a_scaled_digit_has_its_area(scale):
    square = torch.zeros(1, 1, 28, 28)
    square[..., 9:19, 9:19] = 1
    area = own_digit.CHANGES[f"scaled to {scale}"](square).sum() / square.sum()
    assert area == approx(scale**2, rel=0.15)


def test_a_rotated_digit_is_turned_by_30_degrees():
    y, x = own_digit.CHANGES["rotated by 30°"](BAR)[0, 0].nonzero().float().T
    slope = (x - x.mean()) @ (y - y.mean()) / ((x - x.mean()) ** 2).sum()
    assert slope.abs().atan().rad2deg() == approx(30, abs=3)


def test_other_peoples_digits_are_from_0_to_1_and_on_white_paper(batch, monkeypatch):
    one = torch.zeros(1, 8, 8)
    one[..., 3:5] = 16  # the most
    digits = SimpleNamespace(images=one.numpy(), target=[1])
    monkeypatch.setattr(own_digit, "load_digits", lambda: digits)
    monkeypatch.setattr(runs, "load", lambda device: (batch, [x[:2] for x in batch]))
    monkeypatch.setattr(own_digit, "restored", lambda images: images)
    (small, _), (on_paper, answers) = own_digit.test_sets.__wrapped__()["others"]
    assert (small.min(), small.max()) == (0, 1)
    assert on_paper[0, 0, 0, 0] == 1
    assert on_paper.min() == 0
    assert answers.tolist() == [1]


def test_a_net_is_measured_on_each_changed_set(batch, monkeypatch):
    net = resnet_mnist.Net()
    net.conv1.weight.data.mul_(20)  # so that the answers differ
    images, _ = batch
    labels = net(images).argmax(dim=1)
    sets = {"changed": [(images * 0.3081 + 0.1307, labels), (1 - images, labels)]}
    monkeypatch.setattr(own_digit, "test_sets", lambda: sets)
    right, changed = own_digit.measure(net, None, None)["changed"]
    assert right == 100
    assert changed < 100
