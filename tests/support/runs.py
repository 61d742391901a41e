"""Real runs of the workflow."""

import re
import subprocess
import sys

from support.paths import REPOSITORY

DETAILS = ("--printshellcmds",)  # Snakemake's own output, with each job


def snakemake(directory, *args, repository=REPOSITORY, profile=None, details=DETAILS, **config):
    """Run the workflow as a user would; returns (exit status, stdout and stderr).

    The output is Snakemake's own, with each job, unless ``details`` is empty. Python profiles the main process into the file ``profile``, if one is given.
    """
    pairs = [f"{key}={value}" for key, value in config.items()]
    command = [
        sys.executable,
        *(["-m", "cProfile", "-o", str(profile)] if profile else []),
        "-m",
        "snakemake",
        "--snakefile",
        str(repository / "Snakefile"),
    ]
    command += ["--workflow-profile", str(repository / "profiles/default"), "--cores", "2"]
    command += ["--directory", str(directory), *details, *args]
    done = subprocess.run(
        [*command, *(["--config", *pairs] if pairs else [])],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    return done.returncode, done.stdout + done.stderr


def jobs(text):
    """Jobs by rule, from what a run or dry run says, without the targets."""
    table = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", text, re.S)
    if table is None:
        return {}
    rows = (line.split() for line in table[1].splitlines())
    return {rule: int(count) for rule, count in rows if rule != "all"}


def process_ids(directory, step="predict_fold"):
    """The process of each job of a step, from its log."""
    logs = sorted((directory / "logs" / step).rglob("*.log"))
    return [re.search(r"process (\d+), peak", log.read_text())[1] for log in logs]
