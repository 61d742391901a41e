"""Brain masks from probabilities: one component without holes, at the right position."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionflow.base.errors import LesionflowError
from lesionflow.imaging.brain_mask import brain_from_probability, edge_share
from lesionflow.imaging.grids import Grid, model_grid
from lesionflow.imaging.resampling import inside_image
from lesionflow.networks.inference import find_brain
from lesionflow.networks.inference.find_brain import brain_probability
from support.card_defaults import default
from support.volumes import CODES, oriented

GRID = Grid(np.eye(4), (20, 21, 22))


def brain_of(probability, grid=GRID):
    scan = nib.Nifti1Image(np.zeros(grid.shape, np.float32), grid.affine)
    return brain_from_probability(nib.Nifti1Image(probability, grid.affine), scan, grid)


def test_the_brain_is_the_largest_component_with_its_holes_filled():
    probability = np.zeros(GRID.shape, np.float32)
    probability[3:12, 3:12, 3:12] = 0.9
    probability[7, 7, 7] = 0.1  # a hole
    probability[15:18, 15:18, 15:18] = 1.0  # a component of 27 voxels
    brain = brain_of(probability)
    assert brain.sum() == 9**3
    assert brain[7, 7, 7]
    assert not brain[16, 16, 16]


def test_components_that_share_only_a_corner_are_separate():
    probability = np.zeros(GRID.shape, np.float32)
    probability[2:6, 2:6, 2:6] = 1
    probability[6:9, 6:9, 6:9] = 1
    assert brain_of(probability).sum() == 64


def test_a_scan_without_a_brain_is_refused_with_its_highest_probability():
    with pytest.raises(LesionflowError, match=r"no brain was found .* probability 0.50"):
        brain_of(np.full(GRID.shape, 0.5, np.float32))


CARD = {
    "input": default(
        "input",
        spacing_mm=[2.5, 2.5, 2.5],
        shape=[60, 58, 56],
        normalize=[{"divide_by": 100}],
    ),
    "output": {"activation": "sigmoid"},
}
CENTRE = np.array([6.0, -9.0, 14.0])


@pytest.fixture
def echo(monkeypatch):
    """Let every fold return its image."""
    monkeypatch.setattr(find_brain, "predict", lambda fold, image, *a, **k: (image, {}))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CODES), st.tuples(*[st.floats(-15, 15)] * 3), st.floats(1.0, 3.0))
def test_the_brain_has_its_position_and_volume_in_every_orientation(code, rotation, slice_mm):
    affine = oriented(code, (1.5, 1.5, slice_mm), None, rotation)
    shape = (44, 44, 44)
    centre_index = (np.array(shape) - 1) / 2
    affine[:3, 3] = CENTRE - affine[:3, :3] @ centre_index
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    xyz = index @ affine[:3, :3].T + affine[:3, 3]
    ball = np.linalg.norm(xyz - CENTRE, axis=-1) < 16
    scan = nib.Nifti1Image(np.where(ball, 100, 0).astype(np.float32), affine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_brain, "predict", lambda fold, image, *a, **k: (image, {}))
        probability, grid = brain_probability(scan, CARD, ["one", "two"])
    assert probability.shape == (60, 58, 56)
    brain = brain_from_probability(
        nib.Nifti1Image(probability, grid.affine), scan, Grid(affine, shape)
    )
    assert np.linalg.norm(xyz[brain].mean(axis=0) - CENTRE) < 0.6
    volume = brain.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert abs(volume / (4 / 3 * np.pi * 16**3) - 1) < 0.12


def test_folds_are_averaged_and_labels_summed(monkeypatch):
    scan = nib.Nifti1Image(np.full((40, 40, 40), 100, np.float32), np.diag([2.5, 2.5, 2.5, 1]))
    fold_probabilities = {"a": [0.2, 0.3, 0.5], "b": [0.6, 0.1, 0.3]}  # background first

    def predict(fold, image, *args, **kwargs):
        return np.broadcast_to(np.float32(fold_probabilities[fold]), (*image.shape[:3], 3)), {}

    monkeypatch.setattr(find_brain, "predict", predict)
    card = {**CARD, "output": {"activation": "softmax"}}
    probability, grid = brain_probability(scan, card, ["a", "b"])
    assert np.allclose(probability, (0.8 + 0.4) / 2)


def test_a_brain_cut_by_the_field_of_view_extends_to_its_edge_and_is_recognized(monkeypatch):
    shape = (50, 20, 50)  # a slab of 50 mm with a probability of brain just above 0.5
    scan = nib.Nifti1Image(np.full(shape, 100, np.float32), np.diag([2.5, 2.5, 2.5, 1]))

    def predict(fold, image, *args, **kwargs):
        assert 0 < image.mean() < 1  # the box is larger than the slab, with zeros outside it
        return np.full_like(image, 0.6), {}

    monkeypatch.setattr(find_brain, "predict", predict)
    probability, card_grid = brain_probability(scan, CARD, ["one"])
    grid = model_grid(scan.affine, shape)
    brain = brain_from_probability(nib.Nifti1Image(probability, card_grid.affine), scan, grid)
    field_of_view = inside_image(scan.affine, shape, grid)
    assert brain[:, [0, -1]].mean() > 0.9
    assert edge_share(brain, field_of_view) > 0.9


def test_a_brain_outside_of_the_scan_has_an_error_of_its_own():
    scan = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 500
    probability = nib.Nifti1Image(np.ones((10, 10, 10), np.float32), shifted)
    with pytest.raises(LesionflowError, match="outside of the scan.*500"):
        brain_from_probability(probability, scan, Grid(np.eye(4), (10, 10, 10)))


def test_the_threshold_is_that_of_the_card():
    data = np.zeros((10, 10, 10), np.float32)
    data[2:8, 2:8, 2:8] = 0.4
    data[4:6, 4:6, 4:6] = 0.9
    image, grid = nib.Nifti1Image(data, np.eye(4)), Grid(np.eye(4), data.shape)
    assert brain_from_probability(image, image, grid).sum() == 8
    assert brain_from_probability(image, image, grid, 0.3).sum() == 216
