"""How a network sees an image: whole, tile by tile, or plane by plane; and mirrored."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from scipy import ndimage

from lesionflow.base.label_channels import background_channels

Network = Callable[[np.ndarray], np.ndarray]  # (batch, ..., channel) to (batch, ..., label)


def whole_volume(network: Network, image: np.ndarray) -> np.ndarray:
    """What a network says of an image (x, y, z, channel) that it takes in one call."""
    return np.array(network(image[None])[0])  # writable, whatever the backend gives


def probability(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    """What a fold says of every voxel, by the card's ``input.view``, ``output.blur`` and ``output.flip``.

    The mirror image goes the whole way by itself; its result is mirrored back, the channels of labels
    that a mirror exchanges are exchanged, and the mean is taken (as SynthSeg does it).

    Parameters
    ----------
    network
        A call of the fold.
    image : array (x, y, z, channel), float32
    card
        Its ``input`` and ``output``.
    brain : array (x, y, z), bool

    Returns
    -------
    array (x, y, z, label), float32
    """
    flip = card["output"]["flip"]
    found = _seen(network, image, card, brain)
    if flip is None:
        return found
    axis = flip["axis"]
    mirrored = _seen(network, np.flip(image, axis), card, np.flip(brain, axis))
    for channel, partner in enumerate(partners(card["output"])):
        found[..., channel] += np.flip(mirrored[..., partner], axis)
    found *= 0.5
    return found


def partners(output: Mapping[str, Any]) -> list[int]:
    """For each channel of a network the one that a mirror puts in its place."""
    first = background_channels(output["activation"])
    channel = {value: n for n, value in enumerate(output["labels"], start=first)}
    order = list(range(len(channel) + first))
    for one, other in output["flip"]["swap"]:
        order[channel[one]], order[channel[other]] = channel[other], channel[one]
    return order


def _seen(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    match card["input"]["view"]:
        case "slices":
            planes = [network(plane[None])[0] for plane in np.moveaxis(image, 2, 0)]
            found = np.stack(planes, axis=2)
        case "tiles":
            found = tiled(network, image, card, brain)
        case _:
            found = whole_volume(network, image)
    return blurred(found, card["output"]["blur"])


def tiled(
    network: Network, image: np.ndarray, card: Mapping[str, Any], brain: np.ndarray
) -> np.ndarray:
    """An image seen in tiles of equal size; where several see a voxel, their mean.

    A network without padding returns less than a tile: the image is then extended by what is lost, on
    every side, so that every voxel is seen. The last tile along an axis ends with the image.

    Parameters
    ----------
    network, image, brain
        See ``probability``.
    card
        ``input.tiles`` says the tiles' ``size``, ``stride`` (None: what the network returns), ``edge`` and
        ``skip_outside_brain``: what only tiles without any brain voxel see is then background, as
        LiviaNET leaves it.
    """
    how, background = card["input"]["tiles"], background_channels(card["output"]["activation"])
    size = np.array(how["size"])
    kept = np.array(network(np.zeros((1, *size, image.shape[3]), np.float32)).shape)
    labels, margin = int(kept[4]), (size - kept[1:4]) // 2
    inner = size - 2 * margin
    stride = inner if how["stride"] is None else np.minimum(how["stride"], inner)
    shape = np.array(image.shape[:3])
    after = margin + np.maximum(inner - shape, 0)  # an image smaller than a tile
    around = [(int(a), int(b)) for a, b in zip(margin, after, strict=True)] + [(0, 0)]
    wide = np.pad(image, around, "reflect" if how["edge"] == "reflect" else "constant")
    wide_brain = np.pad(brain, around[:3])
    total = np.zeros((*np.maximum(shape, inner), labels), np.float32)
    times = np.zeros(total.shape[:3], np.float32)
    for start in starts(total.shape[:3], inner, stride):
        into = tuple(slice(s, s + n) for s, n in zip(start, inner, strict=True))
        seen = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        if not how["skip_outside_brain"] or wide_brain[seen].any():
            times[into] += 1
            total[into] += network(np.ascontiguousarray(wide[seen][None]))[0]
    total[times == 0, :background] = 1
    total /= np.maximum(times, 1)[..., None]
    return total[tuple(slice(n) for n in shape)]


def starts(
    shape: tuple[int, ...], size: np.ndarray, stride: np.ndarray
) -> Iterator[tuple[int, ...]]:
    """Where boxes of ``size`` begin that cover ``shape`` with steps of ``stride``, the last one at the end."""
    axes = []
    for n, wide, step in zip(shape, size, stride, strict=True):
        along = list(range(0, n - wide, step))
        axes.append([*along, n - wide])
    return product(*axes)


def blurred(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Maps (x, y, z, label) after a Gaussian blur, each by itself, with zeros around.

    The window has 2 * floor(ceil(2.5 sigma) / 2) + 1 voxels a side and sums to 1, as in SynthSeg's layer;
    towards the border the maps lose what lies beyond.
    """
    if not sigma:
        return maps
    reach = int(np.ceil(2.5 * sigma)) // 2
    window = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    window /= window.sum()
    for label in range(maps.shape[3]):
        one = maps[..., label]
        for axis in range(3):
            one = ndimage.correlate1d(one, window, axis, mode="constant")
        maps[..., label] = one
    return maps
