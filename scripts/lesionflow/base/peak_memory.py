"""Peak memory of a process, in bytes on every system."""

import sys
from resource import RUSAGE_SELF, getrusage

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ``ru_maxrss``: macOS has bytes, Linux KiB


def peak_memory(who: int = RUSAGE_SELF) -> int:
    """Largest resident memory so far, in bytes, of this process or of the largest of its ended children.

    Parameters
    ----------
    who
        ``resource.RUSAGE_SELF`` or ``resource.RUSAGE_CHILDREN``.
    """
    return getrusage(who).ru_maxrss * UNIT
