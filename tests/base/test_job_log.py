"""The log of a job, and the outcome of the job in it."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged, outcome, reason
from support import SCRIPTS


def test_a_job_that_succeeded_or_did_not_start_has_no_reason(tmp_path):
    with logged(SimpleNamespace(log=[tmp_path / "a.log"])):
        pass
    assert outcome(tmp_path / "a.log") is None
    assert outcome(tmp_path / "none.log") is None


def test_an_error_is_logged_with_its_traceback_and_its_reason_in_one_line(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(ScanError, match="broken"), logged(SimpleNamespace(log=[log])):
        raise ScanError("broken\n  in two lines")
    assert outcome(log) == "broken in two lines"
    assert "Traceback" in log.read_text()


def test_the_reason_of_a_bug_names_its_class(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(ValueError, match="shapes"), logged(SimpleNamespace(log=[log])):
        np.zeros(2) + np.zeros(3)
    reason = outcome(log)
    assert reason.startswith("ValueError: operands could not be broadcast together with shapes")


@pytest.mark.parametrize("text", ["2026-01-01 10:00:00 INFO half a", "", "\0" * 30])
def test_a_job_that_was_killed_has_a_reason(tmp_path, text):
    log = tmp_path / "a.log"
    log.write_text(text)
    assert "killed" in outcome(log)


@pytest.mark.parametrize(
    "line",
    [
        "ValueError: shapes differ",
        "numpy.exceptions.AxisError: axis 3 is out of bounds",
        "KeyError",
        "2026-01-01 10:00:00,123 ERROR the network was lost",
    ],
)
def test_the_reason_of_a_log_without_an_outcome_is_its_last_error(tmp_path, line):
    log = tmp_path / "a.log"
    log.write_text(
        f"x INFO TypeError: no\nTraceback\n  RuntimeError: no\n{line}\n2026-01-01 INFO b"
    )
    assert outcome(log) == f"ended without a result: {line} (see {log})"


def test_a_full_disk_is_the_reason_of_a_log_without_an_outcome(tmp_path, monkeypatch):
    log = tmp_path / "a.log"
    log.touch()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    assert outcome(log).startswith(f"no space left on the device: {log}")


def failure(tmp_path, error):
    """The reason of a job of the rule crop that raises an error."""
    log = tmp_path / "crop.log"
    with pytest.raises(type(error)), logged(SimpleNamespace(log=[log], rule="crop")):
        raise error
    return outcome(log)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/a.nii.gz"),
            "no space left on the device: results/a.nii.gz (free some and run the same command again)",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            "no space left on the device (free some and run the same command again)",
        ),
        (
            OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "a"),
            "no space left on the device: a (your quota is used up: free some and run the same command again)",
        ),
        (
            OSError(errno.EFBIG, os.strerror(errno.EFBIG), "a"),
            "no space left on the device: a (the file is too large: raise the limit of ulimit -f or use another "
            "file system)",
        ),
        (
            RuntimeError("a/variables; No space left on device"),  # as TensorFlow says it
            "no space left on the device (free some and run the same command again)",
        ),
        (
            MemoryError(),
            "out of memory (raise mem_mb of the rule crop, or run fewer jobs at the same time)",
        ),
        (
            MemoryError("Unable to allocate 9 GiB"),
            "out of memory: Unable to allocate 9 GiB (raise mem_mb of the rule crop, or run fewer jobs at the same "
            "time)",
        ),
        (
            OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
            "out of memory: [Errno 12] Cannot allocate memory (raise mem_mb of the rule crop, or run fewer jobs at "
            "the same time)",
        ),
        (
            RuntimeError("Failed to allocate memory for image."),  # as SimpleITK says it
            "out of memory: Failed to allocate memory for image. (raise mem_mb of the rule crop, or run fewer jobs "
            "at the same time)",
        ),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "OSError: [Errno 5] Input/output error"),
        (ScanError("No space left on device"), "No space left on device"),
    ],
)
def test_a_lack_of_space_or_memory_is_said_with_its_remedy(tmp_path, error, expected):
    assert failure(tmp_path, error) == expected


def test_a_table_on_a_full_device_is_named(tmp_path, monkeypatch):
    """The errors of writing have no file name; the writer of the file adds it."""

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        json_sidecar.write(tmp_path / "a.json", {})
    monkeypatch.undo()
    assert failure(tmp_path, caught.value).startswith(
        f"no space left on the device: {tmp_path / 'a.json'} (free"
    )


def test_the_reason_is_known_although_the_log_cannot_grow(tmp_path):
    """A limit of file sizes stands for a full disk: the last line takes the place of the first one."""
    code = (
        f"import resource, sys; sys.path.append({str(SCRIPTS)!r})\n"
        "from types import SimpleNamespace\n"
        "from lesionflow.base.errors import ScanError\n"
        "from lesionflow.base.job_log import logged\n"
        "import logging\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "with logged(SimpleNamespace(log=[sys.argv[1]], rule='crop')):\n"
        "    logging.info('x' * 500)\n"
        "    if sys.argv[2]: raise ScanError(sys.argv[2])\n"
    )
    for text, expected in (("broken", "broken"), ("", None)):
        log = tmp_path / f"{text}.log"
        ran = subprocess.run(
            [sys.executable, "-c", code, log, text], capture_output=True, text=True, check=False
        )
        assert ran.returncode == bool(text), ran.stderr
        assert log.stat().st_size <= 200
        assert outcome(log) == expected


def test_a_job_without_space_for_a_log_does_not_start(tmp_path):
    log = tmp_path / "a.log"
    log.symlink_to("/dev/full")
    started = []
    with (
        pytest.raises(OSError, match="No space left") as caught,
        logged(SimpleNamespace(log=[log], rule="crop")),
    ):
        started.append(1)
    assert (caught.value.filename, started) == (str(log), [])
    assert reason(caught.value, "crop").startswith(f"no space left on the device: {log} (free")
    assert logging.getLogger().handlers == [
        h for h in logging.getLogger().handlers if getattr(h, "baseFilename", "") != str(log)
    ]


def test_a_name_that_is_no_text_does_not_hide_the_reason(tmp_path):
    assert failure(tmp_path, ScanError("sub-\udcff: broken")) == r"sub-\udcff: broken"


def test_what_a_library_prints_to_stderr_is_in_the_log_and_not_on_the_terminal(tmp_path, capfd):
    log = tmp_path / "a.log"
    with logged(SimpleNamespace(log=[log])):
        logging.info("before")
        os.write(2, b"oneDNN custom operations are on\n")  # as C++ does, past Python's sys.stderr
        logging.info("after")
    os.write(2, b"of the process\n")
    before, library, after, *_ = [
        line for line in log.read_text().splitlines() if "process" not in line
    ]
    assert before.endswith("before") and after.endswith("after")
    assert library == "oneDNN custom operations are on"
    assert log.read_text().endswith("\nDONE\n")
    assert capfd.readouterr().err == "of the process\n"


def test_a_job_in_a_thread_leaves_stderr_to_its_process(tmp_path, capfd):
    log = tmp_path / "a.log"

    def job():
        with logged(SimpleNamespace(log=[log])):
            os.write(2, b"of the process\n")

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert "of the process\n" not in log.read_text()
    assert capfd.readouterr().err == "of the process\n"
