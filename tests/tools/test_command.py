"""The command lesionflow: the arguments of a BIDS App as a call of Snakemake."""

import importlib.util
import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from snakemake.cli import parse_config

from support.paths import REPOSITORY

FILE = REPOSITORY / "scripts/installed/lesionflow_command.py"
spec = importlib.util.spec_from_file_location("lesionflow_command", FILE)
command = importlib.util.module_from_spec(spec)
spec.loader.exec_module(command)


def settings(*arguments):
    """The config that Snakemake reads from the call."""
    words = command.snakemake_command(["bids", "out", "participant", *arguments])
    start = words.index("--config") + 1
    ends = (i for i, word in enumerate(words) if i > start and word.startswith("-"))
    return parse_config(words[start : next(ends, None)])


def test_paths_are_those_of_the_directory_in_which_the_command_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = command.snakemake_command(["bids", "out", "participant", "--config-file", "a.yaml"])
    assert words[words.index("--directory") + 1] == str(tmp_path / "out")
    assert words[words.index("--configfile") + 1] == str(tmp_path / "a.yaml")
    assert words[words.index("--snakefile") + 1] == str(REPOSITORY / "Snakefile")
    assert settings("--models", "demo-cmb", "own/card.yaml", "--models-dir", "weights") == {
        "cohort": str(tmp_path / "bids"),
        "models": ["demo-cmb", str(tmp_path / "own/card.yaml")],
        "models_dir": str(tmp_path / "weights"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "my bids",
        "'",
        '"',
        "a: b",
        "[x]",
        "{y}",
        "12",
        "true",
        "a=b",
        "# c",
        "ä\\n",
        "-x",
        "\U0001f9e0",
        "\udcff",
        "\x7f\x85\u2028",
    ],
)
def test_any_name_of_a_folder_reaches_snakemake_as_it_is(name):
    words = command.snakemake_command([f"/data/{name}", "out", "participant"])
    assert parse_config([words[words.index("--config") + 1]]) == {"cohort": f"/data/{name}"}


@pytest.mark.parametrize(
    ("arguments", "include"),
    [
        (["--participant-label", "01", "sub-02"], ["sub-01", "sub-02"]),
        (["--participant_label", "01", "--session_label", "ses-a"], ["sub-01_ses-a"]),
        (["--participant-label", "01", "--participant-label", "02"], ["sub-01", "sub-02"]),
        (["--session-label", "1", "2"], ["sub-*_ses-1", "sub-*_ses-2"]),
    ],
)
def test_labels_choose_scans(arguments, include):
    assert settings(*arguments)["include"] == include


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "cohort=/elsewhere"],
        ["--config", "threshold=0.3", "dicom=/elsewhere"],
        ["--participant-label", "01", "--config", "include=sub-02"],
        ["--models", "a", "--config", "models=b"],
        ["--", "--config", "threshold=0.3"],
        ["--", "-Cthreshold=0.3"],
        ["--", "--keep-going", "--configfile=other.yaml"],
        ["--", "-d", "elsewhere"],
        ["--", "--directory", "elsewhere"],
    ],
)
def test_nothing_replaces_an_argument_without_a_word(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.snakemake_command(["bids", "out", "participant", *arguments])
    assert stopped.value.code == 2
    assert "gives it" in (text := capsys.readouterr().err) or "behind --" in text


def test_a_directory_of_dicom_files_takes_the_place_of_the_cohort(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings("--dicom") == {"dicom": str(tmp_path / "bids")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["bids", "out"],
        ["bids", "out", "session"],
        ["", "out", "participant"],
        ["bids", "", "participant"],
        ["bids", "out", "participant", "--participant-label", "*"],
        ["bids", "out", "participant", "--no-such-option"],
        ["bids", "out", "participant", "--profile", "nowhere"],
        ["bids", "out", "participant", "--profile", "slurm/"],
    ],
)
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        command.snakemake_command(arguments)
    assert "usage: lesionflow" in capsys.readouterr().err


def test_options_of_snakemake_follow_two_hyphens_and_a_profile_may_be_ours():
    words = command.snakemake_command(
        ["bids", "out", "group", "--profile", "slurm", "--cores", "4", "--", "--keep-incomplete"]
    )
    assert words[words.index("--workflow-profile") + 1] == str(REPOSITORY / "profiles/slurm")
    assert words[words.index("--cores") + 1] == "4"
    assert words[-3:] == ["--keep-incomplete", "--", "tables"]


@pytest.mark.slow
def test_participant_computes_scans_and_group_writes_tables_alone(again, tiny, models_dir):
    directory, _ = again

    def call(*arguments):
        given = [
            "--models",
            tiny,
            "--models-dir",
            models_dir,
            "--cores",
            "2",
        ]
        words = [sys.executable, FILE, "bids", ".", *arguments, *given]
        done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False)
        table = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
        return done.returncode, done.stdout + done.stderr, table.set_index("scan")

    status, text, table = call("participant", "--participant-label", "01")
    assert status == 0, text
    assert table.status.to_dict() == {
        "sub-01_ses-1": "ok",
        "sub-01_ses-2": "ok",
        "sub-02": "excluded",
    }
    assert table.reason["sub-02"] == "by include and exclude"

    status, text, table = call("group")
    assert status == 0, text
    assert set(table.status) == {"ok"}
    before = (directory / "results/tiny/sub-02/anat/sub-02_lesions.tsv").stat().st_mtime_ns

    (directory / "results/tiny/sub-02/anat/sub-02_lesions.tsv").unlink()
    status, text, table = call("group")
    assert status != 0
    assert "tables: 1 of 3 scans have no results of these settings" in text
    assert table.status.to_dict() == {
        "sub-01_ses-1": "ok",
        "sub-01_ses-2": "ok",
        "sub-02": "failed:count",
    }
    assert not (directory / "results/tiny/sub-02/anat/sub-02_lesions.tsv").exists()
    assert not json.loads((directory / "results/run.json").read_text())["succeeded"]

    status, text, table = call("participant")
    assert status == 0, text
    assert (directory / "results/tiny/sub-02/anat/sub-02_lesions.tsv").stat().st_mtime_ns > before
    assert set(table.status) == {"ok"}


def test_the_catalog_file_has_the_keys_that_the_catalog_reads():
    catalog = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())
    assert set(catalog["usage"]) == {"mandatory-flags", "software-stack-deployment"}
    assert set(catalog["usage"]["mandatory-flags"]) == {"desc", "flags"}
    assert catalog["usage"]["software-stack-deployment"]["conda"] is True
