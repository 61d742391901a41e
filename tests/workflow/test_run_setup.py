"""The setup of a run."""

import pytest

from lesionflow.base.errors import CardError, ReviewError
from lesionflow.workflow.run_setup import check_reviews, review_files, settings_and_cards
from support.card_files import put, write_card
from support.paths import REPOSITORY


def test_labels_that_result_in_duplicate_column_names_raise(tmp_path):
    path = write_card(
        tmp_path, put("output", {"labels": {1: "a", 2: "a_soft"}, "soft_volumes": True})
    )
    message = "card mine: output.labels: two columns of the table would be called a_soft_volume_mm3"
    with pytest.raises(CardError, match=message):
        settings_and_cards({"models": str(path)}, REPOSITORY)


def test_columns_of_a_review_count_only_with_a_review(tmp_path):
    path = write_card(tmp_path, put("output", {"labels": {1: "a", 2: "a_reviewed"}}))
    settings_and_cards({"models": str(path)}, REPOSITORY)
    with pytest.raises(
        CardError, match="two columns of the table would be called a_reviewed_count"
    ):
        settings_and_cards({"models": str(path), "review": "review.tsv"}, REPOSITORY)


def test_paths_of_reviews_that_snakemake_reads_otherwise_are_refused(tmp_path):
    with pytest.raises(ReviewError, match="review: '.*{a}.tsv': the path contains"):
        check_reviews([str(tmp_path / "{a}.tsv")], [], {})
    assert check_reviews([], [], {}) == {}
    assert review_files({"review": ["./a.tsv", "b//c.tsv"]}) == ["a.tsv", "b/c.tsv"]
