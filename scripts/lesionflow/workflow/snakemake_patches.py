"""Patches of Snakemake 9 for cohorts of a thousand scans and more.

Neither the graph nor what Snakemake prints changes, and each patch is left out where the release of Snakemake
lacks what it replaces (``tests/workflow/test_snakemake_patches.py`` fails then). Prices are CPU time of the main process
without the patch (Snakemake 9.27): in a dry run of 1,000 scans (13,000 jobs), or in a run of 1,200 jobs.

============================ =============================== ======================== ====================================
patch                        price of leaving it out         reported as              goes when Snakemake
============================ =============================== ======================== ====================================
``_relax_garbage_collector`` dry run 1.14 times              1575 (slow graphs)       freezes its graph
``_cache`` of ``parse_uri``  dry run 1.14 times              not reported             makes no class for each URI
``_cache`` of                dry run 1.12 times              not reported             inspects an input function once
``get_function_params``
``_limit_timers``            run 2.0 times; 385 ms per job   3744 (a pull request)    releases its pull request 3744
                             in place of 44 in a run of
                             1,000 scans
============================ =============================== ======================== ====================================
"""

import atexit
import gc
import sys
from functools import lru_cache, wraps
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
    _limit_timers()


def _relax_garbage_collector() -> None:
    """Collect garbage less often, and not at all when the process ends: the objects of the graph are all in use."""
    gc.set_threshold(10_000, 50, 10)
    atexit.register(gc.freeze)


def _cache(module: ModuleType, name: str) -> None:
    """Cache a pure function that Snakemake calls several times for each job."""
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, lru_cache(maxsize=1000)(function))


def _limit_timers() -> None:
    """Let the scheduler set a timer only while its rate limit (``--max-jobs-per-timespan``) delays jobs.

    Snakemake sets a timer at each evaluation of ready jobs, to evaluate them again a second later, and the end of
    a job triggers an evaluation as well: after a hundred jobs there are a hundred evaluations per second.
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
