"""An example with spherical lesions."""

import numpy as np

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.microbleeds import HypointenseFocus, rasterize
from lesionflow.training.microbleed_examples import (
    Example,
)


def spheres(*places, shape=(40, 40, 40)):
    """An example with a sphere for each (centre, radius)."""
    grid = Grid(np.eye(4), shape)
    bleeds = [
        HypointenseFocus(np.array(c, float), np.full(3, float(r)), 0.9, "lobar") for c, r in places
    ]
    brain = np.ones(shape, bool)
    empty = np.zeros((0, 3), np.int16)
    image = np.ones(shape, np.float16)
    place = np.zeros(shape, np.uint8)
    return Example(image, rasterize(bleeds, grid), brain, empty, bleeds, grid, place)
