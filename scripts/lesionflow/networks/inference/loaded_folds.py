"""Folds that stay loaded between the predictions of a process, as long as its memory allows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from lesionflow.networks.inference.inferers import Network

# A fold as a function, and a function that returns the precision of its computation.
Loaded = tuple[Network, Callable[[], str]]


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    return psutil.Process().memory_info().rss / 1e6


class LoadedFolds:
    """The loaded folds of a process.

    Parameters
    ----------
    used_mb
        Returns the memory of the process in MB.

    Attributes
    ----------
    folds : dict
        The loaded folds by key.
    """

    def __init__(self, used_mb: Callable[[], float] = resident_mb):
        self.folds: dict[str, Loaded] = {}
        self.used_mb = used_mb
        self.next_mb = 0.0  # expected memory of one more fold

    @contextmanager
    def fold(
        self, key: str, load: Callable[[], Loaded], memory_mb: float | None
    ) -> Iterator[Loaded]:
        """A fold for the time of its call, loaded first if it is not.

        Parameters
        ----------
        key
            Identifies the fold and how it is loaded.
        load
            Loads it.
        memory_mb
            Memory of the process. All folds are dropped if another one is expected to exceed it.
        """
        if key in self.folds:
            yield self.folds[key]
            return
        if self.folds and memory_mb and self.used_mb() + self.next_mb > memory_mb:
            self.folds.clear()
        before_mb = self.used_mb()
        self.folds[key] = load()
        yield self.folds[key]
        # The memory of the first fold includes the framework and, for TensorFlow, that of a call, which all share.
        grown_mb = self.used_mb() - before_mb
        self.next_mb = max(grown_mb if len(self.folds) > 1 else grown_mb / 2, 0)
