"""The record of a run in results/run.json: its command, settings, cards and versions; and whether it has ended."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lesionflow import __version__
from lesionflow.base import json_sidecar, layout

PACKAGES = (
    "snakemake",
    "nibabel",
    "numpy",
    "scipy",
    "simpleitk",
    "tensorflow",
    "keras",
    "openvino",
)


def begin() -> None:
    """Record that a run has begun, in a file that ``finish`` removes."""
    process = {"pid": os.getpid(), "host": socket.gethostname(), "started": _now()}
    json_sidecar.write(layout.RUNNING, {**process, "command": sys.argv})


def finish(
    succeeded: bool,
    settings: Mapping[str, Any],
    cards: Mapping[str, Mapping[str, Any]],
    repository: Path,
) -> None:
    """Write the record of the run that ends.

    Parameters
    ----------
    succeeded
        Whether every job ended well.
    settings
        The config with its defaults.
    cards
        The cards of the run by name, with the changes that the config makes to them.
    repository
        Folder of the workflow; its commit is recorded if it is a git repository.
    """
    try:
        started = json_sidecar.read(layout.RUNNING)["started"]
    except (OSError, ValueError, KeyError):
        started = None
    record = {
        "succeeded": succeeded,
        "started": started,
        "ended": _now(),
        "command": sys.argv,
        "lesionflow_version": __version__,
        **_commit(repository),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": dict(settings),
        "models": {name: dict(card) for name, card in cards.items()},
    }
    # cards and settings may hold paths and integer keys, which JSON has as text
    json_sidecar.write(layout.path(layout.RUN), json.loads(json.dumps(record, default=str)))
    layout.RUNNING.unlink(missing_ok=True)


def interrupted() -> str:
    """A note if the last run was killed; empty if it ended, or still runs."""
    try:
        last = json_sidecar.read(layout.RUNNING)
        pid, host, started = last["pid"], last["host"], last["started"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        pid, host, started = 0, "", "an unknown time"
    if host not in ("", socket.gethostname()) or (pid and Path(f"/proc/{pid}").exists()):
        return ""
    cohort = layout.path(layout.COHORT)
    if cohort.is_file() and cohort.stat().st_mtime_ns > layout.RUNNING.stat().st_mtime_ns:
        return ""  # it was killed after it had written its tables
    return (
        f"the run that started at {started} was killed: until this one ends, tables and report are those of an "
        "earlier run (if the directory is locked, add --unlock once)"
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(repository: Path) -> dict[str, Any]:
    """Commit of the repository and whether its files were modified; None without git or a git repository."""
    git = ["git", "--no-optional-locks", "-C", str(repository)]
    try:
        commit, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "modified": None}
    return {"commit": commit.strip(), "modified": bool(changes.strip())}
