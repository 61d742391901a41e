"""Write simulated scans to a BIDS directory whose README states that no person was scanned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ConfigError
from lesionflow.simulation.label_maps import list_label_maps
from lesionflow.simulation.scan import Scan

SUFFIX = {  # BIDS suffix by sequence; swi is not part of BIDS
    "swi": "swi",
    "t2star": "T2starw",
    "t1": "T1w",
    "flair": "FLAIR",
    "pd": "PDw",
    "t2": "T2w",
}
REFERENCE_FILES = {  # endings of the files with the reference of a scan, by kind
    "mask": "desc-brain_mask.nii.gz",
    "segmentation": "desc-truth_dseg.nii.gz",
    "lesion_table": "desc-truth_lesions.tsv",
}
DEFAULTS: dict[str, Any] = {  # config keys of rules/simulate.smk
    "anatomies": None,
    "scans": 4,
    "sequences": "swi",
    "bleeds": 12,
    "whole_head": False,
    "spacing_mm": None,
    "orientation": None,
    "seed": 1,
}
README = """\
SIMULATED SCANS. No person was scanned: lesionflow made these images from {source}, randomly
deformed, with simulated veins and microbleeds. They demonstrate lesionflow and have no other use.
{note}
Each scan has its reference beside it: *_desc-brain_mask.nii.gz is the brain mask;
*_desc-truth_lesions.tsv lists the number of each microbleed, its position (world mm, RAS+), its
region, volume and diameter; *_desc-truth_dseg.nii.gz has these numbers on the grid of the scan.
"""
# BIDS has no suffix for SWI, and no place for masks and reference lesions beside raw scans.
IGNORED = """\
*_swi.nii.gz
*_swi.json
*_desc-brain_mask.nii.gz
*_desc-truth_dseg.nii.gz
*_desc-truth_lesions.tsv
"""


def simulation_jobs(config: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """List the simulation jobs, by BIDS suffix and subject, with their sequence, seeds and anatomy.

    A subject is the same head in every sequence, and its scans do not depend on which others are simulated.

    Parameters
    ----------
    config
        Values for any of ``DEFAULTS``:

        - ``anatomies``: folder of label maps, which are used in turn; None: the MNI152 template
        - ``scans``: number of scans per sequence
        - ``sequences``: list, or text separated by commas
        - ``bleeds``: largest number of microbleeds per head; every fourth head has none
        - ``whole_head``: whether the field of view includes face and neck
        - ``spacing_mm``, ``orientation``: voxel size in plane and slice thickness in mm, and axis codes, as for
          ``simulated_scan``; None: random for each scan
        - ``seed``: seed of the cohort

    Raises
    ------
    ConfigError
        If a key or a value is invalid.
    """
    if unknown := sorted(set(config) - set(DEFAULTS)):
        raise ConfigError(f"config key {', '.join(unknown)}: not one of {', '.join(DEFAULTS)}")
    options = {**DEFAULTS, **config}
    for key in ("scans", "bleeds", "seed"):
        if type(options[key]) is not int or options[key] < 0:
            raise ConfigError(f"{key}: {options[key]!r} is not a whole number from 0")
    sequences = _as_list(options["sequences"])
    if unknown := [sequence for sequence in sequences if sequence not in SUFFIX]:
        raise ConfigError(f"sequences: {unknown[0]!r} is not one of {', '.join(SUFFIX)}")
    whole_head = {"true": True, "false": False}.get(str(options["whole_head"]).lower())
    if whole_head is None:
        raise ConfigError(f"whole_head: {options['whole_head']!r} is not true or false")
    spacing, orientation = _spacing(options["spacing_mm"]), options["orientation"]
    if orientation is not None and sorted(_axes(orientation)) != ["A", "R", "S"]:
        raise ConfigError(f"orientation: {orientation!r} is not an axis code such as RAS or LPI")
    if not isinstance(options["anatomies"], str | Path | None):
        raise ConfigError(f"anatomies: {options['anatomies']!r} is not a folder")
    label_maps = list_label_maps(Path(options["anatomies"])) if options["anatomies"] else []
    rng = np.random.default_rng([options["seed"], 14])
    jobs = {}
    for n in range(options["scans"]):
        microbleeds = int(rng.integers(1, options["bleeds"] + 1)) if options["bleeds"] else 0
        for sequence in sequences:
            jobs[SUFFIX[sequence], f"{n + 1:02d}"] = {
                "sequence": sequence,
                "head_seed": 30_000_000 + 1000 * options["seed"] + n,
                "scan_seed": list(SUFFIX).index(sequence),
                "microbleeds": 0 if n % 4 == 3 else microbleeds,
                "anatomy": [str(label_maps[n % len(label_maps)])] if label_maps else [],
                "whole_head": whole_head,
                "spacing_mm": spacing,
                "orientation": orientation,
            }
    return jobs


def _as_list(value: Any) -> list[Any]:
    items = value.split(",") if isinstance(value, str) else value
    items = list(items) if isinstance(items, list | tuple) else [items]
    return [item.strip() if isinstance(item, str) else item for item in items]


def _spacing(value: Any) -> list[float] | None:
    """Voxel size in plane (twice) and slice thickness in mm, from two or three numbers in a list or a text."""
    if value is None:
        return None
    try:
        sizes = [float(item) for item in _as_list(value)]
    except (TypeError, ValueError):
        sizes = []
    if len(sizes) == 3 and sizes[0] == sizes[1]:
        sizes = sizes[1:]
    if len(sizes) != 2 or not all(0.3 <= size <= 10 for size in sizes):
        raise ConfigError(
            f"spacing_mm: {value!r} is not the voxel size in plane and the slice thickness, from 0.3 to 10 mm, "
            "as in 0.9,5"
        )
    return [sizes[0], sizes[0], sizes[1]]


def _axes(orientation: Any) -> str:
    """Axis codes without their direction."""
    return str(orientation).translate(str.maketrans("LPI", "RAS"))


def write_scan(scan: Scan, folder: Path, name: str, sequence: str) -> dict[str, Path]:
    """Write a simulated scan and its reference files; return the paths by kind.

    Kinds are ``image`` and those of ``REFERENCE_FILES``.
    """
    nib.openers.Opener.default_compresslevel = 1
    folder.mkdir(parents=True, exist_ok=True)
    affine, header = scan.image.affine, scan.image.header
    segmentation = nib.Nifti1Image(scan.lesions, affine, header)
    mask = nib.Nifti1Image(scan.brain.astype(np.uint8), affine, header)
    mask.set_data_dtype(np.uint8)
    paths = {kind: folder / f"{name}_{ending}" for kind, ending in REFERENCE_FILES.items()}
    paths["image"] = folder / f"{name}_{SUFFIX[sequence]}.nii.gz"
    for kind, image in (("image", scan.image), ("mask", mask), ("segmentation", segmentation)):
        with write_atomically(paths[kind]) as partial:
            nib.save(image, partial)
    with write_atomically(paths["lesion_table"]) as partial:
        scan.lesion_table.to_csv(partial, sep="\t", index=False)
    return paths


def describe(out: Path, source: str, made_by: str, note: str = "") -> None:
    """Write dataset_description.json and README, which state that the data are simulated, and .bidsignore.

    Parameters
    ----------
    out
        BIDS directory.
    source
        Source of the anatomies, for the README.
    made_by
        Path of the program, for ``GeneratedBy``.
    note
        A paragraph for the README.
    """
    description: Mapping[str, object] = {
        "Name": "Simulated scans with microbleeds (demonstration, no person was scanned)",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "License": "CC0",
        "GeneratedBy": [{"Name": "lesionflow", "Description": made_by}],
    }
    texts = {
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
        "README": README.format(source=source, note=f"\n{note}\n" if note else ""),
        ".bidsignore": IGNORED,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with write_atomically(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
