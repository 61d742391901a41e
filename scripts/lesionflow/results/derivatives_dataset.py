"""The results as BIDS derivatives datasets: their descriptions, README, .bidsignore, and the names of their labels."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lesionflow import __version__
from lesionflow.base import layout

BIDS_VERSION = "1.11.1"
NOT_CHANNELS = ("mask", "regions", "truth")  # the other kinds of files of a scan
LICENSE = "the scans' own; no clinical use"
DESCRIPTIONS = {  # of the desc- labels in file names
    "brain": "Brain mask",
    "dicom": "Image of a DICOM series of the cohort, converted to NIfTI, and what its headers say of it",
    "source": "File of the cohort as it was read: its digest; or its image, converted to NIfTI",
    "resampled": "Scan, resampled to the spacing and orientation of the model",
    "cropped": "Scan, resampled, and cropped and padded to the box of the model; all channels",
    "preproc": "Input of the network: scan, resampled, cropped and padded, and normalized",
    "fold": "Probabilities of one fold of the ensemble",
    "folds": "Standard deviation of the probabilities over the folds",
    "clean": "Probabilities of the ensemble, without the smaller connected components",
    "threshold": "Labels above the threshold, before any filter",
    "lesions": "Number of each lesion, dropped ones included, as in lesions.csv",
    "truth": "Comparison with the reference segmentation",
}
README = """\
# Lesions by {name}

Results of the model {name} {version}, computed by lesionflow {lesionflow}: for each scan, probabilities, labels and numbered
lesions, on the grid of the model (`space-model`) and on that of the scan (`space-orig`), with the brain mask and the
input of the network. {description}

For research only: not for diagnosis, treatment or any other clinical use.

- `space-model` has the world coordinates of the scan: both are aligned with the image that `SpatialReference` names.
- `Sources` are BIDS URIs: `bids::` in this dataset, `bids:raw:` in the cohort, `bids:models:` in the folder of the imported
  networks. `DatasetLinks` in dataset_description.json says where these two lay when it was written.
- dseg.tsv has the values of the label maps, SCAN_desc-lesions_dseg.tsv those of the lesion maps, and descriptions.tsv the
  meaning of each `desc-`.
- BIDS has no name for tables of lesions, pictures, pages and measures, nor for SWI: .bidsignore lists these files.
- The tables of the whole cohort are in the folder above: cohort.csv, lesions.csv, report.html.
"""
COHORT_README = """\
# Results of lesionflow

Tables and pages of a cohort of brain scans, computed by lesionflow {lesionflow}.

- report.html is the page to begin with; cohort.csv has one row per scan, and lesions.csv one per lesion.
  cohort.json and lesions.json explain their columns.
- The images are in one BIDS derivatives dataset per model: {models}.
- run.json has the command, the settings and the versions of the latest run.
- BIDS has no name for tables of this kind: .bidsignore lists them, and the datasets of the models, each of which is
  validated on its own.

For research only: not for diagnosis, treatment or any other clinical use.
"""
IGNORED = "# Files for which BIDS has no name; README.md says what they are.\n"


def dataset_description(
    model: Mapping[str, Any], folds: Sequence[Mapping[str, Any]], links: Mapping[str, str]
) -> dict[str, Any]:
    """Content of dataset_description.json of a model.

    Parameters
    ----------
    model
        ``name``, ``version``, ``description`` and ``source`` of the card.
    folds
        Sidecar of each imported fold.
    links
        Where the datasets of BIDS URIs lie, by their name; ``raw`` is the cohort.
    """
    url = model["source"]["url"]
    return {
        **_description(f"Lesions by {model['name']}"),
        "GeneratedBy": [
            {"Name": "lesionflow", "Version": __version__},
            {
                "Name": model["name"],
                "Version": model["version"],
                "Description": model["description"],
                **({"CodeURL": url} if url else {}),
                "Source": model["source"],
                "Folds": list(folds),
            },
        ],
        "SourceDatasets": [{"URL": links["raw"]}],
        "DatasetLinks": dict(links),
    }


def cohort_description() -> dict[str, Any]:
    """Content of dataset_description.json beside the tables of the cohort."""
    return {
        **_description("Tables of lesions of a cohort"),
        "GeneratedBy": [{"Name": "lesionflow", "Version": __version__}],
    }


def _description(name: str) -> dict[str, Any]:
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": LICENSE,
    }


def readme(model: Mapping[str, Any]) -> str:
    """README of the dataset of a model, with ``name``, ``version`` and ``description`` of its card."""
    names = {key: model[key] for key in ("name", "version", "description")}
    return README.format(lesionflow=__version__, **names)


def cohort_readme(models: Iterable[str]) -> str:
    """README beside the tables of the cohort."""
    folders = ", ".join(f"{model}/" for model in models)
    return COHORT_README.format(lesionflow=__version__, models=folders)


def ignored_files(channels: Sequence[str]) -> str:
    """.bidsignore of the dataset of a model.

    Parameters
    ----------
    channels
        Of the model: BIDS has no suffix for some, as for SWI.
    """
    suffixes = list(map(layout.suffix, channels))
    values = {"suffix": suffixes, "kind": [*channels, *NOT_CHANNELS]}
    names = []
    for pattern in layout.NOT_BIDS:
        name = pattern.partition("<scan>")[2]
        wildcard = re.search(r"\{(\w+)\}", name)
        names += (
            [name.replace(wildcard[0], value) for value in values[wildcard[1]]]
            if wildcard
            else [name]
        )
    unnamed = [suffix for suffix in suffixes if suffix not in layout.BIDS_SUFFIXES.values()]
    names += [f"_{suffix}.{ending}" for suffix in unnamed for ending in ("nii.gz", "json")]
    # One asterisk per line: version 3.0.2 of the validator does not find all names with two.
    return IGNORED + "".join(f"*{name}\n" for name in names)


def cohort_ignored_files(models: Iterable[str]) -> str:
    """.bidsignore beside the tables of the cohort."""
    return IGNORED + "".join(f"/{name}\n" for name in (*layout.COHORT_NOT_BIDS, *models))


def label_names(labels: Mapping[int, str]) -> pd.DataFrame:
    """Content of dseg.tsv: ``index`` and ``name`` of the background and of each label."""
    return pd.DataFrame({"index": [0, *labels], "name": ["background", *labels.values()]})


def lesion_names(lesions: pd.DataFrame) -> pd.DataFrame:
    """Content of desc-lesions_dseg.tsv: ``index`` and ``name`` of the background and of each lesion.

    Parameters
    ----------
    lesions
        All lesions of a scan, with ``lesion`` and ``label``.
    """
    names = [f"{label} {n}" for n, label in zip(lesions.lesion, lesions.label, strict=True)]
    return pd.DataFrame({"index": [0, *lesions.lesion], "name": ["background", *names]})


def description_labels(folds: int) -> pd.DataFrame:
    """Content of descriptions.tsv: the meaning of each ``desc-`` label, with one label per fold."""
    rows = []
    for label, text in DESCRIPTIONS.items():
        labels = [f"fold{n}" for n in range(1, folds + 1)] if label == "fold" else [label]
        rows += [(f"desc-{name}", text) for name in labels]
    return pd.DataFrame(rows, columns=["desc_id", "description"])
