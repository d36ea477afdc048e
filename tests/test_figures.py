"""README's tables and pictures are drawn from the kept runs, in seconds."""

import re
import runpy
import sys

import pytest
import torch
from conftest import ROOT
from matplotlib.figure import Figure
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from googlenet_mnist import InceptionA

FIGURES = ROOT / "figures"
sys.path.insert(0, str(FIGURES))

import fold
import own_digit
import runs

README = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
DRAWN = ["googlenet", "resnet", "block_diagrams", "branches", "depth", "improvements"]
DRAWN += ["accuracy", "epochs", "errors", "own_digit", "slopes"]


@pytest.mark.parametrize("script", DRAWN)
def test_kept_runs_give_the_picture_and_the_table(
    script, full_mnist, monkeypatch, capsys
):
    drawn, file = [], FIGURES / f"{script}.png"
    monkeypatch.setattr(Figure, "savefig", lambda _, file, **__: drawn.append(file))
    monkeypatch.setattr(runs, "Pool", None)  # nothing is trained
    monkeypatch.setattr(sys, "argv", [script])
    runpy.run_path(str(FIGURES / f"{script}.py"), run_name="__main__")
    assert drawn == [file] * file.exists()
    for row in re.findall(r"^\| .*", capsys.readouterr().out, re.MULTILINE):
        name, cells = re.fullmatch(r"(\| [^|]* \|)( .*)", row).groups()
        assert any(x.startswith(name) and f"|{cells}" in x for x in README), row


def test_a_module_is_one_convolution_but_for_two_pixels_at_the_border():
    module, x = InceptionA(10), torch.randn(2, 10, 12, 12)
    differ = (module(x) - fold.fold(module, 10)(x)).abs().amax(dim=(0, 1)) > 1e-5
    assert not differ[2:-2, 2:-2].any()
    assert differ[:2].any() and differ[-2:].any()


@pytest.mark.parametrize("paper", ["white", "black"])
def test_a_photo_becomes_like_mnist(paper, sample):
    for digit in sample[1][0][::100] / 255:
        large = to_pil_image(digit if paper == "black" else 1 - digit)
        photo = Image.new("RGB", (600, 500), paper)
        photo.paste(large.resize((280, 280), Image.BILINEAR), (200, 30))
        [[seen]] = own_digit.like_mnist(photo)
        rows, columns = seen.sum(dim=1), seen.sum(dim=0)
        height, width = ((side > 0).nonzero().flatten() for side in (rows, columns))
        assert max(height[-1] - height[0], width[-1] - width[0]) + 1 == 20
        for side in (rows, columns):
            middle = (side * torch.arange(28)).sum() / side.sum()
            assert 13.4 < middle < 14.6
    with pytest.raises(ValueError, match="no digit"):
        own_digit.like_mnist(Image.new("L", (50, 50), paper))


def test_what_is_no_picture_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(own_digit, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"^[^\n]*: run resnet_mnist.py first$"):
        own_digit.read("missing.png")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "resnet_mnist.pt").touch()
    for file in ("missing.png", __file__):
        with pytest.raises(SystemExit, match=f"^{file} is not a picture[^\n]*$"):
            own_digit.read(file)
