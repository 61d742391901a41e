"""Partial tables of a run that failed."""

from lesionflow.workflow import partial_tables


def test_a_successful_run_removes_partial_tables_and_no_other_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for name in ("cohort", "evaluation", "mine"):
        (tmp_path / f"results/{name}.partial.csv").touch()
    partial_tables.remove()
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine.partial.csv"]
    partial_tables.remove()  # without any partial table
