"""The record of a run that failed."""

from types import SimpleNamespace

from lesionflow.base import layout
from lesionflow.workflow.failed_run import last_failure, unfinished_steps


def job(rule, **wildcards):
    return SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards_dict=wildcards)


def test_unfinished_steps_are_those_of_scans():
    jobs = [
        job("aggregate"),
        job("import_fold", model="m", fold="1"),
        job("crop", model="m", scan="sub-1", folder="sub-1/anat"),
        job("predict_fold", model="m", scan="sub-1", fold="1"),
        job("predict_fold", model="m", scan="sub-1", fold="2"),
        job("draw", model="n", scan="sub-1"),
    ]
    assert unfinished_steps(SimpleNamespace(needrun_jobs=lambda: jobs)) == {
        ("sub-1", "m"): {"crop", "predict_fold"},
        ("sub-1", "n"): {"draw"},
    }
    assert unfinished_steps(None) == {}


def test_each_failure_has_its_own_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert last_failure() == ""
    layout.FAILED_RUN.parent.mkdir()
    digests = set()
    for text in ("a", "b", "a"):
        layout.FAILED_RUN.write_text(text)
        digests.add(last_failure())
    assert len(digests) == 2
