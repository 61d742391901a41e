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
from lesionflow.results.pictures.qc_figure import draw_lesions, draw_structures
image = np.ones((20, 20, 20), np.float32)
lesions = (image.cumsum() == 5).reshape(image.shape).astype(int)
row = dict(lesion=1, label="cmb", max_probability=0.5, volume_mm3=1.0, kept=True)
draw_lesions(image, image > 0, lesions, [row], (1, 1, 1), "title").save(sys.argv[1], format="PNG")
draw_structures(image, lesions, {{1: "one"}}, (1, 1, 1), "title")
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
    command = [sys.executable, "-c", code, str(tmp_path / "partial")]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"
