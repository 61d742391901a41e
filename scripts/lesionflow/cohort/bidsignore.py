"""Which images the file ``.bidsignore`` of a BIDS directory excludes.

The file tells the validator which names are not to be judged. BIDS has no suffix for SWI, so a valid dataset with SWI names
its images there, and they are scans all the same. What names a subject, a session or a single image excludes it.
"""

import re
from pathlib import Path

import pathspec

KNOWN = "anat", "T2starw"  # a folder and a suffix of BIDS


class IgnoredFiles:
    """The patterns of ``.bidsignore``, which are those of ``.gitignore``.

    Parameters
    ----------
    root
        The BIDS directory; nothing is excluded if it has no such file.
    """

    def __init__(self, root: Path):
        file = root / ".bidsignore"
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        self._patterns = pathspec.GitIgnoreSpec.from_lines(lines)

    def excludes(self, path: str) -> bool:
        """Whether an image is excluded.

        It is if a name of BIDS in its place would be, or if the same image of another subject would not be: then the pattern
        is about this subject or scan, and not about names that BIDS lacks.

        Parameters
        ----------
        path
            Path of the image relative to the BIDS directory, as ``sub-01/swi/sub-01_swi.nii.gz``.
        """
        if not self._patterns.match_file(path):
            return False
        parts = Path(path).parts
        subject = parts[0]
        name = re.sub(r"_[A-Za-z0-9]+(?=\.)", f"_{KNOWN[1]}", parts[-1], count=1)
        named = "/".join([*parts[:-2], KNOWN[0], name])
        another = path.replace(subject, "sub-another")
        return self._patterns.match_file(named) or not self._patterns.match_file(another)
