"""Messages on the files that are hashed before a run, which may take minutes."""

import time
from collections.abc import Container
from pathlib import Path

from snakemake.logging import logger

from lesionflow.workflow.terminal import SHOWN

REPORT_S = 5  # seconds between two messages


class HashingProgress:
    """Say that files are hashed: at the first one of the cohort, and from time to time how many."""

    def __init__(self) -> None:
        self.files, self.size, self.last = 0, 0, time.monotonic()
        self.cohort: Container[str] = ()
        self.began = False

    def __call__(self, path: Path, size: int) -> None:
        """A file of ``size`` bytes is hashed."""
        self.files, self.size = self.files + 1, self.size + size
        begins = not self.began and str(path) in self.cohort
        if begins or time.monotonic() - self.last > REPORT_S:
            self.began, self.last = self.began or begins, time.monotonic()
            logger.info(
                f"reading files with another date or path, to compare their content: {path} "
                f"({self.files} files, {self.size / 1e9:.1f} GB)",
                extra=SHOWN,
            )
