"""Random cases of upsampled, concatenated and convolved feature maps, and their result by SciPy."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

ENDS = [(0, 0), (0, 1), (1, 0), (1, 1)]


class Place(NamedTuple):
    """A case: size before upsampling, crop of the upsampled map, kernel sizes, input maps, channels of the first map.

    Each entry of ``parts`` is an input map: ``small`` (to be upsampled and cropped) or ``large``.
    """

    n: list[int]
    crop: list[tuple[int, int]]
    sides: list[list[int]]
    parts: list[str]
    channels: int

    @property
    def shapes(self):
        """(1, channel, ...) of each input map."""
        m = [2 * size - a - b for size, (a, b) in zip(self.n, self.crop, strict=True)]
        sizes = {"small": self.n, "large": m}
        return [(1, c, *sizes[part]) for c, part in enumerate(self.parts, self.channels)]

    def images(self, seed):
        return [random(*shape, seed=seed + i) for i, shape in enumerate(self.shapes)]

    def kernels(self, seed):
        channels = sum(shape[1] for shape in self.shapes)
        return [random(2, channels, *side, seed=seed) for side in self.sides]

    def joined(self, images):
        """Concatenated maps, which are the input of the convolutions."""
        maps = [
            cropped(doubled(image), self.crop) if part == "small" else image
            for part, image in zip(self.parts, images, strict=True)
        ]
        return np.concatenate(maps, axis=1)


@st.composite
def places(draw):
    rank = draw(st.sampled_from([2, 3]))
    n = draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    crop = [draw(st.sampled_from([e for e in ENDS if sum(e) < 2 * size])) for size in n]
    sides = [draw(st.lists(st.sampled_from([1, 3, 5]), min_size=rank, max_size=rank)) for _ in "12"]
    parts = draw(st.lists(st.sampled_from(["small", "large"]), min_size=1, max_size=3))
    return Place(n, crop, sides, parts, draw(st.integers(1, 3)))


def doubled(image):
    """Nearest-neighbour upsampling of an array (batch, channel, ...)."""
    for axis in range(2, image.ndim):
        image = image.repeat(2, axis)
    return image


def cropped(image, crop):
    return image[(..., *(slice(a, n - b) for (a, b), n in zip(crop, image.shape[2:], strict=True)))]


def convolved(image, kernel, beyond="constant"):
    """'same' convolution of an array (1, channel, ...) in float64, by SciPy.

    ``beyond``: SciPy's mode for values beyond an edge; by default 0, as in networks.
    """
    return np.array(
        [
            [
                sum(
                    ndimage.correlate(channel, taps, mode=beyond)
                    for channel, taps in zip(image[0].astype(float), row, strict=True)
                )
                for row in kernel.astype(float)
            ]
        ]
    )


def assert_convolved(output, image, kernel):
    """``output``, in float32, is the 'same' convolution of the image with the kernel.

    A sum of n products, in any order, has an error of less than 8 n^0.5 2^-24 of the sum of their magnitudes in all
    but 2 exp(-32) of cases (Higham and Mary 2019, SIAM J Sci Comput 41:A2815, theorem 3.1). Values beyond an edge may
    be added and subtracted again, so the magnitudes there are those of the planes at the edge.
    """
    relative = 8 * kernel[0].size ** 0.5 * 2.0**-24
    tolerance = relative * convolved(abs(image), abs(kernel), beyond="nearest")
    error = abs(output - convolved(image, kernel))
    ratio = (error / tolerance).max()
    assert (error <= tolerance).all(), f"{ratio:.3g} times the largest rounding error"


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
