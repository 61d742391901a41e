"""Tables of the cohort and their columns."""

import pandas as pd
import pytest

from lesionflow.results import columns
from lesionflow.results.cohort_tables import cohort_table, lesions_table
from lesionflow.results.scan_status import scan_states
from lesionflow.results.tables_io import write_table
from support.finished_scans import MODELS, finish, record


def table_of(directory, plan, models=MODELS, unfinished=None):
    results, logs = directory / "results", directory / "logs"
    states = scan_states(plan, models, results, logs, unfinished or {})
    return cohort_table(plan, models, states, results)


def test_results_that_the_run_has_not_replaced_do_not_count(tmp_path):
    """Those of an earlier run, for example with another threshold."""
    finish(tmp_path)
    plan, unfinished = [record("sub-1")], {("sub-1", "m"): {"restore", "threshold", "draw"}}
    table = table_of(tmp_path, plan, unfinished=unfinished)
    assert table.status.tolist() == ["failed:threshold"]
    assert table.reason.tolist() == ["the run ended before this step started"]
    assert table.cmb_count.isna().all()
    states = scan_states(plan, MODELS, tmp_path / "results", tmp_path / "logs", unfinished)
    assert len(lesions_table(plan, MODELS, states, tmp_path / "results")) == 0


def test_no_lesion_is_0_and_not_measured_is_empty(tmp_path):
    finish(tmp_path)
    plan = [record("sub-1"), record("sub-2", {"m": ["unreadable", "why"]})]
    table = table_of(tmp_path, plan)
    write_table(tmp_path / "cohort.csv", table)
    rows = pd.read_csv(tmp_path / "cohort.csv", dtype=str, keep_default_na=False)
    assert rows.status.tolist() == ["ok", "unreadable"]
    assert rows.cmb_count.tolist() == ["0", ""]
    assert rows.cmb_volume_mm3.tolist() == ["0.0", ""]
    assert rows.cmb_mean_volume_mm3.tolist() == ["", ""]


def test_a_failed_scan_has_a_row_with_the_step_and_the_reason(tmp_path):
    log = tmp_path / "logs/crop/m/sub-1/anat/sub-1.log"
    log.parent.mkdir(parents=True)
    log.write_text("FAILED: broken in two lines\n")
    unfinished = {("sub-1", "m"): {"crop", "normalize"}}
    table = table_of(tmp_path, [record("sub-1")], unfinished=unfinished)
    assert table.status[0] == "failed:crop"
    assert table.reason[0] == "broken in two lines"


@pytest.mark.parametrize("text", ["", "FAILED: in an earlier run", "half a sen"])
def test_logs_of_steps_that_the_run_did_not_have_to_do_do_not_count(tmp_path, text):
    finish(tmp_path)
    for log in (tmp_path / "logs").rglob("*.log"):
        log.write_text(text)
    assert table_of(tmp_path, [record("sub-1")]).status[0] == "ok"
    unfinished = {("sub-1", "m"): {"draw"}}
    assert (
        table_of(tmp_path, [record("sub-1")], unfinished=unfinished).status[0].startswith("failed")
    )


def test_the_reason_has_the_problem_of_every_model(tmp_path):
    problems = {"a": ["unreadable", "cut off"], "b": ["missing-input", "no t1"]}
    models = {"a": MODELS["m"], "b": MODELS["m"]}
    plan = [record("sub-1", problems)]
    table = table_of(tmp_path, plan, models)
    assert table.status[0] == "unreadable"
    assert table.reason[0] == "a: cut off; b: no t1"


def test_columns_of_several_models_have_a_prefix():
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


def test_every_column_has_a_description():
    for column in columns.cohort_columns(MODELS) + columns.LESION:
        assert column["LongName"]
        assert column["Description"]
    assert len(set(columns.names(columns.LESION))) == len(columns.LESION)
