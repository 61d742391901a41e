"""The workflow of simulated scans: a cohort from label maps, its reruns, and its config."""

import subprocess
import sys

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from lesionflow.base.errors import LesionflowError
from lesionflow.simulation.bids_files import simulation_jobs
from support.heads import label_head
from support.paths import REPOSITORY
from support.runs import jobs


def simulate(directory, *args, **config):
    """Run rules/simulate.smk; returns (exit status, stdout and stderr)."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(REPOSITORY / "rules/simulate.smk"),
    ]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--cores", "2", *args]
    command += ["--directory", str(directory), "--config", *[f"{k}={v}" for k, v in config.items()]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_two_sequences_are_simulated_from_label_maps_and_only_changes_rerun(tmp_path):
    label_head(tmp_path / "maps/one.nii.gz", 4.0)
    config = {"anatomies": tmp_path / "maps", "scans": 1, "sequences": "swi,t1"}
    status, text = simulate(tmp_path / "out", **config)
    assert status == 0, text
    anat = tmp_path / "out/swi/sub-01/anat"
    names = sorted(path.name for path in anat.iterdir())
    assert names == [
        "sub-01_desc-brain_mask.nii.gz",
        "sub-01_desc-truth_dseg.nii.gz",
        "sub-01_desc-truth_lesions.tsv",
        "sub-01_swi.nii.gz",
    ]
    lesions = pd.read_csv(anat / "sub-01_desc-truth_lesions.tsv", sep="\t")
    numbers = np.unique(np.asanyarray(nib.load(anat / "sub-01_desc-truth_dseg.nii.gz").dataobj))
    assert set(numbers) - {0} == set(lesions.lesion)
    assert len(lesions)
    assert "SIMULATED" in (tmp_path / "out/T1w/README").read_text()
    assert (tmp_path / "out/T1w/sub-01/anat/sub-01_T1w.nii.gz").is_file()
    _, text = simulate(tmp_path / "out", "--dry-run", **config)
    assert jobs(text) == {}
    _, text = simulate(tmp_path / "out", "--dry-run", **{**config, "seed": 2})
    assert jobs(text) == {"simulate": 2, "simulated": 1}
    (anat / "sub-01_desc-truth_lesions.tsv").unlink()
    _, text = simulate(tmp_path / "out", "--dry-run", **config)
    assert jobs(text) == {"simulate": 1, "simulated": 1}


def test_a_scan_does_not_depend_on_the_other_simulated_scans():
    alone = simulation_jobs({"scans": 1, "sequences": "t1"})
    both = simulation_jobs({"scans": 2, "sequences": "flair, t1"})
    assert alone["T1w", "01"] == both["T1w", "01"]


@pytest.mark.parametrize("text, value", [("false", False), ("True", True), (True, True)])
def test_whole_head_is_read_from_a_command_line_value(text, value):
    assert simulation_jobs({"scans": 1, "whole_head": text})["swi", "01"]["whole_head"] is value


def test_voxel_sizes_and_orientation_are_read_from_the_config():
    job = simulation_jobs({"scans": 1, "spacing_mm": "0.9, 5", "orientation": "LPI"})["swi", "01"]
    assert (job["spacing_mm"], job["orientation"]) == ([0.9, 0.9, 5.0], "LPI")


def test_heads_are_shared_by_the_sequences_and_every_fourth_has_no_lesion():
    scan_jobs = simulation_jobs({"scans": 8, "sequences": "swi,flair", "seed": 3})
    assert len(scan_jobs) == 16
    for n in range(1, 9):
        swi, flair = scan_jobs["swi", f"{n:02d}"], scan_jobs["FLAIR", f"{n:02d}"]
        for key in ("head_seed", "microbleeds"):
            assert swi[key] == flair[key]
        assert (swi["microbleeds"] == 0) == (n % 4 == 0)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"scan": 3}, "scan: not one of anatomies, scans"),
        ({"sequences": "swi,dwi"}, "sequences: 'dwi' is not one of swi"),
        ({"scans": "many"}, "scans: 'many' is not a whole number"),
        ({"anatomies": "nowhere"}, "nowhere: no label map"),
        ({"anatomies": ["one", "two"]}, "is not a folder"),
        ({"sequences": 3}, "sequences: 3 is not one of swi"),
        ({"whole_head": "no"}, "whole_head: 'no' is not true or false"),
        ({"spacing_mm": "1,2,3"}, "spacing_mm: '1,2,3' is not the voxel size in plane"),
        ({"spacing_mm": 0.1}, "spacing_mm: 0.1"),
        ({"orientation": "RAL"}, "orientation: 'RAL' is not an axis code"),
    ],
)
def test_error_in_the_config_names_the_key_and_the_expected_value(config, message):
    with pytest.raises(LesionflowError, match=message):
        simulation_jobs(config)
