"""One acquisition of one subject in one session."""

import re
from dataclasses import dataclass, field

from lesionflow.cohort.dicom_series import Archive

IN_NAMES = ("acq", "ce", "rec", "dir", "run", "flip", "inv", "chunk")  # in the order of BIDS


@dataclass
class Scan:
    """One acquisition of one subject in one session, and its files.

    Attributes
    ----------
    subject, session, run
        Labels in the cohort, without ``sub-``, ``ses-`` and ``run-``; empty if there is none.
    files
        Paths of every candidate by channel (or mask, regions, truth). If there are several, the user
        has to choose.
    problem
        Why its folders could not be listed; empty if there is no problem.
    entities
        Labels of the entities that the config key ``scan_entities`` names; empty ones are not part of the name.
    reference
        The reference channel, of which a session can have several scans; empty if the cohort is a table.
    archive
        The DICOM volumes of which its files are chosen, if the cohort is a directory of DICOM files.
    """

    subject: str
    session: str = ""
    run: str = ""
    files: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""
    entities: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    archive: Archive | None = None

    @property
    def name(self) -> str:
        """Unique name of the scan, such as ``sub-01``, ``sub-01_ses-2`` or ``sub-01_ses-2_acq-high_run-1``."""
        labels = {"run": self.run, **self.entities}
        parts = {"sub": self.subject, "ses": self.session}
        parts |= {key: labels[key] for key in IN_NAMES if key in labels}
        return "_".join(f"{key}-{label(value)}" for key, value in parts.items() if value)

    @property
    def folder(self) -> str:
        """Folder of its results, as in BIDS derivatives: ``sub-01[/ses-2]/anat``."""
        session = f"/ses-{label(self.session)}" if self.session else ""
        return f"sub-{label(self.subject)}{session}/anat"


@dataclass
class Listing:
    """The scans of a cohort, and what looks like a scan but is not listed.

    Attributes
    ----------
    scans
        Sorted by name.
    left_out
        Paths of files and folders, by reason.
    """

    scans: list[Scan]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """One line for each reason to leave files out, with the first of them."""
        return [
            f"not listed: {paths[0]}"
            + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
            + f" ({reason})"
            for reason, paths in self.left_out.items()
        ]


def label(text: str) -> str:
    """``text`` as a BIDS label: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", text)
