"""A step whose work does what a test asks of it; a worker imports it as it imports a script."""

import logging
import os
import signal
import time
from pathlib import Path

CALLS = []


def work(what, path=None, seconds=0.0):
    """Do ``what``; returns the process and how often it has worked."""
    CALLS.append(what)
    logging.warning("asked to %s", what)
    if path:
        with Path(path).open("a") as file:
            file.write(f"{os.getpid()} begins\n")
    time.sleep(seconds)
    in_worker = "LESIONFLOW_TEST_PARENT" in os.environ and os.getpid() != int(
        os.environ["LESIONFLOW_TEST_PARENT"]
    )
    match what:
        case "refuse":
            raise ValueError("this scan is no scan")
        case "die" if in_worker:
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop" if in_worker:
            os.kill(os.getpid(), signal.SIGSTOP)
        case "run out of memory" if in_worker:
            raise MemoryError("not enough")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{os.getpid()} ends\n")
    return os.getpid(), len(CALLS)
