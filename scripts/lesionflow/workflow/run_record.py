"""The record of a run in results/run.json: its command, settings, cards and versions; and whether it has ended."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

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


def begin(plan: Path, local: bool = True, has_cohort: bool = True) -> None:
    """Record that a run has begun, in a file that ``end`` removes.

    Parameters
    ----------
    plan
        The plan of the run, which ``end`` removes too.
    local
        Whether its jobs run on this machine, and end with it.
    has_cohort
        Whether it writes tables.
    """
    process = psutil.Process()
    run = {"pid": process.pid, "created": process.create_time(), "host": socket.gethostname()}
    run |= {
        "local": local,
        "has_cohort": has_cohort,
        "started": _now(),
        "command": sys.argv,
        "plan": str(plan),
    }
    json_sidecar.write(_running(), run)


def describe(
    command: Sequence[str],
    settings: Mapping[str, Any],
    cards: Mapping[str, Mapping[str, Any]],
    repository: Path,
) -> dict[str, Any]:
    """What a run is: its command, settings, cards and versions, as JSON has them.

    Parameters
    ----------
    command
        The command that the user has given.
    settings
        The config with its defaults.
    cards
        The cards of the run by name, with the changes that the config makes to them.
    repository
        Folder of the workflow; its commit is recorded if it is a git repository, or a copy that names its commit.
    """
    record = {
        "command": list(command),
        "lesionflow_version": __version__,
        **_commit(repository),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": dict(settings),
        "models": {name: dict(card) for name, card in cards.items()},
    }
    # cards and settings may hold paths and integer keys, which JSON has as text
    return json.loads(json.dumps(record, default=str))


def write(succeeded: bool, description: Mapping[str, Any]) -> None:
    """Write the record of the run, which is about to end.

    Parameters
    ----------
    succeeded
        Whether every job ended well.
    description
        Of ``describe``.
    """
    try:
        started = json_sidecar.read(_running())["started"]
    except (OSError, ValueError, KeyError):
        started = None
    record = {"succeeded": succeeded, "started": started, "ended": _now(), **description}
    json_sidecar.write(layout.path(layout.RUN), {**record, "sha256": _digest(record)})


def problem() -> str:
    """What is wrong with the record of the last run; empty if nothing is."""
    path = layout.path(layout.RUN)
    try:
        record = dict(json_sidecar.read(path))
        return "" if record.pop("sha256") == _digest(record) else f"{path} is not as it was written"
    except (OSError, ValueError, TypeError, KeyError):
        return f"{path} is missing or damaged"


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def end(has_cohort: bool = True) -> None:
    """Record that the run has ended; if it has written tables, the records of killed runs go as well."""
    _running().unlink(missing_ok=True)
    for path, run in _runs().items():
        if has_cohort and _is_dead(run):
            path.unlink(missing_ok=True)
    plans_in_use = {run.get("plan") for run in _runs().values()}
    for plan in layout.path(layout.PLAN, digest="any").parent.glob("*.json"):
        if str(plan) not in plans_in_use:
            plan.unlink(missing_ok=True)


def interrupted() -> str:
    """A note if an earlier run was killed; empty if all have ended, or still run."""
    cohort = layout.path(layout.COHORT)
    written = cohort.stat().st_mtime_ns if cohort.is_file() else 0
    for path, run in _runs().items():
        # a run may be killed after it has written its tables
        has_cohort = run.get("has_cohort", True)
        if has_cohort and _is_dead(run) and path.stat().st_mtime_ns > written:
            note = (
                f"the run that started at {run.get('started', 'an unknown time')} was killed: until this one ends, "
                "tables and report are those of an earlier run"
            )
            if not run.get("local", True):
                note += "; jobs of it may still wait in the queue of the scheduler: cancel them, and add --unlock once"
            return note
    return ""


def all_dead() -> bool:
    """Whether every run that has not ended was killed on this machine, and left no jobs in a queue."""
    return all(_is_dead(run) and run.get("local", True) for run in _runs().values())


def _is_dead(run: Mapping[str, Any]) -> bool:
    """Whether the process of a run is known to have ended; a damaged record is that of a run that was killed."""
    if not run:
        return True
    if run.get("host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(run["pid"])
        is_another = process.create_time() != run["created"]
        return is_another or process.status() == psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return True
    except psutil.AccessDenied:
        return False


def _running() -> Path:
    """The file of this run."""
    return layout.path(layout.RUNNING, process=f"{socket.gethostname()}-{os.getpid()}")


def _runs() -> dict[Path, dict[str, Any]]:
    """The runs of this working directory that have not ended, by their files; one that is damaged has no entries."""
    runs = {}
    for path in sorted(_running().parent.glob("*.json")):
        try:
            runs[path] = dict(json_sidecar.read(path))
        except FileNotFoundError:  # it has just ended
            continue
        except (OSError, ValueError, TypeError):
            runs[path] = {}
    return runs


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(repository: Path) -> dict[str, Any]:
    """Commit of the repository and whether its files were modified; None without git or a git repository."""
    if not (repository / ".git").exists():  # it may be inside another repository
        named = repository / ".commit"
        return {"commit": named.read_text().strip() if named.exists() else None, "modified": None}
    git = ["git", "--no-optional-locks", "-C", str(repository)]
    try:
        commit, changes = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "modified": None}
    return {"commit": commit.strip(), "modified": bool(changes.strip())}
