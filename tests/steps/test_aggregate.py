"""The ``main`` of rule aggregate, with a stand-in for Snakemake's job object."""

import json

import pandas as pd
import pytest

from lesionflow.base.errors import ReviewError
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.reviews.review_file import write_review
from support.finished_scans import MODELS, finish, record
from support.jobs import job
from support.reviews import AFFINE, complete, line, mark
from support.steps import step

aggregate = step("aggregate")


@pytest.fixture
def run(tmp_path):
    """A function that runs the step on a scan without a lesion, with these decisions; returns cohort.csv."""
    finish(tmp_path)
    folder = tmp_path / "results/m/sub-1/anat"
    sidecar = json.dumps(lesion_sidecar(line(), AFFINE))
    (folder / "sub-1_space-orig_desc-lesions_dseg.json").write_text(sidecar)
    about = json.loads((folder / "sub-1_space-model_dseg.json").read_text())
    (folder / "sub-1_space-model_dseg.json").write_text(
        json.dumps(about | {"input_sha256": "c" * 64})
    )
    (tmp_path / "plan.json").write_text(json.dumps({"records": [record("sub-1")]}))

    def run(decisions):
        files = {}
        if decisions:
            write_review(tmp_path / "review.tsv", decisions)
            files["reviews"] = [str(tmp_path / "review.tsv")]
        output = {"cohort": tmp_path / "results/cohort.csv"}
        params = {"models": MODELS, "plan": tmp_path / "plan.json"}
        aggregate.main(job(tmp_path, "aggregate", files, output, **params))
        return pd.read_csv(output["cohort"], dtype=str, keep_default_na=False)

    return run


def test_reviews_add_columns(run, tmp_path):
    assert "review" not in run([])
    cohort = run([complete(), mark(9.0, 4.0, 2.0)])
    assert cohort[["review", "cmb_reviewed_count", "cmb_missed_count"]].values.tolist() == [
        ["complete", "1", "1"]
    ]
    dictionary = json.loads((tmp_path / "results/cohort.json").read_text())
    assert set(dictionary["review"]["Levels"]) == {"none", "partial", "complete"}


def test_a_review_that_cannot_be_used_fails_the_job(run, tmp_path):
    with pytest.raises(ReviewError, match="lies outside the scan"):
        run([mark(900.0, 4.0, 2.0)])
    assert "FAILED: review: " in (tmp_path / "aggregate.log").read_text()
