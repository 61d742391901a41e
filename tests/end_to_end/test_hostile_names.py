"""Names that Snakemake or a shell would misread cost only their own scan, and a dry run says the same as the run."""

import os

import pandas as pd
import pytest

from support.cohorts import add_scan, blobs
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow

USABLE = {  # subject folder and file name
    "a plain name": ("sub-01", "sub-01_swi.nii.gz"),
    "spaces and quotes": ("sub-02 b", 'it\'s "a" scan_swi.nii.gz'),
    "shell characters": ("sub-03", "$(touch HACKED);`id`&|<>#~!_swi.nii.gz"),
    "glob characters": ("sub-04", "a[0-9]*?_swi.nii.gz"),
    "another script": ("sub-05", "王_é_swi.nii.gz"),
    "a leading hyphen": ("sub-06", "-rf_swi.nii.gz"),
    "a percent sign and a backslash": ("sub-07", "100%\\n_swi.nii.gz"),
}
UNUSABLE = {  # and what the reason says
    "braces": ("sub-11", "{scan}_swi.nii.gz", "the path contains '{', '}'"),
    "a new line": ("sub-12", "a\nb_swi.nii.gz", r"the path contains '\n'"),
    "Latin-1": ("sub-13", os.fsdecode(b"Jos\xe9_swi.nii.gz"), "the path is not UTF-8 text"),
    "equal letters": ("sub-" + "a" * 120, "a_swi.nii.gz", "repeats itself"),
    "a long name": (
        "sub-" + "".join(f"{n:03d}" for n in range(75)),
        "a_swi.nii.gz",
        "has 229 characters",
    ),
}


def test_every_scan_has_its_row(tmp_path, tiny, models_dir):
    data, cohort = blobs([(8, 9, 5)]), tmp_path / "bids"
    for folder, name, *_ in [*USABLE.values(), *UNUSABLE.values()]:
        add_scan(None, "x", data, folder=cohort / folder / "anat", mask=False)
        (cohort / folder / "anat/x_swi.nii.gz").rename(cohort / folder / "anat" / name)
    config = {"cohort": "bids", "models": tiny, "models_dir": models_dir, "brain_mask": "none"}
    status, text = snakemake(tmp_path, "--dry-run", **config)
    assert status == 0, text
    assert jobs(text)["resample"] == len(USABLE)
    status, text = snakemake(tmp_path, **config)
    assert status == 0, text
    table = pd.read_csv(tmp_path / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert len(table) == len(USABLE) + len(UNUSABLE)
    assert (table.status == "ok").sum() == len(USABLE)
    reasons = table[table.status == "unreadable"].reason.tolist()
    for *_, words in UNUSABLE.values():
        assert sum(words in reason for reason in reasons) == 1, words
    report = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    assert "is not UTF-8 text" in report
    assert not list(tmp_path.rglob("HACKED"))
