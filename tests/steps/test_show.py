"""Step show: the page of a scan that is not stored in RAS+ order."""

import json

import numpy as np
import pytest
from nibabel.affines import apply_affine

from lesionflow.base import json_sidecar
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.tables_io import write_table
from support.jobs import job
from support.pages import decoded, lesion_table
from support.steps import step
from support.volumes import oriented, save_scan

show = step("show")

SHAPE = (20, 24, 16)
AFFINE = oriented("LPS", (1, 1.5, 2), SHAPE, rotation=(0, 10, 0))
VOXEL = (5, 7, 9)


@pytest.fixture
def files(tmp_path):
    """Images stored in LPS+ order, with one lesion of 2 x 2 x 1 voxels."""
    scan = np.full(SHAPE, 100, np.float32)
    lesions = np.zeros(SHAPE, np.int32)
    lesions[5:7, 7:9, 9] = 1
    scan[lesions > 0] = 20
    images = {
        "scan": scan,
        "mask": np.ones(SHAPE, np.uint8),
        "probability": (lesions > 0) * np.float32(0.75),
        "lesions": lesions,
    }
    paths = {
        name: save_scan(tmp_path / f"{name}.nii.gz", data, AFFINE) for name, data in images.items()
    }
    paths |= {"table": tmp_path / "lesions.tsv", "sidecar": tmp_path / "dseg.json"}
    paths["lesion_sidecar"] = tmp_path / "lesions.json"
    write_table(paths["table"], lesion_table("sub-1", [VOXEL], [0.75], set()))
    json_sidecar.write(paths["sidecar"], {"flags": "brain-at-edge", "input_sha256": "ab"})
    json_sidecar.write(paths["lesion_sidecar"], lesion_sidecar(lesions, AFFINE))
    return paths


def data_of(files, folder, volumes=False, **output):
    """The data that the step writes."""
    output = {"activation": "sigmoid", "labels": {1: "cmb"}} | output
    outputs = {"page": folder / "page.html", "data": folder / "page.js"}
    params = {"output": output, "threshold": 0.5, "volumes": volumes}
    show.main(job(folder, "show", files, outputs, affine="strict", echo=None, **params))
    text = (folder / "page.js").read_text()
    assert 'data-root="../../../.."' in (folder / "page.html").read_text()
    return json.loads(text.removeprefix("lesionflow.receive(").removesuffix(");\n"))


def test_a_lesion_is_shown_where_it_is(files, tmp_path):
    data = data_of(files, tmp_path)
    assert (data["scan"], data["flags"], data["scan_sha256"]) == ("sub-1", "brain-at-edge", "ab")
    assert (data["figure"], data["pages"]) == ("sub-1_qc.png", "sub-1_qc.pdf")
    (lesion,) = data["lesions"]
    assert lesion["peak_mm"] == pytest.approx(apply_affine(AFFINE, VOXEL))
    assert lesion["side"] == ("left" if lesion["peak_mm"][0] < 0 else "right")
    crop = {name: decoded(text) for name, text in lesion["crop"].items()}
    where = np.argwhere(np.asanyarray(crop["lesions"].dataobj) == 1)
    world = apply_affine(crop["lesions"].affine, where)
    expected = apply_affine(AFFINE, [(i, j, 9) for i in (5, 6) for j in (7, 8)])
    assert world == pytest.approx(expected, abs=1e-3)
    inside = np.asanyarray(crop["lesions"].dataobj) == 1
    assert crop["scan"].get_fdata()[inside] == pytest.approx(20, abs=0.5)
    assert crop["probability"].get_fdata()[inside] == pytest.approx(0.75, abs=0.005)


def test_whole_volumes_and_structures(files, tmp_path):
    data = data_of(files, tmp_path, volumes=True)
    assert decoded(data["volume"]["scan"]).shape == SHAPE and data["lesions"][0]["crop"] is None
    maps = np.stack([np.zeros(SHAPE), np.ones(SHAPE), np.zeros(SHAPE)], axis=3).astype(np.float32)
    save_scan(files["probability"], maps, AFFINE)
    labels = {2: "left", 3: "right"}
    data = data_of(files, tmp_path, activation="softmax", labels=labels)
    assert data["structures"] and data["volume"] is None and data["labels"] == ["left", "right"]
