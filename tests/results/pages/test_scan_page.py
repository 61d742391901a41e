"""The page of a scan: its images, and the data of its lesions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from lesionflow.results.pages.image_data import as_bytes, crop_around, encode
from lesionflow.results.pages.scan_page import scan_data, viewer_images, write_scan_page
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from support.pages import AFFINE, SHAPE, decoded, lesion_table, scan_images, voxels_of
from support.volumes import CODES, oriented


def data_of(voxels, structures=False, whole=False, dropped=()):
    images = scan_images(voxels)
    table = lesion_table("sub-a", voxels, [0.9] * len(voxels), set(dropped))
    sidecar = lesion_sidecar(images.lesions, images.affine)
    about = {"scan": "sub-a", "model": "net", "labels": ["cmb"]}
    return scan_data(about, images, table, sidecar, 0.5, structures, whole)


@given(st.sampled_from(CODES), st.tuples(*[st.floats(0.4, 4)] * 3), st.data())
def test_a_crop_keeps_the_world_position_of_each_voxel(code, spacing, data):
    shape = (11, 9, 13)
    affine = oriented(code, spacing, shape, rotation=(5, -10, 20), shear=0.1)
    voxel = np.array([data.draw(st.integers(0, n - 1)) for n in shape])
    volume = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    box = crop_around(voxel, affine, shape, 6.0)
    part = decoded(encode(volume[box], affine, box))
    # the voxel is in the crop, which reaches 6 mm along each axis or to the edge
    inside = voxel - [axis.start for axis in box]
    assert part.get_fdata()[tuple(inside)] == volume[tuple(voxel)]
    place = apply_affine(affine, voxel)
    assert apply_affine(part.affine, inside) == pytest.approx(place, abs=1e-3)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    for axis, v, n, mm in zip(box, voxel, shape, sizes, strict=True):
        assert axis.start == max(v - int(6 / mm), 0) and axis.stop == min(v + int(6 / mm) + 1, n)


def test_intensities_are_kept_to_a_255th_of_the_window():
    values = np.array([[[-5, 10, 20, 30, np.nan, 99]]], np.float32)
    stored = as_bytes(values, 10, 30)
    assert stored.tolist() == [[[0, 0, 128, 255, 0, 255]]]
    box = tuple(slice(0, n) for n in values.shape)
    shown = decoded(encode(stored, np.eye(4), box, (20 / 255, 10))).get_fdata()
    assert shown.ravel()[:4] == pytest.approx([10, 10, 20, 30], abs=0.05)


def test_an_image_of_one_intensity_is_black():
    assert not as_bytes(np.full((2, 2, 2), 7.0), 7, 7).any()


def test_each_lesion_has_its_crop_pictures_and_voxels():
    voxels = voxels_of(3)
    data = data_of(voxels, dropped=[3])
    assert data["volume"] is None and [row["kept"] for row in data["lesions"]] == [
        True,
        True,
        False,
    ]
    for number, (row, voxel) in enumerate(zip(data["lesions"], voxels, strict=True), start=1):
        crop = {name: decoded(text) for name, text in row["crop"].items()}
        numbers = np.asanyarray(crop["lesions"].dataobj)
        inside = np.argwhere(numbers == number)
        world = apply_affine(crop["lesions"].affine, inside)
        first = apply_affine(AFFINE, voxel)
        assert len(inside) == 4 and np.abs(world - first).sum(axis=1).min() < 1e-3
        assert crop["scan"].shape == crop["probability"].shape == numbers.shape
        assert crop["probability"].get_fdata()[numbers == number] == pytest.approx(0.9, abs=0.005)
        assert set(row["pictures"]) == {"axial", "coronal", "sagittal"}
        assert row["slices"] == {"sagittal": voxel[0], "coronal": voxel[1], "axial": voxel[2]}
        assert row["voxels"].count(",") == 3  # two runs of two voxels


def test_the_volume_is_embedded_if_it_is_asked_for_or_smaller_than_the_crops():
    images = scan_images(voxels_of(3))
    volume, crops = viewer_images(images, voxels_of(3), whole=True)
    assert decoded(volume["scan"]).shape == SHAPE and not crops
    volume, crops = viewer_images(images, [(20, 20, 15)] * 100, whole=False)
    assert decoded(volume["lesions"]).shape == SHAPE and not crops
    assert viewer_images(images, [], whole=False) == (None, [])


def test_a_scan_without_a_window_is_embedded_black():
    # as of grey_window for an image that is 0 in all but few voxels
    images = scan_images(voxels_of(1))._replace(window=(-5.0, -5.0))
    volume, _ = viewer_images(images, [], whole=True)
    assert (decoded(volume["scan"]).get_fdata() == -5).all()


def test_structures_have_no_pictures_of_their_own():
    (row,) = data_of(voxels_of(1), structures=True)["lesions"]
    assert "pictures" not in row and "reasons" not in row and row["side"] in ("left", "right")


def test_missing_measures_are_null():
    voxels = voxels_of(1)
    images = scan_images(voxels)
    table = lesion_table("sub-a", voxels, [0.9], set()).assign(edge_distance_mm=np.nan)
    sidecar = lesion_sidecar(images.lesions, images.affine)
    about = {"scan": "sub-a", "model": "net", "labels": ["cmb"]}
    data = scan_data(about, images, table, sidecar, 0.5, False, False)
    assert data["lesions"][0]["edge_distance_mm"] is None


def test_the_same_data_give_the_same_files(tmp_path):
    about = {"figure": "a.png", "pages": "a.pdf"}
    for name in "ab":
        data = about | data_of(voxels_of(2))
        write_scan_page(data, tmp_path / f"{name}.js", tmp_path / f"{name}.html", "../..")
    text = (tmp_path / "a.js").read_text()
    assert text == (tmp_path / "b.js").read_text()
    start, end = "lesionflow.receive(", ");\n"
    assert text.startswith(start) and text.endswith(end)
    assert json.loads(text[len(start) : -len(end)])["scan"] == "sub-a"
    assert 'data-root="../.."' in (tmp_path / "a.html").read_text()
