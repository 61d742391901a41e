"""The lesions of a scan as they are now, on which the decisions of reviewers are placed."""

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import sub
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow.base import json_sidecar, layout
from lesionflow.base.errors import DamagedFileError, ReviewError
from lesionflow.results.reviews.lesion_voxels import check_inside, decode
from lesionflow.results.reviews.review_file import AGAIN, Decision

SAME_MM = 1e-3  # of places that the tables give with four decimals


@dataclass(frozen=True)
class CurrentLesions:
    """Lesions of a scan under a model.

    Attributes
    ----------
    scan_sha256, lesion_map_sha256
        Digests of the scan and of its lesion map.
    affine : array (4, 4)
        Of the scan, to RAS+ mm.
    shape
        Of the scan.
    rows : list of dict
        Rows of lesions.csv, each cell as text.
    voxels
        Of each lesion (``lesion_voxels.encode``), by number.
    labels
        Names of the labels of the model.
    """

    scan_sha256: str
    lesion_map_sha256: str
    affine: np.ndarray
    shape: tuple[int, int, int]
    rows: list[dict[str, str]]
    voxels: Mapping[int, str]
    labels: Collection[str]

    @cached_property
    def by_number(self) -> dict[int, dict[str, str]]:
        """The rows by the number of the lesion."""
        return {int(row["lesion"]): row for row in self.rows}

    def kept(self, number: int) -> bool:
        """Whether a lesion is counted."""
        return self.by_number[number]["kept"] == "true"

    def indices(self, number: int) -> np.ndarray:
        """Indices (n,) of the voxels of a lesion in Fortran order."""
        return decode(self.voxels[number], self.shape)

    @cached_property
    def numbers_by_voxel(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices (n,), ascending, of the voxels of all lesions in Fortran order, and the number of each one's lesion."""
        groups = [self.indices(number) for number in self.voxels]
        numbers = np.repeat(list(self.voxels), [len(group) for group in groups]).astype(int)
        indices = np.concatenate([np.empty(0, int), *groups])
        order = np.argsort(indices)
        return indices[order], numbers[order]

    def at(self, indices: np.ndarray) -> set[int]:
        """Numbers of the lesions that hold any of these voxels."""
        known, numbers = self.numbers_by_voxel
        return set(numbers[np.isin(known, indices)].tolist())


def read_current(
    results: Path, wildcards: Mapping[str, Any], labels: Collection[str]
) -> CurrentLesions:
    """Read the lesions of a scan with results.

    Parameters
    ----------
    results
        Folder of the results.
    wildcards
        ``scan_status.scan_wildcards``.
    labels
        Names of the labels of the model.

    Raises
    ------
    DamagedFileError, FileNotFoundError
        If a file is not as the steps write it.
    """
    image = json_sidecar.read(layout.path(layout.ORIG_LESIONS_SIDECAR, results, **wildcards))
    about = json_sidecar.read(layout.path(layout.MODEL_LABELS_SIDECAR, results, **wildcards))
    table = layout.path(layout.SCAN_LESIONS, results, **wildcards)
    try:
        with table.open(encoding="utf-8", newline="") as file:  # pandas takes long to import
            rows = list(csv.DictReader(file, delimiter="\t"))
        return CurrentLesions(
            about["input_sha256"],
            image["lesion_map_sha256"],
            np.array(image["affine"], float),
            tuple(image["shape"]),
            rows,
            {int(row["lesion"]): image["voxels"][row["lesion"]] for row in rows},
            labels,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(table, "the lesions of a lesion map", repr(error)) from error


def check_described(decisions: Iterable[Decision], current: CurrentLesions) -> None:
    """Check that lesions are described as in the lesion map on which the decisions were made, if it is the current one.

    Raises
    ------
    ReviewError
        If a row names a lesion that the map lacks, or states another label, place or voxels; or if voxels lie outside
        the scan.
    """
    for row in decisions:
        if row.scan_sha256 != current.scan_sha256 or row.label not in current.labels:
            continue
        try:
            _check_inside(row, current)
        except ValueError as error:
            raise ReviewError(f"{row.source}: {error}: {AGAIN}") from error
        if not row.lesion or row.lesion_map_sha256 != current.lesion_map_sha256:
            continue
        lesion = current.by_number.get(row.lesion)
        if lesion is None:
            problem = f"the lesion map of {row.scan} has no lesion {row.lesion}"
        elif row.label != lesion["label"]:
            problem = f"lesion {row.lesion} of {row.scan} is labelled {lesion['label']!r}, not {row.label!r}"
        elif not _same_place(row, lesion):
            x, y, z = (lesion[axis] for axis in ("x_mm", "y_mm", "z_mm"))
            problem = (
                f"lesion {row.lesion} of {row.scan} lies at {x}, {y}, {z} mm, not at {row.place_mm}"
            )
        elif row.voxels != current.voxels[row.lesion]:
            problem = f"lesion {row.lesion} of {row.scan} has other voxels than the row states"
        else:
            continue
        raise ReviewError(f"{row.source}: {problem}: {AGAIN}")


def _check_inside(row: Decision, current: CurrentLesions) -> None:
    """Raise ``ValueError`` if the voxels of a lesion, or a marked place, lie outside the scan."""
    if row.lesion:
        check_inside(row.voxels, current.shape)
    elif row.place_mm:
        index = apply_affine(np.linalg.inv(current.affine), row.place_mm)
        if (index < -1).any() or (index > current.shape).any():  # a voxel beside it is no mistake
            raise ValueError(f"{row.place_mm} mm lies outside the scan")


def _same_place(row: Decision, lesion: Mapping[str, str]) -> bool:
    place = [float(lesion[axis]) for axis in ("x_mm", "y_mm", "z_mm")]
    return max(map(abs, map(sub, row.place_mm or (), place)), default=np.inf) <= SAME_MM


def check_with_results(
    decisions: Iterable[Decision],
    plan: Iterable[Mapping[str, Any]],
    labels: Mapping[str, Collection[str]],
    results: Path,
) -> None:
    """``check_described`` of all scans that have results of an earlier run, before a run.

    Parameters
    ----------
    decisions
        Of ``review_file.read_reviews``.
    plan
        One record per scan.
    labels
        Names of the labels of each model.
    results
        Folder of the results.
    """
    by_scan: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        by_scan.setdefault((decision.scan, decision.model), []).append(decision)
    folders = {record["scan"]: record["folder"] for record in plan}
    for (scan, model), of_scan in by_scan.items():
        if model not in labels:
            continue
        wildcards = {"model": model, "scan": scan, "folder": folders[scan]}
        try:
            current = read_current(results, wildcards, labels[model])
        except (OSError, DamagedFileError):
            continue  # the run makes the files again, and checks then
        check_described(of_scan, current)
