"""The figure of a scan whose images are stored in other axes than RAS."""

import json

import numpy as np
import pytest
from PIL import Image

from lesionflow.results.figure_panels import HEAD, Cell, sheet
from support.jobs import job
from support.steps import step
from support.volumes import oriented, save_scan

draw = step("draw")

SHAPE = (20, 24, 16)


@pytest.fixture
def files(tmp_path):
    """Images stored in LPS order: the first voxel is the rightmost, the most anterior and the lowest."""
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    image, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    image[12:, :10] = 5  # left front
    labels[2:8, 2:22, 2:14] = 3  # right
    labels[10, 12, 8] = 1
    paths = {"image": [str(save_scan(tmp_path / "image.nii", image, affine))]}
    paths["labels"] = save_scan(tmp_path / "labels.nii", labels, affine)
    paths["mask"] = save_scan(tmp_path / "mask.nii", np.ones(SHAPE, np.uint8), affine)
    paths["lesions"] = save_scan(tmp_path / "lesions.nii", (labels == 1).astype(np.int32), affine)
    paths["facts"] = tmp_path / "facts.json"
    paths["table"] = tmp_path / "lesions.tsv"
    paths["table"].write_text(
        "label\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tkept\tdropped_because\n"
        "cmb\t1\t0\t0\t0\t1\t0.9\tfalse\tvolume under 5 mm3\n"
    )
    return paths


def drawn(folder, files, flags="", **output):
    """The figure that the step writes."""
    files["facts"].write_text(json.dumps({"flags": flags}))
    draw.main(job(folder, "draw", files, {"picture": folder / "qc.png"}, output=output))
    with Image.open(folder / "qc.png") as figure:
        assert figure.format == "PNG"
        figure.load()
    return figure


def has_title(figure, title):
    """Whether the title of a figure reads so, pixel by pixel."""
    expected = sheet(title, [Cell(Image.new("RGB", (1, 1)), [], "white")])
    width = expected.width
    heads = (np.asarray(each.crop((0, 0, width, HEAD))) for each in (figure, expected))
    return np.array_equal(*heads)


def quarters(figure):
    """Colours in the second panel, 170 or 200 x 240 pixels: left front, right front, left back, right back."""
    left, top = 6 + 210 + 2, 34 + 14
    return [figure.getpixel((left + x, top + y)) for y in (70, 190) for x in (40, 155)]


def test_lesions(tmp_path, files):
    figure = drawn(tmp_path, files, activation="sigmoid", labels={1: "cmb"})
    assert has_title(figure, "sub-1, tiny: 0 lesions kept, 1 dropped")
    assert not has_title(figure, "sub-1, tiny: 1 lesions kept, 0 dropped")
    white, black = (255, 255, 255), (0, 0, 0)
    assert quarters(figure) == [white, black, black, black]
    figure = drawn(tmp_path, files, "brain-volume", activation="sigmoid", labels={1: "cmb"})
    assert has_title(figure, "sub-1, tiny: 0 lesions kept, 1 dropped [brain-volume]")


def test_structures(tmp_path, files):
    names = {1: "one", 2: "two", 3: "three"}
    figure = drawn(tmp_path, files, activation="softmax", labels=names)
    assert has_title(figure, "sub-1, tiny: 2 of 3 structures found")
    left_front, *others = quarters(figure)
    assert left_front == (255, 255, 255)
    assert others[0] == others[2] != (0, 0, 0) == others[1]
