"""Quality, flags and provenance of one scan: the columns of the cohort table beside its lesions."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from lesionflow import __version__
from lesionflow.results import columns

EDGE_SHARE = 0.02  # of the brain's surface; more is flagged brain-at-edge
BRAIN_ML = (600, 2200)  # a brain volume outside this range is flagged brain-volume


def scan_sidecar(
    sidecars: Iterable[Mapping[str, Any]],
    channel_sidecars: Iterable[Mapping[str, Any]],
    lesions: pd.DataFrame,
    model: str,
    model_version: str,
) -> dict[str, Any]:
    """Merge the JSON sidecars of a scan's images, and add its flags and the versions.

    Parameters
    ----------
    sidecars
        Sidecars of the images that a scan has once.
    channel_sidecars
        Sidecars of the images of each channel, the reference channel first: where channels differ, its value is
        taken. ``nonfinite_voxels`` are summed over channels; ``filled`` is true if any is.
    lesions
        All lesions of the scan, with ``kept``.
    model, model_version
        From the model card.

    Returns
    -------
    dict
        One value for each of ``columns.QUALITY`` and ``columns.PROVENANCE``.

    Raises
    ------
    KeyError
        If the value of a column is missing.
    """
    values: dict[str, Any] = {}
    channel_sidecars = list(channel_sidecars)
    for sidecar in [*sidecars, *reversed(channel_sidecars)]:
        values |= sidecar
    values |= {
        "nonfinite_voxels": sum(sidecar.get("nonfinite_voxels", 0) for sidecar in channel_sidecars),
        "filled": any(sidecar.get("filled") for sidecar in channel_sidecars),
        "lesions_dropped": int((~lesions.kept).sum()),
        "model": model,
        "model_version": model_version,
        "lesionflow_version": __version__,
    }
    if values["mask_source"] == "none":
        values["brain_outside_box"] = None
    values["flags"] = ";".join(_flags(values))
    return {name: values[name] for name in columns.names(columns.QUALITY + columns.PROVENANCE)}


def _flags(values: Mapping[str, Any]) -> list[str]:
    """The flags that are raised, in the order of ``columns.FLAGS``."""
    volume_ml, edge_share = values["brain_volume_ml"], values["brain_at_edge"]
    low, high = BRAIN_ML
    raised = {
        "no-brain-mask": values["mask_source"] == "none",
        "brain-cut-by-box": (values["brain_outside_box"] or 0) > 0,
        "brain-at-edge": edge_share is not None and edge_share > EDGE_SHARE,
        "brain-volume": volume_ml is not None and not low <= volume_ml <= high,
        "nonfinite-voxels": values["nonfinite_voxels"] > 0,
        "channel-filled": values["filled"],
    }
    return [flag for flag in columns.FLAGS if raised[flag]]
