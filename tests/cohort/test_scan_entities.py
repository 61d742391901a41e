"""Scans that differ by BIDS entities other than the run, and projections, which are no scans."""

from pathlib import Path

import pytest

from lesionflow.base.errors import CohortError, ConfigError
from lesionflow.cards.config import check_config
from lesionflow.cohort.listing import list_scans, single_file

PATTERNS = {"swi": ["*_swi.*", "*_T2starw.*"], "t1": ["*_T1w.*"], "mask": ["*_mask.*"]}


def tree(root, *names):
    for name in names:
        folder = root / "/".join(p for p in name.split("_") if p[:4] in ("sub-", "ses-")) / "anat"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.nii.gz").touch()
    return root


def listed(root, *scan_entities, references=("swi",)):
    """Names of the files of each scan by channel."""
    scans = list_scans(root, PATTERNS, references, scan_entities=scan_entities).scans
    return {
        scan.name: {c: [Path(p).name.split(".")[0] for p in ps] for c, ps in scan.files.items()}
        for scan in scans
    }


def test_files_that_differ_by_acq_and_rec_are_scans_of_their_own(tmp_path):
    names = ["sub-1_acq-high_rec-norm_run-1_swi", "sub-1_acq-high_rec-norm_run-2_swi"]
    names += ["sub-1_acq-low_swi", "sub-2_ses-1_swi", "sub-3_rec-dis3d_acq-x_T2starw"]
    scans = listed(tree(tmp_path, *names), "rec", "acq")
    assert scans == {
        "sub-1_acq-high_rec-norm_run-1": {"swi": [names[0]]},
        "sub-1_acq-high_rec-norm_run-2": {"swi": [names[1]]},
        "sub-1_acq-low": {"swi": [names[2]]},
        "sub-2_ses-1": {"swi": [names[3]]},
        "sub-3_acq-x_rec-dis3d": {"swi": [names[4]]},
    }


@pytest.mark.parametrize(
    ("names", "entities"),
    [  # as in 7t_trt, ds_rec and micr_SPIM of the public BIDS examples
        (["sub-1_ses-1_acq-highres_T1w", "sub-1_ses-1_acq-lowres_T1w"], ["acq"]),
        (["sub-1_rec-orig_T1w", "sub-1_rec-dis2d_T1w"], ["rec"]),
        (["sub-1_acq-a_rec-b_T1w", "sub-1_acq-a_rec-c_T1w", "sub-1_acq-d_T1w"], ["acq", "rec"]),
        ([f"sub-1_chunk-0{n}_T1w" for n in (1, 2, 3)], ["chunk"]),
        (["sub-1_inv-1_T1w", "sub-1_inv-2_T1w"], ["inv"]),
    ],
)
def test_the_message_about_several_files_names_the_entities_that_tell_them_apart(
    tmp_path, names, entities
):
    root = tree(tmp_path, *names)
    (scan,) = list_scans(root, PATTERNS, ("t1",)).scans
    reason = single_file(scan, "t1", None, "")[1]
    assert f"scan_entities: [{', '.join(entities)}]" in reason
    scans = listed(root, *entities, references=("t1",))
    assert sorted(files["t1"][0] for files in scans.values()) == sorted(names)


def test_the_message_names_no_entity_that_would_not_help(tmp_path):
    same = tree(tmp_path / "same", "sub-1_acq-a_swi", "sub-1_acq-a_T2starw")
    other_channel = tree(tmp_path / "t1", "sub-1_swi", "sub-1_acq-a_T1w", "sub-1_acq-b_T1w")
    for root, channel in ((same, "swi"), (other_channel, "t1")):
        (scan,) = list_scans(root, PATTERNS).scans
        reason = single_file(scan, channel, None, "")[1]
        assert "2 files match" in reason
        assert "scan_entities" not in reason


def test_other_files_belong_to_the_scan_whose_entities_they_share(tmp_path):
    root = tree(
        tmp_path,
        *("sub-1_acq-high_swi", "sub-1_acq-low_swi", "sub-1_acq-mprage_T1w"),
        *("sub-1_acq-high_desc-brain_mask", "sub-2_acq-high_run-1_swi", "sub-2_acq-high_run-2_swi"),
        *("sub-2_desc-brain_mask", "sub-2_acq-high_run-2_desc-brain_mask"),
    )
    scans = listed(root, "acq")
    assert scans["sub-1_acq-high"]["mask"] == ["sub-1_acq-high_desc-brain_mask"]
    assert "mask" not in scans["sub-1_acq-low"]
    assert scans["sub-1_acq-low"]["t1"] == ["sub-1_acq-mprage_T1w"]
    assert scans["sub-2_acq-high_run-1"]["mask"] == ["sub-2_desc-brain_mask"]
    assert scans["sub-2_acq-high_run-2"]["mask"] == ["sub-2_acq-high_run-2_desc-brain_mask"]


def test_a_table_has_a_column_for_each_entity(tmp_path):
    (tmp_path / "a.tsv").write_text(
        "subject\trun\tacq\tswi\n1\t1\thigh\ta.nii\n1\t1\tacq-low\tb.nii\n"
    )
    scans = list_scans(tmp_path / "a.tsv", PATTERNS, scan_entities=["acq"]).scans
    assert [scan.name for scan in scans] == ["sub-1_acq-high_run-1", "sub-1_acq-low_run-1"]
    with pytest.raises(CohortError, match="unknown column 'acq'"):
        list_scans(tmp_path / "a.tsv", PATTERNS)


def test_an_entity_that_makes_no_scans_is_refused():
    assert check_config({"scan_entities": "acq"})["scan_entities"] == ["acq"]
    for value in (["echo"], ["acq", "acq"], ["part"]):
        with pytest.raises(ConfigError, match="scan_entities"):
            check_config({"scan_entities": value})


def test_projections_are_left_out_and_named(tmp_path):
    names = ["sub-1_swi", "sub-1_acq-minIP_swi", "sub-1_rec-mip_swi", "sub-mip_swi", "sub-2_swi"]
    root = tree(tmp_path, *names)
    (tmp_path / "sub-2/swi").mkdir()
    (tmp_path / "sub-2/swi/minIP.nii").touch()
    listing = list_scans(root, PATTERNS)
    assert [(s.name, len(s.files["swi"])) for s in listing.scans] == [
        ("sub-1", 1),
        ("sub-2", 1),
        ("sub-mip", 1),
    ]
    ((reason, paths),) = listing.left_out.items()
    assert "projection" in reason
    assert len(paths) == 3
