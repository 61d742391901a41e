"""Scores of detected lesions, computed by hand."""

import numpy as np

from lesionflow.training.microbleed_scores import scores
from support.spheres import spheres


def test_scores_equal_values_computed_by_hand():
    with_lesions = spheres(((10, 10, 10), 1.2), ((30, 30, 30), 3))
    without_lesions = spheres()
    probability = np.zeros((40, 40, 40))
    probability[30:32, 30, 30] = 0.9  # overlaps the large lesion
    probability[20, 20, 20] = 0.9  # no lesion here
    probability[10, 10, 10] = 0.5  # not above the threshold
    false = np.zeros((40, 40, 40))
    false[1:8, 1:8, 1:8] = 0.9
    table = scores([probability, false], [with_lesions, without_lesions])
    assert table["all"] == {
        "lesions": 2,
        "found": 1,
        "false_positives": 2,
        "sensitivity": 0.5,
        "precision": 0.333,
        "f1": 0.4,
        "false_positives_a_scan": 1.0,
    }
    assert table["false_positives_a_scan_without_lesions"] == 1.0
    assert table["by_diameter"]["2 to 3 mm"]["sensitivity"] == 0
    assert table["by_diameter"]["5 mm and more"]["sensitivity"] == 1
    assert table["by_diameter"]["5 mm and more"]["false_positives"] == 1
    assert table["by_diameter"]["3 to 5 mm"]["sensitivity"] is None


def test_small_lesions_count_neither_as_missed_nor_as_false_positives():
    example = spheres(((10, 10, 10), 0.8), ((30, 30, 30), 3))
    probability = np.zeros((40, 40, 40))
    probability[10, 10, 10] = probability[30, 30, 30] = 0.9
    metrics = scores([probability], [example])
    assert metrics["all"]["lesions"] == metrics["all"]["found"] == 1
    assert metrics["all"]["false_positives"] == 0
    assert scores([0 * probability], [example])["all"]["lesions"] == 1


def test_place_of_a_false_positive_is_that_of_most_voxels():
    example = spheres(((10, 10, 10), 3))
    example.place[20:] = 2
    probability = np.zeros((40, 40, 40))
    probability[19:23, 5, 5] = 0.9
    metrics = scores([probability], [example])["by_place"]
    assert metrics["infratentorial"]["false_positives"] == 1
    assert metrics["lobar"] == {**metrics["lobar"], "lesions": 1, "false_positives": 0}


def test_detections_outside_the_brain_are_ignored():
    example = spheres(((10, 10, 10), 3))
    example.brain[:] = False
    assert scores([np.ones((40, 40, 40))], [example])["all"]["found"] == 0
