"""The page of the cohort."""

import shutil
from pathlib import Path

import jinja2
import pandas as pd
import pytest

from lesionflow.base.digests import code_digest
from lesionflow.results.pages.cohort_page import cohort_page, figures_by_scan
from lesionflow.results.pages.html_page import render
from support.paths import REPOSITORY

COHORT = pd.DataFrame(
    {
        "scan": ["sub-1", "sub-2"],
        "status": ["ok", "failed:crop"],
        "reason": ["", "<broken> & cut"],
        "cmb_count": ["3", ""],
        "cmb_mean_volume_mm3": ["7.5", ""],
        "device": ["cpu", ""],
    }
)
MODEL = {"name": "m", "version": "v1", "description": "A network."}
MODEL["postprocess"] = {"threshold": 0.25, "min_volume_mm3": None}
RUN = {
    "command": ["snakemake", "--config", "cohort=my scans"],
    "settings": {"threshold": 0.25, "affine": "strict", "include": []},
    "models": {"m": MODEL},
    "packages": {"numpy": "2.4.1", "openvino": None},
    "lesionflow_version": "0.1.0",
    "commit": "abc123",
    "modified": True,
}


def test_scans_with_their_status_counts_and_figures():
    page = cohort_page(COHORT, {"sub-1": ["m/sub-1_qc.png"]}, RUN)
    assert "<b>1</b> ok" in page and "<b>1</b> failed:crop" in page
    assert (
        '<a href="#sub-1">sub-1</a>' in page and '<img loading="lazy" src="m/sub-1_qc.png"' in page
    )
    assert '<td class="num">3</td>' in page
    assert "&lt;broken&gt; &amp; cut" in page and "<broken>" not in page
    assert "mean_volume" not in page and ">device<" not in page


def test_the_page_says_how_its_numbers_were_computed():
    page = cohort_page(COHORT.assign(weights_sha256=["ff00", ""]), {}, RUN)
    assert "snakemake --config &#39;cohort=my scans&#39;" in page
    assert "0.1.0, commit abc123, with files that differ from it" in page
    assert "numpy 2.4.1" in page and "openvino" not in page
    for row in ('<th>threshold</th><td class="why">0.25</td>', "<th>affine</th>", ">ff00<"):
        assert row in page
    assert "min_volume_mm3" not in page and "<th>include</th>" not in page


def test_figures_are_grouped_by_scan_relative_to_the_page(tmp_path):
    paths = [tmp_path / f"results/{model}/sub-1/anat/sub-1_run-2_qc.png" for model in "ab"]
    figures = figures_by_scan(paths, tmp_path / "results")
    assert figures == {"sub-1_run-2": [f"{m}/sub-1/anat/sub-1_run-2_qc.png" for m in "ab"]}


def test_a_value_that_is_missing_is_an_error(tmp_path):
    (tmp_path / "page.html").write_text("{{ given }} {{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render(tmp_path, "page.html", given=1)


@pytest.mark.parametrize(
    ("step", "template"),
    [
        ("report", "results/pages/templates/cohort_page.html"),
        ("evaluate", "evaluation/templates/evaluation_page.html"),
    ],
)
def test_the_digest_of_a_step_follows_its_template(tmp_path, step, template):
    scripts = Path(shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts"))
    before = code_digest(scripts / f"{step}.py")
    with (scripts / "lesionflow" / template).open("a") as file:
        file.write("<!-- changed -->")
    assert code_digest(scripts / f"{step}.py") != before
