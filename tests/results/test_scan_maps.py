"""Maps on the grid of the scan."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lesionflow.imaging.grids import Grid
from lesionflow.results.scan_maps import lesions_on_scan, probability_on_scan

THICK = Grid(np.diag([1.0, 1, 4, 1]), (6, 6, 3))  # slices of 4 mm: z = 0, 4, 8


def test_a_lesion_between_two_slices_has_the_voxel_of_the_table():
    lesion_map = np.zeros((6, 6, 9), np.int32)
    lesion_map[1, 1, 4] = 1
    lesion_map[4, 4, 6] = 2  # between the slices
    table = pd.DataFrame({"lesion": [1, 2], "i": [1, 4], "j": [1, 4], "k": [1, 2]})
    numbers = lesions_on_scan(lesion_map, np.eye(4), THICK, table)
    expected = np.zeros(THICK.shape, int)
    expected[1, 1, 1], expected[4, 4, 2] = 1, 2
    assert numbers.dtype == np.int32
    assert (numbers == expected).all()
    no_lesion = table.iloc[:0]
    assert not lesions_on_scan(np.zeros_like(lesion_map), np.eye(4), THICK, no_lesion).any()


@pytest.mark.parametrize(("activation", "outside"), [("softmax", [1, 0]), ("sigmoid", [0, 0])])
def test_with_softmax_what_the_model_did_not_see_is_background(activation, outside):
    maps = np.zeros((6, 6, 4, 2), np.float32)  # ends half a millimetre below the second slice
    maps[..., 0], maps[..., 1] = 0.25, 0.75
    image = nib.Nifti1Image(maps, np.eye(4))
    probability = probability_on_scan(image, THICK, activation)
    assert probability.shape == (6, 6, 3, 2) and probability.dtype == np.float32
    assert probability[2, 2, 0].tolist() == [0.25, 0.75]
    assert probability[2, 2, 2].tolist() == outside
