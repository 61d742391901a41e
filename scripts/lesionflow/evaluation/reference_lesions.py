"""Truth images: the lesions that somebody drew, on the grid that they drew them on."""

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.connected_components import label_lesions
from lesionflow.imaging.grids import Grid, index_map

WHOLE = 1e-3  # a header's slope may miss a whole number by as much
TIE = 1e-4  # a voxel centre halfway between two voxels goes up, whatever the last digits of an affine say


@dataclass(frozen=True)
class ReferenceLesions:
    """True lesions of a scan.

    ``numbers`` (x, y, z) holds them numbered from 1 through all labels, ``grid`` says where they lie,
    ``label`` (n + 1,) each one's label as its place among the card's labels from 1 (0 for number 0),
    ``voxels`` (n + 1,) its size, and ``ignored`` the values that no label of the card has.
    """

    numbers: np.ndarray
    grid: Grid
    label: np.ndarray
    voxels: np.ndarray
    ignored: list[int]

    @property
    def volume_mm3(self) -> np.ndarray:
        """Volume of each lesion (n + 1,), 0 for number 0."""
        return self.voxels * self.grid.voxel_mm3


def reference_lesions(
    image: nib.Nifti1Image, labels: Mapping[int, str], connectivity: int, name: str = "the truth"
) -> ReferenceLesions:
    """The lesions of a truth image: connected components of each label.

    Parameters
    ----------
    image
        On any grid. For a card with one label every value above 0 is that label, so that a map of
        numbered lesions is a truth as well; lesions that touch are one, whatever their numbers. For
        a card with several labels a value is the card's own label value; other values are ignored.
    labels
        The card's: value to name.
    connectivity
        The card's: 6, 18 or 26.
    name
        Of the image, for the errors.

    Raises
    ------
    ScanError
        ``truth-unusable`` where a value is not a whole number, or negative.
    """
    data = np.asanyarray(image.dataobj)
    places = np.nonzero(data)  # what is no number is no zero either
    values = data[places]
    whole = np.rint(values)
    wrong = ~np.isfinite(values) | (np.abs(values - whole) > WHOLE) | (whole < 0)
    if wrong.any():
        raise ScanError(
            f"{name} is no label image: {int(wrong.sum())} voxels have values like "
            f"{values[wrong][0]:g} (0 and whole numbers above are labels)",
            "truth-unusable",
        )
    whole = whole.astype(np.int64)
    if len(labels) == 1:
        own, ignored = (whole > 0).astype(np.int16), []
    else:
        own = np.zeros(len(whole), np.int16)
        for place, value in enumerate(labels, start=1):
            own[whole == value] = place
        ignored = sorted(set(np.unique(whole[own == 0]).tolist()) - {0})
    numbers, label = np.zeros(data.shape, np.int32), np.zeros(1, np.int16)
    if own.any():
        box = tuple(slice(axis.min(), axis.max() + 1) for axis in places)
        inside = np.zeros([axis.stop - axis.start for axis in box], np.int16)
        inside[tuple(p - b.start for p, b in zip(places, box, strict=True))] = own
        numbers[box] = label_lesions(inside, connectivity, image.affine)
        label = np.zeros(int(numbers[box].max()) + 1, np.int16)
        label[numbers[places]] = own
        label[0] = 0
    voxels = np.bincount(numbers[places], minlength=len(label))
    voxels[0] = 0
    return ReferenceLesions(numbers, Grid(image.affine, data.shape), label, voxels, ignored)


@dataclass(frozen=True)
class VoxelCorrespondence:
    """The truth's voxels that matter, and the model's voxel that is nearest to each.

    ``model`` (n,): flat index on the model's grid, -1 where the voxel lies outside of it; ``truth``
    (n,): flat index on the truth's grid; ``number`` (n,): the true lesion there, 0 for none.
    """

    model: np.ndarray
    truth: np.ndarray
    number: np.ndarray


def voxel_correspondence(
    truth: ReferenceLesions, grid: Grid, wanted: np.ndarray, name: str = "the truth"
) -> VoxelCorrespondence:
    """Where the truth's voxels lie on the model's grid, once for all thresholds.

    Parameters
    ----------
    truth
        Voxels of true lesions matter, wherever they are.
    grid
        The model's.
    wanted : array of ``grid.shape``, bool
        Voxels that may be predicted: truth voxels that are nearest to one of them matter as well.
        Both grids' affines decide; a truth voxel is taken at its centre, and centres halfway
        between two voxels go to the higher index.

    Raises
    ------
    ScanError
        ``truth-unusable`` where the two grids do not overlap at all.
    """
    matrix = index_map(grid.affine, truth.grid.affine)
    shape, (nx, ny, nz) = grid.shape, truth.grid.shape
    columns, rows = np.arange(nx)[:, None], np.arange(ny)[None, :]
    flat_wanted = wanted.ravel()
    parts, overlap = [], False
    for k in range(nz):  # a slice at a time: a fine grid has fifty million voxels
        inside, flat = np.ones((nx, ny), bool), np.zeros((nx, ny), np.int64)
        for axis in range(3):
            a, b, c, d = matrix[axis]
            index = np.floor(a * columns + b * rows + (c * k + d + 0.5 + TIE)).astype(np.int64)
            inside &= (index >= 0) & (index < shape[axis])
            flat = flat * shape[axis] + index
        overlap |= bool(inside.any())
        flat[~inside] = -1
        number = truth.numbers[:, :, k]
        matters = (number > 0) | (inside & flat_wanted[flat])
        i, j = np.nonzero(matters)
        parts.append((flat[i, j], (i * ny + j) * nz + k, number[i, j]))
    if not overlap:
        raise ScanError(
            f"{name} lies outside of what the model saw: its origin is "
            f"{truth.grid.affine[:3, 3].round(1)} mm with shape {truth.grid.shape}, the model's "
            f"{grid.affine[:3, 3].round(1)} mm with shape {grid.shape}",
            "truth-unusable",
        )
    model, flat, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return VoxelCorrespondence(model, flat, numbers)


def nearest_reference_voxels(truth: ReferenceLesions, xyz_mm: np.ndarray) -> np.ndarray:
    """Flat index (n,) of the truth's voxels nearest to world positions (n, 3), -1 outside of it."""
    index = nib.affines.apply_affine(np.linalg.inv(truth.grid.affine), xyz_mm.reshape(-1, 3))
    index = np.floor(index + 0.5 + TIE).astype(np.int64)
    inside = ((index >= 0) & (index < truth.grid.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(np.where(inside[:, None], index, 0).T), truth.grid.shape)
    return np.where(inside, flat, -1)
