"""The ensemble, with values computed by hand."""

import hashlib

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionflow.networks.inference.ensemble import (
    average,
    combined_metadata,
    disagreement,
    ensemble_sidecar,
    rounded,
    without_padding,
)


def image(values, affine=None, shape=(2, 1, 1)):
    data = np.array(values, np.float32).reshape(shape)
    return nib.Nifti1Image(data, np.eye(4) if affine is None else affine)


def test_mean_and_standard_deviation_by_hand():
    mean, spread = average([image([0.0, 0.3]), image([0.5, 0.3]), image([1.0, 0.3])], 3)
    assert mean.ravel() == pytest.approx([0.5, 0.3])
    assert spread.ravel() == pytest.approx([np.sqrt(1 / 6), 0], abs=1e-7)
    assert (mean.dtype, spread.dtype) == (np.float32, np.float32)


def test_mean_of_a_single_fold():
    mean, spread = average([image([0.25, 0.5])], 1)
    assert mean.ravel().tolist() == [0.25, 0.5]
    assert spread.ravel().tolist() == [0, 0]


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_the_number_of_folds_must_be_that_of_the_card(count):
    with pytest.raises(ValueError, match=f"the ensemble has 3 folds, but there are {count} maps"):
        average([image([0, 0])] * count, 3)


def test_folds_with_different_grids_are_refused(tmp_path):
    paths = [tmp_path / name for name in ("a.nii", "b.nii", "c.nii")]
    nib.save(image([0, 0]), paths[0])
    nib.save(image([0, 0], np.diag([2.0, 1, 1, 1])), paths[1])
    nib.save(image([0, 0], shape=(1, 2, 1)), paths[2])
    a, b, c = (nib.load(path) for path in paths)
    with pytest.raises(ValueError, match="differ in affine: .*a.nii has .* .*b.nii"):
        average([a, b], 2)
    with pytest.raises(
        ValueError, match=r"differ in shape: .*a.nii has \(2, 1, 1\), .*c.nii \(1, 2, 1\)"
    ):
        average([a, c], 2)


def test_disagreement_by_hand():
    mean = np.array([0.05, 0.1, 0.2, 0.6, 0.9], np.float32).reshape(5, 1, 1)
    spread = np.array([0.4, 0.4, 0.1, 0.3, 0.2], np.float32).reshape(5, 1, 1)
    brain = np.array([1, 1, 1, 1, 0], bool).reshape(5, 1, 1)
    assert disagreement(mean, spread, brain) == pytest.approx(0.2)
    assert disagreement(mean, spread, np.zeros_like(brain)) == 0
    two = np.stack([mean, mean[::-1]], -1), np.stack([spread, spread[::-1]], -1)
    assert disagreement(*two, brain) == pytest.approx((0.1 + 0.3 + 0.2 + 0.3 + 0.1) / 5)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_rounding_error_is_at_most_half_a_step(values):
    given_ = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    stored = rounded(given_)
    assert stored.shape == given_.shape[:3]
    assert stored.dtype == np.float32
    assert np.abs(stored - given_[..., 0]).max() <= 2**-21
    assert stored.min() >= 0
    assert stored.max() <= 1
    assert (rounded(stored) == stored).all()
    assert (stored == 0.5).tolist() == (np.abs(given_[..., 0] - 0.5) <= 2**-21).tolist()


def test_several_labels_keep_their_axis():
    assert rounded(np.zeros((2, 3, 4, 2))).shape == (2, 3, 4, 2)


def test_rounding_into_an_output_array():
    drawn = np.random.default_rng(1).random((4, 5, 6), np.float32)
    there = np.zeros((4, 5, 6, 2), np.float32, order="F")
    rounded(drawn, out=there[..., 1])
    np.testing.assert_array_equal(there[..., 1], rounded(drawn))
    assert not there[..., 0].any()


def test_metadata_of_folds_are_combined():
    one = {"backend": "openvino", "device": "cpu", "precision": "float32", "weights_sha256": "aa"}
    two = {**one, "backend": "tensorflow", "weights_sha256": "bb"}
    assert combined_metadata([one]) == one
    both = combined_metadata([one, two])
    assert both["backend"] == "openvino+tensorflow"
    assert both["device"] == "cpu"
    assert both["weights_sha256"] == hashlib.sha256(b"aabb").hexdigest()


def test_padding_becomes_background():
    scanned = np.array([True, True, False]).reshape(3, 1, 1)
    one = without_padding(np.full((3, 1, 1), 0.9, np.float32), scanned, "sigmoid")
    np.testing.assert_allclose(one.ravel(), [0.9, 0.9, 0])
    maps = np.full((3, 1, 1, 2), 0.5, np.float32)
    cropped_mean = without_padding(maps, scanned, "softmax")[:, 0, 0]
    assert cropped_mean.tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 0]]


def test_rounding_in_float32_equals_float64():
    drawn = np.random.default_rng(0).random((20, 20, 20, 2), np.float32)
    drawn[0, 0] = [0, 1]
    exact = (np.round(drawn.astype(np.float64) * 2**20) / 2**20).astype(np.float32)
    np.testing.assert_array_equal(rounded(drawn), exact)


def test_the_sidecar_of_an_ensemble_names_its_channels_and_leaves_out_the_background():
    mean = np.zeros((2, 1, 1, 3), np.float32)
    mean[0, 0, 0] = [0.2, 0.5, 0.3]
    spread = np.zeros_like(mean)
    spread[0, 0, 0] = [0.4, 0.1, 0.3]
    brain = np.ones((2, 1, 1), bool)
    fold = {"backend": "b", "device": "d", "precision": "p", "weights_sha256": "s"}
    labels = {1: "core", 2: "oedema"}
    softmax = ensemble_sidecar(mean, spread, brain, labels, "softmax", [fold])
    assert softmax["LabelMap"] == ["background", "core", "oedema"]
    assert softmax["fold_disagreement"] == pytest.approx(0.2)
    assert softmax["weights_sha256"] == "s"
    sigmoid = ensemble_sidecar(mean[..., 1], spread[..., 1], brain, {1: "core"}, "sigmoid", [fold])
    assert sigmoid["LabelMap"] == ["core"]
    assert sigmoid["fold_disagreement"] == pytest.approx(0.1)
