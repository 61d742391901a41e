"""A scan, a mask or a network counts as changed when its content has changed, and only then; a run reads its own plan."""

import gzip
import os
import shutil
import time

import nibabel as nib
import numpy as np
import pytest

from support.changed_files import flip_a_bit, lesions, planned, replace_keeping_state, start, tables
from support.cohorts import add_scan, blobs
from support.paths import REPOSITORY
from support.runs import jobs, snakemake

pytestmark = pytest.mark.slow
SWI = "bids/sub-02/anat/sub-02_swi.nii.gz"
MASK = "bids/sub-01/ses-1/anat/sub-01_ses-1_desc-brain_mask.nii.gz"


def test_a_copied_or_touched_cohort_runs_no_job(again):
    directory, run = again
    for path in (directory / "bids").rglob("*.nii.gz"):
        os.utime(path)
    assert planned(run) == {}
    shutil.copytree(directory / "bids", directory / "elsewhere")
    shutil.rmtree(directory / "bids")
    status, text = run("--dry-run", cohort="elsewhere")
    assert status == 0, text
    assert jobs(text) == {}
    assert text.count("to compare their content") == 1
    status, text = run("--dry-run", cohort="elsewhere")
    assert "to compare their content" not in text  # once


def test_a_first_plan_hashes_no_scan(tmp_path, tiny, models_dir, finished):
    shutil.copytree(finished / "bids", tmp_path / "bids")
    status, text = snakemake(tmp_path, "--dry-run", models=tiny, models_dir=models_dir)
    assert status == 0, text
    hashed = (tmp_path / "work/digests.jsonl").read_text()
    assert "bids" not in hashed
    assert "fold.json" in hashed


def test_a_mask_put_back_with_an_older_date_is_computed_again(again):
    directory, run = again
    image = nib.load(directory / MASK)
    data = np.asanyarray(image.dataobj).copy()
    data[:16] = 0
    nib.Nifti1Image(data, image.affine).to_filename(directory / "other.nii.gz")
    replace_keeping_state(directory / MASK, (directory / "other.nii.gz").read_bytes(), 10**18)
    found = planned(run)
    assert found["mask"] == 1 and found["count"] == 1 and found["aggregate"] == 1
    assert "resample" in found  # its image is temporary


def test_a_scan_edited_with_size_and_date_kept_is_computed_again(again):
    directory, run = again
    path = directory / SWI
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    status, text = run()
    assert status == 0, text
    before = tables(directory)
    content = bytearray(plain.read_bytes())
    voxels = np.frombuffer(content, "<f4", offset=352)
    voxels.reshape((30, 32, 14), order="F")[9:12, 9:12, 5] = 400
    replace_keeping_state(plain, content)
    status, text = run()
    assert status == 0, text
    assert jobs(text)["resample"] == 1
    assert tables(directory) != before
    assert planned(run) == {}


def test_another_clone_and_a_moved_models_folder_run_no_job(again, tmp_path, models_dir, tiny):
    _, run = again
    for name in ("rules", "scripts", "config", "profiles", "envs", "resources"):
        shutil.copytree(REPOSITORY / name, tmp_path / "clone" / name)
    shutil.copy(REPOSITORY / "Snakefile", tmp_path / "clone")
    shutil.copytree(models_dir, tmp_path / "moved")
    shutil.copytree(tiny.parent, tmp_path / "cards")
    moved = {"models_dir": tmp_path / "moved", "models": tmp_path / "cards/tiny.yaml"}
    assert planned(run, repository=tmp_path / "clone", **moved) == {}


