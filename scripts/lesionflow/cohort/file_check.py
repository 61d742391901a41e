"""The file of a scan for a channel: chosen, checked, and entered into the plan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lesionflow.cards.model_card import NOT_CHANNELS
from lesionflow.cohort.dicom_archive import cell_parts, names_dicom
from lesionflow.cohort.dicom_series import Volume, choose_volume
from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.listing import single_file
from lesionflow.cohort.names import path_problem, printable
from lesionflow.cohort.scan import Scan
from lesionflow.imaging.file_types import MATLAB

Record = dict[str, Any]  # one scan of the plan, as JSON stores it; ``plan.plan_run`` lists the keys


def check_file(
    scan: Scan,
    channel: str,
    echo: int | None,
    variable: str | None,
    settings: Mapping[str, Any],
    headers: HeaderCache,
    record: Record,
) -> tuple[str, str]:
    """Status and reason of one file of a scan; its path goes into the record if it is ok.

    Parameters
    ----------
    scan
        The scan with its candidates.
    channel
        A channel, ``mask``, ``regions`` or ``truth``.
    echo, variable
        As in ``header_check.inspect``.
    settings
        The checked config.
    headers
        Cache of header checks.
    record
        The scan in the plan.
    """
    cells = scan.files.get(channel, [])
    cell = cells[0] if len(cells) == 1 else ""
    if scan.archive or (cell and names_dicom(cell_parts(cell)[0])):
        globs = settings["dicom_series"]
        volume, status, reason = _dicom_volume(scan, channel, cell, globs, echo, headers)
        if volume is None:
            return status, printable(reason)
        record["dicom"][channel] = {
            "kind": volume.kind,
            "echo_time": volume.echo_time,
            "whole": volume.is_whole,
        }
        headers.watch(volume.paths)
        return _enter(record, channel, volume.paths)
    globs = settings["patterns"].get(channel, [])
    hint = f"folder {channel}/, or {' '.join(globs)}" if globs else f"column or folder {channel}"
    if channel == "mask":
        hint += "; brain_mask: auto computes one"
    not_matlab = [path for path in cells if not path.endswith(MATLAB)]
    if variable is None and not_matlab:
        scan = replace(scan, files={**scan.files, channel: not_matlab})
    path, reason = single_file(scan, channel, echo or None, hint)
    if not path:
        return "missing-input", printable(reason)
    if reason := path_problem(path):
        return "unreadable", reason
    files = headers.files(Path(path))
    finding = headers.inspect(Path(files[0]), settings["affine"], echo, variable)
    if finding.status != "ok":
        return finding.status, finding.reason
    return _enter(record, channel, files)


def _dicom_volume(
    scan: Scan,
    channel: str,
    cell: str,
    globs: Mapping[str, list[str]],
    echo: int | None,
    headers: HeaderCache,
) -> tuple[Volume | None, str, str]:
    """The volume for a channel, or None with a status and its reason."""
    if channel in NOT_CHANNELS:
        if scan.archive:
            return (
                None,
                "missing-input",
                f"no file for {channel}: a directory of DICOM files has none",
            )
        return None, "unreadable", f"{cell} is DICOM or a folder, which a {channel} image cannot be"
    archive, series = (scan.archive, "") if scan.archive else headers.dicom.cell(cell)
    foreign = [glob for other, of_other in globs.items() if other != channel for glob in of_other]
    return choose_volume(archive, channel, globs.get(channel, []), echo, series, foreign)


def _enter(record: Record, channel: str, files: list[str]) -> tuple[str, str]:
    """Enter the files of an image into the record, of which the first stands for all."""
    path, known = files[0], record["files"].get(channel, files[0])
    if known != path:
        return "missing-input", (
            f"the models need different files for {channel}: {known} and {path} (run them one at a time)"
        )
    record["files"][channel] = path
    if len(files) > 1:
        record["parts"][path] = files
    return "ok", ""
