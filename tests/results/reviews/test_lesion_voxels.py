"""Voxels of a lesion as text, and digests of lesion maps."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lesionflow.results.reviews.lesion_voxels import decode, encode, map_digest

MASKS = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))
AFFINE = np.array([[-0.9, 0, 0, 14.3], [0, 0.9, 0.1, -13], [0, -0.1, 1.8, -12], [0, 0, 0, 1]])


def test_runs_go_along_the_first_axis():
    mask = np.zeros((5, 4, 3), bool)
    mask[1:4, 2, 1] = True  # from 1 + 5 * (2 + 4 * 1) = 31 to 33
    mask[0, 3, 1] = True  # 35, behind a gap of one voxel
    assert encode(mask) == "31,3,1,1"
    assert decode("31,3,1,1", mask.shape).tolist() == [31, 32, 33, 35]
    assert encode(np.array([35, 31, 33, 32])) == "31,3,1,1"


def test_a_lesion_may_hold_the_first_and_the_last_voxel():
    assert encode(np.ones((2, 2, 2), bool)) == "0,8"
    assert decode("0,8", (2, 2, 2)).tolist() == list(range(8))


@given(MASKS.filter(np.any))
def test_voxels_survive_the_way_to_text_and_back(mask):
    indices = decode(encode(mask), mask.shape)
    assert indices.tolist() == np.flatnonzero(mask.ravel("F")).tolist()
    assert encode(indices) == encode(mask)


@given(st.text(alphabet="0123456789,.-+ eE\n", max_size=12))
def test_other_text_is_refused_or_is_what_encode_writes(text):
    try:
        indices = decode(text, (9, 9, 9))
    except ValueError:
        return
    assert encode(indices) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "n/a", "5", "5,", "5,2,1", "-1,2", "5,0", "5,2,0,1", "05,2", "5, 2", "5,2.0", "5;2"),
        *("1E+05,2", "5,2,1,", "9" * 30 + ",1", "٣,2", "124,2", "0,126"),
    ],
)
def test_damaged_voxels_are_refused(text):
    with pytest.raises(ValueError, match="voxels"):
        decode(text, (5, 5, 5))


def test_no_voxel_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        encode(np.zeros((2, 2, 2), bool))


def lesion_map():
    numbers = np.zeros((6, 7, 8), np.int32)
    numbers[1, 2, 3], numbers[4:6, 5, 6] = 1, 2
    return numbers


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_digest_does_not_depend_on_the_type_and_the_file(tmp_path, name, dtype):
    nib.save(nib.Nifti1Image(lesion_map().astype(dtype), AFFINE), tmp_path / name)
    image = nib.load(tmp_path / name)
    assert map_digest(np.asanyarray(image.dataobj), image.affine) == map_digest(
        np.asfortranarray(lesion_map()), AFFINE
    )


def test_digest_depends_on_numbers_places_shape_and_affine():
    numbers = lesion_map()
    other_number = np.where(numbers == 2, 3, numbers)
    shifted = AFFINE + np.array([[0, 0, 0, 0.01], *[[0] * 4] * 3])
    digests = {
        map_digest(numbers, AFFINE),
        map_digest(other_number, AFFINE),
        map_digest(numbers[::-1], AFFINE),
        map_digest(numbers.reshape(7, 6, 8, order="F"), AFFINE),
        map_digest(numbers, shifted),
    }
    assert len(digests) == 5
    with pytest.raises(ValueError, match="integers"):
        map_digest(numbers / 2, AFFINE)
