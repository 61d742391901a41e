"""Step draw: the figure of a scan whose images are not stored in RAS+ order."""

import json

import numpy as np
import pytest
from PIL import Image

from lesionflow.results.pictures.figure_panels import HEAD, Cell, sheet
from support.jobs import job
from support.steps import step
from support.volumes import oriented, save_scan

draw = step("draw")

SHAPE = (20, 24, 16)


@pytest.fixture
def files(tmp_path):
    """Images stored in LPS+ order: the first voxel is the rightmost, most anterior and lowest."""
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    image, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    image[12:, :10] = 5  # left front
    labels[2:8, 2:22, 2:14] = 3  # right
    labels[10, 12, 8] = 1
    paths = {"image": [str(save_scan(tmp_path / "image.nii", image, affine))]}
    paths["labels"] = save_scan(tmp_path / "labels.nii", labels, affine)
    paths["mask"] = save_scan(tmp_path / "mask.nii", np.ones(SHAPE, np.uint8), affine)
    paths["lesions"] = save_scan(tmp_path / "lesions.nii", (labels == 1).astype(np.int32), affine)
    paths["sidecar"] = tmp_path / "dseg.json"
    paths["table"] = tmp_path / "lesions.tsv"
    paths["table"].write_text(
        "label\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tkept\tdropped_because\n"
        "cmb\t1\t0\t0\t0\t1\t0.9\tfalse\tvolume under 5 mm3\n"
    )
    return paths


def draw_figure(folder, files, flags="", **output):
    """Run the step, and return the figure that it writes."""
    files["sidecar"].write_text(json.dumps({"flags": flags}))
    draw.main(job(folder, "draw", files, {"picture": folder / "qc.png"}, output=output))
    with Image.open(folder / "qc.png") as figure:
        assert figure.format == "PNG"
        figure.load()
    return figure


def has_title(figure, title):
    """Whether a figure has this title, compared pixel by pixel."""
    expected = sheet(title, [Cell(Image.new("RGB", (1, 1)), [], "white")])
    width = expected.width
    titles = (np.asarray(image.crop((0, 0, width, HEAD))) for image in (figure, expected))
    return np.array_equal(*titles)


def quadrants(figure):
    """Colours in the second panel, 170 or 200 x 240 pixels: left front, right front, left back, right back."""
    left, top = 6 + 210 + 2, 34 + 14
    return [figure.getpixel((left + x, top + y)) for y in (70, 190) for x in (40, 155)]


def test_figure_shows_image_title_and_flags_in_ras_orientation(tmp_path, files):
    figure = draw_figure(tmp_path, files, activation="sigmoid", labels={1: "cmb"})
    assert has_title(figure, "sub-1, tiny: 0 lesions kept, 1 dropped")
    assert not has_title(figure, "sub-1, tiny: 1 lesions kept, 0 dropped")
    white, black = (255, 255, 255), (0, 0, 0)
    assert quadrants(figure) == [white, black, black, black]
    figure = draw_figure(tmp_path, files, "brain-volume", activation="sigmoid", labels={1: "cmb"})
    assert has_title(figure, "sub-1, tiny: 0 lesions kept, 1 dropped [brain-volume]")


def test_structures_are_coloured_on_the_correct_side(tmp_path, files):
    labels = {1: "one", 2: "two", 3: "three"}
    figure = draw_figure(tmp_path, files, activation="softmax", labels=labels)
    assert has_title(figure, "sub-1, tiny: 2 of 3 structures found")
    left_front, *others = quadrants(figure)
    assert left_front == (255, 255, 255)
    assert others[0] == others[2] != (0, 0, 0) == others[1]
