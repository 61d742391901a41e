"""Cropping, resizing and padding of a scan to the input box of a network.

The grid of each result is computed with it, so that results are restored to the scan by affines alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from nibabel.affines import apply_affine
from nibabel.orientations import aff2axcodes

from lesionflow.base.errors import ScanError
from lesionflow.imaging.grids import Grid, bounding_box, paste
from lesionflow.imaging.intensity import normalize
from lesionflow.imaging.resampling import resample

KEYS = (  # of a card's input that ``crop_and_pad`` uses
    "drop_slices",
    "before_crop",
    "crop",
    "shape",
    "snap_start",
    "padding",
    "resize",
    "resize_order",
    "pad",
)


def crop_and_pad(
    channels: np.ndarray, brain: np.ndarray, affine: np.ndarray, input_spec: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Crop, resize and pad the channels and the brain mask of a scan to the input box of a network.

    In this order: slices are dropped, ``before_crop`` is applied, the image is cropped, its first two axes are
    resized, and it is padded.

    Parameters
    ----------
    channels : array (x, y, z, channel), float32
        On the model grid over the full field of view.
    brain : array (x, y, z), bool
        Brain mask.
    affine
        Of both.
    input_spec
        ``KEYS`` of the card's input.

    Returns
    -------
    stack : array (x, y, z, channel), float32
        NaN in the padding: ``intensity.normalize`` leaves it out of its statistics and sets it to 0.
    mask : array (x, y, z), bool
        Brain mask in the box.
    grid
        Of both.

    Raises
    ------
    ScanError
        If no slice is left, or if the mask or the foreground that the box is centred on is empty.
    """
    first, last = input_spec["drop_slices"]
    end = channels.shape[2] - last
    if first >= end:
        raise ScanError(
            f"the scan has {channels.shape[2]} slices, and the card drops {first} and {last} of them"
        )
    channels, brain = channels[:, :, first:end], brain[:, :, first:end]
    full = subgrid(affine, (0, 0, first), brain.shape)
    if input_spec["before_crop"]:
        channels = normalize(channels, input_spec["before_crop"], brain)
    box = _crop_box(channels, brain, full, input_spec)
    stack = paste(channels, full.affine, box, np.nan if input_spec["padding"] == "after" else 0)
    mask = paste(brain, full.affine, box)
    if input_spec["resize"] is not None:
        square = squared(box)
        stack = resize_planes(
            paste(stack, box.affine, square), input_spec["resize"], input_spec["resize_order"]
        )
        resized = resized_grid(square, input_spec["resize"])
        mask = resample(mask.astype(np.uint8), box.affine, resized, "nearest") > 0
        box = resized
    input_box = padded(box, **input_spec["pad"])
    stack = paste(stack, box.affine, input_box, np.nan)
    return stack, paste(mask, box.affine, input_box), input_box


def _crop_box(
    channels: np.ndarray, brain: np.ndarray, full: Grid, input_spec: Mapping[str, Any]
) -> Grid:
    match input_spec["crop"]:
        case "brain":
            return crop_grid(brain, full.affine, tuple(input_spec["shape"]))
        case "centre":
            return centred_box(full, tuple(input_spec["shape"]), input_spec["snap_start"])
        case "foreground":
            return foreground_box(channels, full.affine)
        case _:
            return full


