"""Cropping, resizing and padding of a scan to the input box of a network.

Every function returns the grid of its result, so that results are restored by affines alone.
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
    """The channels and the brain mask of a scan in the input box of a network.

    In this order: slices are dropped, ``before_crop`` is applied, the image is cropped, its first two axes are
    resized, and it is padded.

    Parameters
    ----------
    channels : array (x, y, z, channel), float32
        On the model grid over the whole field of view.
    brain : array (x, y, z), bool
    affine
        Of both.
    input_spec
        ``KEYS`` of the card's input.

    Returns
    -------
    stack : array (x, y, z, channel), float32
        NaN in the padding: ``intensity.normalize`` leaves it out of its statistics and sets it to 0.
    mask : array (x, y, z), bool
        Brain mask.
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
    whole = subgrid(affine, (0, 0, first), brain.shape)
    if input_spec["before_crop"]:
        channels = normalize(channels, input_spec["before_crop"], brain)
    box = _box(channels, brain, whole, input_spec)
    stack = paste(channels, whole.affine, box, np.nan if input_spec["padding"] == "after" else 0)
    inside = paste(brain, whole.affine, box)
    if input_spec["resize"] is not None:
        square = squared(box)
        stack = resized(
            paste(stack, box.affine, square), input_spec["resize"], input_spec["resize_order"]
        )
        fine = resized_grid(square, input_spec["resize"])
        inside = resample(inside.astype(np.uint8), box.affine, fine, "nearest") > 0
        box = fine
    full = padded(box, **input_spec["pad"])
    return paste(stack, box.affine, full, np.nan), paste(inside, box.affine, full), full


def _box(
    channels: np.ndarray, brain: np.ndarray, whole: Grid, input_spec: Mapping[str, Any]
) -> Grid:
    match input_spec["crop"]:
        case "brain":
            return crop_grid(brain, whole.affine, tuple(input_spec["shape"]))
        case "centre":
            return centred(whole, tuple(input_spec["shape"]), input_spec["snap_start"])
        case "foreground":
            return foreground(channels, whole.affine)
        case _:
            return whole


def subgrid(affine: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> Grid:
    """The grid of ``shape`` voxels that begins at voxel ``start`` of a grid with this affine."""
    box = affine.copy()
    box[:3, 3] = apply_affine(affine, start)
    return Grid(box, (int(shape[0]), int(shape[1]), int(shape[2])))


def centred(grid: Grid, shape: tuple[int, ...], snap_start: int = 0) -> Grid:
    """Box of ``shape`` voxels on the middle of a grid.

    Where an odd number of voxels is cut off or added, the first side loses or gets one less (SynthSeg,
    Intel). A box that begins after the first voxel, but below ``snap_start``, begins at the first: in Intel's
    topologies the offset is 0 where floor(0.2 * start) is, which is below 5.
    """
    start = [int((have - want) / 2) for have, want in zip(grid.shape, shape, strict=True)]
    return subgrid(grid.affine, tuple(0 if 0 < s < snap_start else s for s in start), shape)


def foreground(channels: np.ndarray, affine: np.ndarray) -> Grid:
    """The smallest box with all voxels that are not 0 in any channel.

    Raises
    ------
    ScanError
        If every voxel is 0.
    """
    seen = np.any(channels != 0, axis=3)
    if not seen.any():
        raise ScanError("every voxel is 0: there is no foreground to lay a box around")
    box = bounding_box(seen)
    return subgrid(affine, tuple(s.start for s in box), tuple(s.stop - s.start for s in box))


def padded(grid: Grid, multiple_of: int = 1, at_least: int = 1) -> Grid:
    """A grid with voxels around it until its sides are as input_spec; the first side gets one less."""
    sides = [-(-max(n, at_least) // multiple_of) * multiple_of for n in grid.shape]
    before = tuple(-((s - n) // 2) for s, n in zip(sides, grid.shape, strict=True))
    return subgrid(grid.affine, before, tuple(sides))


def squared(grid: Grid) -> Grid:
    """A grid whose shorter one of the first two axes is made as long as the other."""
    side = max(grid.shape[:2])
    before = tuple(-((side - n) // 2) for n in grid.shape[:2])
    return subgrid(grid.affine, (*before, 0), (side, side, grid.shape[2]))


def resized_grid(grid: Grid, sides: tuple[int, int]) -> Grid:
    """The field of view of a grid with other numbers of voxels along its first two axes."""
    scale = np.diag([grid.shape[0] / sides[0], grid.shape[1] / sides[1], 1, 1])
    scale[:2, 3] = (np.diag(scale)[:2] - 1) / 2  # the outer borders stay where they are
    return Grid(grid.affine @ scale, (sides[0], sides[1], grid.shape[2]))


def resized(stack: np.ndarray, sides: tuple[int, int], order: int) -> np.ndarray:
    """Planes of a stack (x, y, z, channel) sampled at ``resized_grid``, by splines of this degree.

    Zeros lie around; no blur goes before. Values stay between the lowest and highest of the stack, as
    scikit-image's ``resize`` keeps them, which the 2-D U-Net was trained with.
    """
    if stack.shape[:2] == tuple(sides):
        return stack

    from scipy import ndimage

    zoom = (sides[0] / stack.shape[0], sides[1] / stack.shape[1])
    out = np.empty((*sides, *stack.shape[2:]), np.float32)
    for z, c in np.ndindex(stack.shape[2:]):
        plane = stack[:, :, z, c]
        out[:, :, z, c] = ndimage.zoom(
            plane, zoom, order=order, mode="grid-constant", grid_mode=True
        )
    return out.clip(min(stack.min(), 0), max(stack.max(), 0))


def crop_grid(mask: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int]) -> Grid:
    """Box of ``shape`` voxels around a brain, on the voxels of the grid that the brain lies on.

    The rule is SHiVAi's (its ``crop`` step): the box is centred on the centre of mass of the mask,
    rounded up; where the top of the brain would be cut, the box moves up until five slices are
    free above it. "Up" is the axis that runs to superior, whichever it is.

    Parameters
    ----------
    mask : array (x, y, z), bool
        Brain, or the field of view where no brain is known. Its grid may be smaller than the box.
    affine
        Of the mask's grid.
    shape
        Of the box, in voxels.

    Raises
    ------
    ScanError
        If the mask is empty.
    """
    if not mask.any():
        raise ScanError("the brain mask is empty: no box can be centred on it")
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
    box = affine.copy()
    box[:3, 3] = apply_affine(affine, start)
    return Grid(box, shape)
