from lesionflow.workflow import partial_tables


def test_a_whole_run_removes_its_own_partial_tables_and_no_file_of_the_users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for name in ("cohort", "evaluation", "mine"):
        (tmp_path / f"results/{name}.partial.csv").touch()
    partial_tables.forget()
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine.partial.csv"]
    partial_tables.forget()  # also where there is none
