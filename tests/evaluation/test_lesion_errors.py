"""The missed and false lesions of a scan: which they are, where they are, and their pictures."""

import base64
import io
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from PIL import Image, ImageColor

from lesionflow.evaluation import error_pictures as pictures_module
from lesionflow.evaluation.error_pictures import (
    REFERENCE_LINE,
    description,
    error_pictures,
    write_pictures,
)
from lesionflow.evaluation.lesion_errors import NO_ERRORS, error_table
from lesionflow.evaluation.lesion_matching import sweep
from lesionflow.evaluation.reference_lesions import highest_probabilities, reference_lesions
from lesionflow.evaluation.scan_comparison import comparison_summary
from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import Grid
from lesionflow.results.pictures.figure_panels import KEPT
from lesionflow.results.pictures.lesion_views import SIZE
from support.card_defaults import default
from support.volumes import CODES, oriented

OUTPUT = {"activation": "sigmoid", "labels": {1: "cmb"}}
RULES = default("postprocess", outside_brain=0.25)
SHAPE = (40, 44, 30)


def boxes(*corners, value=1, side=3, shape=SHAPE, dtype=np.float32):
    """An image with boxes that begin at ``corners``."""
    data = np.zeros(shape, dtype)
    for corner in corners:
        data[tuple(slice(c, c + side) for c in corner)] = value
    return data


def reference_of(data, affine):
    return reference_lesions(nib.Nifti1Image(data, affine), OUTPUT["labels"], 26)


def compared(predicted, reference_data, affine, reference_affine=None, **rules):
    """Summary, reference lesions and lesion table of a prediction on the grid of the scan."""
    reference_affine = affine if reference_affine is None else reference_affine
    reference, rules = reference_of(reference_data, reference_affine), {**RULES, **rules}
    grid, maps = Grid(affine, predicted.shape), predicted[..., None]
    brain = np.ones(grid.shape, bool)
    _, match = sweep(maps, brain, grid, reference, OUTPUT, rules)
    summary = comparison_summary(match, reference, grid, ["cmb"], rules, maps)
    lesion_map = label_lesions((predicted > 0.5).astype(np.int16), 26, affine)
    rows = []
    for number in range(1, int(lesion_map.max()) + 1):
        i, j, k = np.argwhere(lesion_map == number)[0].tolist()
        size, p = int((lesion_map == number).sum()), float(predicted[i, j, k])
        kept = size * grid.voxel_mm3 >= rules["min_volume_mm3"]
        rows.append([number, "cmb", i, j, k, size * grid.voxel_mm3, p, kept])
    columns = ["lesion", "label", "i", "j", "k", "volume_mm3", "max_probability", "kept"]
    return summary, reference, pd.DataFrame(rows, columns=columns), lesion_map


def test_comparison_summary_names_false_positives_as_the_segmentation_does():
    probability = boxes((2, 3, 4), value=0.9) + boxes((20, 21, 22), value=0.8)
    probability[38, 1, 1], probability[30:32, 5, 5] = 0.7, 0.3  # too small; below the threshold
    reference_data = boxes((2, 3, 4))
    reference_data[30:32, 5, 5] = 1
    summary, _, _, numbers = compared(probability, reference_data, np.eye(4), min_volume_mm3=2.0)
    assert summary["false_positives"] == [int(numbers[20, 21, 22])]
    assert [lesion["found"] for lesion in summary["lesions"]] == [True, False]
    assert [lesion["max_probability"] for lesion in summary["lesions"]] == [0.9, 0.3]


