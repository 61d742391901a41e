"""The record of a run that failed."""

from types import SimpleNamespace

from lesionflow.workflow.failed_run import unfinished_steps
from lesionflow.workflow.module_use import Steps


def steps(prefix=""):
    modifier = SimpleNamespace(modify_rulename=lambda name: prefix + name)
    return Steps(SimpleNamespace(modifier=modifier))


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
    assert unfinished_steps(SimpleNamespace(needrun_jobs=lambda: jobs), steps()) == {
        ("sub-1", "m"): {"import_fold", "crop", "predict_fold"},
        ("sub-1", "n"): {"draw"},
    }
    assert unfinished_steps(None, steps()) == {}


def test_the_import_of_a_brain_mask_is_a_step_of_scans_whose_brain_is_not_found():
    jobs = [
        job("import_fold", model="mask", fold="1"),
        job("find_brain", model="m", scan="sub-1"),
        job("crop", model="m", scan="sub-2"),
    ]
    assert unfinished_steps(SimpleNamespace(needrun_jobs=lambda: jobs), steps()) == {
        ("sub-1", "m"): {"find_brain", "import_fold"},
        ("sub-2", "m"): {"crop"},
    }


def test_rules_of_a_workflow_that_uses_this_one_are_no_steps():
    jobs = [
        job("lesionflow_crop", model="m", scan="sub-1"),
        job("crop", model="m", scan="sub-2"),
        job("plot", model="m", scan="sub-3"),
    ]
    dag = SimpleNamespace(needrun_jobs=lambda: jobs)
    assert unfinished_steps(dag, steps("lesionflow_")) == {("sub-1", "m"): {"crop"}}
