"""What looks like a scan has a row, or is named with its reason."""

import pytest

from lesionflow.base.errors import CohortError
from lesionflow.cohort.listing import list_scans

PATTERNS = {"swi": ["*_swi.nii", "*_swi.nii.gz"], "mask": ["*_mask.nii.gz"]}


def tree(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listed(root):
    """Names of the scans with an image, and what is left out: relative path and reason."""
    listing = list_scans(root, PATTERNS)
    left_out = {
        path.removeprefix(f"{root}/"): reason
        for reason, paths in listing.left_out.items()
        for path in paths
    }
    return [scan.name for scan in listing.scans if "swi" in scan.files], left_out


@pytest.mark.parametrize("folder", ["Sub-02", "sub_02", "SUB02", "02"])
@pytest.mark.parametrize("inner", ["anat", "swi", "ses-1/anat"])
def test_a_subject_folder_of_another_spelling_is_named(tmp_path, folder, inner):
    root = tree(tmp_path, "sub-01/anat/sub-01_swi.nii", f"{folder}/{inner}/a_swi.nii")
    names, left_out = listed(root)
    assert names == ["sub-01"]
    assert list(left_out) == [folder]
    assert "does not begin with sub-" in left_out[folder]


def test_other_folders_beside_subjects_are_not_named(tmp_path):
    root = tree(
        tmp_path,
        "sub-01/anat/sub-01_swi.nii",
        "derivatives/sub-01/anat/sub-01_swi.nii",
        "sourcedata/sub-09/swi/sub-09_swi.nii",
        "freesurfer/fsaverage/mri/orig.mgz",
        ".git/annex/sub-07_swi.nii",
        "README",
    )
    assert listed(root) == (["sub-01"], {})


def test_links_without_a_target_are_named(tmp_path):
    root = tree(tmp_path, "sub-01/anat/sub-01_swi.nii", "sub-03/anat/notes.txt")
    (root / "sub-02").symlink_to("../annex/sub-02")
    (root / "sub-03/ses-1").symlink_to("nowhere")
    (root / "sub-04").symlink_to("sub-04")  # a loop
    names, left_out = listed(root)
    assert names == ["sub-01"]
    assert sorted(left_out) == ["sub-02", "sub-03/ses-1", "sub-04"]
    assert all("whose target does not exist" in reason for reason in left_out.values())


def test_an_image_that_is_a_link_without_a_target_has_a_row(tmp_path):
    root = tree(tmp_path, "sub-01/anat/notes.txt")
    (root / "sub-01/anat/sub-01_swi.nii.gz").symlink_to("../../.git/annex/objects/x")
    assert listed(root) == (["sub-01"], {})


def test_an_image_outside_of_its_folder_is_named(tmp_path):
    root = tree(
        tmp_path,
        "sub-01/anat/sub-01_swi.nii",
        "sub-02/sub-02_swi.nii",
        "sub-03/ses-1/sub-03_ses-1_swi.nii",
        "sub-04_swi.nii",
    )
    names, left_out = listed(root)
    assert names == ["sub-01"]
    assert sorted(left_out) == [
        "sub-02/sub-02_swi.nii",
        "sub-03/ses-1/sub-03_ses-1_swi.nii",
        "sub-04_swi.nii",
    ]


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("sub-02/anat/sub-99_swi.nii", "sub-02"),
        ("sub-02/ses-1/anat/sub-99_ses-1_swi.nii", "sub-02"),
        ("sub-02/ses-1/anat/sub-02_ses-2_swi.nii", "ses-1"),
    ],
)
def test_an_image_of_another_subject_or_session_is_not_taken(tmp_path, path, folder):
    root = tree(tmp_path, "sub-01/anat/sub-01_swi.nii", path)
    assert listed(root) == (["sub-01"], {path: f"an image whose name does not belong to {folder}"})


def test_names_that_only_differ_in_what_bids_drops_belong_together(tmp_path):
    root = tree(tmp_path, "sub-A-1/ses-m 6/anat/sub-A1_ses-m6_swi.nii", "sub-02/swi/scan.nii")
    assert listed(root) == (["sub-02", "sub-A1_ses-m6"], {})


@pytest.mark.parametrize("part", ["phase", "Phase", "PHASE", "real", "imag"])
def test_parts_of_complex_images_are_not_magnitudes(tmp_path, part):
    root = tree(tmp_path, f"sub-01/anat/sub-01_part-{part}_swi.nii")
    assert listed(root) == ([], {})


