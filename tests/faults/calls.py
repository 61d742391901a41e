"""Calls of the workflow that a test can disturb."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from support.paths import REPOSITORY
from support.runs import DETAILS

ERROR = re.compile(r"(error|exception|traceback|failed)\b", re.IGNORECASE)
LIMIT_S = 180  # a call that takes longer hangs
RUN = "LESIONFLOW_RUN"  # names the main process of a run in the environment of its other processes


class Outcome(NamedTuple):
    """How a call ended."""

    status: int
    text: str

    @property
    def tail(self):
        """How the call ended: its status, the first line with an error, and the last ones."""
        lines = self.text.splitlines()
        first = [number for number, line in enumerate(lines) if ERROR.search(line)][:1]
        error = " ".join(lines[first[0] : first[0] + 3]) if first else "no error was named"
        return "\n".join([f"status {self.status}: {error}", "[...]", *lines[-40:]])


class Call:
    """A call of Snakemake in a process group of its own.

    ``before`` are words in front of the command, such as those of ``setpriv``; ``env`` adds variables.
    """

    started: list["Call"] = []

    def __init__(self, directory, *args, before=(), env=None, **config):
        command = [*before, sys.executable, "-m", "snakemake"]
        command += ["--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(directory)]
        command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--cores", "2"]
        command += [*DETAILS, *args, *(["--config"] if config else [])]
        command += [f"{key}={value}" for key, value in config.items()]
        environment = {key: value for key, value in os.environ.items() if key != RUN}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, **(env or {})},
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        Call.started.append(self)

    def _read(self):
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            self._output += chunk

    @property
    def text(self):
        """What the call has said until now."""
        return self._output.decode(errors="replace")

    @property
    def running(self):
        return self.process.poll() is None

    def says(self, words, within=LIMIT_S):
        """Wait until the call has said ``words``; False if it ends before."""
        end = time.monotonic() + within
        while words not in self.text:
            if not self.running:
                return words in self.text
            assert time.monotonic() < end, (
                f"{words!r} was not said within {within} s:\n{self.text[-3000:]}"
            )
            time.sleep(0.01)
        return True

    def runs_for(self, seconds):
        """Wait; whether the call is still running afterwards."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.running

    def wait(self, limit=LIMIT_S):
        """Wait for the end of the call; a call that hangs is killed, and fails the test."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"the call hung for {limit} s:\n{self.text[-3000:]}") from None
        self._reader.join(5)  # a process that outlives the call may hold its output
        return Outcome(status, self.text)

    def helpers(self):
        """Process ids of the other processes of this run: its servers and their jobs."""
        name = f"{RUN}={self.pid}".encode()
        return [pid for pid, variables in environments() if name in variables and pid != self.pid]

    def signal(self, number, group=False):
        """Send a signal to the main process, or to its process group."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def end(self):
        """Kill what still runs of this call."""
        if self.running:
            self.signal(signal.SIGKILL, group=True)
            self.process.wait()
        for pid in self.helpers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def environments():
    """Process id and environment of every process that may be read."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                yield int(folder.name), (folder / "environ").read_bytes().split(b"\0")


def end_all():
    """Kill what still runs of every call."""
    while Call.started:
        Call.started.pop().end()
