"""Runs on systems that lack what only Linux has."""

import shutil

import pandas as pd
import pytest

from support.other_systems import without_linux
from support.runs import process_ids, snakemake

pytestmark = pytest.mark.slow


def test_a_run_without_the_calls_of_linux_shares_processes_and_has_the_same_results(
    finished, tmp_path, tiny, models_dir, monkeypatch
):
    """Neither Snakemake nor its jobs have them; jobs that could not do without would say so, or fail."""
    shutil.copytree(finished / "bids/sub-01/ses-1", tmp_path / "bids/sub-01/ses-1")
    without_linux(tmp_path / "site", monkeypatch)
    status, text = snakemake(tmp_path, cohort="bids", models=tiny, models_dir=models_dir)
    assert status == 0, text
    assert "process of its own" not in text
    assert len(process_ids(tmp_path)) == 3
    assert len(set(process_ids(tmp_path))) == 1
    here, linux = (pd.read_csv(run / "results/lesions.csv") for run in (tmp_path, finished))
    assert len(here) == 2
    linux = linux[linux.scan == "sub-01_ses-1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(here, linux)
