"""Thumbnails: three planes through the most important lesion or the middle."""

import numpy as np
import pytest
from PIL import ImageColor

from lesionflow.results.pictures.figure_panels import BRAIN, KEPT
from lesionflow.results.pictures.thumbnail import lesion_thumbnail, structure_thumbnail
from lesionflow.results.pictures.viewed_scan import ViewedScan, in_ras
from support.volumes import oriented

SHAPE = (50, 60, 40)  # stored from the left, from behind and from above


def row(lesion, voxel, probability, kept):
    """A row of the lesion table, as far as a thumbnail needs it."""
    places = dict(zip("ijk", voxel, strict=True))
    return {"lesion": lesion, "max_probability": probability, "kept": kept, **places}


def scan(voxels=()):
    """A scan whose intensity is 100, with lesions of 3 x 3 x 3 voxels, and its brain mask."""
    affine = oriented("RAI", (1, 1, 1), SHAPE)
    image, lesions = np.full(SHAPE, 100, np.float32), np.zeros(SHAPE, np.int32)
    for number, voxel in enumerate(voxels, start=1):
        box = tuple(slice(v - 1, v + 2) for v in voxel)
        lesions[box], image[box] = number, 0
    brain = np.ones(SHAPE, bool)
    viewed = ViewedScan.from_stored(image, lesions, affine, (0, 200))
    return viewed, in_ras(brain, affine)


def panels(thumbnail):
    """The three thirds of a thumbnail."""
    assert thumbnail.size == (360, 150)
    pixels = np.asarray(thumbnail).astype(int)
    return [pixels[:, 120 * n : 120 * (n + 1)] for n in range(3)]


def centre_of(pixels, colour):
    """Mean place (from the left, from below) of the pixels of a colour, as shares of the panel without its black rim."""
    drawn = np.nonzero(pixels.any(axis=2))
    rows, columns = np.nonzero((pixels == ImageColor.getrgb(colour)).all(axis=2))
    (top, bottom), (left, right) = ((v.min(), v.max()) for v in drawn)
    return (columns.mean() - left) / (right - left), (bottom - rows.mean()) / (bottom - top)


def test_slices_go_through_the_most_probable_kept_lesion():
    voxels = [(10, 45, 8), (30, 20, 30), (40, 50, 20)]
    viewed, brain = scan(voxels)
    rows = [row(1, voxels[0], 0.7, True), row(2, voxels[1], 0.9, True), row(3, voxels[2], 1, False)]
    x, y, z = (30.5 / 50, 20.5 / 60, 1 - 30.5 / 40)
    expected = [(x, y), (x, z), (1 - y, z)]
    for pixels, place in zip(panels(lesion_thumbnail(viewed, brain, rows)), expected, strict=True):
        assert centre_of(pixels, KEPT) == pytest.approx(place, abs=0.03)


def test_without_a_lesion_they_go_through_the_middle_of_the_brain():
    viewed, brain = scan()
    brain[:20] = False  # the left
    brain[:, :, :30] = False  # below
    viewed.image[35] = 200  # the middle of 20 to 50
    for number, pixels in enumerate(panels(lesion_thumbnail(viewed, brain, []))):
        assert (pixels == ImageColor.getrgb(BRAIN)).all(axis=2).any()
        share = (pixels == 255).all(axis=2).sum() / pixels.any(axis=2).sum()
        assert share > 0.8 if number == 2 else 0.01 < share < 0.2, (number, share)


def test_structures_are_in_colour():
    affine, labels = np.eye(4), np.zeros(SHAPE, np.int16)
    labels[10:40, 10:50, 10:30] = 5
    viewed = ViewedScan.from_stored(np.zeros(SHAPE), labels, affine, (0, 1))
    for pixels in panels(structure_thumbnail(viewed, {2: "two", 5: "five"})):
        assert np.count_nonzero(pixels[..., 1:].any(axis=2)) > 1000
