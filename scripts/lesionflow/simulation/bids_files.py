"""Write simulated scans to a BIDS directory that states that no person was scanned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ConfigError
from lesionflow.simulation.label_maps import label_maps_in
from lesionflow.simulation.scan import Scan

SUFFIX = {  # of BIDS, by sequence; BIDS has none for SWI
    "swi": "swi",
    "t2star": "T2starw",
    "t1": "T1w",
    "flair": "FLAIR",
    "pd": "PDw",
    "t2": "T2w",
}
BESIDE = {  # files written beside a scan, by kind
    "mask": "desc-brain_mask.nii.gz",
    "truth": "desc-truth_dseg.nii.gz",
    "lesions": "desc-truth_lesions.tsv",
}
DEFAULTS: dict[str, Any] = {  # of the keys of rules/simulate.smk
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
deformed, with simulated veins and microbleeds. They show how lesionflow works and are of no other use.
{more}
Beside each scan are its brain mask and the reference segmentation: *_desc-truth_lesions.tsv has the number of
each microbleed, its position (world mm, RAS+), region, volume and diameter; *_desc-truth_dseg.nii.gz has the
numbers on the grid of the scan.
"""


def simulation_jobs(config: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Simulation jobs by BIDS suffix and subject, with sequence, seeds and anatomy.

    Parameters
    ----------
    config
        Any of ``DEFAULTS``: a folder of label maps, which are used in turn (None: the MNI152 template);
        the number of scans per sequence; sequences, as a list or separated by commas; the largest number of
        microbleeds of a head (every fourth head has none); whether face and neck are in the field of view;
        the voxel size in plane and the slice thickness in mm, and the orientation of the stored array, as in
        ``simulated_scan`` (None: random for each scan); a seed. A subject is the same head in every sequence,
        and the same scan whatever else is simulated.

    Raises
    ------
    ConfigError
        If a key or a value is invalid.
    """
    if unknown := sorted(set(config) - set(DEFAULTS)):
        raise ConfigError(f"{', '.join(unknown)}: not one of {', '.join(DEFAULTS)}")
    options = {**DEFAULTS, **config}
    for key in ("scans", "bleeds", "seed"):
        if type(options[key]) is not int or options[key] < 0:
            raise ConfigError(f"{key}: {options[key]!r} is not a whole number from 0")
    sequences = _listed(options["sequences"])
    if strange := [s for s in sequences if s not in SUFFIX]:
        raise ConfigError(f"sequences: {strange[0]!r} is not one of {', '.join(SUFFIX)}")
    whole_head = {"true": True, "false": False}.get(str(options["whole_head"]).lower())
    if whole_head is None:
        raise ConfigError(f"whole_head: {options['whole_head']!r} is not true or false")
    spacing, code = _spacing(options["spacing_mm"]), options["orientation"]
    if code is not None and sorted(_axes(code)) != ["A", "R", "S"]:
        raise ConfigError(f"orientation: {code!r} is not an axis code such as RAS or LPI")
    if not isinstance(options["anatomies"], str | Path | None):
        raise ConfigError(f"anatomies: {options['anatomies']!r} is not a folder")
    maps = label_maps_in(Path(options["anatomies"])) if options["anatomies"] else []
    rng = np.random.default_rng([options["seed"], 14])
    jobs = {}
    for n in range(options["scans"]):
        bleeds = int(rng.integers(1, options["bleeds"] + 1)) if options["bleeds"] else 0
        for sequence in sequences:
            jobs[SUFFIX[sequence], f"{n + 1:02d}"] = {
                "sequence": sequence,
                "head": 30_000_000 + 1000 * options["seed"] + n,
                "scan": list(SUFFIX).index(sequence),
                "bleeds": 0 if n % 4 == 3 else bleeds,
                "anatomy": [str(maps[n % len(maps)])] if maps else [],
                "whole_head": whole_head,
                "spacing_mm": spacing,
                "orientation": code,
            }
    return jobs


def _listed(value: Any) -> list[Any]:
    parts = value.split(",") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, list | tuple) else [parts]
    return [part.strip() if isinstance(part, str) else part for part in parts]


def _spacing(value: Any) -> list[float] | None:
    """In plane twice and slice thickness, mm, of two or three numbers, as a list or separated by commas."""
    if value is None:
        return None
    try:
        sizes = [float(part) for part in _listed(value)]
    except (TypeError, ValueError):
        sizes = []
    if len(sizes) == 3 and sizes[0] == sizes[1]:
        sizes = sizes[1:]
    if len(sizes) != 2 or not all(0.3 <= size <= 10 for size in sizes):
        raise ConfigError(
            f"spacing_mm: {value!r} is not the voxel size in plane and the slice thickness, from 0.3 to 10 mm"
        )
    return [sizes[0], sizes[0], sizes[1]]


def _axes(code: Any) -> str:
    return str(code).translate(str.maketrans("LPI", "RAS"))


def write_scan(scan: Scan, folder: Path, name: str, sequence: str) -> dict[str, Path]:
    """Write a simulated scan, its brain mask and its lesions; return the paths by kind."""
    nib.openers.Opener.default_compresslevel = 1
    folder.mkdir(parents=True, exist_ok=True)
    affine, header = scan.image.affine, scan.image.header
    label = nib.Nifti1Image(scan.lesions, affine, header)
    brain = nib.Nifti1Image(scan.brain.astype(np.uint8), affine, header)
    brain.set_data_dtype(np.uint8)
    paths = {kind: folder / f"{name}_{ending}" for kind, ending in BESIDE.items()}
    paths["image"] = folder / f"{name}_{SUFFIX[sequence]}.nii.gz"
    for kind, image in (("image", scan.image), ("mask", brain), ("truth", label)):
        with write_atomically(paths[kind]) as partial:
            nib.save(image, partial)
    with write_atomically(paths["lesions"]) as partial:
        scan.table.to_csv(partial, sep="\t", index=False)
    return paths


def describe(out: Path, source: str, made_by: str, more: str = "") -> None:
    """Write dataset_description.json and README, which state that the data are simulated."""
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
        with write_atomically(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
