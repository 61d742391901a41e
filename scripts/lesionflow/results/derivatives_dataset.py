"""A model's results as a BIDS derivatives dataset: its description and the names of its labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lesionflow import __version__


def dataset_description(
    model: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Content of dataset_description.json.

    Parameters
    ----------
    model
        ``name``, ``version``, ``description`` and ``source`` of the card.
    folds
        Sidecar of each imported fold.
    """
    return {
        "Name": f"Lesions by {model['name']}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "License": "the scans' own; no clinical use",
        "GeneratedBy": [
            {"Name": "lesionflow", "Version": __version__},
            {
                "Name": model["name"],
                "Version": model["version"],
                "Description": model["description"],
                "Source": model["source"],
                "Folds": list(folds),
            },
        ],
    }


def label_names(labels: Mapping[int, str]) -> pd.DataFrame:
    """Content of dseg.tsv: ``index`` and ``name`` of the background and of each label."""
    return pd.DataFrame({"index": [0, *labels], "name": ["background", *labels.values()]})
