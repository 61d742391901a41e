"""Slow imports of the steps: a step imports a slow package only in the function that needs it."""

import json
import subprocess
import sys

import pytest

from support.heavy_imports import HEAVY
from support.paths import REPOSITORY

SLOW_IMPORTS = {  # slow packages that each script imports when it is loaded
    "resample": [],
    "mask": ["scipy.ndimage"],
    "crop": [],
    "normalize": [],
    "average_folds": [],
    "threshold": ["scipy.ndimage"],
    "restore": ["pandas", "scipy.ndimage"],
    "count": ["pandas", "scipy.ndimage"],
    "draw": ["pandas"],
}
IMPORT_STEP = """
import importlib.util, json, sys
sys.path.insert(0, {folder!r})
spec = importlib.util.spec_from_file_location("step", {script!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


DRAW_FIGURES = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
from pathlib import Path
from lesionflow.results.pictures.picture_files import write_pdf, write_png, write_webp
from lesionflow.results.pictures.qc_figure import lesion_pages
from lesionflow.results.pictures.structure_figure import structure_figure
from lesionflow.results.pictures.thumbnail import lesion_thumbnail, structure_thumbnail
from lesionflow.results.pictures.viewed_scan import ViewedScan, grey_window
image = np.ones((20, 20, 20), np.float32)
lesions = (image.cumsum() == 6).reshape(image.shape).astype(int)
row = dict(lesion=1, label="cmb", i=0, j=0, k=5, max_probability=0.5, volume_mm3=1.0, kept=True)
rows = [dict(row, fold_agreement=1.0, region="")]
scan = ViewedScan.from_stored(image, lesions, np.eye(4), grey_window(image, image > 0))
pages = lesion_pages("title", scan, image > 0, rows)
folder = Path(sys.argv[1])
write_png(folder / "qc.png", pages[0])
write_pdf(folder / "qc.pdf", pages, "title")
write_webp(folder / "thumbnail.webp", lesion_thumbnail(scan, image > 0, rows))
write_png(folder / "structures.png", structure_figure("title", scan, {{1: "one"}}))
structure_thumbnail(scan, {{1: "one"}})
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("step", SLOW_IMPORTS)
def test_loading_a_step_imports_no_other_slow_packages(step):
    scripts = REPOSITORY / "scripts"
    code = IMPORT_STEP.format(folder=str(scripts), script=str(scripts / f"{step}.py"), heavy=HEAVY)
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(process.stdout) == SLOW_IMPORTS[step]


def test_drawing_a_figure_imports_no_slow_packages(tmp_path):
    code = DRAW_FIGURES.format(folder=str(REPOSITORY / "scripts"), heavy=HEAVY)
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"
