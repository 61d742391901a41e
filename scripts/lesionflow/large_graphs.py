"""Graphs of ten thousand jobs: what Python and Snakemake do again for every job, or when all is done, done once.

Nothing here changes a graph or what is printed of it.
"""

import atexit
import gc
from functools import lru_cache, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import snakemake.common
import snakemake.io
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
    _remember_sources()
    # And in a run: nearly half of Snakemake's own time, while which no job begins.
    _remember_checksums()


def _remember(module: ModuleType, name: str) -> None:
    """Have a function that says the same of the same looked up; in other releases it may not be there."""
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, lru_cache(maxsize=1000)(function))


def _remember_sources() -> None:
    """Have a rule's script read once, where no wildcard is in its path."""
    own = getattr(snakemake.script, "get_source", None)
    if not own or hasattr(own, "known"):
        return
    known: dict[tuple, Any] = {}

    @wraps(own)
    def get_source(
        path: Any, sourcecache: Any, basedir: Any = None, *of_job: Any, **said: Any
    ) -> Any:
        if "{" in str(path):
            return own(path, sourcecache, basedir, *of_job, **said)
        if (path, basedir) not in known:
            known[path, basedir] = own(path, sourcecache, basedir, *of_job, **said)
        return known[path, basedir]

    get_source.known = known  # type: ignore[attr-defined]
    snakemake.script.get_source = get_source


def _remember_checksums() -> None:
    """Have a file hashed once as long as it stays the same, and not for each output of each job that reads it."""
    own = getattr(snakemake.io._IOFile, "checksum", None)
    if not own or hasattr(own, "known"):
        return
    known: dict[tuple, str | None] = {}

    @wraps(own)
    async def checksum(file: Any, *args: Any, **said: Any) -> str | None:
        try:
            now = Path(file).stat()
        except OSError:  # it is elsewhere, or nowhere
            return await own(file, *args, **said)
        state = now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
        key = (str(file), state, args, *said.items())
        if key not in known:
            known[key] = await own(file, *args, **said)
        return known[key]

    checksum.known = known  # type: ignore[attr-defined]
    snakemake.io._IOFile.checksum = checksum
