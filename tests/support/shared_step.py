"""A step that performs an action chosen by a test, run by shared processes like the script of a rule."""

import errno
import json
import logging
import os
import signal
import time
from pathlib import Path

from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.base.leftovers import process_folder

CALLS = []


def main(job):
    """Write the id of this process and the number of jobs that it has run, and perform ``job.params.action``."""
    CALLS.append(job.params.action)
    if job.log:
        with logged(job):
            perform(job)
    else:
        perform(job)


def perform(job):
    logging.warning("asked to %s", job.params.action)
    in_server = os.getpid() != int(os.environ["LESIONFLOW_TEST_PARENT"])
    print("written to stdout in", Path.cwd().name, os.environ.get("LESIONFLOW_TEST_WORD"))
    path = Path(job.params.path)
    path.write_text(f"{os.getpid()} {len(CALLS)}")
    allocated = b"1" * (4 * 10**8) if job.params.action == "take memory" else b""
    if job.params.action == "make temporary folder":
        path.with_suffix(".done").write_text(str(process_folder()))
    time.sleep(job.params.seconds)
    del allocated
    match job.params.action:
        case "refuse":
            raise ScanError("this scan is no scan")
        case "fill the disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/a.nii.gz")
        case "exhaust memory":
            raise MemoryError("Unable to allocate 9 GiB")
        case "crash":
            raise ValueError("operands do not fit")
        case "make temporary folder":
            return
        case "environment":
            path.with_suffix(".done").write_text(json.dumps(dict(os.environ)))
            return
        case "threads":
            path.with_suffix(".done").write_text(str(job.threads))
            return
        case "die" if in_server:
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop" if in_server:
            os.kill(os.getpid(), signal.SIGSTOP)
        case "run out of memory" if in_server:
            raise MemoryError("not enough")
    path.with_suffix(".done").touch()
