"""Makes ``lesionflow`` importable for the programs here, which import this module first.

The library comes last on Python's path, so that no step of the workflow stands for a package of its name.
"""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "scripts"))
