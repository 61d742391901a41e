"""Patches of Snakemake 9 for cohorts of a thousand scans and more.

Neither the graph nor what Snakemake prints changes, and each patch is left out where the release of Snakemake
lacks what it replaces (``tests/workflow/test_snakemake_patches.py`` fails then). Prices are those of leaving one patch
out, in a dry run of 1,000 scans (13,000 jobs) unless said otherwise.

=========================== ===================================== ===========================================
patch                       price of leaving it out               goes when
=========================== ===================================== ===========================================
``_relax_garbage_collector`` a seventh of a dry run               Snakemake freezes its graph
``_cache`` of ``parse_uri``  a quarter of a dry run                Snakemake makes no class for each URI
``_cache`` of               a tenth of a dry run                  Snakemake inspects an input function once
``get_function_params``
``_cache_checksums``        nearly half of the time that          Snakemake hashes an input file once per run
                            Snakemake itself takes in a run
``_limit_timers``           341 of 385 ms of CPU time per job     its pull request 3744 is released
                            in a run of 1,000 scans
=========================== ===================================== ===========================================
"""

import atexit
import gc
import sys
from functools import lru_cache, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import snakemake.common
import snakemake.io
import snakemake.rules
import snakemake.sourcecache


def apply() -> None:
    """Patch the Snakemake of this process; a second call changes nothing."""
    _relax_garbage_collector()
    _cache(snakemake.sourcecache, "parse_uri")
    _cache(snakemake.common, "get_function_params")
    _cache(snakemake.rules, "get_function_params")
    _cache_checksums()
    _limit_timers()


def _relax_garbage_collector() -> None:
    """Search a graph for garbage less often, and not at all when the process ends: its objects all live."""
    gc.set_threshold(10_000, 50, 10)
    atexit.register(gc.freeze)


def _cache(module: ModuleType, name: str) -> None:
    """Cache a pure function that Snakemake calls several times for each job."""
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, lru_cache(maxsize=1000)(function))


def _cache_checksums() -> None:
    """Hash an input file once while it stays the same, and not once for each output of each job that reads it."""
    original = getattr(snakemake.io._IOFile, "checksum", None)
    if not original or hasattr(original, "__wrapped__"):
        return
    checksums: dict[tuple, str | None] = {}

    @wraps(original)
    async def checksum(file: Any, *args: Any, **kwargs: Any) -> str | None:
        try:
            stat = None if file.is_storage else Path(file).stat()
        except OSError:  # the file does not exist
            stat = None
        if stat is None:
            return await original(file, *args, **kwargs)
        state = stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        key = (str(file), state, args, *kwargs.items())
        if key not in checksums:
            checksums[key] = await original(file, *args, **kwargs)
        return checksums[key]

    snakemake.io._IOFile.checksum = checksum


def _limit_timers() -> None:
    """Let the scheduler set a timer only where its rate limit (``--max-jobs-per-timespan``) holds jobs back.

    Snakemake sets one whenever it looks for jobs, to look again a second later, and the end of a job makes it look as
    well: after a hundred jobs it looks a hundred times per second.
    """
    scheduling = sys.modules.get("snakemake.scheduling.job_scheduler")
    scheduler = getattr(scheduling, "JobScheduler", None)
    original = getattr(scheduler, "_schedule_reevalutation", None)
    if not original or hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def schedule_reevaluation(self: Any, delay: float) -> None:
        limit = self.job_rate_limiter
        if limit is None or delay != limit.timespan or not limit.get_free_jobs():
            original(self, delay)

    scheduler._schedule_reevalutation = schedule_reevaluation  # type: ignore[union-attr]