def test_a_reference_lesion_outside_of_the_model_grid_has_no_probability():
    reference = reference_of(boxes((1, 1, 1), (20, 20, 20)), np.eye(4))
    maps = boxes((2, 2, 2), value=0.6)[:5, :5, :5, None]
    highest = highest_probabilities(reference, maps, Grid(np.eye(4), (5, 5, 5)))
    assert highest == pytest.approx([np.nan, 0.6, np.nan], nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(code=st.sampled_from(CODES), rotation=st.tuples(*[st.integers(-15, 15)] * 3))
def test_errors_are_listed_where_they_are(code, rotation):
    """A missed lesion has its central voxel, a false positive its peak, whatever the orientation of the images."""
    affine = oriented(code, (0.8, 0.9, 2.0), SHAPE, rotation)
    predicted = boxes((5, 6, 7), value=0.9) + boxes((30, 30, 20), value=0.7)
    summary, reference, lesions, _ = compared(predicted, boxes((5, 6, 7), (20, 10, 3)), affine)
    table = error_table(summary, reference, lesions, Grid(affine, SHAPE))
    assert table.error.tolist() == ["missed", "false positive"]
    assert table[["i", "j", "k"]].to_numpy(int).tolist() == [[21, 11, 4], [30, 30, 20]]
    for row in table.itertuples():
        voxel = (row.i, row.j, row.k)
        xyz = apply_affine(affine, voxel)
        assert (row.x_mm, row.y_mm, row.z_mm) == pytest.approx(tuple(xyz))
        assert row.side == ("midline" if abs(xyz[0]) <= 1 else "left" if xyz[0] < 0 else "right")
        axes = (code.index(next(c for c in code if c in pair)) for pair in ("IS", "PA", "LR"))
        slices = row.axial_slice, row.coronal_slice, row.sagittal_slice
        assert slices == tuple(voxel[axis] for axis in axes)
    assert table.max_probability.tolist() == pytest.approx([0, 0.7])
    assert table.volume_mm3.tolist() == pytest.approx([27 * 1.44] * 2, abs=1e-3)
    assert pd.isna(table.lesion[0]) and table.lesion[1] == table.number[1]


def test_missed_lesions_come_first_and_the_largest_and_most_probable_lead():
    predicted = boxes((5, 6, 7), value=0.7) + boxes((30, 30, 20), value=0.9)
    reference_data = boxes((20, 10, 3), side=2) + boxes((10, 30, 20))
    summary, reference, lesions, _ = compared(predicted, reference_data, np.eye(4))
    table = error_table(summary, reference, lesions, Grid(np.eye(4), SHAPE))
    assert table.volume_mm3.tolist()[:2] == [27, 8]
    assert table.max_probability.tolist()[2:] == pytest.approx([0.9, 0.7])


def test_without_an_error_the_table_has_its_columns():
    summary, reference, lesions, _ = compared(boxes((5, 6, 7)), boxes((5, 6, 7)), np.eye(4))
    table = error_table(summary, reference, lesions, Grid(np.eye(4), SHAPE))
    assert len(table) == 0 and list(table) == list(NO_ERRORS)


def test_a_missed_lesion_outside_of_the_scan_has_a_place_but_no_voxel_and_no_picture():
    shifted = np.eye(4)
    shifted[0, 3] = -20
    reference_data = boxes((2, 10, 10), (30, 20, 20))  # x from -18, and from 10
    summary, reference, lesions, lesion_map = compared(
        boxes(), reference_data, np.eye(4), reference_affine=shifted
    )
    table = error_table(summary, reference, lesions, Grid(np.eye(4), SHAPE))
    outside = table[table.x_mm == -17].iloc[0]
    assert outside.side == "left" and pd.isna([outside.i, outside.axial_slice]).all()
    assert pd.isna(outside.max_probability)
    assert "slice" not in description(dict(outside)) and "probab" not in description(dict(outside))
    urls = pictures_of(table, np.full(SHAPE, 100.0), lesion_map, lesions, reference)
    assert [bool(url) for url in urls] == table.i.notna().tolist() == [False, True]


def pictures_of(table, image, lesion_map, lesions, reference, affine=None):
    affine = np.eye(4) if affine is None else affine
    scan, brain = nib.Nifti1Image(image, affine), np.ones(image.shape, bool)
    return error_pictures(table, scan, brain, lesion_map, lesions, reference)


def axial(url):
    """Pixels of the axial view of a picture."""
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        assert picture.size == (3 * SIZE + 8, SIZE)
        return np.asarray(picture.convert("RGB"))[:, :SIZE].astype(int)


def places(pixels, colour):
    """Distances from the middle, in mm to the right and to the front, of the pixels of a colour: smallest and largest."""
    rows, columns = np.nonzero((pixels == ImageColor.getrgb(colour)).all(axis=2))
    x, y = columns - SIZE // 2, SIZE // 2 - rows
    return tuple(round(v * 32 / SIZE, 1) for v in (x.min(), x.max(), y.min(), y.max()))


def test_pictures_have_reference_and_predicted_lesions_in_lines_of_their_own():
    affine = oriented("LPS", (1, 1, 1), SHAPE)
    predicted = boxes((20, 20, 10), value=0.9)
    reference_data = boxes((26, 20, 10))  # 6 mm to the left
    summary, reference, lesions, lesion_map = compared(predicted, reference_data, affine)
    table = error_table(summary, reference, lesions, Grid(affine, SHAPE))
    image = np.random.default_rng(0).random(SHAPE) * 10
    missed, false = map(axial, pictures_of(table, image, lesion_map, lesions, reference, affine))
    # a line around voxels of 3 mm is 1.5 mm and half a pixel away; the peak of the predicted one is its corner
    assert places(missed, REFERENCE_LINE.colour) == pytest.approx((-1.7, 1.7, -1.7, 1.7), abs=0.5)
    assert places(missed, KEPT) == pytest.approx((4.3, 7.7, -1.7, 1.7), abs=0.3)
    assert places(false, KEPT) == pytest.approx((-2.7, 0.7, -2.7, 0.7), abs=0.3)
    assert places(false, REFERENCE_LINE.colour) == pytest.approx((-8.7, -5.3, -2.7, 0.7), abs=0.5)


def test_of_many_errors_the_first_have_pictures(monkeypatch):
    monkeypatch.setattr(pictures_module, "MOST", 3)
    reference_data = boxes(*[(x, 10, 10) for x in range(0, 40, 5)])
    summary, reference, lesions, lesion_map = compared(boxes(), reference_data, np.eye(4))
    table = error_table(summary, reference, lesions, Grid(np.eye(4), SHAPE))
    urls = pictures_of(table, np.full(SHAPE, 100.0), lesion_map, lesions, reference)
    assert [bool(url) for url in urls] == [True] * 3 + [False] * 5


def test_the_script_is_data_whatever_a_label_is_called(tmp_path):
    label = "</script><script>alert('\u2028')"
    row = {"error": "missed", "label": label, "side": "left", "x_mm": -1.25, "y_mm": 2.0}
    row |= {"z_mm": 3.0, "axial_slice": 4, "coronal_slice": 5, "sagittal_slice": 6, "i": 6}
    row |= {"volume_mm3": 7.04, "max_probability": 0.256}
    write_pictures(tmp_path / "e.js", "m/sub-1", pd.DataFrame([row]), ["data:x"])
    text = (tmp_path / "e.js").read_text(encoding="utf-8")
    assert text.startswith('showErrors("m/sub-1", [') and text.endswith("]);\n")
    assert "<" not in text and "\u2028" not in text
    (error,) = json.loads(text[len('showErrors("m/sub-1", ') : -3])
    assert error["picture"] == "data:x"
    assert error["text"] == (
        f"Missed {label}, left, at x -1.2, y 2.0, z 3.0 mm, axial slice 4, coronal slice 5, sagittal slice 6; "
        "7.0 mm³, highest probability 0.26"
    )
