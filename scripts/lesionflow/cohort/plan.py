"""Plan of a run: every scan of the cohort, its files, and the problems that prevent its run."""

import hashlib
import json
import os
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from lesionflow.base.errors import CohortError
from lesionflow.base.file_digests import State
from lesionflow.cards.model_card import ANY, NOT_CHANNELS, Card, reference_channel
from lesionflow.cohort.dicom_directory import list_dicom_directory
from lesionflow.cohort.dicom_series import offers
from lesionflow.cohort.file_check import Record, check_file
from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.listing import check_names, list_scans, selected
from lesionflow.cohort.names import name_problem
from lesionflow.cohort.scan import Scan
from lesionflow.imaging.file_types import MATLAB, WITH_GEOMETRY, conversion
from lesionflow.imaging.nifti_header import ONE_VOLUME

CLOCK_SKEW_S = 3600  # by which the clocks of two machines may differ


def plan_run(
    settings: Mapping[str, Any],
    cards: Mapping[str, Card],
    headers: HeaderCache,
    brain_mask_card: Card | None = None,
) -> tuple[list[Record], list[str]]:
    """One record per scan, as plain data, sorted by name, and notes for the user. Headers are read, but no pixels.

    Parameters
    ----------
    settings
        The checked config.
    cards
        The cards of the run, by name.
    headers
        Cache of header checks; the caller saves it.
    brain_mask_card
        The card that computes brain masks; None if none is to be computed.

    Returns
    -------
    records : list of dict
        With the keys

        - ``scan``, ``subject``, ``session``, ``run``, ``folder``: see ``Scan``;
        - ``files``: path by channel, mask, regions, truth;
        - ``dicom``: the volume of a DICOM series by channel, as ``imaging.dicom.convert_volume`` takes it;
        - ``parts``: all files of an image that has several, by that path;
        - ``finder``: name, version, number of folds and threshold of the card that computes the brain mask
          of this scan; None if none is computed;
        - ``problems``: ``[status, reason]`` by model; models without an entry can be run;
        - ``truth``: ``[status, reason]`` of the reference segmentation, which only the evaluation uses: a scan
          is run without it; empty strings if it was not checked.
    notes : list of str
        One line for each kind of file that looks like a scan and is not listed, for each reference image that
        several scans share, and for files that are dated in the future.

    Raises
    ------
    CohortError
        If the cohort cannot be listed.
    """
    patterns = settings["patterns"]
    all_cards = [*cards.values(), *([brain_mask_card] if brain_mask_card else [])]
    channels = dict.fromkeys(c for card in all_cards for c in card["input"]["channels"] if c != ANY)
    references = dict.fromkeys(reference_channel(card["input"]) for card in cards.values())
    reads_matlab = any(card["input"]["matlab"] for card in cards.values())
    if settings["dicom"]:
        listing = check_names(list_dicom_directory(Path(settings["dicom"]), headers.dicom))
    else:
        listing = list_scans(
            Path(settings["cohort"]),
            {**{channel: [] for channel in channels}, **patterns},
            list(references),
            (*WITH_GEOMETRY, MATLAB) if reads_matlab else WITH_GEOMETRY,
            settings["scan_entities"],
        )
    scans = listing.scans
    names = selected([scan.name for scan in scans], settings["include"], settings["exclude"])
    records = [
        _record(scan, scan.name in names, settings, cards, headers, brain_mask_card)
        for scan in scans
    ]
    notes = [*listing.notes(), *_shared_images(records, references)]
    return records, [*notes, *_dated_in_the_future(headers.states)]


def _dated_in_the_future(states: Mapping[str, State | None]) -> list[str]:
    """A line if files are dated in the future."""
    latest = (time.time() + CLOCK_SKEW_S) * 1e9
    paths = [path for path, state in states.items() if state and state[1] > latest]
    if not paths:
        return []
    others = f" and {len(paths) - 1} others are" if len(paths) > 1 else " is"
    return [f"{paths[0]}{others} dated in the future: dates are not used, but a clock may be wrong"]


def _shared_images(records: list[Record], references: Container[str]) -> list[str]:
    """A line for each image that is the reference channel of several scans; runs may share other channels."""
    scans: dict[str, list[str]] = {}
    for record in records:
        paths = {os.path.realpath(p) for k, p in record["files"].items() if k in references}
        for path in paths:
            scans.setdefault(path, []).append(record["scan"])
    return [
        f"{path} is an image of {' and of '.join(names)}: the same lesions are counted for each"
        for path, names in scans.items()
        if len(names) > 1
    ]


