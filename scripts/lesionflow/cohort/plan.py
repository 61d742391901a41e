"""What a run will do: every scan of the cohort, its files, and what keeps it from being run."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lesionflow.base.errors import CohortError
from lesionflow.cards.model_card import ANY, reference
from lesionflow.cohort.header_check import Memory
from lesionflow.cohort.listing import list_scans, selected, single_file
from lesionflow.cohort.scan import EXTRAS, Scan
from lesionflow.imaging.file_types import MATLAB, NIFTI

Record = dict[str, Any]


def plan_run(
    config: Mapping[str, Any],
    cards: Mapping[str, Mapping[str, Any]],
    memory: Memory,
    mask_card: Mapping[str, Any] | None = None,
) -> list[Record]:
    """One record a scan, as plain data, sorted by name.

    Names are listed and headers looked at; no pixel is read.

    Returns
    -------
    list of dict
        ``scan, subject, session, run, folder``; ``files`` (path by channel, mask, regions, truth);
        ``content`` (mark of each file's content); ``finder`` (of the card that finds the scan's brain,
        its name, version, number of folds and threshold; None where the scan brings its mask); ``problems`` (by model ``[status, reason]``; a
        model that is not in it can be run); ``truth`` (``[status, reason]`` of the truth image, which is
        for the evaluation alone and keeps no scan from being run; empty where it was not looked for).

    Raises
    ------
    cohort.CohortError
        If the cohort cannot be listed.
    """
    cohort = Path(config["cohort"])
    patterns = config["patterns"]
    used = [*cards.values(), *([mask_card] if mask_card else [])]
    channels = list(dict.fromkeys(c for card in used for c in card["input"]["channels"]))
    channels = [c for c in channels if c != ANY]
    references = list(dict.fromkeys(reference(card["input"]) for card in cards.values()))
    endings = (*NIFTI, MATLAB) if any(c["input"]["matlab"] for c in cards.values()) else NIFTI
    scans = list_scans(cohort, {**{c: [] for c in channels}, **patterns}, references, endings)
    chosen = selected([scan.name for scan in scans], config["include"], config["exclude"])
    return [_record(scan, scan.name in chosen, config, cards, memory, mask_card) for scan in scans]


def _record(
    scan: Scan,
    chosen: bool,
    config: Mapping[str, Any],
    cards: Mapping[str, Mapping[str, Any]],
    memory: Memory,
    mask_card: Mapping[str, Any] | None,
) -> Record:
    record: Record = {
        "scan": scan.name,
        "subject": scan.subject,
        "session": scan.session,
        "run": scan.run,
        "folder": scan.folder,
        "files": {},
        "content": {},
        "problems": {},
        "finder": None,
        "truth": ["", ""],
    }
    if not chosen:
        record["problems"] = {m: ["excluded", "by include and exclude"] for m in cards}
        return record
    if scan.problem:
        record["problems"] = {m: ["unreadable", scan.problem] for m in cards}
        return record
    checked: dict[Any, tuple[str, str]] = {}
    for model, card in cards.items():
        echo = card["input"]["echo"]
        filler = card["input"]["fill_missing"]
        wanted = [
            c for c in card["input"]["channels"] if c in scan.files or c == filler or not filler
        ]
        brings = config["brain_mask"] == "auto" and "mask" in scan.files
        if brings or config["brain_mask"] == "provided":
            wanted.append("mask")
        elif mask_card:
            record["finder"] = _finder(mask_card)
            wanted += [c for c in mask_card["input"]["channels"] if c != ANY]
        if "regions" in scan.files:
            wanted.append("regions")
        for channel in wanted:
            one = None if channel in EXTRAS else echo
            matlab = card["input"]["matlab"]
            variable = matlab and matlab["variable"]
            question = channel, one, variable
            if question not in checked:
                checked[question] = _check(scan, *question, config, memory, record)
            status, reason = checked[question]
            if status != "ok":
                record["problems"][model] = [status, reason]
                break
        else:
            if clash := _without_geometry([record["files"][channel] for channel in wanted]):
                record["problems"][model] = ["header-conflict", clash]
    matlab = [c["input"]["matlab"]["variable"] for c in cards.values() if c["input"]["matlab"]]
    variable = matlab[0] if matlab else None
    record["truth"] = list(_check(scan, "truth", None, variable, config, memory, record))
    if record["truth"][0] == "ok":
        used = [path for kind, path in record["files"].items() if kind not in EXTRAS]
        if clash := _without_geometry([record["files"]["truth"], *used]):
            record["truth"] = ["truth-unusable", clash]
    return record


def _without_geometry(paths: list[str]) -> str:
    """Why files cannot be brought together, if some of them tell no geometry and others do."""
    matlab = [path for path in paths if path.endswith(MATLAB)]
    others = [path for path in paths if not path.endswith(MATLAB)]
    if not matlab or not others:
        return ""
    return (
        f"{matlab[0]} is a MATLAB file, which tells no place in space, and {others[0]} is not: nothing says "
        "how they lie to each other. Give both as MATLAB files of the same shape, or both as NIfTI"
    )


def split_truth(records: list[Record]) -> tuple[list[Record], dict[str, Record]]:
    """The records without anything of the truth, and what they said of it by scan.

    What the main road is planned by must not change with a truth image: two files hold them.
    """
    plain, truths = [], {}
    for record in records:
        one = {**record, "files": dict(record["files"]), "content": dict(record["content"])}
        truths[record["scan"]] = {
            "truth": one.pop("truth"),
            "file": one["files"].pop("truth", None),
            "content": one["content"].pop("truth", None),
        }
        plain.append(one)
    return plain, truths


def join_truth(plain: list[Record], truths: Mapping[str, Record]) -> list[Record]:
    """The records as they were before ``split_truth``."""
    records = []
    for one in plain:
        known = truths[one["scan"]]
        records.append({**one, "truth": known["truth"]})
        if known["file"] is not None:
            records[-1]["files"] = {**one["files"], "truth": known["file"]}
            records[-1]["content"] = {**one["content"], "truth": known["content"]}
    return records


def paths_of_runs(pattern: str, records: Iterable[Record], models: Iterable[str]) -> list[str]:
    """Paths of ``pattern`` for every scan and model that can be run, in the order of the records."""
    return [
        pattern.format(model=model, folder=record["folder"], scan=record["scan"])
        for record in records
        for model in models
        if model not in record["problems"]
    ]


def paths_with_truth(pattern: str, records: list[Record], models: Iterable[str]) -> list[str]:
    """The same for every scan that can be held against a truth as well.

    Raises
    ------
    CohortError
        If there is none.
    """
    known = [record for record in records if record["truth"][0] == "ok"]
    if found := paths_of_runs(pattern, known, models):
        return found
    told = next((f" ({why})" for _, why in (r["truth"] for r in records) if why), "")
    raise CohortError(
        "evaluate: no scan that can be run has a truth image: give each a label image of its true lesions in "
        f"the scan table's column truth, or beside it by the pattern truth{told}"
    )


def _finder(card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": card["name"],
        "version": card["version"],
        "folds": len(card["folds"]),
        "threshold": card["postprocess"]["threshold"],
    }


def _check(
    scan: Scan,
    channel: str,
    echo: int | None,
    variable: str | None,
    config: Mapping[str, Any],
    memory: Memory,
    record: Record,
) -> tuple[str, str]:
    globs = config["patterns"].get(channel, [])
    hint = f"folder {channel}/, or {' '.join(globs)}" if globs else f"column or folder {channel}"
    if channel == "mask":
        hint += "; brain_mask: auto computes one"
    if variable is None and any(not p.endswith(MATLAB) for p in scan.files.get(channel, [])):
        readable = [p for p in scan.files[channel] if not p.endswith(MATLAB)]
        scan = replace(scan, files={**scan.files, channel: readable})
    path, why_not = single_file(scan, channel, echo, hint)
    if not path:
        return "missing-input", why_not
    if record["files"].get(channel, path) != path:
        return "missing-input", (
            f"the models want different files for {channel}: {record['files'][channel]} and {path} "
            "(run them one at a time)"
        )
    finding = memory.inspect(Path(path), config["affine"], echo, variable)
    if finding.status != "ok":
        return finding.status, finding.reason
    record["files"][channel] = path
    record["content"][channel] = finding.content
    return "ok", ""
