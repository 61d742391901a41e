"""Peak memory of a process."""

import subprocess
import sys
from resource import RUSAGE_CHILDREN

import psutil

from lesionflow.base.peak_memory import peak_memory


def test_peak_memory_is_in_bytes():
    """psutil has the present memory in bytes on every system; the peak is at least that, and less than ten times."""
    allocated = b"1" * 10**8
    present = psutil.Process().memory_info().rss
    assert present > len(allocated)
    assert 0.9 * present <= peak_memory() < 10 * present


def test_the_peak_of_children_is_that_of_the_largest():
    subprocess.run([sys.executable, "-c", "b'1' * (3 * 10**8)"], check=True)
    assert 3e8 < peak_memory(RUSAGE_CHILDREN) < 1e11
