"""Probabilities of one fold for a scan, from its normalized channels."""

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
    """Predict a scan with one fold, write the probabilities, and return how they were computed.

    Parameters
    ----------
    images
        Files of the normalized channels, in the network's order: (x, y, z), all on the same grid.
    mask
        File of the brain mask, on the same grid.
    fold
        Folder of the imported fold.
    probability
        File to write: (x, y, z), or (x, y, z, label) if there are several labels, float32.
    card
        ``fold_spec.prediction_part`` of the card, or the card.
    how
        The other arguments of ``fold_runner.predict``.

    Raises
    ------
    LesionflowError
        See ``fold_runner.predict``.
    """
    stack, affine = _stacked(tuple((path, Path(path).stat().st_mtime_ns) for path in images))
    brain = np.asanyarray(load(mask).dataobj) > 0
    inferer = partial(inferers.probability, card=card, brain=brain)
    maps, computed_with = predict(fold, stack, inferer=inferer, **how)
    output = card["output"]
    maps[maps < output["floor"]] = 0
    if output["mask"] == "brain":
        maps *= brain[..., None]
    save(probability, rounded(maps), affine)
    return computed_with


@lru_cache(
    maxsize=2
)  # so that all folds of a scan share one reading, even if those of two scans take turns
def _stacked(images: tuple[tuple[str, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Read-only channels (x, y, z, channel), float32, and their affine. The key has each file's path and time."""
    channels = [load(path) for path, _ in images]
    stack = np.stack([np.asanyarray(i.dataobj, np.float32) for i in channels], axis=-1)
    stack.flags.writeable = False
    return stack, channels[0].affine
