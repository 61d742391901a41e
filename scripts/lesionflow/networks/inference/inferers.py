"""Inferers: apply a network to an image as a whole, by tiles or by slices, optionally with its mirror image."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from scipy import ndimage

from lesionflow.base.label_channels import background_channels

Network = Callable[[np.ndarray], np.ndarray]  # (batch, ..., channel) to (batch, ..., label)


def whole_volume(network: Network, image: np.ndarray) -> np.ndarray:
    """Output of a network for an image (x, y, z, channel) in one call."""
    return np.array(network(image[None])[0])  # a writable copy


def probability(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    """Output of a fold for every voxel, with the card's ``input.view``, ``output.blur`` and ``output.flip``.

    The mirror image is predicted separately. Its result is mirrored back, the channels of left and right labels
    are exchanged, and the mean is taken, as in SynthSeg.

    Parameters
    ----------
    network
        The fold, as a function of a batch.
    image : array (x, y, z, channel), float32
    card
        Its ``input`` and ``output`` are used.
    brain : array (x, y, z), bool

    Returns
    -------
    array (x, y, z, label), float32
    """
    flip = card["output"]["flip"]
    maps = _inferred(network, image, card, brain)
    if flip is None:
        return maps
    axis = flip["axis"]
    mirrored = _inferred(network, np.flip(image, axis), card, np.flip(brain, axis))
    for channel, partner in enumerate(partners(card["output"])):
        maps[..., channel] += np.flip(mirrored[..., partner], axis)
    maps *= 0.5
    return maps


def partners(output: Mapping[str, Any]) -> list[int]:
    """For each output channel, the channel that it becomes in a mirror image."""
    first = background_channels(output["activation"])
    channel = {value: n for n, value in enumerate(output["labels"], start=first)}
    order = list(range(len(channel) + first))
    for left, right in output["flip"]["swap"]:
        order[channel[left]], order[channel[right]] = channel[right], channel[left]
    return order


def _inferred(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    match card["input"]["view"]:
        case "slices":
            planes = [network(plane[None])[0] for plane in np.moveaxis(image, 2, 0)]
            maps = np.stack(planes, axis=2)
        case "tiles":
            maps = tiled(network, image, card, brain)
        case _:
            maps = whole_volume(network, image)
    return blurred(maps, card["output"]["blur"])


def tiled(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    """Apply a network to tiles of equal size, and average the outputs where tiles overlap.

    The output of a network without padding is smaller than a tile. The image is then padded by the difference
    on every side, so that the outputs cover every voxel. The last tile along an axis ends with the image.

    Parameters
    ----------
    network, image, brain
        See ``probability``.
    card
        ``input.tiles`` has the ``size`` of the tiles, their ``stride`` (None: the size of the network's output),
        ``edge`` and ``skip_outside_brain``: voxels that are only in tiles without any brain voxel become
        background, as in LiviaNET.
    """
    tiles, background = card["input"]["tiles"], background_channels(card["output"]["activation"])
    size = np.array(tiles["size"])
    output_shape = np.array(network(np.zeros((1, *size, image.shape[3]), np.float32)).shape)
    labels, margin = int(output_shape[4]), (size - output_shape[1:4]) // 2
    inner = size - 2 * margin
    stride = inner if tiles["stride"] is None else np.minimum(tiles["stride"], inner)
    shape = np.array(image.shape[:3])
    after = margin + np.maximum(inner - shape, 0)  # for an image smaller than a tile
    padding = [(int(a), int(b)) for a, b in zip(margin, after, strict=True)] + [(0, 0)]
    padded = np.pad(image, padding, "reflect" if tiles["edge"] == "reflect" else "constant")
    padded_brain = np.pad(brain, padding[:3])
    total = np.zeros((*np.maximum(shape, inner), labels), np.float32)
    counts = np.zeros(total.shape[:3], np.float32)
    for start in starts(total.shape[:3], inner, stride):
        output = tuple(slice(s, s + n) for s, n in zip(start, inner, strict=True))
        tile = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        if not tiles["skip_outside_brain"] or padded_brain[tile].any():
            counts[output] += 1
            total[output] += network(np.ascontiguousarray(padded[tile][None]))[0]
    total[counts == 0, :background] = 1
    total /= np.maximum(counts, 1)[..., None]
    return total[tuple(slice(n) for n in shape)]


def starts(
    shape: tuple[int, ...], size: np.ndarray, stride: np.ndarray
) -> Iterator[tuple[int, ...]]:
    """First voxels of the tiles of ``size`` that cover ``shape`` in steps of ``stride``; the last one ends with it."""
    axes = []
    for n, width, step in zip(shape, size, stride, strict=True):
        axes.append([*range(0, n - width, step), n - width])
    return product(*axes)


def blurred(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Blur each map of (x, y, z, label) with a Gaussian, with zeros outside.

    The kernel has 2 * floor(ceil(2.5 sigma) / 2) + 1 voxels along each side and sums to 1, as in SynthSeg's
    layer, so values decrease towards the border.
    """
    if not sigma:
        return maps
    radius = int(np.ceil(2.5 * sigma)) // 2
    kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for label in range(maps.shape[3]):
        blurred_map = maps[..., label]
        for axis in range(3):
            blurred_map = ndimage.correlate1d(blurred_map, kernel, axis, mode="constant")
        maps[..., label] = blurred_map
    return maps
