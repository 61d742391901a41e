"""The lower bound of ``make benchmark``: calls of loaded folds on images in memory only.

``benchmark_lower_bound.py BACKEND DEVICE THREADS IMAGES FOLD...``: IMAGES is a text file with one path per line. Prints
the seconds per scan of the calls of all folds.
"""

import library_path  # noqa: F401  # isort: skip

import sys
import time
from pathlib import Path

import numpy as np

from lesionflow.imaging.nifti import load
from lesionflow.networks.inference.fold_runner import predict


def main(backend: str, device: str, threads: str, images: str, *folds: str) -> None:
    """Call every fold once without timing, then time the calls of all folds on all images."""
    paths = Path(images).read_text().split()
    arrays = [np.asarray(load(path).dataobj, np.float32)[..., None] for path in paths]
    networks = []

    def keep_network(network, image):
        networks.append(network)
        return network(image[None])[0]

    for fold in folds:
        predict(Path(fold), arrays[0], backend, device, threads=int(threads), inferer=keep_network)
    start = time.perf_counter()
    for array in arrays:
        for network in networks:
            network(array[None])
    print((time.perf_counter() - start) / len(arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])
