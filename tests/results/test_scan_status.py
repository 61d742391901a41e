"""The status of a scan, from its results and its logs."""

from types import SimpleNamespace

import pytest

from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged
from lesionflow.results.scan_status import STEPS, scan_status
from support.finished_scans import MODELS, finish, record
from support.paths import REPOSITORY


def status(directory, scan):
    return scan_status(scan, "m", MODELS["m"], directory / "results", directory / "logs")


def write_log(directory, name, text):
    path = directory / "logs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_failed_step_is_named_with_its_reason(tmp_path):
    log = tmp_path / "logs/crop/m/sub-1/anat/sub-1.log"
    with pytest.raises(ScanError, match="broken"), logged(SimpleNamespace(log=[log])):
        raise ScanError("broken\n  in two lines")
    assert status(tmp_path, record("sub-1")) == ("failed:crop", "broken in two lines")


def test_a_problem_of_the_plan_comes_first(tmp_path):
    finish(tmp_path)
    scan = record("sub-1", {"m": ["unreadable", "cut off"]})
    assert status(tmp_path, scan) == ("unreadable", "cut off")


def test_a_step_that_was_killed_has_failed(tmp_path):
    finish(tmp_path)
    write_log(
        tmp_path, "predict_fold/m/sub-1/anat/sub-1_fold-2.log", "2026-01-01 INFO half a sentence"
    )
    step, reason = status(tmp_path, record("sub-1"))
    assert step == "failed:predict_fold"
    assert "killed" in reason


def test_a_scan_that_was_not_started_is_not_ok(tmp_path):
    step, reason = status(tmp_path, record("sub-1"))
    assert step == "failed:import_fold"
    assert reason == "the run ended before this step started"


def test_a_missing_result_is_not_ok(tmp_path):
    finish(tmp_path)
    assert status(tmp_path, record("sub-1")) == ("ok", "")
    (tmp_path / "results/m/sub-1/anat/sub-1_qc.png").unlink()
    assert status(tmp_path, record("sub-1"))[0].startswith("failed:")


@pytest.mark.parametrize(
    "log", ["import_fold/finder/fold-2-e2.log", "find_brain/m/sub-1/anat/sub-1.log"]
)
def test_a_failed_brain_mask_counts_only_where_one_is_computed(tmp_path, log):
    write_log(tmp_path, log, "FAILED: why\n")
    scan = record("sub-1", finder={"name": "finder", "version": "0", "imports": ["e1", "e2"]})
    assert status(tmp_path, scan) == (f"failed:{log.split('/')[0]}", "why")
    assert status(tmp_path, record("sub-1"))[1] != "why"


def test_a_scan_with_a_mask_does_not_wait_for_find_brain(tmp_path):
    for step in ("import_fold/m/fold-1-d1", "resample/m/sub-1/anat/sub-1_channel-swi"):
        with logged(SimpleNamespace(log=[tmp_path / f"logs/{step}.log"])):
            pass
    assert status(tmp_path, record("sub-1"))[0] == "failed:mask"


def test_logs_of_another_run_of_the_subject_do_not_count(tmp_path):
    finish(tmp_path)
    log = tmp_path / "logs/resample/m/sub-1/anat/sub-1_run-2_channel-swi.log"
    with pytest.raises(ValueError, match="other"), logged(SimpleNamespace(log=[log])):
        raise ValueError("other")
    assert status(tmp_path, record("sub-1"))[0] == "ok"


def test_logs_of_jobs_that_the_run_does_not_have_do_not_count(tmp_path):
    finish(tmp_path)
    old = ["import_fold/m/fold-1-d0.log", "import_fold/mask/fold-1-e1.log"]
    old += ["resample/m/sub-1/anat/sub-1_channel-T1w.log", "find_brain/m/sub-1/anat/sub-1.log"]
    for name in old:
        write_log(tmp_path, name, "FAILED: in an earlier run\n")
    assert status(tmp_path, record("sub-1"))[0] == "ok"


def test_an_import_that_failed_in_an_earlier_run_does_not_count(tmp_path):
    write_log(tmp_path, "import_fold/m/fold-1-d1.log", "FAILED: no space left\n")
    write_log(tmp_path, "crop/m/sub-1/anat/sub-1.log", "FAILED: broken\n")
    results, logs = tmp_path / "results", tmp_path / "logs"
    for unfinished, expected in (({"crop"}, "crop"), ({"crop", "import_fold"}, "import_fold")):
        state = scan_status(record("sub-1"), "m", MODELS["m"], results, logs, unfinished)
        assert state[0] == f"failed:{expected}"


def test_every_step_has_a_script():
    for step in STEPS:
        assert (REPOSITORY / "scripts" / f"{step}.py").is_file()
