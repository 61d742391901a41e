"""All decisions of the reviews as they apply to the current lesions: what the report begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lesionflow.results.reviews.consensus import ScanReview
from lesionflow.results.reviews.current_lesions import CurrentLesions
from lesionflow.results.reviews.review_file import Decision


def current_decisions(
    decisions: Sequence[Decision],
    reviews: Mapping[tuple[str, str], ScanReview],
    lesions: Mapping[tuple[str, str], CurrentLesions],
) -> list[Decision]:
    """The decisions in their order, each that has followed its lesion with the place and number of the current one.

    Decisions that apply to no current lesion stay as they were made, so that none is lost.

    Parameters
    ----------
    decisions
        Of all files (``review_file.read_reviews``).
    reviews, lesions
        By scan and model (``cohort_review.CohortReview``).
    """
    moved = {}
    for key, review in reviews.items():
        current = lesions[key]
        for number, verdict in review.lesions.items():
            for row in verdict.rows:
                moved[row.source] = _on_current(row, number, current)
        for verdict in review.missed:
            for row in verdict.rows:
                moved[row.source] = replace(row, lesion_map_sha256=current.lesion_map_sha256)
    return [moved.get(row.source, row) for row in decisions]


def _on_current(row: Decision, number: int, current: CurrentLesions) -> Decision:
    lesion = current.by_number[number]
    x, y, z = (float(lesion[axis]) for axis in ("x_mm", "y_mm", "z_mm"))
    return replace(
        row,
        lesion=number,
        place_mm=(x, y, z),
        voxels=current.voxels[number],
        lesion_map_sha256=current.lesion_map_sha256,
    )
