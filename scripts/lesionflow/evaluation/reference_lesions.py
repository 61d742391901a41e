"""Lesions of a reference segmentation, on the grid of the reference image."""

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

    Attributes
    ----------
    lesion_map : array (x, y, z)
        Lesion numbers, from 1 across all labels.
    grid
        Grid of the reference image.
    label : array (n + 1,)
        Index of each lesion's label among the card's labels, from 1; 0 for lesion number 0.
    voxels : array (n + 1,)
        Size of each lesion in voxels; 0 for lesion number 0.
    ignored
        Values of the image that are not labels of the card.
    """

    lesion_map: np.ndarray
    grid: Grid
    label: np.ndarray
    voxels: np.ndarray
    ignored: list[int]

    @property
    def volume_mm3(self) -> np.ndarray:
        """Volume of each lesion (n + 1,) in mm³; 0 for lesion number 0."""
        return self.voxels * self.grid.voxel_mm3


def reference_lesions(
    image: nib.Nifti1Image,
    labels: Mapping[int, str],
    connectivity: int,
    name: str = "the reference",
) -> ReferenceLesions:
    """Label the lesions of a reference image: the connected components of each label.

    Parameters
    ----------
    image
        Reference image on any grid. If the card has one label, every value above 0 is that label, so
        maps of numbered lesions are accepted too; touching lesions are merged, even if their numbers
        differ. If the card has several labels, the image has the card's label values; others are ignored.
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
    # transposed: fast, in the order of voxels in a file; NaN counts as nonzero
    indices = np.nonzero(data.T)[::-1]
    values = data[indices]
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
        voxel_labels, ignored = (rounded > 0).astype(np.int16), []
    else:
        voxel_labels = np.zeros(len(rounded), np.int16)
        for label_index, value in enumerate(labels, start=1):
            voxel_labels[rounded == value] = label_index
        ignored = sorted(set(np.unique(rounded[voxel_labels == 0]).tolist()) - {0})
    lesion_map, label = np.zeros(data.shape, np.int32), np.zeros(1, np.int16)
    if voxel_labels.any():
        box = tuple(slice(index.min(), index.max() + 1) for index in indices)
        cropped = np.zeros([axis.stop - axis.start for axis in box], np.int16)
        cropped[tuple(i - b.start for i, b in zip(indices, box, strict=True))] = voxel_labels
        lesion_map[box] = label_lesions(cropped, connectivity, image.affine)
        label = np.zeros(int(lesion_map[box].max()) + 1, np.int16)
        label[lesion_map[indices]] = voxel_labels
        label[0] = 0
    voxels = np.bincount(lesion_map[indices], minlength=len(label))
    voxels[0] = 0
    return ReferenceLesions(lesion_map, Grid(image.affine, data.shape), label, voxels, ignored)


def highest_probabilities(
    reference: ReferenceLesions, probability: np.ndarray, grid: Grid
) -> np.ndarray:
    """Highest probability (n + 1,) of its label in each reference lesion; NaN outside of the model grid.

    Parameters
    ----------
    reference
        The reference lesions. A voxel has the probability of the model voxel nearest to its centre.
    probability : array (x, y, z, label)
        On ``grid``; channel n - 1 belongs to label n.
    grid
        The model grid.
    """
    voxels = np.argwhere(reference.lesion_map)
    lesion = reference.lesion_map[tuple(voxels.T)]
    index = nib.affines.apply_affine(index_map(grid.affine, reference.grid.affine), voxels)
    index = np.floor(index + 0.5 + TIE).astype(np.int64)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
    lesion, index = lesion[inside], index[inside]
    highest = np.full(len(reference.label), -np.inf)
    np.maximum.at(highest, lesion, probability[(*index.T, reference.label[lesion] - 1)])
    return np.where(np.isfinite(highest), highest, np.nan)


@dataclass(frozen=True)
class VoxelCorrespondence:
    """Voxels of the reference image that matter for the overlap, and the nearest voxel of the model grid to each.

    Attributes
    ----------
    model_index : array (n,)
        Flat index on the model grid; -1 outside of it.
    reference_index : array (n,)
        Flat index on the reference grid.
    lesion : array (n,)
        Number of the reference lesion; 0 for none.
    """

    model_index: np.ndarray
    reference_index: np.ndarray
    lesion: np.ndarray


def voxel_correspondence(
    reference: ReferenceLesions, grid: Grid, candidates: np.ndarray, name: str = "the reference"
) -> VoxelCorrespondence:
    """Map reference voxels to the model grid, once for all thresholds.

    Parameters
    ----------
    reference
        Reference lesions; all of their voxels are included.
    grid
        The model grid.
    candidates : array of ``grid.shape``, bool
        Voxels that can be predicted as lesion; reference voxels nearest to one of them are included
        too. A reference voxel corresponds to the model voxel nearest to its centre in world space;
        centres halfway between two voxels are assigned to the higher index.

    Raises
    ------
    ScanError
        ``truth-unusable`` if the two grids do not overlap.
    """
    matrix = index_map(grid.affine, reference.grid.affine)
    shape, (nx, ny, nz) = grid.shape, reference.grid.shape
    columns, rows = np.arange(nx)[:, None], np.arange(ny)[None, :]
    flat_candidates = candidates.ravel()
    slices, overlap = [], False
    for k in range(nz):  # slice by slice, to limit memory: a fine grid has fifty million voxels
        inside, flat = np.ones((nx, ny), bool), np.zeros((nx, ny), np.int64)
        for axis in range(3):
            a, b, c, d = matrix[axis]
            index = np.floor(a * columns + b * rows + (c * k + d + 0.5 + TIE)).astype(np.int64)
            inside &= (index >= 0) & (index < shape[axis])
            flat = flat * shape[axis] + index
        overlap |= bool(inside.any())
        flat[~inside] = -1
        lesion = reference.lesion_map[:, :, k]
        relevant = (lesion > 0) | (inside & flat_candidates[flat])
        i, j = np.nonzero(relevant)
        slices.append((flat[i, j], (i * ny + j) * nz + k, lesion[i, j]))
    if not overlap:
        raise ScanError(
            f"{name} lies outside of the model's field of view: its origin is "
            f"{reference.grid.affine[:3, 3].round(1)} mm with shape {reference.grid.shape}, the model's "
            f"{grid.affine[:3, 3].round(1)} mm with shape {grid.shape}",
            "truth-unusable",
        )
    model_index, reference_index, lesions = map(np.concatenate, zip(*slices, strict=True))
    return VoxelCorrespondence(model_index, reference_index, lesions)


def nearest_reference_voxels(reference: ReferenceLesions, xyz_mm: np.ndarray) -> np.ndarray:
    """Flat indices (n,) of the reference voxels nearest to world positions (n, 3) in mm; -1 outside of the image."""
    index = nib.affines.apply_affine(np.linalg.inv(reference.grid.affine), xyz_mm.reshape(-1, 3))
    index = np.floor(index + 0.5 + TIE).astype(np.int64)
    inside = ((index >= 0) & (index < reference.grid.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(np.where(inside[:, None], index, 0).T), reference.grid.shape)
    return np.where(inside, flat, -1)