def test_calls_beside_a_run_change_nothing_that_it_reads(tmp_path, tiny, models_dir):
    directory = tmp_path / "a"
    for number in range(1, 5):
        add_scan(directory / "bids", f"sub-0{number}", blobs([(8, 9, 5)], seed=number))
    config = {"models": tiny, "models_dir": models_dir}
    run = start(directory, **config)
    other = tmp_path / "other"
    add_scan(other, "sub-77", blobs([]))
    deadline = time.monotonic() + 60
    while not list(directory.glob("work/running/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    before = {path: path.read_bytes() for path in (directory / "work/plans").iterdir()}
    status, text = snakemake(directory, "--dry-run", exclude="sub-02", **config)
    assert status == 0, text
    status, text = snakemake(directory, "--dry-run", cohort=other, **config)
    assert status == 0, text
    refused, text = snakemake(directory, exclude="sub-03", **config)
    still_running = run.poll() is None
    after = {path: path.read_bytes() for path in before if path.exists()}
    output, _ = run.communicate()
    assert run.returncode == 0, output
    assert after == before or not still_running
    if still_running:
        assert refused != 0
        assert "lock" in text.lower()
    rows = (directory / "results/cohort.csv").read_text().splitlines()[1:]
    statuses = [row.split(",")[4] for row in rows]
    assert statuses == (["ok"] * 4 if still_running else statuses)


def test_a_dry_run_in_a_new_folder_writes_caches_only(tmp_path, tiny, models_dir):
    add_scan(tmp_path / "bids", "sub-01", blobs([]))
    status, text = snakemake(tmp_path, "--dry-run", models=tiny, models_dir=models_dir)
    assert status == 0, text
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    written = {name for name in files if not name.startswith((".snakemake/", "bids/"))}
    assert written <= {"work/headers.json", "work/code.json", "work/digests.jsonl"}


def test_outputs_are_made_again_unless_they_are_as_they_were_written(again):
    directory, run = again
    expected = tables(directory)
    anat = directory / "results/tiny/sub-02/anat"
    damages = {
        "sub-02_lesions.tsv": lambda path: path.write_bytes(path.read_bytes()[:20]),
        "sub-02_volumes.tsv": lambda path: path.write_bytes(b""),
        "sub-02_space-orig_probseg.nii.gz": lambda path: path.unlink(),
        "sub-02_space-model_dseg.json": lambda path: path.write_text("{"),
        "sub-02_qc.png": flip_a_bit,
        "sub-02_qc.pdf": lambda path: path.unlink(),
        "sub-02_thumbnail.webp": flip_a_bit,
        "sub-02_lesions.js": flip_a_bit,
    }
    for name, damage in damages.items():
        damage(anat / name)
        found = planned(run)
        is_picture = name.endswith(("png", "pdf", "webp"))
        step = "draw" if is_picture else "show" if name.endswith("js") else "restore"
        assert found.get(step, 0) == 1, (name, found)
    for name in ("cohort.csv", "lesions.json", "report.html"):
        (directory / "results" / name).unlink()
    (directory / "results/tiny/dseg.tsv").write_bytes(b"index")
    status, text = run()
    assert status == 0, text
    assert "is missing: it is made again" in text or "not as it was written" in text
    assert tables(directory) == expected
    assert planned(run) == {}


def test_results_without_a_record_are_computed_again(again):
    directory, run = again
    expected = tables(directory)
    shutil.rmtree(directory / ".snakemake")
    assert planned(run)["predict_fold"] == 9
    status, text = run(threshold=0.9)
    assert status == 0, text
    status, text = run()
    assert status == 0, text
    assert tables(directory) == expected


@pytest.mark.parametrize("times", [1, 2])
def test_a_scan_that_changed_while_a_run_was_on_is_computed_again(
    tmp_path, tiny, models_dir, times
):
    """The second time it is put back: the jobs of the run may have read either content."""
    directory = tmp_path / "a"
    path = add_scan(directory / "bids", "sub-01", blobs([(8, 9, 5)], seed=1))
    contents = [path.read_bytes()]
    contents.append(add_scan(tmp_path / "x", "sub-01", blobs([], seed=1)).read_bytes())
    config = {"models": tiny, "models_dir": models_dir}
    run = start(directory, **config)
    deadline = time.monotonic() + 60
    while not list(directory.rglob("*_desc-source_swi.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in range(1, times + 1):
        path.write_bytes(contents[number % 2])
    output, _ = run.communicate()
    assert run.returncode == 1
    assert "sub-01 changed while the run was on: run the same command again" in output
    assert ",changed," in (directory / "results/cohort.csv").read_text()
    assert lesions(directory) == 0
    status, text = snakemake(directory, **config)
    assert status == 0, text
    assert lesions(directory) == (0 if times == 1 else 1)
    status, text = snakemake(directory, "--dry-run", **config)
    assert jobs(text) == {}


def test_triggers_that_are_left_out_are_named(again):
    directory, run = again
    add_scan(directory / "bids", "sub-02", blobs([(10, 10, 5)], seed=3))
    status, text = run("--dry-run", "--rerun-triggers", "mtime")
    assert status == 0, text
    assert "rerun-triggers is without input, params" in text
