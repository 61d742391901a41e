"""Fixtures of the tests of shared processes."""

import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path():
    """A folder with a short name: the path of a socket has at most a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="lf-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
