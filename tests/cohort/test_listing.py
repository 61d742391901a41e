"""Listing the scans of directories and tables."""

from pathlib import Path

import pytest
import yaml

from lesionflow.base.errors import CohortError
from lesionflow.cohort import listing
from lesionflow.cohort.listing import list_scans, selected, single_file
from lesionflow.cohort.names import ignores_case
from lesionflow.cohort.scan import Scan
from support.paths import REPOSITORY

PATTERNS = {
    "swi": ["*_swi.nii", "*_swi.nii.gz", "*_T2starw.nii", "*_T2starw.nii.gz"],
    "t1": ["*_T1w.nii.gz"],
    "mask": ["*_desc-brain_mask.nii.gz"],
}


def tree(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_and_files(root):
    return {
        scan.name: {
            c: [p.removeprefix(f"{root}/") for p in paths] for c, paths in scan.files.items()
        }
        for scan in list_scans(root, PATTERNS).scans
    }


def test_a_bids_directory_is_listed_by_session_and_run(tmp_path):
    root = tree(
        tmp_path,
        "dataset_description.json",
        "participants.tsv",
        "derivatives/sub-01/anat/sub-01_swi.nii.gz",
        "sub-01/anat/sub-01_swi.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_run-1_T2starw.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_run-2_T2starw.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
        "sub-02/ses-2/swi/sub-02_ses-2_swi.nii",
        "sub-03/anat/sub-03_T1w.nii.gz",
    )
    assert names_and_files(root) == {
        "sub-01": {
            "swi": ["sub-01/anat/sub-01_swi.nii.gz"],
            "t1": ["sub-01/anat/sub-01_T1w.nii.gz"],
            "mask": ["sub-01/anat/sub-01_desc-brain_mask.nii.gz"],
        },
        "sub-02_ses-1_run-1": {
            "swi": ["sub-02/ses-1/anat/sub-02_ses-1_run-1_T2starw.nii.gz"],
            "t1": ["sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"],
        },
        "sub-02_ses-1_run-2": {
            "swi": ["sub-02/ses-1/anat/sub-02_ses-1_run-2_T2starw.nii.gz"],
            "t1": ["sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"],
        },
        "sub-02_ses-2": {"swi": ["sub-02/ses-2/swi/sub-02_ses-2_swi.nii"]},
        "sub-03": {"t1": ["sub-03/anat/sub-03_T1w.nii.gz"]},
    }


def test_folders_of_subjects_and_channels_are_listed(tmp_path):
    root = tree(
        tmp_path,
        "CIC_001/swi/scan.nii.gz",
        "CIC_002/swi/x.nii",
        "CIC_002/mask/m.nii",
        "a.txt",
    )
    scans = list_scans(root, PATTERNS).scans
    assert [(s.name, s.subject, s.folder) for s in scans] == [
        ("sub-CIC001", "CIC_001", "sub-CIC001/anat"),
        ("sub-CIC002", "CIC_002", "sub-CIC002/anat"),
    ]
    assert list(scans[1].files) == ["swi", "mask"] or set(scans[1].files) == {
        "swi",
        "mask",
    }


def test_phase_images_are_left_out(tmp_path):
    root = tree(
        tmp_path,
        "sub-1/anat/sub-1_part-mag_T2starw.nii.gz",
        "sub-1/anat/sub-1_part-phase_T2starw.nii.gz",
    )
    assert names_and_files(root)["sub-1"]["swi"] == ["sub-1/anat/sub-1_part-mag_T2starw.nii.gz"]


def test_images_in_other_formats_are_listed_once(tmp_path):
    root = tree(
        tmp_path,
        *("sub-1/anat/sub-1_swi.hdr", "sub-1/anat/sub-1_swi.img"),
        *("sub-2/anat/sub-2_swi.nhdr", "sub-2/anat/sub-2_swi.raw.gz", "sub-2/anat/sub-2_swi.json"),
        *("sub-3/anat/sub-3_swi.mgz", "sub-3/anat/sub-3_swi.nii.gz"),
        "sub-4/swi/anything.mha",
    )
    scans = list_scans(root, {"swi": ["*_swi.*"]}).scans
    assert [[Path(p).name for p in scan.files["swi"]] for scan in scans] == [
        ["sub-1_swi.hdr"],
        ["sub-2_swi.nhdr"],
        ["sub-3_swi.mgz", "sub-3_swi.nii.gz"],
        ["anything.mha"],
    ]
    reason = single_file(scans[2], "swi", None, "")[1]
    assert "sub-3_swi.mgz" in reason and "sub-3_swi.nii.gz" in reason


def test_two_files_of_a_channel_are_both_in_the_reason(tmp_path):
    root = tree(tmp_path, "sub-1/anat/sub-1_swi.nii.gz", "sub-1/anat/sub-1_T2starw.nii.gz")
    path, reason = single_file(list_scans(root, PATTERNS).scans[0], "swi", None, "")
    assert path == ""
    assert "sub-1_swi.nii.gz" in reason
    assert "sub-1_T2starw.nii.gz" in reason


def test_an_echo_chooses_among_echo_files():
    scan = Scan("1", files={"swi": [f"/x/sub-1_echo-{n}_T2starw.nii" for n in (1, 2, 3)]})
    assert single_file(scan, "swi", 2, "")[0] == "/x/sub-1_echo-2_T2starw.nii"
    assert "3 files" in single_file(scan, "swi", None, "")[1]


def test_two_subjects_with_the_same_bids_name_are_refused(tmp_path):
    root = tree(tmp_path, "a_1/swi/x.nii", "a1/swi/x.nii")
    with pytest.raises(CohortError, match="sub-a1.*'a1'.*'a_1'|sub-a1.*'a_1'.*'a1'"):
        list_scans(root, PATTERNS)


def test_names_that_differ_in_case_are_two_scans_unless_the_disk_ignores_case(
    tmp_path, monkeypatch
):
    """Otherwise the results of one would replace those of the other."""
    (tmp_path / "scans.csv").write_text("subject,swi\na1,a.nii\nA1,b.nii\n")
    monkeypatch.chdir(tmp_path)
    names = [scan.name for scan in list_scans(tmp_path / "scans.csv", PATTERNS).scans]
    assert names == ["sub-A1", "sub-a1"]
    monkeypatch.setattr(listing, "ignores_case", lambda folder: folder == tmp_path)
    with pytest.raises(CohortError, match="name sub-A1 on the disk of .*, which ignores case"):
        list_scans(tmp_path / "scans.csv", PATTERNS)


def test_a_disk_that_ignores_case_is_recognized(tmp_path):
    (tmp_path / "Folder/2024").mkdir(parents=True)
    assert not ignores_case(tmp_path / "Folder/2024")
    (tmp_path / "fOLDER").mkdir()  # another folder
    assert not ignores_case(tmp_path / "Folder/2024")
    (tmp_path / "fOLDER").rmdir()
    (tmp_path / "fOLDER").symlink_to("Folder")  # the same, as such a disk says
    assert ignores_case(tmp_path / "Folder/2024")


def test_a_cohort_that_does_not_exist_or_is_empty_is_refused(tmp_path):
    with pytest.raises(CohortError, match="does not exist"):
        list_scans(tmp_path / "none", PATTERNS)
    with pytest.raises(CohortError, match="no subject"):
        list_scans(tmp_path, PATTERNS)


def test_include_and_exclude_select_scans_by_name():
    names = ["sub-01", "sub-02_ses-1", "sub-02_ses-2"]
    assert selected(names, [], []) == set(names)
    assert selected(names, ["sub-02*"], ["*ses-2"]) == {"sub-02_ses-1"}
    # a name means all scans that begin with it, and not those of a longer label
    assert selected([*names, "sub-021"], ["sub-02"], []) == {"sub-02_ses-1", "sub-02_ses-2"}
    assert selected(names, [], ["sub-02"]) == {"sub-01"}
    with pytest.raises(CohortError, match="'sub-9' matches no scan"):
        selected(names, ["sub-9"], [])


def test_runs_of_other_channels_are_not_scans(tmp_path):
    root = tree(
        tmp_path,
        "sub-01/anat/sub-01_swi.nii.gz",
        "sub-01/anat/sub-01_run-1_T1w.nii.gz",
        "sub-01/anat/sub-01_run-1_desc-brain_mask.nii.gz",
        "sub-02/anat/sub-02_swi.nii.gz",
        "sub-02/anat/sub-02_run-1_T1w.nii.gz",
        "sub-02/anat/sub-02_run-2_T1w.nii.gz",
    )
    scans = names_and_files(root)
    assert sorted(scans) == ["sub-01", "sub-02"]
    assert {c: len(paths) for c, paths in scans["sub-01"].items()} == {"swi": 1, "t1": 1, "mask": 1}
    assert len(scans["sub-02"]["t1"]) == 2  # the user has to choose


def test_each_run_of_the_first_reference_channel_is_a_scan(tmp_path):
    root = tree(
        tmp_path,
        "sub-01/anat/sub-01_swi.nii.gz",
        "sub-01/anat/sub-01_run-1_T1w.nii.gz",
        "sub-01/anat/sub-01_run-2_T1w.nii.gz",
        "sub-02/anat/sub-02_run-1_T1w.nii.gz",
        "sub-02/anat/sub-02_run-2_T1w.nii.gz",
    )

    def names(*references):
        return [scan.name for scan in list_scans(root, PATTERNS, references).scans]

    assert names("swi", "t1") == ["sub-01", "sub-02_run-1", "sub-02_run-2"]
    both_runs = ["sub-01_run-1", "sub-01_run-2"]  # with the same SWI
    assert names("t1", "swi") == [*both_runs, "sub-02_run-1", "sub-02_run-2"]


def test_a_channel_without_patterns_has_the_files_of_its_folder(tmp_path):
    root = tree(tmp_path, "01/swi/a_swi.nii.gz", "02/swi/a_swi.nii.gz", "02/adc/b.nii")
    first, second = list_scans(root, {**PATTERNS, "adc": []}).scans
    assert "adc" not in first.files
    assert second.files["adc"] == [f"{root}/02/adc/b.nii"]


def test_a_missing_echo_is_not_replaced_by_another():
    scan = Scan("1", files={"swi": ["/x/sub-1_echo-1_swi.nii"]})
    path, reason = single_file(scan, "swi", 2, "")
    assert (path, "has echo 2" in reason) == ("", True)
    assert single_file(scan, "swi", 1, "")[0]
    assert single_file(Scan("1", files={"swi": ["/x/a_echo-02_swi.nii"]}), "swi", 2, "")[0]
    assert single_file(Scan("1", files={"swi": ["/x/four_d.nii"]}), "swi", 2, "")[0]


def test_other_folders_beside_sessions_are_not_scans(tmp_path):
    root = tree(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_swi.nii", "sub-01/qc/report.html")
    assert list(names_and_files(root)) == ["sub-01_ses-1"]


def test_a_folder_that_cannot_be_listed_affects_only_its_subject(tmp_path, monkeypatch):
    import os

    root = tree(tmp_path, "sub-01/anat/sub-01_swi.nii", "sub-02/anat/sub-02_swi.nii")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("sub-01"):
            raise PermissionError("Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    first, second = list_scans(root, PATTERNS).scans
    assert "Permission denied" in first.problem
    assert (second.problem, list(second.files)) == ("", ["swi"])


def test_names_without_a_letter_or_digit_are_refused(tmp_path):
    with pytest.raises(CohortError, match="no letter or digit"):
        list_scans(tree(tmp_path, "王/swi/a.nii", "02/swi/a.nii"), PATTERNS)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("swi/sub-01_swi.nii.gz", True),
        ("anat/sub-01_swi.nii.gz", True),
        ("anat/sub-01_T2starw.nii.gz", True),
        ("anat/sub-01_acq-swi_T2starw.nii.gz", True),
        ("anat/sub-01_part-mag_T2starw.nii.gz", True),
        ("anat/sub-01_part-mag_swi.nii.gz", True),
        ("anat/sub-01_part-mag_GRE.nii.gz", False),
        ("anat/sub-01_echo-1_part-mag_MEGRE.nii.gz", False),
        ("anat/sub-01_part-phase_swi.nii.gz", False),
        ("anat/sub-01_part-imag_T2starw.nii.gz", False),
        ("anat/sub-01_minIP.nii.gz", False),
        ("anat/sub-01_acq-minIP_swi.nii.gz", False),
        ("swi/anything.nii.gz", True),
        ("swi/mIP.nii.gz", False),
    ],
)
def test_names_of_the_manual_with_the_default_patterns(tmp_path, name, taken):
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    root = tree(tmp_path, f"sub-01/{name}")
    assert ("swi" in list_scans(root, config["patterns"]).scans[0].files) == taken
    if "GRE" in name:
        patterns = {"swi": ["*_GRE.*", "*_MEGRE.*"]}
        assert "swi" in list_scans(root, patterns).scans[0].files
