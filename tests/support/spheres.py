"""Training examples with spherical microbleeds."""

import numpy as np

from lesionflow.imaging.grids import Grid
from lesionflow.simulation.microbleeds import Hypointensity, rasterize
from lesionflow.training.microbleed_examples import Example


def spheres(*lesions, shape=(40, 40, 40)):
    """An example with a spherical microbleed for each (centre, radius), in voxels of 1 mm."""
    grid = Grid(np.eye(4), shape)
    microbleeds = [
        Hypointensity(np.array(centre, float), np.full(3, float(radius)), 0.9, "lobar")
        for centre, radius in lesions
    ]
    brain = np.ones(shape, bool)
    mimics = np.zeros((0, 3), np.int16)
    image = np.ones(shape, np.float16)
    place = np.zeros(shape, np.uint8)
    labels = rasterize(microbleeds, grid)
    return Example(image, labels, brain, mimics, microbleeds, grid, place)
