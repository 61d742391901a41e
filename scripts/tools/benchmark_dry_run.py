"""Measure one dry run for ``make benchmark``: time, memory and number of jobs.

``benchmark_dry_run.py LOG COMMAND...`` prints the figures as JSON and writes the output of the command to LOG.
"""

from library_path import REPOSITORY  # isort: skip  # noqa: F401

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

from lesionflow.base.peak_memory import peak_memory


def main(log: str, *command: str) -> None:
    """Run the command and print its time, memory and number of jobs."""
    start = time.perf_counter()
    with Path(log).open("w") as file:
        subprocess.run(command, stdout=file, stderr=file, check=True)
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = re.search(r"^total +(\d+)", Path(log).read_text(), re.M)
    if not total:
        raise SystemExit(f"{log}: the dry run printed no total number of jobs")
    measurement = {
        "jobs": int(total[1]),
        "seconds": seconds,
        "peak_mb": peak_memory(resource.RUSAGE_CHILDREN) / 1e6,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main(*sys.argv[1:])
