"""The terminal during a run: stderr of this process and its jobs goes to a file, and one stream still leads to the terminal."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO


class KeptStderr:
    """Send stderr to Snakemake's log until ``give_back``: jobs print errors there that their own logs have as well.

    Parameters
    ----------
    stream
        Where the run is shown. If it is not stderr of this process, or the log cannot be written, nothing changes.
    log
        The file.

    Attributes
    ----------
    terminal : TextIO
        What ``stream`` led to before.
    """

    def __init__(self, stream: TextIO, log: Path):
        self.stream = self.terminal = stream
        with suppress(OSError, ValueError):  # ValueError: a stream without a file
            if stream.fileno() != 2:
                return
            file = os.open(log, os.O_WRONLY | os.O_APPEND)
            try:
                stream.flush()
                before = os.dup(2)
                os.dup2(file, 2)
            finally:
                os.close(file)
            self.terminal = os.fdopen(
                before, "w", encoding=stream.encoding, errors="backslashreplace"
            )

    def give_back(self) -> TextIO:
        """Let stderr be what it was; returns the stream."""
        if self.terminal is not self.stream:
            self.stream.flush()
            self.terminal.flush()
            os.dup2(self.terminal.fileno(), 2)
            self.terminal.close()
            self.terminal = self.stream
        return self.stream
