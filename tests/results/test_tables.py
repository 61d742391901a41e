"""Tables, logs and marks of code."""

import json
from types import SimpleNamespace as NS

import numpy as np
import pandas as pd
import pytest

from lesionflow.base import digests
from lesionflow.base.atomic_write import whole
from lesionflow.base.digests import code_digest, sources
from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged, outcome
from lesionflow.results import columns
from lesionflow.results.cohort_tables import cohort_table
from lesionflow.results.scan_results import quality_and_provenance
from lesionflow.results.scan_status import STEPS
from lesionflow.results.tables_io import write_table
from support.paths import HOUSE

MODELS = {"m": {"labels": ["cmb"], "channels": ["swi"], "folds": 3, "cleaned": False, "soft": []}}


def record(scan, problems=None):
    return {
        "scan": scan,
        "subject": "1",
        "session": "",
        "run": "",
        "folder": "sub-1/anat",
        "files": {"swi": "scan.nii.gz"},
        "problems": problems or {},
        "finder": None,
    }


def finished(tmp_path, scan="sub-1"):
    """The files at the end of a scan's road, with no lesion."""
    folder = tmp_path / "results/m/sub-1/anat"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{scan}_lesions.tsv").write_text("\t".join(columns.names(columns.LESION)) + "\n")
    (folder / f"{scan}_volumes.tsv").write_text(
        "index\tname\tcount\tvolume_mm3\tmean_volume_mm3\tmedian_volume_mm3\tmax_volume_mm3\t"
        "max_probability\n1\tcmb\t0\t0.0\t\t\t\t0.2\n"
    )
    facts = {name: 1 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    (folder / f"{scan}_space-model_dseg.json").write_text(json.dumps(facts))
    (folder / f"{scan}_space-orig_dseg.nii.gz").touch()
    (folder / f"{scan}_qc.png").touch()


def test_zero_lesions_and_not_measured_differ(tmp_path):
    finished(tmp_path)
    plan = [record("sub-1"), record("sub-2", {"m": ["unreadable", "why"]})]
    table = cohort_table(plan, MODELS, tmp_path / "results", tmp_path / "logs")
    write_table(tmp_path / "cohort.csv", table)
    rows = pd.read_csv(tmp_path / "cohort.csv", dtype=str, keep_default_na=False)
    assert rows.status.tolist() == ["ok", "unreadable"]
    assert rows.cmb_count.tolist() == ["0", ""]
    assert rows.cmb_volume_mm3.tolist() == ["0.0", ""]
    assert rows.cmb_mean_volume_mm3.tolist() == ["", ""]


def test_a_failed_step_is_named_with_its_reason(tmp_path):
    log = tmp_path / "logs/crop/m/sub-1/anat/sub-1.log"
    with pytest.raises(ScanError, match="broken"), logged(NS(log=[log])):
        raise ScanError("broken\n  in two lines")
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "failed:crop"
    assert table.reason[0] == "broken in two lines"
    assert "Traceback" in log.read_text()


def test_a_bug_is_told_from_what_the_user_can_mend(tmp_path):
    log = tmp_path / "logs/crop/m/sub-1/anat/sub-1.log"
    with pytest.raises(ValueError, match="shapes"), logged(NS(log=[log])):
        np.zeros(2) + np.zeros(3)
    reason = outcome(log)
    assert reason.startswith("ValueError: operands could not be broadcast together with shapes")


def test_every_models_failure_is_told(tmp_path):
    problems = {"a": ["unreadable", "cut off"], "b": ["missing-input", "no t1"]}
    models = {"a": MODELS["m"], "b": MODELS["m"]}
    plan = [record("sub-1", problems)]
    table = cohort_table(plan, models, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "unreadable"
    assert table.reason[0] == "a: cut off; b: no t1"


def test_a_killed_step_is_not_taken_for_a_good_one(tmp_path):
    finished(tmp_path)
    log = tmp_path / "logs/predict_fold/m/sub-1/anat/sub-1_fold-2.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01 INFO half a")
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "failed:predict_fold"
    assert "killed" in table.reason[0]


def test_what_was_never_begun_is_not_ok(tmp_path):
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0].startswith("failed:")


@pytest.mark.parametrize(
    "log", ["import_fold/finder/fold-2.log", "find_brain/m/sub-1/anat/sub-1.log"]
)
def test_a_brain_that_was_not_found_is_told_where_it_is_looked_for(tmp_path, log):
    path = tmp_path / "logs" / log
    path.parent.mkdir(parents=True)
    path.write_text("FAILED: why\n")
    wanted = record("sub-1") | {"finder": {"name": "finder", "version": "0", "folds": 2}}
    folders = tmp_path / "results", tmp_path / "logs"
    table = cohort_table([wanted], MODELS, *folders)
    assert (table.status[0], table.reason[0]) == (f"failed:{log.split('/')[0]}", "why")
    assert cohort_table([record("sub-1")], MODELS, *folders).reason[0] != "why"


