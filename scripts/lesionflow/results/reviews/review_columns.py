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

OF_LABEL = [
    column(
        "{label}_reviewed_count",
        "Number of {label} after review",
        "Accepted lesions, also those that a filter has dropped, and missed lesions that the reviewers marked; empty unless the review of the scan is complete",
    ),
    column(
        "{label}_reviewed_volume_mm3",
        "Total volume of {label} after review",
        "Sum over the accepted lesions; also empty if a missed lesion was marked, since it has no outline",
        "mm3",
    ),
    column(
        "{label}_missed_count",
        "Number of missed {label}",
        "Lesions that the reviewers marked and the model has not found; empty unless the review of the scan is complete",
    ),
]

STATES = {
    "none": "no reviewer has decided on anything in the scan",
    "partial": "a counted lesion has no decision, a lesion is unsure or in conflict, or a decision of an earlier review is open",
    "complete": "every counted lesion is accepted or rejected; without any, a reviewer has stated that the scan is complete or marked a missed lesion",
}
OF_MODEL = [column("review", "Review", "State of the review of the scan", levels=STATES)]

OF_LESION = [
    column(
        "decision",
        "Decision",
        "Of all reviewers of the lesion; empty if there is none",
        levels={
            **{name: DECISIONS[name] for name in ("accepted", "rejected", "unsure")},
            "missed": "marked by a reviewer and not found by the model: no number, no measures, i, j, k are the marked voxel",
            "conflict": "the reviewers differ: review_conflicts.csv lists their decisions",
        },
    ),
    column("reviewer", "Reviewer", "Names of the reviewers, joined by ;"),
    column("reviewed_at", "Reviewed at", "Date of each reviewer's decision in UTC, joined by ;"),
    column(
        "note",
        "Note",
        "Notes of the reviewers, joined by ;. Line breaks are spaces; a text that a spreadsheet would take for a formula begins with an apostrophe, here and in other columns written by reviewers",
    ),
]

_PLACE = [
    column("x_mm", "x", "Place of the decision, world coordinate from left to right (RAS+)", "mm"),
    column("y_mm", "y", "The same, from posterior to anterior", "mm"),
    column("z_mm", "z", "The same, from inferior to superior", "mm"),
]

UNMATCHED = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label; empty for complete"),
    column(
        "lesion",
        "Lesion",
        "Number of the lesion in the lesion map on which the decision was made",
    ),
    *_PLACE,
    column("decision", "Decision", "What the reviewer decided", levels=DECISIONS),
    column("reviewer", "Reviewer", "Name of the reviewer"),
    column("date", "Date", "Of the decision, in UTC"),
    column("note", "Note", "Text of the reviewer"),
    column("reason", "Reason", "Why the decision applies to no lesion of this run"),
]

CONFLICTS = [
    column("scan", "Scan", "As in cohort.csv"),
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label"),
    column("lesion", "Lesion", "As in lesions.csv; empty for a lesion that the model missed"),
    *_PLACE,
    column(
        "decisions",
        "Decisions",
        "Of the reviewers in their order, joined by ;. not marked: the reviewer has reviewed the whole scan and not marked this missed lesion",
    ),
    column("reviewers", "Reviewers", "Names of the reviewers, joined by ;"),
    column("dates", "Dates", "Of the decisions in UTC, joined by ;"),
    column("notes", "Notes", "Of the reviewers, joined by ;"),
]

AGREEMENT = [
    column("model", "Model", "Name of the card"),
    column("label", "Label", "Name of the label"),
    column("reviewers", "Number of reviewers", "2 for a pair; else all with a completed scan"),
    column("reviewer_1", "First reviewer", "Of a pair; empty in the row of all reviewers"),
    column("reviewer_2", "Second reviewer", "Of a pair; empty in the row of all reviewers"),
    column("lesions", "Lesions", "Found by the model, and accepted or rejected by both reviewers"),
    column("agreement", "Agreement", "Fraction of these lesions on which both decided the same"),
    column(
        "kappa",
        "Cohen's kappa",
        "Agreement on these lesions beyond chance (Cohen 1960); empty if it is undefined: both made the same decision on all",
    ),
    column("scans", "Scans", "In which each of the reviewers has decided on every counted lesion"),
    column(
        "icc",
        "Intraclass correlation",
        "ICC(2,1) of the number of lesions per scan, accepted and marked (Shrout and Fleiss 1979): single ratings, absolute agreement; empty if it is undefined: fewer than two scans, or all counts the same",
    ),
]
