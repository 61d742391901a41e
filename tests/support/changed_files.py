"""Runs whose files are changed: what is the same and what is computed again."""

import os
import subprocess
import sys

from support.cohorts import add_scan, blobs
from support.paths import REPOSITORY
from support.runs import jobs

TABLES = ("results/cohort.csv", "results/lesions.csv")


def planned(run, *args, **config):
    """The jobs of a dry run, by rule."""
    status, text = run("--dry-run", *args, **config)
    assert status == 0, text
    return jobs(text)


def tables(directory):
    return [(directory / name).read_bytes() for name in TABLES]


def replace_keeping_state(path, content, mtime_ns=None):
    """Write other content into a file whose date is kept, or set."""
    state = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, mtime_ns or state.st_mtime_ns))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    replace_keeping_state(path, content)


def cohort_of(directory):
    add_scan(directory / "bids", "sub-01", blobs([(8, 9, 5), (20, 22, 9)], seed=1))
    return directory


def lesions(directory):
    return len((directory / "results/lesions.csv").read_text().splitlines()) - 1


def start(directory, *args, **config):
    """Start a run as a user would, and return its process."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--workflow-profile", REPOSITORY / "profiles/default", "--cores", "2"]
    pairs = [f"{key}={value}" for key, value in config.items()]
    return subprocess.Popen(
        [*command, "--directory", directory, *args, "--config", *pairs],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
    )
