"""The setup of a run."""

import pytest

from lesionflow.base.errors import CardError
from lesionflow.workflow.run_setup import settings_and_cards
from support.card_files import put, write_card
from support.paths import REPOSITORY


def test_labels_that_result_in_duplicate_column_names_raise(tmp_path):
    path = write_card(
        tmp_path, put("output", {"labels": {1: "a", 2: "a_soft"}, "soft_volumes": True})
    )
    message = "card mine: output.labels: two columns of the table would be called a_soft_volume_mm3"
    with pytest.raises(CardError, match=message):
        settings_and_cards({"models": str(path)}, REPOSITORY)
