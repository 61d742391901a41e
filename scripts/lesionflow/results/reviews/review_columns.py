"""Columns of review.tsv, and those that reviews add to the tables."""

from lesionflow.results.columns import column

DECISIONS = {
    "accepted": "the lesion counts",
    "rejected": "the lesion does not count",
    "unsure": "the reviewer could not decide",
    "missed": "the model missed a lesion at x_mm, y_mm, z_mm, which the reviewer marked",
    "complete": "the reviewer looked at the whole scan",
}

FILE = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label; n/a for complete"),
    column(
        "lesion",
        "Lesion",
        "Number of the lesion in SCAN_space-orig_desc-lesions_dseg.nii.gz; n/a for missed and complete",
    ),
    column(
        "x_mm",
        "x",
        "Centroid of the lesion as in lesions.csv, or the marked place; world coordinate from left to right (RAS+)",
        "mm",
    ),
    column("y_mm", "y", "The same, from posterior to anterior", "mm"),
    column("z_mm", "z", "The same, from inferior to superior", "mm"),
    column("decision", "Decision", "What the reviewer decided", levels=DECISIONS),
    column("reviewer", "Reviewer", "Name of the reviewer"),
    column("date", "Date", "Of the decision, ISO 8601 in UTC"),
    column("note", "Note", r"Text of the reviewer; \n is a line break, \\ a backslash; or n/a"),
    column(
        "lesion_map_sha256",
        "SHA-256 of the lesion map",
        "Digest of the grid and the numbers of the lesion map on which the decision was made",
    ),
    column("scan_sha256", "SHA-256 of the scan", "input_sha256 of cohort.csv"),
    column(
        "voxels",
        "Voxels of the lesion",
        "On the grid of the scan, first index fastest: index of the first voxel, number of voxels of the run, gap to the next run, its number of voxels, ...; n/a for missed and complete",
    ),
    column("rows", "Rows", "Number of rows of the file, so that a cut file is noticed"),
]
