"""Simulated scans as files: a BIDS directory that says that no person was scanned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.label_maps import label_maps_in
from lesionflow.simulation import Scan
from lesionflow.whole import whole

SUFFIX = {  # of BIDS, by sequence; BIDS has none for SWI
    "swi": "swi",
    "t2star": "T2starw",
    "t1": "T1w",
    "flair": "FLAIR",
    "pd": "PDw",
    "t2": "T2w",
}
DEFAULTS: dict[str, Any] = {  # of the keys of rules/simulate.smk
    "anatomies": None,
    "scans": 4,
    "sequences": "swi",
    "bleeds": 12,
    "whole_head": False,
    "seed": 1,
}
README = """\
SIMULATED SCANS. No person was scanned: lesionflow made these images from {source}, randomly
deformed, with simulated veins and microbleeds. They show how lesionflow works and serve for nothing else.
{more}
Beside each scan lie its brain mask and the truth: *_desc-truth_lesions.tsv has each microbleed's number,
place (world mm, RAS+, and region), volume and diameter; *_desc-truth_dseg.nii.gz has the numbers on the
scan's grid.
"""


def simulation_jobs(config: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What to simulate: by sequence and subject, the seeds and the anatomy.

    Parameters
    ----------
    config
        Any of ``DEFAULTS``: a folder of label maps, which are used in turn (None: the MNI152 template);
        the number of scans a sequence; sequences, as a list or with commas between; at most how many
        microbleeds a head has (every fourth has none); whether face and neck are in the field of view; a
        seed. A subject is the same head in every sequence.

    Raises
    ------
    ValueError
        If a key or a sequence is not known, or a number is none.
    """
    if unknown := sorted(set(config) - set(DEFAULTS)):
        raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(DEFAULTS)}")
    wanted = {**DEFAULTS, **config}
    for key in ("scans", "bleeds", "seed"):
        if type(wanted[key]) is not int or wanted[key] < 0:
            raise ValueError(f"{key}: {wanted[key]!r} is no whole number from 0")
    sequences = wanted["sequences"]
    sequences = sequences.split(",") if isinstance(sequences, str) else sequences
    if strange := [s for s in sequences if s not in SUFFIX]:
        raise ValueError(f"sequences: {strange[0]!r} is not one of {', '.join(SUFFIX)}")
    maps = label_maps_in(Path(wanted["anatomies"])) if wanted["anatomies"] else []
    rng = np.random.default_rng([wanted["seed"], 14])
    jobs = {}
    for n in range(wanted["scans"]):
        bleeds = int(rng.integers(1, wanted["bleeds"] + 1)) if wanted["bleeds"] else 0
        for number, sequence in enumerate(sequences):
            jobs[sequence, f"{n + 1:02d}"] = {
                "head": 30_000_000 + 1000 * wanted["seed"] + n,
                "scan": number,
                "bleeds": 0 if n % 4 == 3 else bleeds,
                "anatomy": [str(maps[n % len(maps)])] if maps else [],
                "whole_head": bool(wanted["whole_head"]),
            }
    return jobs


def write_scan(scan: Scan, folder: Path, name: str, sequence: str) -> dict[str, Path]:
    """Write a simulated scan, its true brain and its truth; their paths by kind."""
    nib.openers.Opener.default_compresslevel = 1
    folder.mkdir(parents=True, exist_ok=True)
    affine, header = scan.image.affine, scan.image.header
    label = nib.Nifti1Image(scan.lesions, affine, header)
    brain = nib.Nifti1Image(scan.brain.astype(np.uint8), affine, header)
    brain.set_data_dtype(np.uint8)
    paths = {
        "image": folder / f"{name}_{SUFFIX[sequence]}.nii.gz",
        "mask": folder / f"{name}_desc-brain_mask.nii.gz",
        "truth": folder / f"{name}_desc-truth_dseg.nii.gz",
        "lesions": folder / f"{name}_desc-truth_lesions.tsv",
    }
    for kind, image in (("image", scan.image), ("mask", brain), ("truth", label)):
        with whole(paths[kind]) as partial:
            nib.save(image, partial)
    with whole(paths["lesions"]) as partial:
        scan.truth.to_csv(partial, sep="\t", index=False)
    return paths


def describe(out: Path, source: str, made_by: str, more: str = "") -> None:
    """Write the data set's description and README, which say that everything is simulated."""
    description: Mapping[str, object] = {
        "Name": "Simulated scans with microbleeds (demonstration, no person was scanned)",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "License": "CC0",
        "GeneratedBy": [{"Name": "lesionflow", "Description": made_by}],
    }
    texts = {
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
        "README": README.format(source=source, more=f"\n{more}\n" if more else ""),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with whole(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
