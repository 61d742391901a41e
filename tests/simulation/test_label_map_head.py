"""Heads from label maps: registration to the template, tissues and regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lesionflow.simulation.label_map_head import affine_fit, label_map_anatomy, rigid_fit
from lesionflow.simulation.label_maps import LANDMARKS
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.simulation.template_head import PLACES
from support.heads import label_head

angles = st.tuples(*[st.floats(-60, 60)] * 3)
shifts = st.tuples(*[st.floats(-50, 50)] * 3)


@given(angles, shifts)
def test_rigid_fit_recovers_rotation_and_translation(rotation_angles, shift):
    points = np.array(list(LANDMARKS.values()), float)
    rotation = Rotation.from_euler("xyz", rotation_angles, degrees=True).as_matrix()
    transform = rigid_fit(points, points @ rotation.T + shift)
    assert np.allclose(transform[:3, :3], rotation, atol=1e-6)
    assert np.allclose(transform[:3, 3], shift, atol=1e-4)


def test_rigid_fit_preserves_size_and_affine_fit_does_not():
    points = np.array(list(LANDMARKS.values()), float)
    assert np.isclose(np.linalg.det(rigid_fit(points, 1.2 * points)[:3, :3]), 1)
    assert np.allclose(affine_fit(points, points * (1.2, 1, 0.9))[:3, :3], np.diag([1.2, 1, 0.9]))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return label_head(tmp_path_factory.mktemp("head") / "head.nii.gz", shift_mm=(30, -20, 40))


@pytest.fixture(scope="module")
def anatomy(path):
    return label_map_anatomy(path, 3, 2.0)


def test_tissue_fractions_sum_to_at_most_one(anatomy):
    total = sum(anatomy.tissue.values())
    assert total.max() < 1.001
    assert total[anatomy.brain > 0.99].min() > 0.98
    assert min(fraction.min() for fraction in anatomy.tissue.values()) >= 0


def test_the_brain_has_about_the_size_of_the_labels(anatomy):
    expected_ml = 4 / 3 * np.pi * 68 * 86 * 71 / 1000
    volume_ml = (anatomy.brain > 0.5).sum() * 8 / 1000
    assert abs(volume_ml / expected_ml - 1) < 0.3  # sizes vary by some per cent along each axis


def test_landmarks_match_their_labels(anatomy):
    pallidum = anatomy.deformation.to_head(np.array([LANDMARKS[13], LANDMARKS[52]], float))
    assert (anatomy.sample(anatomy.iron, pallidum) > 0.5).all()
    mni = anatomy.deformation.to_template(pallidum)
    assert np.allclose(mni, [LANDMARKS[13], LANDMARKS[52]], atol=0.1)


def test_places_follow_the_labels(anatomy):
    mni = [LANDMARKS[10], LANDMARKS[16], (30, 40, 30)]
    index = (anatomy.deformation.to_head(np.array(mni, float)) - anatomy.affine[:3, 3]) / 2
    names = [PLACES[anatomy.place[tuple(np.rint(i).astype(int))]] for i in index]
    assert names == ["deep", "infratentorial", "lobar"]


def test_csf_around_the_brain_is_inside_the_surface_and_not_brain(anatomy):
    outer_csf = (anatomy.tissue["csf"] > 0.9) & (anatomy.brain < 0.1)
    assert outer_csf.sum() > 1000
    assert (anatomy.depth_mm[outer_csf] > -2).mean() > 0.95  # 2 mm: one voxel


def test_a_scan_shows_the_brain_and_lesions_of_the_head(path):
    head = simulated_head(4, 5, 2.0, path)
    scan = simulated_scan(head, 1, "swi", (1.5, 1.5, 3.0), "RAS")
    data = np.asanyarray(scan.image.dataobj).astype(float)
    table = scan.lesion_table
    assert len(table) == len(scan.microbleeds) > 0
    assert set(np.unique(scan.lesions)) - {0} == set(table.lesion)
    volumes = np.bincount(scan.lesions.ravel())[1:] * 1.5 * 1.5 * 3.0
    assert np.abs(volumes - table.volume_mm3).max() <= 1.5 * 1.5 * 3.0
    for lesion in table[table.diameter_mm > 3].lesion:
        assert data[scan.lesions == lesion].mean() < 0.8 * np.median(data[scan.brain])


def test_lesions_are_inside_the_brain_and_one_to_ten_mm_wide(path):
    head = simulated_head(5, 40, 2.0, path)
    assert len(head.microbleeds) == 40
    sphere = np.random.default_rng(0).standard_normal((200, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    brain = head.anatomy.brain
    for microbleed in head.microbleeds:
        assert microbleed.diameter_mm * 1.1 >= 1 and microbleed.diameter_mm < 11
        surface = microbleed.centre + 0.9 * microbleed.radii * sphere
        assert (head.anatomy.sample(brain, surface) > 0.5).mean() > 0.98


def test_ventral_diencephalon_is_deep_and_choroid_plexus_is_excluded(tmp_path):
    labels = {10: 28, 49: 31}
    anatomy = label_map_anatomy(label_head(tmp_path / "head.nii.gz", labels=labels), 3, 2.0)
    centres = anatomy.deformation.to_head(np.array([LANDMARKS[10], LANDMARKS[49]], float))
    diencephalon, plexus = np.rint((centres - anatomy.affine[:3, 3]) / 2).astype(int)
    assert PLACES[anatomy.place[tuple(diencephalon)]] == "deep"
    assert anatomy.iron[tuple(plexus)] > 0.3


def test_veins_and_lesions_are_dark_in_swi_and_faint_in_t1(path):
    head = simulated_head(4, 8, 2.0, path)
    relative_signal = {}
    for sequence in ("swi", "t1"):
        scan = simulated_scan(head, 1, sequence, (1.5, 1.5, 1.5), "RAS")
        data = np.asanyarray(scan.image.dataobj).astype(float)
        relative_signal[sequence] = data[scan.lesions > 0].mean() / np.median(data[scan.brain])
    assert relative_signal["swi"] < 0.7 < relative_signal["t1"]


def test_a_whole_head_reaches_below_the_brain(path):
    head = simulated_head(4, 0, 2.0, path)
    brain_only = simulated_scan(head, 1, "t1", (2, 2, 2), "RAS").image
    whole_head = simulated_scan(head, 1, "t1", (2, 2, 2), "RAS", whole_head=True).image
    assert whole_head.shape[2] > brain_only.shape[2] + 15


def test_an_unknown_sequence_is_an_error(path):
    with pytest.raises(ValueError, match="'dwi' is not one of swi, t2star"):
        simulated_scan(simulated_head(4, 0, 4.0, path), 1, "dwi", (4, 4, 4))
