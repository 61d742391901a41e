"""From the normalized channels of a scan to one fold's probabilities."""

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.imaging.nifti import load, save
from lesionflow.networks.inference import inferers
from lesionflow.networks.inference.ensemble import rounded
from lesionflow.networks.inference.fold_runner import predict


def predict_scan(
    images: list[str],
    mask: str,
    fold: Path,
    probability: Path,
    card: Mapping[str, Any],
    **how: Any,
) -> dict[str, str]:
    """Write one fold's probabilities of a scan, and return what computed them.

    Parameters
    ----------
    images
        Files of the normalized channels in the network's order, (x, y, z) on one grid.
    mask
        File of the brain mask, on the same grid.
    fold
        Folder of the imported fold.
    probability
        File to write: (x, y, z), or (x, y, z, label) where there are several, float32.
    card
        What it says of ``input`` (view, tiles) and ``output`` (labels, activation, flip, blur, floor, mask).
    how
        The other arguments of ``fold_runner.predict``.

    Raises
    ------
    ValueError
        See ``fold_runner.predict``.
    """
    stack, affine = _stacked(tuple((path, Path(path).stat().st_mtime_ns) for path in images))
    brain = np.asanyarray(load(mask).dataobj) > 0
    found, used = predict(
        fold, stack, see=partial(inferers.probability, card=card, brain=brain), **how
    )
    output = card["output"]
    found[found < output["floor"]] = 0
    if output["mask"] == "brain":
        found *= brain[..., None]
    save(probability, rounded(found), affine)
    return used


@lru_cache(maxsize=2)  # of the scans whose folds take turns: the folds of a scan read it once
def _stacked(images: tuple[tuple[str, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Channels as (x, y, z, channel), float32, not to be written to, and their affine; by path and time."""
    channels = [load(path) for path, _ in images]
    stack = np.stack([np.asanyarray(i.dataobj, np.float32) for i in channels], axis=-1)
    stack.flags.writeable = False
    return stack, channels[0].affine
