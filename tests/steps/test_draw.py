"""Step draw: figure, pages and thumbnail of a scan that is not stored in RAS+ order."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from lesionflow.results.pictures.sheets import GAP, HEAD, LINE, sheet
from support.jobs import job
from support.steps import step
from support.volumes import oriented, save_scan

draw = step("draw")

SHAPE = (20, 24, 16)
LESION = {"activation": "sigmoid", "labels": {1: "cmb"}}
STRUCTURES = {"activation": "softmax", "labels": {1: "one", 2: "two", 3: "three"}}
COLUMNS = "label\tlesion\ti\tj\tk\tvolume_mm3\tmax_probability\tfold_agreement\tregion\tkept\tdropped_because\n"
DROPPED = "cmb\t1\t10\t12\t8\t1\t0.9\t1\t\tfalse\tvolume under 5 mm3\n"


@pytest.fixture
def files(tmp_path):
    """A scan stored in LPS+ order (the first voxel is the rightmost, most anterior and lowest), and a mask in RAS+."""
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    image, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    image[12:, :10] = 5  # left front
    labels[2:8, 2:22, 2:14] = 3  # right
    labels[10, 12, 8] = 1
    paths = {"scan": save_scan(tmp_path / "image.nii", image, affine)}
    paths["labels"] = save_scan(tmp_path / "labels.nii", labels, affine)
    paths["lesions"] = save_scan(tmp_path / "lesions.nii", (labels == 1).astype(np.int32), affine)
    ras = np.diag([1, 1, 1, 1.0])
    ras[:3, 3] = affine[:3, 3] - [19, 23, 0]
    paths["mask"] = save_scan(tmp_path / "mask.nii", np.ones(SHAPE, np.uint8), ras)
    paths["sidecar"] = tmp_path / "dseg.json"
    paths["table"] = tmp_path / "lesions.tsv"
    paths["table"].write_text(COLUMNS + DROPPED)
    return paths


def run_draw(folder, files, flags="", output=LESION):
    """Run the step, and return the paths of its files."""
    files["sidecar"].write_text(json.dumps({"flags": flags}))
    pictures = {
        "picture": folder / "sub-1_qc.png",
        "pages": folder / "sub-1_qc.pdf",
        "thumbnail": folder / "sub-1_thumbnail.webp",
    }
    draw.main(job(folder, "draw", files, pictures, affine="strict", echo=None, output=output))
    return pictures


def figure(folder, files, flags="", output=LESION):
    with Image.open(run_draw(folder, files, flags, output)["picture"]) as picture:
        assert picture.format == "PNG"
        picture.load()
    return picture


def has_title(picture, title):
    """Whether a figure has this title, compared pixel by pixel."""
    titles = (np.asarray(image.crop((0, 0, 1266, HEAD))) for image in (picture, sheet(title, [])))
    return np.array_equal(*titles)


def quadrants(picture, notes):
    """Colours in the second panel, 200 x 240 pixels: left front, right front, left back, right back."""
    left, top = GAP + 210 + 2, HEAD + (notes + 1) * LINE
    return [picture.getpixel((left + x, top + y)) for y in (70, 190) for x in (40, 155)]


def test_figure_shows_image_title_and_flags_in_ras_orientation(tmp_path, files):
    picture = figure(tmp_path, files)
    assert has_title(picture, "sub-1, tiny: 0 lesions kept, 1 dropped")
    assert not has_title(picture, "sub-1, tiny: 1 lesions kept, 0 dropped")
    white, black = (255, 255, 255), (0, 0, 0)
    assert quadrants(picture, notes=2) == [white, black, black, black]
    picture = figure(tmp_path, files, "brain-volume")
    assert has_title(picture, "sub-1, tiny: 0 lesions kept, 1 dropped [brain-volume]")


def test_structures_are_coloured_on_the_correct_side(tmp_path, files):
    picture = figure(tmp_path, files, output=STRUCTURES)
    assert has_title(picture, "sub-1, tiny: 2 of 3 structures found")
    left_front, *others = quadrants(picture, notes=0)
    assert left_front == (255, 255, 255)
    assert others[0] == others[2] != (0, 0, 0) == others[1]


@pytest.mark.parametrize("output", [LESION, STRUCTURES], ids=["lesions", "structures"])
def test_the_pages_and_the_thumbnail_are_whole_files_that_do_not_change(tmp_path, files, output):
    digests = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        pictures = run_draw(tmp_path / name, files, output=output)
        digests.append({k: hashlib.sha256(p.read_bytes()).digest() for k, p in pictures.items()})
        assert len(list((tmp_path / name).iterdir())) == 4  # and the log
    assert digests[0] == digests[1]
    with Image.open(pictures["thumbnail"]) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (360, 150))
        assert np.asarray(thumbnail).max() > 200
    assert pictures["thumbnail"].stat().st_size < 20_000
    content = pictures["pages"].read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert b"Date" not in content


def test_every_lesion_is_on_a_page_of_the_pdf(tmp_path, files):
    lesions, rows = np.zeros(SHAPE, np.int32), []
    for number in range(1, 41):
        voxel = (number % 20, number // 3, number % 16)
        lesions[voxel] = number
        rows.append("cmb\t{}\t{}\t{}\t{}\t9\t0.9\t1\t\ttrue\t\n".format(number, *voxel))
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    files["lesions"] = save_scan(tmp_path / "many.nii", lesions, affine)
    files["table"].write_text(COLUMNS + "".join(rows))
    pictures = run_draw(tmp_path, files)
    content = pictures["pages"].read_bytes()
    assert content.count(b"/Subtype /Image") == 3  # 12, 24 and 4 lesions
