"""Steps do not import at their start what takes longer than they run: they import it where they need it."""

import json
import subprocess
import sys

import pytest

from support.heavy_imports import HEAVY
from support.paths import REPOSITORY

START = {  # slow imports of each step at its start
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
IMPORTED = """
import importlib.util, json, sys
sys.path.insert(0, {folder!r})
spec = importlib.util.spec_from_file_location("step", {script!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


DRAW = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
from lesionflow.results.qc_figure import draw_lesions, draw_structures
image = np.ones((20, 20, 20), np.float32)
lesions = (image.cumsum() == 5).reshape(image.shape).astype(int)
row = dict(lesion=1, label="cmb", max_probability=0.5, volume_mm3=1.0, kept=True)
draw_lesions(image, image > 0, lesions, [row], (1, 1, 1), "title").save(sys.argv[1], format="PNG")
draw_structures(image, lesions, {{1: "one"}}, (1, 1, 1), "title")
print([name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("step", START)
def test_slow_imports_of_a_step_at_its_start(step):
    scripts = REPOSITORY / "scripts"
    code = IMPORTED.format(folder=str(scripts), script=str(scripts / f"{step}.py"), heavy=HEAVY)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == START[step]


def test_a_figure_is_drawn_without_slow_imports(tmp_path):
    code = DRAW.format(folder=str(REPOSITORY / "scripts"), heavy=HEAVY)
    command = [sys.executable, "-c", code, str(tmp_path / "partial")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
