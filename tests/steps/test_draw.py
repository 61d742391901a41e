"""The picture of a scan whose files are stored in other axes than it is seen in."""

import json

import numpy as np
import pytest
from PIL import Image

from support.jobs import job
from support.steps import step
from support.volumes import oriented, save_scan

draw = step("draw")

SHAPE = (20, 24, 16)


@pytest.fixture
def files(tmp_path):
    """Images stored in LPS order: the first voxel is the right-most, the foremost and the lowest."""
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    image, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    image[12:, :10] = 5  # left front
    labels[2:8, 2:22, 2:14] = 3  # right
    labels[10, 12, 8] = 1
    found = {"image": [str(save_scan(tmp_path / "image.nii", image, affine))]}
    found["labels"] = save_scan(tmp_path / "labels.nii", labels, affine)
    found["mask"] = save_scan(tmp_path / "mask.nii", np.ones(SHAPE, np.uint8), affine)
    found["lesions"] = save_scan(tmp_path / "lesions.nii", (labels == 1).astype(np.int32), affine)
    found["facts"] = tmp_path / "facts.json"
    found["table"] = tmp_path / "lesions.tsv"
    found["table"].write_text(
        "label\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tkept\tdropped_because\n"
        "cmb\t1\t0\t0\t0\t1\t0.9\tfalse\tvolume under 5 mm3\n"
    )
    return found


def drawn(folder, files, flags="", **output):
    """Title, and the picture as it lies in its file."""
    files["facts"].write_text(json.dumps({"flags": flags}))
    titles = []

    def telling(draw_it):
        return lambda *given: titles.append(given[-1]) or draw_it(*given)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_scan", "draw_structures"):
            patch.setattr(draw, name, telling(getattr(draw, name)))
        output = {"output": output}
        draw.main(job(folder, "draw", files, {"picture": folder / "qc.png"}, **output))
    with Image.open(folder / "qc.png") as picture:
        assert picture.format == "PNG"
        picture.load()
    return titles[0], picture


def quarters(picture):
    """Colours in the second panel, 170 or 200 x 240 pixels: left front, right front, left back, right back."""
    left, top = 6 + 210 + 2, 34 + 14
    return [picture.getpixel((left + x, top + y)) for y in (70, 190) for x in (40, 155)]


def test_lesions(tmp_path, files):
    title, picture = drawn(tmp_path, files, activation="sigmoid", labels={1: "cmb"})
    assert title == "sub-1, tiny: 0 lesions kept, 1 dropped"
    white, black = (255, 255, 255), (0, 0, 0)
    assert quarters(picture) == [white, black, black, black]
    title, _ = drawn(tmp_path, files, "brain-volume", activation="sigmoid", labels={1: "cmb"})
    assert title.endswith(" [brain-volume]")


def test_structures(tmp_path, files):
    names = {1: "one", 2: "two", 3: "three"}
    title, picture = drawn(tmp_path, files, activation="softmax", labels=names)
    assert title == "sub-1, tiny: 2 of 3 structures found"
    left_front, *others = quarters(picture)
    assert left_front == (255, 255, 255)
    assert others[0] == others[2] != (0, 0, 0) == others[1]
