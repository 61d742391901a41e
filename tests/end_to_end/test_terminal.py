"""What a run shows on the terminal: one line per scan, and a summary at the end."""

import os
import pty
import sys
from pathlib import Path

import numpy as np
import pytest

from support.cohorts import AFFINE, add_scan, blobs
from support.paths import REPOSITORY
from support.runs import snakemake
from support.volumes import save_scan

pytestmark = pytest.mark.slow

LEFT_OUT = "sub-03: unreadable: bids/sub-03/anat/sub-03_swi.nii.gz is empty (0 bytes)"
FAILED = "sub-01_ses-2: failed:mask: the brain mask is empty"


@pytest.fixture
def changed(again):
    """A finished run of three scans, then one edited, one with an empty mask, and an empty fourth one."""
    directory, run = again
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    mask = "bids/sub-01/ses-2/anat/sub-01_ses-2_desc-brain_mask.nii.gz"
    save_scan(directory / mask, np.zeros(blobs([]).shape, np.uint8), AFFINE)
    (directory / "bids/sub-03/anat").mkdir(parents=True)
    (directory / "bids/sub-03/anat/sub-03_swi.nii.gz").touch()

    return directory, run.config


def in_a_terminal(directory, config):
    """Run the workflow in a pseudo-terminal; returns (exit status, output)."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(directory), "--cores", "2", "--config"]
    command += [f"{key}={value}" for key, value in config.items()]
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.execve(command[0], command, {**os.environ, "TERM": "xterm"})
    output = b""
    try:
        while chunk := os.read(terminal, 65536):
            output += chunk
    except OSError:  # the process has ended
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return status, output.decode(errors="replace")


def test_a_dry_run_ends_with_the_scans_that_it_would_compute_and_why(changed):
    directory, config = changed
    status, text = snakemake(directory, "--dry-run", details=(), **config, threshold=0.9)
    assert status == 0, text
    summary = text[text.index("A run would compute") :].splitlines()
    assert summary[:7] == [
        "A run would compute",
        "  1 of 4 scans: threshold changed from 0.85 to 0.9: sub-01_ses-1",
        "  1 of 4 scans: its mask changed: sub-01_ses-2",
        "  1 of 4 scans: its file changed: sub-02",
        "  and the tables and the report",
        "1 scan left out:",
        f"  {LEFT_OUT}",
    ]
    assert "rule " not in text


def test_a_run_shows_one_line_per_scan_and_ends_with_a_summary(changed):
    directory, config = changed
    status, text = snakemake(directory, details=(), **config)
    assert status == 1, text
    lines = text.splitlines()
    (finished,) = [line for line in lines if line.startswith("sub-02 ")]
    assert "  1 lesion, " in finished and "1 of 2 scans done" in finished
    (failed,) = [line for line in lines if "failed at" in line]
    assert failed.startswith("sub-01_ses-2  failed at mask: the brain mask is empty")
    end = lines.index(next(line for line in lines if line.startswith("The run failed")))
    assert lines[end + 1 : end + 4] == [
        "2 of 4 scans ok, 1 failed:mask, 1 unreadable",
        f"  {FAILED}",
        f"  {LEFT_OUT}",
    ]
    assert f"Tables: {directory}/results/cohort.csv, lesions.csv" in lines
    assert f"Report: {directory}/results/report.html" in lines
    assert text.count("scans ok") == 1  # none of the processes of the jobs has a summary
    assert len(lines) < 20
    assert not any(words in text for words in ("rule ", "Traceback", "oneDNN", "\x1b"))

    (log,) = [line.split(": ")[1] for line in lines if line.startswith("Log of all jobs")]
    jobs = Path(log).read_text(encoding="utf-8")
    assert "rule mask:" in jobs and "2 of 4 scans ok" in jobs

    # once more in a terminal: the scan fails again, and the last line is drawn again and gone in the end
    status, text = in_a_terminal(directory, config)
    assert status == 1, text
    states = [part for part in text.split("\r\x1b[K") if "0 of 1 done" in part]
    assert "step 0 of" in states[0] and len(states) > 1
    assert f"  {FAILED}\r\n" in text and text.endswith(".snakemake.log\r\n")


def test_a_run_without_anything_to_do_ends_with_a_summary(again):
    directory, run = again
    status, text = snakemake(directory, "--quiet", details=(), **run.config)
    assert status == 0, text
    assert "Nothing to be done: all results are up to date.\n3 of 3 scans ok\n" in text
    assert f"{directory}/results/cohort.csv" in text
    status, text = snakemake(directory, "--list", details=(), **run.config)
    assert status == 0, text
    assert "scans ok" not in text and "up to date" not in text
    status, text = snakemake(directory, details=(), **run.config, threshold=7)
    assert status == 1
    assert (
        "threshold" in text
        and "Nothing was computed; tables and report are those of an earlier run." in text
    )
