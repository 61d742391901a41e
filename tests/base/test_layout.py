"""Outputs of the rules are the patterns of layout, and each pattern is an output of a rule."""

import re

import numpy as np
import pytest
import scipy.io

from lesionflow.base import layout
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.results.pages.page_scripts import SHARED_FILES
from lesionflow.results.reviews.review_file import write_review
from support.cohorts import CARD, write_card
from support.dicom import save_series
from support.reviews import complete
from support.runs import snakemake

JOB = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|^$|\Z)", re.M | re.S)
FIELD = re.compile(r"^ {4}(output|log|benchmark|wildcards): (.*)$", re.M)
INTERMEDIATE = ("RESAMPLED_IMAGE", "CROPPED_IMAGE")
NOT_OF_A_RULE = {"SCAN", "RUN", "PLAN", "RUNNING", "HEADERS", "FILE_DIGESTS", "CODE_DIGESTS"}


def patterns():
    """The patterns of the rules' outputs by name, intermediate images both kept and temporary."""
    found = {}
    for name, value in vars(layout).items():
        if name in INTERMEDIATE:
            found |= {f"{name} {kept}": layout.intermediate(value, kept) for kept in (True, False)}
        elif name.isupper() and isinstance(value, str) and name not in NOT_OF_A_RULE:
            found[name] = value
    shared = found.pop("PAGE_FILES")
    found |= {f"PAGE_FILES {file}": shared.replace("{file}", file) for file in SHARED_FILES}
    return found | {"IMPORTED_FOLD": f"models/{layout.IMPORTED_FOLD}/{FOLD_JSON}"}


def filled(pattern, wildcards):
    """The path of a pattern as text, or None if a wildcard is missing."""
    try:
        return str(layout.path(pattern, **wildcards))
    except KeyError:
        return None


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Rule, outputs, log, benchmark and wildcards of the jobs of dry runs with all rules that write files."""
    directory = tmp_path_factory.mktemp("layout")
    for name in ("swi", "truth"):
        path = directory / f"bids/sub-01/{name}/sub-01.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"vol": np.ones((4, 5, 6), np.float32)})
    (directory / "weights/fold-1").mkdir(parents=True)
    (directory / "weights/fold-1/saved_model.pb").touch()
    components = {"threshold": 0.25, "connectivity": 6, "overall": True, "classes": [[1], [2]]}
    card = write_card(
        directory,
        folds=[{"path": "weights/fold-1"}],
        input={**CARD["input"], "matlab": {"orientation": "RAS", "spacing_mm": [1, 1, 1]}},
        output={"activation": "softmax", "labels": {1: "a", 2: "b"}},
        postprocess={"threshold": 0.5, "connectivity": 6, "components": components},
    )
    jobs_of_runs = []
    write_review(directory / "review.tsv", [complete(scan="sub-01")])
    save_series(directory / "dicom/sub-01", np.ones((4, 5, 6), np.int16), np.eye(4))
    evaluated = "all", "results/evaluation.csv", "--dry-run"
    for targets, config in (
        (evaluated, {}),
        (evaluated, {"keep": "[resampled,cropped]", "review": "review.tsv"}),
        (("all", "--dry-run"), {"dicom": "dicom", "dicom_seg": "True"}),
    ):
        status, text = snakemake(directory, *targets, models=card, **config)
        assert status == 0, text
        for rule, body in JOB.findall(text):
            text_fields = FIELD.findall(body.replace(" (update)", ""))
            fields = {key: value.split(", ") for key, value in text_fields}
            fields["wildcards"] = dict(pair.split("=") for pair in fields.get("wildcards", []))
            jobs_of_runs.append((rule, fields))
    return [job for job in jobs_of_runs if job[0] != "all"]


@pytest.mark.slow
def test_outputs_of_the_rules_are_the_patterns_of_layout(jobs):
    unused = patterns()
    for rule, fields in jobs:
        names = {filled(p, fields["wildcards"]): name for name, p in patterns().items()}
        for output in fields["output"]:
            assert output in names, (rule, output)
            unused.pop(names[output], None)
    assert unused == {}


@pytest.mark.slow
def test_logs_and_benchmarks_of_the_rules_are_those_of_layout(jobs):
    for rule, fields in jobs:
        wildcards = fields["wildcards"]
        assert fields["log"] == [filled(layout.log(rule), wildcards)]
        assert fields["benchmark"] == [filled(layout.benchmark(rule), wildcards)]
    assert {rule for rule, _ in jobs} == set(layout.JOBS) - {"check_model"}


def test_paths_in_the_folders_of_a_run(tmp_path):
    scan = {"model": "m", "folder": "sub-1/anat", "scan": "sub-1"}
    path = layout.path(layout.QC_FIGURE, tmp_path / "results", tmp_path / "logs", **scan)
    assert path == tmp_path / "results/m/sub-1/anat/sub-1_qc.png"
    path = layout.path(layout.log("predict_fold"), logs=tmp_path, **scan, fold=2, channel="swi")
    assert path == tmp_path / "predict_fold/m/sub-1/anat/sub-1_fold-2.log"
    with pytest.raises(KeyError, match="fold"):
        layout.path(layout.FOLD_PROBABILITY, **scan)
