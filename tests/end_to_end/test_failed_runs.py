"""Tables and report describe the latest run, also one in which a scan failed."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from support.cohorts import AFFINE, add_scan, blobs
from support.paths import REPOSITORY
from support.runs import jobs, snakemake
from support.volumes import save_scan

pytestmark = pytest.mark.slow

MASK = "bids/sub-01/ses-2/anat/sub-01_ses-2_desc-brain_mask.nii.gz"
SCAN = "sub-01_ses-2"  # the second of the three scans of the fixture


def tables(directory):
    cohort = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
    lesions = pd.read_csv(directory / "results/lesions.csv", dtype=str, keep_default_na=False)
    return cohort.set_index("scan"), lesions


@pytest.fixture
def failed(again):
    """A finished run, whose second scan then gets an empty mask: directory, function that runs, output."""
    directory, run = again
    shutil.copyfile(directory / MASK, directory / "mask.nii.gz")
    save_scan(directory / MASK, np.zeros(blobs([]).shape, np.uint8), AFFINE)
    status, text = run()
    assert status == 1, text
    return directory, run, text


def test_a_failed_scan_has_its_row_and_none_of_its_old_lesions(failed):
    directory, _, text = failed
    cohort, lesions = tables(directory)
    assert cohort.status.tolist() == ["ok", "failed:mask", "ok"]
    assert cohort.reason[SCAN] == "the brain mask is empty"
    assert cohort.cmb_count.tolist() == ["2", "", "0"]
    assert set(lesions.scan) == {"sub-01_ses-1"}
    report = (directory / "results/report.html").read_text(encoding="utf-8")
    assert "the brain mask is empty" in report
    assert f"{SCAN}_lesions.js" not in report
    assert "sub-01_ses-1_lesions.js" in report
    assert f"{SCAN}: failed:mask: the brain mask is empty" in text
    assert "2 of 3 scans ok, 1 failed:mask" in text
    assert f"{directory}/results/cohort.csv" in text
    assert not list((directory / "results").glob("*.partial*"))


def test_the_tables_follow_if_the_scan_is_put_back_and_no_job_of_it_is_needed(failed):
    directory, run, _ = failed
    shutil.copyfile(directory / "mask.nii.gz", directory / MASK)
    status, text = run()
    assert status == 0, text
    assert set(jobs(text)) >= {"aggregate", "report"}
    cohort, lesions = tables(directory)
    assert cohort.status.tolist() == ["ok", "ok", "ok"]
    assert set(lesions.scan) == {"sub-01_ses-1", SCAN}
    assert f"{SCAN}_lesions.js" in (directory / "results/report.html").read_text(encoding="utf-8")
    status, text = run("--dry-run")
    assert jobs(text) == {}, text


def test_the_tables_follow_if_the_scan_is_excluded(failed):
    directory, run, _ = failed
    status, text = run(exclude=SCAN)
    assert status == 0, text
    assert jobs(text) == {"aggregate": 1, "report": 1}
    assert tables(directory)[0].status[SCAN] == "excluded"


def test_a_first_run_with_a_failed_scan_has_all_tables(tmp_path, tiny, models_dir):
    for number in (1, 2, 3):
        add_scan(tmp_path / "bids", f"sub-{number}", blobs([(8, 9, 5)]))
    save_scan(tmp_path / "bids/sub-2/anat/sub-2_swi.nii.gz", np.full(blobs([]).shape, 7.0), AFFINE)
    status, text = snakemake(tmp_path, models=tiny, models_dir=models_dir)
    assert status == 1, text
    cohort, lesions = tables(tmp_path)
    assert cohort.status.tolist() == ["ok", "failed:resample", "ok"]
    assert lesions.scan.tolist() == ["sub-1", "sub-3"]
    for name in ("cohort.json", "lesions.json", "report.html"):
        assert (tmp_path / "results" / name).is_file()


def without_command(path):
    """The text of a file; the report has the command of its run."""
    return re.sub('<th scope="row">command.*', "", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", ["cohort.csv", "cohort.json", "lesions.csv", "lesions.json", "report.html"]
)
def test_a_deleted_file_of_the_cohort_is_made_again(again, name):
    directory, run = again
    content = without_command(directory / "results" / name)
    (directory / "results" / name).unlink()
    status, text = run()
    assert status == 0, text
    assert set(jobs(text)) <= {"aggregate", "report"}
    assert without_command(directory / "results" / name) == content


def test_the_record_of_a_run_tells_whether_it_succeeded(failed):
    directory, run, _ = failed
    record = json.loads((directory / "results/run.json").read_text())
    assert record["succeeded"] is False
    assert record["settings"]["models_dir"]
    shutil.copyfile(directory / "mask.nii.gz", directory / MASK)
    status, text = run(threshold=0.6)
    assert status == 0, text
    record = json.loads((directory / "results/run.json").read_text())
    assert record["succeeded"] is True
    assert record["models"]["tiny"]["postprocess"]["threshold"] == 0.6
    assert "snakemake" in " ".join(record["command"])


def test_a_run_that_was_killed_is_told_and_needs_one_more_call(again):
    directory, run = again
    add_scan(directory / "bids", "sub-03", blobs([(8, 9, 5)]))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(directory), "--cores", "1", "--config"]
    command += [f"{key}={value}" for key, value in run.config.items()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while not list((directory / "logs/resample").rglob("sub-03*")):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    status, text = run("--unlock")
    assert status == 0, text
    status, text = run("--dry-run")
    assert status == 0, text
    assert "was killed: until this one ends, tables and report are those of an earlier run" in text
    status, text = run()
    assert status == 0, text
    assert tables(directory)[0].status.tolist() == ["ok"] * 4
    status, text = run("--dry-run")
    assert "was killed" not in text
