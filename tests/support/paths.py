"""Where things are."""

from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
