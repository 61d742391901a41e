"""Results of a run in a form that can be compared with those of an undisturbed run."""

import gzip
import json
import re

import nibabel as nib
import numpy as np
from PIL import Image

TABLES = ("cohort.csv", "lesions.csv")
PLACES = {"cohort", "models", "models_dir", "folder"}  # keys of settings and cards that are paths
# of the report: the command and the settings, which have paths
RUN_SECTION = re.compile(r'<h2 id="run">.*?</section>', re.DOTALL)
COMMIT = re.compile(
    r", commit [0-9a-f]{10}"
)  # in the methods; a fault may kill the git that is asked for it
OF_THE_CALL = ("sha256", "started", "ended", "command", "commit", "modified")  # keys of run.json
HEADER = (
    *("sform_code", "qform_code", "xyzt_units", "datatype", "dim", "pixdim", "scl_slope"),
    *("scl_inter", "intent_code", "cal_min", "cal_max"),
)
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+-]\d{4}|Z)?")


def kept_files(directory):
    """Every file below results/, as paths relative to it, without hidden (temporary) ones."""
    results = directory / "results"
    return sorted(
        str(path.relative_to(results))
        for path in results.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def content(directory, name):
    """What the file ``name`` below results/ means: arrays, keys or bytes."""
    path = directory / "results" / name
    if name.endswith((".nii.gz", ".nii")):
        if name.endswith(".gz"):
            gzip.decompress(path.read_bytes())  # checks its length and its checksum
        image = nib.load(path)
        header = tuple(np.nan_to_num(image.header[key]).tolist() for key in HEADER)
        return header, image.affine.tobytes(), image.get_fdata().tobytes()
    if name.endswith(".png"):
        with Image.open(path) as picture:
            return picture.size, picture.convert("RGB").tobytes()
    if name == "run.json":
        text = path.read_text(encoding="utf-8").replace(str(directory), "DIRECTORY")
        record = json.loads(text)
        for section in (record["settings"], *record["models"].values()):
            for key in PLACES & section.keys():
                del section[key]
        return {key: value for key, value in record.items() if key not in OF_THE_CALL}
    if name.endswith(".json"):
        read = json.loads(path.read_text(encoding="utf-8"))
        if name.endswith("dataset_description.json"):
            for key in ("DatasetLinks", "SourceDatasets"):  # where the cohort and the models lie
                read.pop(key, None)
        return read
    if name.endswith(".html"):
        text = path.read_text(encoding="utf-8").replace(str(directory), "DIRECTORY")
        return TIME.sub("TIME", COMMIT.sub("", RUN_SECTION.sub("", text)))
    return path.read_bytes()


def results(directory):
    """Content of every kept file of a run, by its path below results/; None for a damaged file."""
    contents = {}
    for name in kept_files(directory):
        try:
            contents[name] = content(directory, name)
        except Exception:
            contents[name] = None
    return contents


def differences(directory, expected):
    """Kept files of ``directory`` that are not those of an undisturbed run, with what is wrong."""
    present = results(directory)
    wrong = {name: "missing" for name in expected if name not in present}
    for name, value in present.items():
        if name not in expected:
            wrong[name] = "not of an undisturbed run"
        elif value is None:
            wrong[name] = "damaged"
        elif value != expected[name]:
            wrong[name] = "differs"
    return wrong


def wrong_tables(directory, *allowed):
    """Whether the tables are those of none of these undisturbed runs."""

    def tables(folder):
        paths = [folder / "results" / name for name in TABLES]
        return [path.read_bytes() if path.is_file() else None for path in paths]

    return tables(directory) not in [tables(folder) for folder in allowed]
