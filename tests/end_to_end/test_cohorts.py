"""Cohorts of different layouts, several models, and the cost of large cohorts."""

import json
import pstats
import shutil

import numpy as np
import pandas as pd
import pytest

from lesionflow.base.file_digests import FileDigests
from lesionflow.workflow.run_setup import make_plan, settings_and_cards
from support.bids_validator import bids_errors
from support.card_defaults import default
from support.cohorts import AFFINE, CARD, add_scan, blobs, write_card
from support.paths import REPOSITORY
from support.runs import jobs, snakemake
from support.volumes import noise, save_scan

pytestmark = pytest.mark.slow


def test_subject_folders_without_bids_names_are_a_cohort(tmp_path, tiny, models_dir):
    for subject in ("CIC_001", "CIC_002"):
        add_scan(None, subject, blobs([]), folder=tmp_path / f"cohort/{subject}/swi", mask=False)
        save_scan(
            tmp_path / f"cohort/{subject}/mask/m.nii.gz", (blobs([]) > 0).astype("u1"), AFFINE
        )
    status, text = snakemake(
        tmp_path, "--dry-run", cohort="cohort", models=tiny, models_dir=models_dir
    )
    assert status == 0, text
    assert jobs(text)["predict_fold"] == 6


def test_a_scan_table_with_two_models_and_regions(tmp_path, tiny, models_dir):
    """Paths are relative to the table, and columns of a model have its name as prefix."""
    scan = add_scan(None, "x", blobs([(8, 9, 5)]), folder=tmp_path / "data", mask=True)
    atlas = np.where(blobs([]) > 0, np.uint32(4_000_000_007), np.uint32(0))  # no float32 or int32
    regions = save_scan(tmp_path / "data/atlas.nii.gz", atlas, AFFINE)
    image = "data/x_swi.nii.gz"
    (tmp_path / "scans.tsv").write_text(
        "subject\tsession\tswi\tmask\tregions\n"
        f"01\tA\t{image}\tdata/x_desc-brain_mask.nii.gz\tdata/atlas.nii.gz\n"
        f"02\t\t{image}\tdata/none.nii.gz\t\n"
    )
    shutil.copytree(tiny.parent / "weights", tmp_path / "cards/weights")
    output = {"activation": "sigmoid", "labels": {1: "spot"}, "mask": None}
    other = write_card(tmp_path / "cards", name="other", output=output, folds=CARD["folds"][:1])
    status, text = snakemake(
        tmp_path, cohort="scans.tsv", models=f"[{tiny},{other}]", models_dir=models_dir
    )
    assert status == 0, text
    table = pd.read_csv(tmp_path / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert table.scan.tolist() == ["sub-01_ses-A", "sub-02"]
    assert table.status.tolist() == ["ok", "missing-input"]
    assert "none.nii.gz does not exist" in table.reason[1]
    assert table.tiny_cmb_count.tolist() == ["1", ""]
    assert int(table.other_spot_count[0]) >= 1
    assert table.tiny_weights_sha256[0] != table.other_weights_sha256[0]
    lesions = pd.read_csv(tmp_path / "results/lesions.csv")
    assert set(lesions.model) == {"tiny", "other"}
    assert scan.is_file()
    assert regions.is_file()
    assert (lesions.region == 4_000_000_007).all()
    for folder in ("results", "results/tiny", "results/other"):
        assert bids_errors(tmp_path / folder) == []
    stem = tmp_path / "results/tiny/sub-01/ses-A/anat/sub-01_ses-A_space-model_desc-brain_mask"
    mask = json.loads(stem.with_suffix(".json").read_text())
    assert mask["Sources"] == ["bids:raw:data/x_desc-brain_mask.nii.gz"]  # relative to the table
    assert mask["SpatialReference"] == "bids:raw:data/x_swi.nii.gz"


def test_a_scan_processed_without_a_mask_is_flagged(tmp_path, tiny, models_dir):
    add_scan(tmp_path / "bids", "sub-1", blobs([(8, 9, 5)]), mask=False)
    config = {"brain_mask": "none", "models": tiny, "models_dir": models_dir}
    status, text = snakemake(tmp_path, **config)
    assert status == 0, text
    row = pd.read_csv(tmp_path / "results/cohort.csv").iloc[0]
    assert (row.cmb_count, row["flags"], row.mask_source) == (1, "no-brain-mask", "none")
    assert pd.isna(row.brain_volume_ml)


def write_scans(directory, count):
    """Write a BIDS directory of ``count`` scans."""
    image = save_scan(directory / "image.nii.gz", noise()).read_bytes()
    for number in range(count):
        anat = directory / f"bids/sub-{number:04d}/anat"
        anat.mkdir(parents=True)
        (anat / f"sub-{number:04d}_swi.nii.gz").write_bytes(image)


def test_headers_are_read_once_and_then_cached(tmp_path, monkeypatch):
    from lesionflow.cards.config import check_config
    from lesionflow.cohort import header_check
    from lesionflow.cohort.plan import plan_run

    write_scans(tmp_path, 100)
    config = check_config({"cohort": str(tmp_path / "bids"), "brain_mask": "none"})
    cards = {"tiny": {"input": default("input", channels=["swi"])}}
    inspect, calls = header_check.inspect, []
    monkeypatch.setattr(header_check, "inspect", lambda *args: calls.append(args) or inspect(*args))

    def plan_and_count_reads():
        headers = header_check.HeaderCache(tmp_path / "headers.json")
        assert len(plan_run(config, cards, headers)[0]) == 100
        headers.save()
        return len(calls)

    assert [plan_and_count_reads(), plan_and_count_reads()] == [100, 100]


def test_the_cost_of_a_dry_run_is_linear_in_the_number_of_scans(tmp_path):
    def function_calls(count):
        directory, profile = tmp_path / str(count), tmp_path / f"{count}.prof"
        write_scans(directory, count)
        dry_run = ("--dry-run", "--quiet", "rules")
        status, text = snakemake(directory, *dry_run, profile=profile, brain_mask="none")
        assert status == 0, text
        assert jobs(text)["draw"] == count
        return pstats.Stats(str(profile)).total_calls

    calls = {count: function_calls(count) for count in (1, 20, 80)}
    assert (calls[80] - calls[1]) / 79 < 1.3 * (calls[20] - calls[1]) / 19


def test_a_cluster_job_does_not_list_the_cohort_again(tmp_path, monkeypatch):
    save_scan(tmp_path / "images/a_swi.nii.gz", noise())
    table = tmp_path / "scans.tsv"
    table.write_text("subject\tswi\na\timages/a_swi.nii.gz\nb\tnone.nii.gz\n")
    config = {"cohort": "scans.tsv", "brain_mask": "none"}
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        settings = settings_and_cards(config | {"models": ["demo-cmb"]}, REPOSITORY)
        plan = make_plan(*settings, "code", FileDigests(tmp_path / "digests"))
        plan.path.parent.mkdir(parents=True)
        plan.path.write_text(plan.text)
    table.unlink()
    job = "resample:model=demo-cmb,folder=sub-a/anat,scan=sub-a,suffix=swi"
    remote = ("--mode", "remote", "--target-jobs", job, "--allowed-rules", "resample", "--nolock")
    status, text = snakemake(tmp_path, *remote, **config)
    assert status == 1
    assert "handed on no plan" in text
    status, text = snakemake(tmp_path, *remote, **config, lesionflow_plan=plan.path)
    assert status == 0, text
    assert (tmp_path / "results/demo-cmb/sub-a/anat/sub-a_desc-source_swi.json").is_file()


def test_what_is_not_listed_is_named_at_the_start_and_the_end(tmp_path, tiny, models_dir):
    add_scan(tmp_path / "bids", "sub-01", blobs([(8, 9, 5)]))
    add_scan(None, "Sub-02", blobs([(8, 9, 5)]), folder=tmp_path / "bids/Sub-02/anat")
    (tmp_path / "bids/sub-03").symlink_to("nowhere")
    config = {"cohort": "bids", "models": tiny, "models_dir": models_dir}
    for options, times in ((["--dry-run"], 1), ([], 2)):
        status, text = snakemake(tmp_path, *options, **config)
        assert status == 0, text
        assert text.count("not listed: bids/Sub-02 (a folder with scans whose name") == times
        assert text.count("not listed: bids/sub-03 (a link whose target does not exist") == times


def test_a_scan_in_two_rows_is_named(tmp_path, tiny, models_dir):
    scan = add_scan(None, "x", blobs([(8, 9, 5)]), folder=tmp_path)
    (tmp_path / "link_swi.nii.gz").symlink_to(scan)
    (tmp_path / "scans.csv").write_text(f"subject,swi\n1,{scan}\n2,link_swi.nii.gz\n")
    status, text = snakemake(
        tmp_path, "--dry-run", cohort="scans.csv", models=tiny, models_dir=models_dir
    )
    assert status == 0, text
    assert f"{scan} is an image of sub-1 and of sub-2" in text