def test_a_scan_with_its_mask_waits_for_no_search(tmp_path):
    for step in ("import_fold/m/fold-1", "resample/m/sub-1/anat/sub-1_channel-swi"):
        log = tmp_path / f"logs/{step}.log"
        with logged(NS(log=[log])):
            pass
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "failed:mask"


def test_logs_of_another_run_of_the_subject_are_not_mixed_up(tmp_path):
    finished(tmp_path)
    log = tmp_path / "logs/resample/m/sub-1/anat/sub-1_run-2_channel-swi.log"
    with pytest.raises(ValueError, match="other"), logged(NS(log=[log])):
        raise ValueError("other")
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "ok"


def test_several_models_prefix_what_is_theirs(tmp_path):
    names = columns.names(
        columns.cohort_columns(
            {"a": {"labels": ["cmb"], "soft": []}, "b": {"labels": ["wmh"], "soft": ["wmh", "all"]}}
        )
    )
    assert names[:6] == ["scan", "subject", "session", "run", "status", "reason"]
    assert "a_cmb_count" in names
    assert "b_wmh_count" in names
    assert "b_device" in names
    assert [n for n in names if "soft" in n] == ["b_wmh_soft_volume_mm3", "b_all_soft_volume_mm3"]
    assert "cmb_count" not in names


def test_every_column_is_explained():
    for c in columns.cohort_columns(MODELS) + columns.LESION:
        assert c["LongName"]
        assert c["Description"]
    assert len(set(columns.names(columns.LESION))) == len(columns.LESION)


def test_flags():
    gathered = {name: 0 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    gathered |= {"brain_volume_ml": 300, "brain_at_edge": 0.5, "brain_outside_box": 0.1}
    gathered |= {"mask_source": "provided", "filled": False}
    assert (
        quality_and_provenance(gathered)["flags"] == "brain-cut-by-box;brain-at-edge;brain-volume"
    )
    none = gathered | {
        "brain_volume_ml": None,
        "brain_at_edge": None,
        "mask_source": "none",
    }
    assert quality_and_provenance(none | {"brain_outside_box": 0})["flags"] == "no-brain-mask"


def test_steps_are_the_rules_with_a_scan():
    for step in STEPS:
        assert (HOUSE / "scripts" / f"{step}.py").is_file()


def test_outcome_of_a_log(tmp_path):
    with logged(NS(log=[tmp_path / "a.log"])):
        pass
    assert outcome(tmp_path / "a.log") is None
    assert outcome(tmp_path / "none.log") is None


def test_nothing_half_written_under_a_final_name(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def code(tmp_path, text):
    (tmp_path / "lesionflow").mkdir(exist_ok=True)
    (tmp_path / "lesionflow/__init__.py").write_text("")
    (tmp_path / "lesionflow/one.py").write_text("from lesionflow.two import x\n")
    (tmp_path / "lesionflow/two.py").write_text(text)
    (tmp_path / "lesionflow/other.py").write_text("y = 1\n")
    (tmp_path / "step.py").write_text("def main():\n    from lesionflow import one\n")
    return code_digest(tmp_path / "step.py")


def test_the_mark_of_a_step_follows_what_it_imports(tmp_path):
    first = code(tmp_path, "x = 1\n")
    names = [p.name for p in sources(tmp_path / "step.py")]
    assert names == ["__init__.py", "one.py", "two.py", "step.py"]
    assert code(tmp_path, "# a comment\nx  =  1\n") == first
    assert code(tmp_path, '"""A docstring."""\nx = 1\n') == first
    assert code(tmp_path, "x = 2\n") != first


def test_marks_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    first = code(tmp_path, "x = 1\n")
    store = tmp_path / "work/code.json"
    assert digests.code_digests(tmp_path, store) == {"step": first}
    with monkeypatch.context() as patch:
        patch.setattr(digests, "code_digest", None)  # is not asked again
        assert digests.code_digests(tmp_path, store) == {"step": first}
    other = code(tmp_path, "x = 22\n")
    assert digests.code_digests(tmp_path, store) == {"step": other} != {"step": first}
    store.write_text("{")
    assert digests.code_digests(tmp_path, store) == {"step": other}


def test_a_log_of_a_job_that_is_no_more_decides_nothing(tmp_path):
    finished(tmp_path)
    old = ["import_fold/m/fold-4.log", "import_fold/mask/fold-1.log"]
    old += ["resample/m/sub-1/anat/sub-1_channel-t1.log", "find_brain/m/sub-1/anat/sub-1.log"]
    for name in old:
        (tmp_path / "logs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / name).write_text("FAILED: of old\n")
    table = cohort_table([record("sub-1")], MODELS, tmp_path / "results", tmp_path / "logs")
    assert table.status[0] == "ok"


def test_numbers_are_short_and_small_ones_stay_what_they_are(tmp_path):
    table = pd.DataFrame({"x": [1884.66712, 0.000427351, -0.00000123456, 0.0, float("nan")]})
    write_table(tmp_path / "t.csv", table)
    lines = (tmp_path / "t.csv").read_text().split()
    assert lines == ["x", "1884.6671", "0.0004274", "-1.235e-06", "0.0", '""']
