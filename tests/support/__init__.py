"""Shared helpers. Importing them makes ``lesionflow`` importable, behind every installed package."""

import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.extend(str(folder) for folder in (SCRIPTS, SCRIPTS / "tools"))
