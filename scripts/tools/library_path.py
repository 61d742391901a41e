"""Make ``lesionflow`` importable for the programs in this folder, which import this module first.

``scripts/`` is appended to Python's path, so that no step hides an installed package of the same name.
"""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "scripts"))