def _record(
    scan: Scan,
    is_selected: bool,
    settings: Mapping[str, Any],
    cards: Mapping[str, Card],
    headers: HeaderCache,
    brain_mask_card: Card | None,
) -> Record:
    record: Record = {
        "scan": scan.name,
        "subject": scan.subject,
        "session": scan.session,
        "run": scan.run,
        "folder": scan.folder,
        "files": {},
        "parts": {},
        "dicom": {},
        "problems": {},
        "finder": None,
        "truth": ["", ""],
    }
    if not is_selected:
        record["problems"] = {model: ["excluded", "by include and exclude"] for model in cards}
        return record
    if problem := scan.problem or name_problem(scan.name):
        record["problems"] = {model: ["unreadable", problem] for model in cards}
        return record
    has_mask = settings["brain_mask"] == "auto" and "mask" in scan.files
    if has_mask or settings["brain_mask"] == "provided":
        other_files = ["mask"]
    elif brain_mask_card:
        record["finder"] = _card_summary(brain_mask_card)
        other_files = [c for c in brain_mask_card["input"]["channels"] if c != ANY]
    else:
        other_files = []
    if "regions" in scan.files:
        other_files.append("regions")
    checked: dict[Any, tuple[str, str]] = {}
    for model, card in cards.items():
        input_spec = card["input"]
        filler, matlab = input_spec["fill_missing"], input_spec["matlab"]
        needed = [
            channel
            for channel in input_spec["channels"]
            if channel in scan.files
            or channel == filler
            or not filler
            or (scan.archive and offers(scan.archive, channel, settings["dicom_series"]))
        ]
        needed += other_files
        for channel in needed:
            echo = ONE_VOLUME if channel in NOT_CHANNELS else input_spec["echo"]
            options = channel, echo, matlab and matlab["variable"]
            if options not in checked:
                checked[options] = check_file(scan, *options, settings, headers, record)
            status, reason = checked[options]
            if status != "ok":
                record["problems"][model] = [status, reason]
                break
        else:
            if reason := _missing_geometry([record["files"][channel] for channel in needed]):
                record["problems"][model] = ["header-conflict", reason]
    matlab_specs = [card["input"]["matlab"] for card in cards.values() if card["input"]["matlab"]]
    variable = matlab_specs[0]["variable"] if matlab_specs else None
    record["truth"] = list(
        check_file(scan, "truth", ONE_VOLUME, variable, settings, headers, record)
    )
    if record["truth"][0] == "ok":
        images = [path for kind, path in record["files"].items() if kind not in NOT_CHANNELS]
        if reason := _missing_geometry([record["files"]["truth"], *images]):
            record["truth"] = ["truth-unusable", reason]
    return record


def _missing_geometry(paths: list[str]) -> str:
    """Why files cannot be aligned, if some of them have no geometry and others do; else empty."""
    matlab = [path for path in paths if path.endswith(MATLAB)]
    nifti = [path for path in paths if not path.endswith(MATLAB)]
    if not matlab or not nifti:
        return ""
    return (
        f"{matlab[0]} is a MATLAB file, which has no position in space, and {nifti[0]} is not: they cannot be "
        "aligned. Use MATLAB files of the same shape for both, or NIfTI files for both"
    )


def plan_digest(records: list[Record]) -> str:
    """Digest of what the tables of the cohort show of a plan.

    It is the same wherever the files of the cohort lie, and whatever reference segmentations there are.
    """
    shown = []
    for record in records:
        files = sorted(
            (kind, conversion(path)) for kind, path in record["files"].items() if kind != "truth"
        )
        shown.append({**record, "files": files, "parts": None, "dicom": None, "truth": None})
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def paths_of_runs(pattern: str, records: Iterable[Record], models: Iterable[str]) -> list[str]:
    """Paths of ``pattern`` for every scan and model that can be run, in the order of the records.

    Parameters
    ----------
    pattern
        With the fields ``{model}``, ``{folder}`` and ``{scan}``.
    records
        The plan.
    models
        Names of the cards.
    """
    return [
        pattern.format(model=model, folder=record["folder"], scan=record["scan"])
        for record in records
        for model in models
        if model not in record["problems"]
    ]


def paths_with_reference(pattern: str, records: list[Record], models: Iterable[str]) -> list[str]:
    """``paths_of_runs`` for the scans that have a usable reference segmentation.

    Raises
    ------
    CohortError
        If there is none.
    """
    usable = [record for record in records if record["truth"][0] == "ok"]
    if paths := paths_of_runs(pattern, usable, models):
        return paths
    reason = next((f" ({why})" for _, why in (r["truth"] for r in records) if why), "")
    raise CohortError(
        "evaluate: no scan that can be run has a reference segmentation: put label images of the reference "
        "lesions into the scan table's column truth, or beside the scans with names that match the pattern "
        f"truth{reason}"
    )


def _card_summary(card: Card) -> dict[str, Any]:
    return {
        "name": card["name"],
        "version": card["version"],
        "folds": len(card["folds"]),
        "threshold": card["postprocess"]["threshold"],
    }
