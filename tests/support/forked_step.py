"""A step whose main does what a test asks of it; the process that forks imports it as it imports a script."""

import json
import logging
import os
import signal
import time
from pathlib import Path

CALLS = []


def main(job):
    """Write how this process came to be, and do ``job.params.what``."""
    CALLS.append(job.params.what)
    logging.warning("asked to %s", job.params.what)
    own = os.getpid() == int(os.environ["LESIONFLOW_TEST_PARENT"])
    print("said to the output, in", Path.cwd().name, os.environ.get("LESIONFLOW_TEST_WORD"))
    path = Path(job.params.path)
    path.write_text(f"{os.getpid()} {len(CALLS)}")
    taken = b"1" * (4 * 10**8) if job.params.what == "take memory" else b""
    time.sleep(job.params.seconds)
    del taken
    match job.params.what:
        case "fail":
            raise ValueError("this scan is no scan")
        case "environment":
            path.with_suffix(".done").write_text(json.dumps(dict(os.environ)))
            return
        case "die" if not own:
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop" if not own:
            os.kill(os.getpid(), signal.SIGSTOP)
    path.with_suffix(".done").touch()
