"""One acquisition of one subject in one session."""

import re
from dataclasses import dataclass, field

EXTRAS = ("mask", "regions", "truth")  # files beside a scan that are no channel


@dataclass
class Scan:
    """One acquisition of one subject in one session, and the files that were found for it.

    ``files`` holds every candidate of a channel; more than one is a question for the user.
    ``problem`` is why its folders could not be listed, if so.
    """

    subject: str
    session: str = ""
    run: str = ""
    files: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""

    @property
    def name(self) -> str:
        """``sub-01``, ``sub-01_ses-2``, ``sub-01_ses-2_run-1``."""
        parts = {"sub": self.subject, "ses": self.session, "run": self.run}
        return "_".join(f"{key}-{label(value)}" for key, value in parts.items() if value)

    @property
    def folder(self) -> str:
        """Folder of its results in a BIDS derivatives dataset: ``sub-01[/ses-2]/anat``."""
        session = f"/ses-{label(self.session)}" if self.session else ""
        return f"sub-{label(self.subject)}{session}/anat"


def label(text: str) -> str:
    """``text`` as a BIDS label: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", text)
