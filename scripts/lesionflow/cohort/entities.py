"""BIDS entities of file names, and the scans that the files of a session belong to."""

import re
from collections.abc import Mapping, Sequence

from lesionflow.cards.model_card import NOT_CHANNELS
from lesionflow.cohort.scan import IN_NAMES, Scan

ENTITY = re.compile(rf"(?:^|_)(sub|ses|{'|'.join(IN_NAMES)}|echo|part)-([A-Za-z0-9]+)(?=_|\.|$)")
NOT_MAGNITUDE = {"phase", "real", "imag"}
PROJECTIONS = {"minip", "mip", "mnip"}  # over several slices: of a lesion they show the shadow
Match = tuple[str, str, dict[str, str]]  # channel, path and BIDS entities of an image


def entities_of(name: str) -> dict[str, str]:
    """The BIDS entities of a file name."""
    return dict(ENTITY.findall(name))


def is_projection(name: str) -> bool:
    """Whether a file name says that the image is a minimum or maximum intensity projection."""
    parts = (part for part in name.split(".")[0].split("_") if part[:4] not in ("sub-", "ses-"))
    return any(part.rpartition("-")[2].lower() in PROJECTIONS for part in parts)


def group_files(
    subject: str,
    session: str,
    matches: Sequence[Match],
    references: Sequence[str],
    scan_entities: Sequence[str] = (),
) -> list[Scan]:
    """The scans of a session: the reference channel's files by run and by ``scan_entities``.

    The reference channel is the first of the models' reference channels that has a file. Of another channel, a scan
    has the files that share its run and entities, or else those that have none of them; a scan without a run
    takes files of any run. If there are none, images of another channel, whose ``acq`` means something else, are taken
    whatever their entities but their run; a mask, regions and a reference segmentation are not.

    Parameters
    ----------
    subject, session
        As in ``Scan``.
    matches
        The images of the session.
    references
        Reference channels in the order of the models.
    scan_entities
        Config key.
    """
    keys = ("run", *scan_entities)
    values: dict[str, dict[tuple[str, ...], None]] = {}
    for channel, _, entities in matches:
        values.setdefault(channel, {})[tuple(entities.get(key, "") for key in keys)] = None
    reference = next((channel for channel in references if channel in values), "")
    scans = []
    for of_scan in sorted(values.get(reference, {("",) * len(keys): None})):
        named = dict(zip(keys, of_scan, strict=True))
        run = named.pop("run")
        scan = Scan(subject, session, run, entities=named, reference=reference)
        for channel in values:
            files = [(path, entities) for c, path, entities in matches if c == channel]
            if channel == reference:
                paths = [p for p, e in files if all(e.get(k, "") == v for k, v in _of(scan))]
            else:
                paths = _nearest(scan, files, keys)
                if not paths and channel not in NOT_CHANNELS:
                    paths = _nearest(scan, files, ("run",))
            if paths:
                scan.files[channel] = paths
        scans.append(scan)
    return scans


def _of(scan: Scan) -> list[tuple[str, str]]:
    return [("run", scan.run), *scan.entities.items()]


def _nearest(
    scan: Scan, files: Sequence[tuple[str, Mapping[str, str]]], keys: Sequence[str]
) -> list[str]:
    """The files that contradict none of a scan's entities, and of these, those that share the most with it."""
    values = [(key, value) for key, value in _of(scan) if key in keys]
    shared: dict[int, list[str]] = {}
    for path, entities in files:
        of_file = [entities.get(key, "") for key, _ in values]
        pairs = [(other, value) for other, (_, value) in zip(of_file, values, strict=True)]
        if all(other == value or not other or not value for other, value in pairs):
            n_shared = sum(other == value for other, value in pairs)
            shared.setdefault(n_shared, []).append(path)
    return shared[max(shared)] if shared else []


def separating_entities(names: Sequence[str]) -> list[str]:
    """The entities other than the run in which file names differ, if these make the names of scans differ."""
    entities = [entities_of(name) for name in names]
    keys = [k for k in IN_NAMES if k != "run" and len({e.get(k, "") for e in entities}) > 1]
    separated = {tuple(e.get(key, "") for key in keys) for e in entities}
    return keys if len(separated) == len(names) else []
