"""Text in pictures: its length, its place and its characters."""

import string

import numpy as np
import pytest
from PIL import Image, ImageFont

from lesionflow.results.pictures.sheets import TEXT_SIZE
from lesionflow.results.pictures.text import fitted, length, write


def black(width, height):
    """A black image."""
    return Image.new("RGB", (width, height))


def drawn_pixels(image):
    """Rows and columns of the pixels that are not black."""
    return np.nonzero(np.asarray(image).any(axis=2))


def test_long_text_is_written_smaller_and_then_cut():
    assert fitted("slice 7", 12, 204) == ("slice 7", 12)
    line, size = fitted("23: haemorrhage p 0.93, 171234 mm³, at the edge", 12, 204)
    assert line.endswith("edge") and size < 12
    assert length(line, size) <= 204 < length(line, size + 1)
    line, size = fitted("not the largest of its label; " * 9, 12, 204)
    assert line.startswith("not the largest of its label; n") and line.endswith("…")
    assert 190 < length(line, size) <= 204
    assert fitted("words", 12, 1)[0] == ""


def test_a_line_stays_within_its_width():
    image = black(400, 40)
    write(image, (200, 25), "a very long title " * 9, 15, "white", 300)
    rows, columns = drawn_pixels(image)
    assert columns.min() >= 49 and columns.max() <= 351
    assert rows.min() >= 8 and rows.max() < 30
    image = black(400, 40)
    write(image, (100, 25), "name", 12, "red", 300, centred=False)
    assert 99 <= drawn_pixels(image)[1].min() <= 102


def test_the_font_has_all_characters_but_the_superscript_three():
    font = ImageFont.load_default(TEXT_SIZE)
    missing = bytes(font.getmask("\uffff"))
    for character in string.digits + string.ascii_letters + "-_.,:;%[]()…":
        assert bytes(font.getmask(character)) != missing, character
    assert bytes(font.getmask("³")) == missing  # so ``write`` raises a small 3


def test_the_superscript_three():
    image, plain = black(40, 40), black(40, 40)
    write(image, (5, 30), "³", 20, "white", 40, centred=False)
    write(plain, (5, 30), "3", 20, "white", 40, centred=False)
    raised, full = drawn_pixels(image)[0], drawn_pixels(plain)[0]
    assert raised.max() < 25 < full.max() and abs(int(raised.min()) - int(full.min())) <= 3
    assert np.ptp(raised) < 0.8 * np.ptp(full)
    assert length("mm³", 20) == pytest.approx(length("mm", 20) + length("3", 14), abs=1)
