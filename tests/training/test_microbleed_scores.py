"""Scores of detected lesions, computed by hand."""

import numpy as np

from lesionflow.training.microbleed_scores import scores
from support.spheres import spheres


def test_scores_by_hand():
    one = spheres(((10, 10, 10), 1.2), ((30, 30, 30), 3))
    none = spheres()
    found = np.zeros((40, 40, 40))
    found[30:32, 30, 30] = 0.9  # touches the large one
    found[20, 20, 20] = 0.9  # nothing there
    found[10, 10, 10] = 0.5  # not above the threshold
    false = np.zeros((40, 40, 40))
    false[1:8, 1:8, 1:8] = 0.9
    table = scores([found, false], [one, none])
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


def test_small_lesions_are_neither_missed_nor_false_positives():
    example = spheres(((10, 10, 10), 0.8), ((30, 30, 30), 3))
    found = np.zeros((40, 40, 40))
    found[10, 10, 10] = found[30, 30, 30] = 0.9
    figures = scores([found], [example])
    assert figures["all"]["lesions"] == figures["all"]["found"] == 1
    assert figures["all"]["false_positives"] == 0
    assert scores([0 * found], [example])["all"]["lesions"] == 1


def test_the_place_of_a_false_positive_is_that_of_most_voxels():
    example = spheres(((10, 10, 10), 3))
    example.place[20:] = 2
    found = np.zeros((40, 40, 40))
    found[19:23, 5, 5] = 0.9
    figures = scores([found], [example])["by_place"]
    assert figures["infratentorial"]["false_positives"] == 1
    assert figures["lobar"] == {**figures["lobar"], "lesions": 1, "false_positives": 0}


def test_detections_outside_the_brain_are_ignored():
    example = spheres(((10, 10, 10), 3))
    example.brain[:] = False
    assert scores([np.ones((40, 40, 40))], [example])["all"]["found"] == 0