def subgrid(affine: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> Grid:
    """The grid of ``shape`` voxels that begins at voxel ``start`` of a grid with this affine."""
    box_affine = affine.copy()
    box_affine[:3, 3] = apply_affine(affine, start)
    return Grid(box_affine, (int(shape[0]), int(shape[1]), int(shape[2])))


def centred_box(grid: Grid, shape: tuple[int, ...], snap_start: int = 0) -> Grid:
    """Box of ``shape`` voxels at the centre of a grid.

    If an odd number of voxels is cut off or added along an axis, one less is at its start (SynthSeg,
    Intel). A start between 0 and ``snap_start`` becomes 0: in Intel's topologies the offset is 0 if
    floor(0.2 * start) is 0, which is the case below 5.
    """
    starts = [int((n - side) / 2) for n, side in zip(grid.shape, shape, strict=True)]
    starts = [0 if 0 < start < snap_start else start for start in starts]
    return subgrid(grid.affine, tuple(starts), shape)


def foreground_box(channels: np.ndarray, affine: np.ndarray) -> Grid:
    """The smallest box around all voxels that are not 0 in at least one channel.

    Raises
    ------
    ScanError
        If every voxel is 0.
    """
    foreground = np.any(channels != 0, axis=3)
    if not foreground.any():
        raise ScanError("every voxel is 0: there is no foreground to crop the image to")
    box = bounding_box(foreground)
    return subgrid(affine, tuple(s.start for s in box), tuple(s.stop - s.start for s in box))


def padded(grid: Grid, multiple_of: int = 1, at_least: int = 1) -> Grid:
    """A grid padded until each side is a multiple of ``multiple_of`` and has ``at_least`` voxels.

    If an odd number of voxels is added along an axis, one less is at its start.
    """
    sides = [-(-max(n, at_least) // multiple_of) * multiple_of for n in grid.shape]
    starts = tuple(-((side - n) // 2) for side, n in zip(sides, grid.shape, strict=True))
    return subgrid(grid.affine, starts, tuple(sides))


def squared(grid: Grid) -> Grid:
    """A grid padded along the shorter one of its first two axes until both have the same length."""
    side = max(grid.shape[:2])
    starts = tuple(-((side - n) // 2) for n in grid.shape[:2])
    return subgrid(grid.affine, (*starts, 0), (side, side, grid.shape[2]))


def resized_grid(grid: Grid, sides: tuple[int, int]) -> Grid:
    """The grid of the same extent with ``sides`` voxels along its first two axes."""
    scale = np.diag([grid.shape[0] / sides[0], grid.shape[1] / sides[1], 1, 1])
    scale[:2, 3] = (np.diag(scale)[:2] - 1) / 2  # the outer edges keep their positions
    return Grid(grid.affine @ scale, (sides[0], sides[1], grid.shape[2]))


def resize_planes(stack: np.ndarray, sides: tuple[int, int], order: int) -> np.ndarray:
    """Resample the planes of a stack (x, y, z, channel) to ``resized_grid`` with splines of this order.

    Outside the planes values are 0, and there is no anti-aliasing filter. Values are clipped to the range of the
    stack and 0, as in scikit-image's ``resize``, with which the 2-D U-Net was trained.
    """
    if stack.shape[:2] == tuple(sides):
        return stack

    from scipy import ndimage

    zoom = (sides[0] / stack.shape[0], sides[1] / stack.shape[1])
    resized = np.empty((*sides, *stack.shape[2:]), np.float32)
    for z, c in np.ndindex(stack.shape[2:]):
        plane = stack[:, :, z, c]
        resized[:, :, z, c] = ndimage.zoom(
            plane, zoom, order=order, mode="grid-constant", grid_mode=True
        )
    return resized.clip(min(stack.min(), 0), max(stack.max(), 0))


def crop_grid(mask: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int]) -> Grid:
    """Box of ``shape`` voxels around a brain, shifted by whole voxels from the grid of the mask.

    As in SHiVAi (its ``crop`` step): the box is centred on the centre of mass of the mask, rounded up;
    if it would cut the top of the brain, it is moved up until there are five slices above the brain. "Up" is
    the direction of the array axis closest to inferior-superior.

    Parameters
    ----------
    mask : array (x, y, z), bool
        Brain mask, or the field of view if there is none. It may be smaller than the box.
    affine
        Of ``mask``.
    shape
        Shape of the box in voxels.

    Raises
    ------
    ScanError
        If the mask is empty.
    """
    if not mask.any():
        raise ScanError("the brain mask is empty: the box cannot be centred on it")
    counts = [np.count_nonzero(mask, axis=others) for others in ((1, 2), (0, 2), (0, 1))]
    centre = np.ceil([np.arange(len(n)) @ n / n.sum() for n in counts]).astype(int)
    start = centre - np.array(shape) // 2
    codes = aff2axcodes(affine)
    if "S" in codes:
        up = codes.index("S")
        top, end = int(np.flatnonzero(counts[up])[-1]), start[up] + shape[up]
        if top >= end:
            start[up] += top - end + 5
    elif "I" in codes:
        up = codes.index("I")
        top = int(np.flatnonzero(counts[up])[0])
        if top < start[up]:
            start[up] -= start[up] - 1 - top + 5
    box_affine = affine.copy()
    box_affine[:3, 3] = apply_affine(affine, start)
    return Grid(box_affine, shape)