def test_bidsignore_is_read_as_git_reads_its_patterns(tmp_path):
    root = tree(
        tmp_path,
        "sub-01/anat/sub-01_swi.nii",
        "sub-02/anat/sub-02_swi.nii",
        "sub-03/anat/sub-03_swi.nii",
        "sub-03/ses-2/anat/sub-03_ses-2_swi.nii",
    )
    (root / ".bidsignore").write_text("# bad scans\nsub-02/\n**/ses-2/**\n*_swi.nii.bak\n")
    names, left_out = listed(root)
    assert names == ["sub-01", "sub-03"]
    assert sorted(left_out) == [
        "sub-02/anat/sub-02_swi.nii",
        "sub-03/ses-2/anat/sub-03_ses-2_swi.nii",
    ]
    assert set(left_out.values()) == {"an image that .bidsignore excludes"}


@pytest.mark.parametrize(
    ("line", "excluded"),
    [
        # names for which BIDS has none, listed so that the validator accepts the dataset
        *[
            ("*_swi.nii", []),
            ("*_swi*", []),
            ("**/*_swi.nii*", []),
            ("swi/", []),
            ("*.nii", ["1", "2"]),
        ],
        *[("sub-*/swi/", []), ("**/anat/*_swi*", []), ("sub-*_swi.nii", [])],
        # scans
        *[
            ("sub-02_*", ["2"]),
            ("sub-02_swi.nii", ["2"]),
            ("sub-02/swi/", ["2"]),
            ("sub-0*", ["1", "2"]),
        ],
        *[("sub-02/anat/", []), ("/sub-02", ["2"]), ("sub-02/**/*_swi*", ["2"])],
    ],
)
def test_bidsignore_excludes_scans_and_not_what_bids_has_no_name_for(tmp_path, line, excluded):
    root = tree(tmp_path, "sub-01/anat/sub-01_swi.nii", "sub-02/swi/sub-02_swi.nii")
    (root / ".bidsignore").write_text(f"{line}\n")
    names, _ = listed(root)
    assert names == [f"sub-0{n}" for n in "12" if n not in excluded]


def test_a_note_has_one_line_per_reason(tmp_path):
    files = [f"sub-{n:02d}/sub-{n:02d}_swi.nii" for n in range(1, 31)]
    listing = list_scans(tree(tmp_path, *files), PATTERNS)
    (note,) = listing.notes()
    assert note == (
        f"not listed: {tmp_path}/sub-01/sub-01_swi.nii and 29 more (an image that is in no folder such as anat/)"
    )


def test_a_directory_without_a_scan_names_what_it_leaves_out(tmp_path):
    (tmp_path / "sub-01").symlink_to("nowhere")
    with pytest.raises(CohortError, match="no subject folder .* not listed: .*sub-01 .a link"):
        list_scans(tmp_path, PATTERNS)


@pytest.mark.parametrize("column", ["subject", "session", "run"])
@pytest.mark.parametrize(
    ("cell", "name"), [("1", "1"), ("01", "01"), ("1.0", "1"), ("10.00", "10"), ("1,0", "1")]
)
def test_a_whole_number_from_a_spreadsheet_is_its_digits(tmp_path, column, cell, name):
    cells = {"subject": "07", "session": "a", "run": "b", column: cell}
    table = tmp_path / "scans.tsv"
    table.write_text("\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n")
    (scan,) = list_scans(table, PATTERNS).scans
    assert getattr(scan, column) == name


@pytest.mark.parametrize("column", ["subject", "session", "run"])
@pytest.mark.parametrize("cell", ["1.5", "1.23E+05", "1E5", "2e-3", "-1", "+4", "0.5", ".5"])
def test_a_number_that_is_no_name_is_refused_with_its_cell(tmp_path, column, cell):
    cells = {"subject": "07", "session": "a", "run": "b", column: cell}
    table = tmp_path / "scans.tsv"
    table.write_text("\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n")
    with pytest.raises(CohortError) as error:
        list_scans(table, PATTERNS)
    assert f"line 2, column {column}: {cell!r}" in str(error.value)


def test_a_name_with_its_prefix_is_no_number(tmp_path):
    table = tmp_path / "scans.tsv"
    table.write_text("subject\tsession\trun\nsub-1E5\tses-2.5\trun-03\n")
    (scan,) = list_scans(table, PATTERNS).scans
    assert (scan.subject, scan.session, scan.run) == ("1E5", "2.5", "03")
