"""Properties of simulated heads and scans, on coarse grids."""

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.microbleeds import (
    Hypointensity,
    inside_field_of_view,
    lesion_table,
    rasterize,
)
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.simulation.scanner import ORIENTATIONS
from lesionflow.simulation.template_head import PLACES, TISSUES, template_anatomy

COARSE = 3.0


@pytest.fixture(scope="module")
def head():
    return simulated_head(7, 6, COARSE)


@pytest.fixture(scope="module")
def scan(head):
    return simulated_scan(head, 1, "swi", (1.2, 1.2, 2.0))


def test_the_same_seeds_give_the_same_scan(head, scan):
    again = simulated_scan(simulated_head(7, 6, COARSE), 1, "swi", (1.2, 1.2, 2.0))
    np.testing.assert_array_equal(again.image.dataobj, scan.image.dataobj)
    np.testing.assert_array_equal(again.image.affine, scan.image.affine)
    np.testing.assert_array_equal(again.lesions, scan.lesions)
    np.testing.assert_array_equal(again.brain, scan.brain)
    assert again.lesion_table.equals(scan.lesion_table)


def test_other_seeds_give_other_heads_and_scans(head, scan):
    other = template_anatomy(8, COARSE)
    assert not np.array_equal(other.brain, head.anatomy.brain)
    assert simulated_scan(head, 2, "swi", (1.2, 1.2, 2.0)).image.shape != scan.image.shape


def test_tissue_fractions_are_between_0_and_1(head):
    total = sum(head.anatomy.tissue[name] for name in TISSUES)
    assert total.min() >= -1e-5 and total.max() <= 1 + 1e-5
    volume_ml = (head.anatomy.brain > 0.5).sum() * COARSE**3 / 1000
    assert 1000 < volume_ml < 2600


def test_the_deformation_can_be_inverted(head):
    mni = np.random.default_rng(0).uniform(-60, 60, (40, 3))
    xyz = head.anatomy.deformation.to_head(mni)
    np.testing.assert_allclose(head.anatomy.deformation.to_template(xyz), mni, atol=0.01)


def test_a_larger_number_of_microbleeds_keeps_the_first(head):
    microbleeds = simulated_head(7, 8, COARSE).microbleeds
    assert len(microbleeds) == 8
    for before, after in zip(head.microbleeds, microbleeds, strict=False):
        np.testing.assert_array_equal(before.centre, after.centre)


def test_table_volumes_match_the_label_map(scan):
    table = scan.lesion_table
    voxel_mm3 = np.prod(scan.image.header.get_zooms())
    volumes = np.bincount(scan.lesions.ravel(), minlength=len(table) + 1)[1:] * voxel_mm3
    assert len(table) > 0 and len(volumes) == len(table)
    assert (np.abs(volumes - table.volume_mm3) <= 0.51 * voxel_mm3).all()
    np.testing.assert_allclose(
        table.diameter_mm, (6 * table.volume_mm3 / np.pi) ** (1 / 3), atol=2e-3
    )
    assert set(table.place) <= set(PLACES)


def test_microbleeds_are_dark_and_inside_the_brain(scan):
    assert scan.brain[scan.lesions > 0].all()
    data = np.asanyarray(scan.image.dataobj).astype(float)
    for row in scan.lesion_table.itertuples():
        centre = apply_affine(np.linalg.inv(scan.image.affine), (row.x_mm, row.y_mm, row.z_mm))
        i, j, k = np.rint(centre).astype(int)
        assert scan.lesions[i, j, k] == row.lesion
        surroundings = data[i - 6 : i + 7, j - 6 : j + 7, k - 6 : k + 7]
        core = data[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2]
        assert core.min() < 0.75 * np.median(surroundings)


def test_scans_have_various_orientations(head):
    codes = set()
    for seed in range(6):
        image = simulated_scan(head, seed, "swi", (2.0, 2.0, 3.0)).image
        codes.add("".join(nib.aff2axcodes(image.affine)))
        assert image.header["sform_code"] == image.header["qform_code"] == 1
        rotation = image.affine[:3, :3] / image.header.get_zooms()
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-5)
    assert len(codes) > 2 and codes <= set(ORIENTATIONS)


def test_resolutions_vary_within_their_bounds(head):
    voxel_sizes = [sorted(simulated_scan(head, seed).image.header.get_zooms()) for seed in (0, 1)]
    assert voxel_sizes[0] != voxel_sizes[1]
    for smallest, middle, largest in voxel_sizes:
        assert 0.5 <= smallest <= 1.0 and 1.0 <= largest <= 3.0
        assert smallest == pytest.approx(middle) or middle == pytest.approx(largest)


def test_a_lesion_has_the_same_position_in_two_scans(head, scan):
    other = simulated_scan(head, 3, "swi", (1.0, 1.0, 1.5), "PSR")
    common = scan.lesion_table.merge(other.lesion_table, on=["x_mm", "y_mm", "z_mm"])
    assert len(common) >= 4


def test_a_head_without_microbleeds_has_an_empty_table(head):
    scan = simulated_scan(simulated_head(9, 0, 4.0), 1, "swi", (2.0, 2.0, 4.0))
    assert len(scan.lesion_table) == 0
    assert list(scan.lesion_table.columns)[:4] == ["lesion", "x_mm", "y_mm", "z_mm"]
    assert not scan.lesions.any()


def sphere(centre, radius):
    return Hypointensity(np.array(centre, float), np.full(3, float(radius)), 0.9, "lobar")


def test_a_lesion_smaller_than_a_voxel_gets_the_nearest_voxel():
    grid = Grid(np.diag([3.0, 3.0, 6.0, 1.0]), (5, 5, 5))
    labels = rasterize([sphere((6.5, 3, 12.9), 1)], grid)
    assert np.argwhere(labels).tolist() == [[2, 1, 2]]


def test_a_rasterized_sphere_has_its_analytical_volume():
    grid = Grid(np.eye(4), (11, 11, 11))
    labels = rasterize([sphere((5, 5, 5), 3)], grid)  # 4/3 pi 27 = 113.1
    assert np.count_nonzero(labels) == 113
    assert lesion_table([sphere((5, 5, 5), 3)]).volume_mm3.tolist() == [113.097]


def test_microbleeds_cut_by_the_field_of_view_are_excluded():
    grid = Grid(np.eye(4), (11, 11, 11))
    inside, cut = sphere((5, 5, 5), 3), sphere((5, 5, 8), 3)
    assert inside_field_of_view([inside, cut], grid) == [inside]
