"""The box of a scan that a network sees: cut, resized, and padded until the network can take it.

Every step gives the grid of its result, so that results go back through affines alone.
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

KEYS = (  # of a card's input: what ``boxed`` goes by
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


def boxed(
    channels: np.ndarray, brain: np.ndarray, affine: np.ndarray, wanted: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """A scan's channels and its brain in the box that a network sees.

    In this order: slices are dropped, ``before_crop`` is computed, the box is cut, its first two axes
    are resized, and it is padded.

    Parameters
    ----------
    channels : array (x, y, z, channel), float32
        On the network's grid over the whole field of view.
    brain : array (x, y, z), bool
    affine
        Of both.
    wanted
        ``KEYS`` of the card's input.

    Returns
    -------
    stack : array (x, y, z, channel), float32
        NaN where ``intensity.normalize`` is to put zeros, so that its statistics do not see them.
    inside : array (x, y, z), bool
        The brain.
    grid
        Of both.

    Raises
    ------
    ScanError
        If no slice is left, or the mask or the foreground is empty where a box is laid by it.
    """
    first, last = wanted["drop_slices"]
    end = channels.shape[2] - last
    if first >= end:
        raise ScanError(
            f"the scan has {channels.shape[2]} slices, and the card drops {first} and {last} of them"
        )
    channels, brain = channels[:, :, first:end], brain[:, :, first:end]
    whole = part(affine, (0, 0, first), brain.shape)
    if wanted["before_crop"]:
        channels = normalize(channels, wanted["before_crop"], brain)
    box = _box(channels, brain, whole, wanted)
    stack = paste(channels, whole.affine, box, np.nan if wanted["padding"] == "after" else 0)
    inside = paste(brain, whole.affine, box)
    if wanted["resize"] is not None:
        square = squared(box)
        stack = resized(paste(stack, box.affine, square), wanted["resize"], wanted["resize_order"])
        fine = resized_grid(square, wanted["resize"])
        inside = resample(inside.astype(np.uint8), box.affine, fine, "nearest") > 0
        box = fine
    full = padded(box, **wanted["pad"])
    return paste(stack, box.affine, full, np.nan), paste(inside, box.affine, full), full


def _box(channels: np.ndarray, brain: np.ndarray, whole: Grid, wanted: Mapping[str, Any]) -> Grid:
    match wanted["crop"]:
        case "brain":
            return crop_grid(brain, whole.affine, tuple(wanted["shape"]))
        case "centre":
            return centred(whole, tuple(wanted["shape"]), wanted["snap_start"])
        case "foreground":
            return foreground(channels, whole.affine)
        case _:
            return whole


def part(affine: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> Grid:
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
    return part(grid.affine, tuple(0 if 0 < s < snap_start else s for s in start), shape)


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
    return part(affine, tuple(s.start for s in box), tuple(s.stop - s.start for s in box))


def padded(grid: Grid, multiple_of: int = 1, at_least: int = 1) -> Grid:
    """A grid with voxels around it until its sides are as wanted; the first side gets one less."""
    sides = [-(-max(n, at_least) // multiple_of) * multiple_of for n in grid.shape]
    before = tuple(-((s - n) // 2) for s, n in zip(sides, grid.shape, strict=True))
    return part(grid.affine, before, tuple(sides))


def squared(grid: Grid) -> Grid:
    """A grid whose shorter one of the first two axes is made as long as the other."""
    side = max(grid.shape[:2])
    before = tuple(-((side - n) // 2) for n in grid.shape[:2])
    return part(grid.affine, (*before, 0), (side, side, grid.shape[2]))


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
