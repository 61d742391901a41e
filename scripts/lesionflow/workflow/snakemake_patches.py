"""Graphs of ten thousand jobs: what Python and Snakemake do again for every job, or when all is done, done once.

Nothing here changes a graph or what is printed of it.
"""

import atexit
import gc
import sys
from collections.abc import Collection
from functools import lru_cache, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import snakemake.common
import snakemake.io
import snakemake.jobs
import snakemake.rules
import snakemake.script
import snakemake.sourcecache


def prepare() -> None:
    """Make this process of Snakemake quick at large graphs; a second call is harmless.

    The shares are of a dry run of 1,000 scans, 13,000 jobs.
    """
    # A graph is live objects throughout. By Python's habit it is looked through for garbage again and again,
    gc.set_threshold(10_000, 50, 10)
    atexit.register(gc.freeze)  # and several times more when all is said and done: a seventh.
    # Snakemake looks thrice for each job's script, and a class is made for each look: a quarter.
    _remember(snakemake.sourcecache, "parse_uri")
    # What a function of the rules takes is asked several times for each job: a tenth.
    _remember(snakemake.common, "get_function_params")
    _remember(snakemake.rules, "get_function_params")
    # A script is read for each job, to see that it is there: a tenth.
    _look_once_a_rule()
    # Which environment a job has is asked with its params, which a dry run needs for nothing else: a twelfth.
    _remember_environments()
    # And in a run: nearly half of Snakemake's own time, while which no job begins.
    _remember_checksums()


def _remember(module: ModuleType, name: str) -> None:
    """Have a function that says the same of the same looked up; in other releases it may not be there."""
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, lru_cache(maxsize=1000)(function))


def _look_once_a_rule() -> None:
    """Have Snakemake look for a rule's script once, and not for each job, where no wildcard is in its path."""
    processor = getattr(sys.modules.get("snakemake.dag"), "ScriptProcessor", None)
    own = getattr(processor, "process_job", None)
    if not own or hasattr(own, "known"):
        return
    known = set()

    @wraps(own)
    def process_job(self: Any, job: Any) -> None:
        key = (self.script_type, job.rule)
        if key not in known:
            own(self, job)
            if "{" not in str(getattr(job.rule, self.script_type, None)):
                known.add(key)

    process_job.known = known  # type: ignore[attr-defined]
    processor.process_job = process_job  # type: ignore[union-attr]


def _remember_environments() -> None:
    """Have a rule's environment found out once, where it is the same for all of its jobs."""
    own = getattr(getattr(snakemake.jobs.Job, "conda_env_spec", None), "fget", None)
    if not own or hasattr(own, "known"):
        return
    known: dict[Any, Any] = {}

    @wraps(own)
    def conda_env_spec(self: Any) -> Any:
        if self.rule in known:
            return known[self.rule]
        found, said = own(self), self.rule.conda_env
        if not callable(said) and "{" not in str(said):
            known[self.rule] = found
        return found

    conda_env_spec.known = known  # type: ignore[attr-defined]
    snakemake.jobs.Job.conda_env_spec = property(conda_env_spec)


def _remember_checksums() -> None:
    """Have a file hashed once as long as it stays the same, and not for each output of each job that reads it."""
    own = getattr(snakemake.io._IOFile, "checksum", None)
    if not own or hasattr(own, "known"):
        return
    known: dict[tuple, str | None] = {}

    @wraps(own)
    async def checksum(file: Any, *args: Any, **said: Any) -> str | None:
        try:
            now = None if file.is_storage else Path(file).stat()
        except OSError:  # it is nowhere
            now = None
        if now is None:
            return await own(file, *args, **said)
        state = now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
        key = (str(file), state, args, *said.items())
        if key not in known:
            known[key] = await own(file, *args, **said)
        return known[key]

    checksum.known = known  # type: ignore[attr-defined]
    snakemake.io._IOFile.checksum = checksum


def prepare_scheduler() -> None:
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
