"""Heads from label maps: fit to the template, tissues and regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lesionflow.simulation.label_map_head import affine_fit, labelled_anatomy, rigid_fit
from lesionflow.simulation.label_maps import LANDMARKS
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.simulation.template_head import PLACES
from support.heads import label_head

angles = st.tuples(*[st.floats(-60, 60)] * 3)
shifts = st.tuples(*[st.floats(-50, 50)] * 3)


@given(angles, shifts)
def test_rigid_fit_recovers_rotation_and_translation(turn, shift):
    points = np.array(list(LANDMARKS.values()), float)
    matrix = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    fitted = rigid_fit(points, points @ matrix.T + shift)
    assert np.allclose(fitted[:3, :3], matrix, atol=1e-6)
    assert np.allclose(fitted[:3, 3], shift, atol=1e-4)


def test_rigid_fit_preserves_size_and_affine_fit_does_not():
    points = np.array(list(LANDMARKS.values()), float)
    assert np.isclose(np.linalg.det(rigid_fit(points, 1.2 * points)[:3, :3]), 1)
    assert np.allclose(affine_fit(points, points * (1.2, 1, 0.9))[:3, :3], np.diag([1.2, 1, 0.9]))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return label_head(tmp_path_factory.mktemp("head") / "head.nii.gz", moved_mm=(30, -20, 40))


@pytest.fixture(scope="module")
def anatomy(path):
    return labelled_anatomy(path, 3, 2.0)


def test_tissue_fractions_sum_to_at_most_one(anatomy):
    total = sum(anatomy.tissue.values())
    assert total.max() < 1.001
    assert total[anatomy.brain > 0.99].min() > 0.98
    assert min(share.min() for share in anatomy.tissue.values()) >= 0


def test_the_brain_has_about_the_size_of_the_labels(anatomy):
    true = 4 / 3 * np.pi * 68 * 86 * 71 / 1000
    volume_ml = (anatomy.brain > 0.5).sum() * 8 / 1000
    assert abs(volume_ml / true - 1) < 0.3  # a head's size varies by some per cent along each axis


def test_landmarks_match_their_labels(anatomy):
    pallidum = anatomy.deformation.to_head(np.array([LANDMARKS[13], LANDMARKS[52]], float))
    assert (anatomy.sample(anatomy.iron, pallidum) > 0.5).all()
    back = anatomy.deformation.to_template(pallidum)
    assert np.allclose(back, [LANDMARKS[13], LANDMARKS[52]], atol=0.1)


def test_places_follow_the_labels(anatomy):
    places = [LANDMARKS[10], LANDMARKS[16], (30, 40, 30)]
    index = (anatomy.deformation.to_head(np.array(places, float)) - anatomy.affine[:3, 3]) / 2
    names = [PLACES[anatomy.place[tuple(np.rint(i).astype(int))]] for i in index]
    assert names == ["deep", "infratentorial", "lobar"]


def test_csf_around_the_brain_is_inside_the_surface_and_not_brain(anatomy):
    around = (anatomy.tissue["csf"] > 0.9) & (anatomy.brain < 0.1)
    assert around.sum() > 1000
    assert (anatomy.depth_mm[around] > -2).mean() > 0.95  # a voxel


def test_a_scan_shows_the_brain_and_lesions_of_the_head(path):
    head = simulated_head(4, 5, 2.0, path)
    scan = simulated_scan(head, 1, "swi", (1.5, 1.5, 3.0), "RAS")
    data = np.asanyarray(scan.image.dataobj).astype(float)
    assert len(scan.table) == len(scan.bleeds) > 0
    assert set(np.unique(scan.lesions)) - {0} == set(scan.table.lesion)
    volumes = np.bincount(scan.lesions.ravel())[1:] * 1.5 * 1.5 * 3.0
    assert np.abs(volumes - scan.table.volume_mm3).max() <= 1.5 * 1.5 * 3.0
    large = [b for b in scan.table.itertuples() if b.diameter_mm > 3]
    for bleed in large:
        assert data[scan.lesions == bleed.lesion].mean() < 0.8 * np.median(data[scan.brain])


def test_lesions_are_inside_the_brain_and_one_to_ten_mm_wide(path):
    head = simulated_head(5, 40, 2.0, path)
    assert len(head.bleeds) == 40
    sphere = np.random.default_rng(0).standard_normal((200, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    brain = head.anatomy.brain
    for bleed in head.bleeds:
        assert bleed.diameter_mm * 1.1 >= 1 and bleed.diameter_mm < 11
        edge = head.anatomy.sample(brain, bleed.centre + 0.9 * bleed.radii * sphere)
        assert (edge > 0.5).mean() > 0.98


def test_ventral_diencephalon_is_deep_and_choroid_plexus_is_excluded(tmp_path):
    labels = {10: 28, 49: 31}
    anatomy = labelled_anatomy(label_head(tmp_path / "head.nii.gz", labels=labels), 3, 2.0)
    centres = anatomy.deformation.to_head(np.array([LANDMARKS[10], LANDMARKS[49]], float))
    one, other = np.rint((centres - anatomy.affine[:3, 3]) / 2).astype(int)
    assert PLACES[anatomy.place[tuple(one)]] == "deep"
    assert anatomy.iron[tuple(other)] > 0.3


def test_veins_and_lesions_are_dark_in_swi_and_faint_in_t1(path):
    head = simulated_head(4, 8, 2.0, path)
    depth = {}
    for sequence in ("swi", "t1"):
        scan = simulated_scan(head, 1, sequence, (1.5, 1.5, 1.5), "RAS")
        data = np.asanyarray(scan.image.dataobj).astype(float)
        depth[sequence] = data[scan.lesions > 0].mean() / np.median(data[scan.brain])
    assert depth["swi"] < 0.7 < depth["t1"]


def test_a_whole_head_reaches_below_the_brain(path):
    head = simulated_head(4, 0, 2.0, path)
    near = simulated_scan(head, 1, "t1", (2, 2, 2), "RAS").image
    whole = simulated_scan(head, 1, "t1", (2, 2, 2), "RAS", whole_head=True).image
    assert whole.shape[2] > near.shape[2] + 15


def test_an_unknown_sequence_is_an_error(path):
    with pytest.raises(ValueError, match="'dwi' is not one of swi, t2star"):
        simulated_scan(simulated_head(4, 0, 4.0, path), 1, "dwi", (4, 4, 4))
