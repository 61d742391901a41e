"""The floor, for ``make benchmark``: folds that are loaded and have been called, called for one image after the other.

``benchmark_floor.py BACKEND DEVICE THREADS IMAGES FOLD...``: IMAGES is a file with a path a line. Prints the seconds a
scan of the calls alone: all folds of it, images in memory.
"""

import library_path  # noqa: F401  # isort: skip

import sys
import time
from pathlib import Path

import numpy as np

from lesionflow.imaging.nifti import load
from lesionflow.networks.inference.fold_runner import predict


def main(backend: str, device: str, threads: str, images: str, *folds: str) -> None:
    """Call every fold once untimed, then every fold for every image."""
    paths = Path(images).read_text().split()
    stacks = [np.asarray(load(path).dataobj, np.float32)[..., None] for path in paths]
    calls = []

    def keep(network, image):
        calls.append(network)
        return network(image[None])[0]

    for fold in folds:
        predict(Path(fold), stacks[0], backend, device, threads=int(threads), inferer=keep)
    begun = time.perf_counter()
    for stack in stacks:
        for network in calls:
            network(stack[None])
    print((time.perf_counter() - begun) / len(stacks))


if __name__ == "__main__":
    main(*sys.argv[1:])
