"""A dry run, for ``make benchmark``: its time, its memory and how many jobs it finds.

``benchmark_graph.py LOG COMMAND...`` prints them as JSON; LOG gets what the command prints.
"""

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(log: str, *command: str) -> None:
    """Run the command to its end."""
    begun = time.perf_counter()
    with Path(log).open("w") as file:
        subprocess.run(command, stdout=file, stderr=file, check=True)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = re.search(r"^total +(\d+)", Path(log).read_text(), re.M)
    if not jobs:
        raise SystemExit(f"{log} does not say how many jobs there are")
    found = {"jobs": int(jobs[1]), "seconds": seconds, "peak_mb": used.ru_maxrss / 1000}
    print(json.dumps({**found, "cpu_seconds": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main(*sys.argv[1:])
