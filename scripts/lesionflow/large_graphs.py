"""Graphs of ten thousand jobs: what Python and Snakemake do again for every job, or when all is done, done once.

Nothing here changes a graph or what is printed of it.
"""

import atexit
import gc
from functools import lru_cache
from types import ModuleType

import snakemake.common
import snakemake.rules
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


def _remember(module: ModuleType, name: str) -> None:
    """Have a function that says the same of the same looked up; in other releases it may not be there."""
    function = getattr(module, name, None)
    if function and not hasattr(function, "cache_info"):
        setattr(module, name, lru_cache(maxsize=1000)(function))
