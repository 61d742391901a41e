"""Reference lesions: manually drawn lesions, on the grid of their own image."""

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import Grid, index_map

INTEGER_TOLERANCE = 1e-3  # tolerance for label values scaled by a header's slope
TIE = 1e-4  # rounds voxel centres halfway between two voxels up, despite rounding errors in the affine


@dataclass(frozen=True)
class ReferenceLesions:
    """Reference lesions of a scan.

    ``numbers`` (x, y, z) is the image of lesion numbers, counted from 1 across all labels, and ``grid``
    its grid. ``label`` (n + 1,) is the position of each lesion's label among the card's labels, from 1
    (0 for number 0), ``voxels`` (n + 1,) its size in voxels, and ``ignored`` lists the image's values
    that are not labels of the card.
    """

    numbers: np.ndarray
    grid: Grid
    label: np.ndarray
    voxels: np.ndarray
    ignored: list[int]

    @property
    def volume_mm3(self) -> np.ndarray:
        """Volume of each lesion (n + 1,) in mm³, 0 for number 0."""
        return self.voxels * self.grid.voxel_mm3


def reference_lesions(
    image: nib.Nifti1Image, labels: Mapping[int, str], connectivity: int, name: str = "the truth"
) -> ReferenceLesions:
    """Find the lesions of a reference image: the connected components of each label.

    Parameters
    ----------
    image
        Reference image on any grid. If the card has one label, every value above 0 is that label, so
        maps of numbered lesions are accepted too; touching lesions are merged, whatever their numbers.
        If the card has several labels, the values are the card's label values; others are ignored.
    labels
        The card's labels: value to name.
    connectivity
        The card's connectivity: 6, 18 or 26.
    name
        Name of the image in error messages.

    Raises
    ------
    ScanError
        ``truth-unusable`` if a value is negative or not a whole number.
    """
    data = np.asanyarray(image.dataobj)
    places = np.nonzero(data)  # NaN counts as nonzero
    values = data[places]
    rounded = np.rint(values)
    invalid = ~np.isfinite(values) | (np.abs(values - rounded) > INTEGER_TOLERANCE) | (rounded < 0)
    if invalid.any():
        raise ScanError(
            f"{name} is not a label image: {int(invalid.sum())} voxels have values like "
            f"{values[invalid][0]:g} (labels are whole numbers from 0)",
            "truth-unusable",
        )
    rounded = rounded.astype(np.int64)
    if len(labels) == 1:
        label_positions, ignored = (rounded > 0).astype(np.int16), []
    else:
        label_positions = np.zeros(len(rounded), np.int16)
        for place, value in enumerate(labels, start=1):
            label_positions[rounded == value] = place
        ignored = sorted(set(np.unique(rounded[label_positions == 0]).tolist()) - {0})
    numbers, label = np.zeros(data.shape, np.int32), np.zeros(1, np.int16)
    if label_positions.any():
        box = tuple(slice(axis.min(), axis.max() + 1) for axis in places)
        inside = np.zeros([axis.stop - axis.start for axis in box], np.int16)
        inside[tuple(p - b.start for p, b in zip(places, box, strict=True))] = label_positions
        numbers[box] = label_lesions(inside, connectivity, image.affine)
        label = np.zeros(int(numbers[box].max()) + 1, np.int16)
        label[numbers[places]] = label_positions
        label[0] = 0
    voxels = np.bincount(numbers[places], minlength=len(label))
    voxels[0] = 0
    return ReferenceLesions(numbers, Grid(image.affine, data.shape), label, voxels, ignored)


@dataclass(frozen=True)
class VoxelCorrespondence:
    """Relevant voxels of the reference image, and the nearest voxel of the model's grid to each.

    ``model`` (n,): flat index on the model's grid, -1 outside of it; ``truth`` (n,): flat index on the
    reference grid; ``number`` (n,): number of the reference lesion there, 0 for none.
    """

    model: np.ndarray
    truth: np.ndarray
    number: np.ndarray


def voxel_correspondence(
    truth: ReferenceLesions, grid: Grid, candidates: np.ndarray, name: str = "the truth"
) -> VoxelCorrespondence:
    """Map reference voxels to the model's grid, once for all thresholds.

    Parameters
    ----------
    truth
        Reference lesions; all of their voxels are included.
    grid
        The model's grid.
    candidates : array of ``grid.shape``, bool
        Voxels that can be predicted as lesion; reference voxels nearest to one of them are included
        too. Voxels correspond by the centre of the reference voxel in world space; centres halfway
        between two voxels are assigned to the higher index.

    Raises
    ------
    ScanError
        ``truth-unusable`` if the two grids do not overlap.
    """
    matrix = index_map(grid.affine, truth.grid.affine)
    shape, (nx, ny, nz) = grid.shape, truth.grid.shape
    columns, rows = np.arange(nx)[:, None], np.arange(ny)[None, :]
    flat_candidates = candidates.ravel()
    parts, overlap = [], False
    for k in range(nz):  # slice by slice, to limit memory: a fine grid has fifty million voxels
        inside, flat = np.ones((nx, ny), bool), np.zeros((nx, ny), np.int64)
        for axis in range(3):
            a, b, c, d = matrix[axis]
            index = np.floor(a * columns + b * rows + (c * k + d + 0.5 + TIE)).astype(np.int64)
            inside &= (index >= 0) & (index < shape[axis])
            flat = flat * shape[axis] + index
        overlap |= bool(inside.any())
        flat[~inside] = -1
        number = truth.numbers[:, :, k]
        relevant = (number > 0) | (inside & flat_candidates[flat])
        i, j = np.nonzero(relevant)
        parts.append((flat[i, j], (i * ny + j) * nz + k, number[i, j]))
    if not overlap:
        raise ScanError(
            f"{name} lies outside of the model's field of view: its origin is "
            f"{truth.grid.affine[:3, 3].round(1)} mm with shape {truth.grid.shape}, the model's "
            f"{grid.affine[:3, 3].round(1)} mm with shape {grid.shape}",
            "truth-unusable",
        )
    model, flat, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return VoxelCorrespondence(model, flat, numbers)


def nearest_reference_voxels(truth: ReferenceLesions, xyz_mm: np.ndarray) -> np.ndarray:
    """Flat index (n,) of the reference voxels nearest to world positions (n, 3) in mm, -1 outside."""
    index = nib.affines.apply_affine(np.linalg.inv(truth.grid.affine), xyz_mm.reshape(-1, 3))
    index = np.floor(index + 0.5 + TIE).astype(np.int64)
    inside = ((index >= 0) & (index < truth.grid.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(np.where(inside[:, None], index, 0).T), truth.grid.shape)
    return np.where(inside, flat, -1)
