"""Training and test examples of the demo ensemble."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training.microbleed_examples import (
    SHAPE,
    prepared_example,
    training_jobs,
    unseen_heads,
    unseen_jobs,
)
from support.paths import REPOSITORY


def test_training_and_test_scans_share_no_seeds():
    training_seeds = {job.seed for n in (1, 2) for job in training_jobs(n, 30)}
    test_seeds = {job.seed for n in (1, 2) for job in unseen_jobs(n, 30)}
    head_seeds = {job.seed for n in (1, 2) for job in unseen_heads(n, [Path("a"), Path("b")])}
    assert (
        not training_seeds & test_seeds
        and not training_seeds & head_seeds
        and not test_seeds & head_seeds
    )
    assert 0 in [job.microbleeds for job in unseen_jobs(1, 8)]


def test_label_maps_are_used_in_turn_and_test_heads_repeated_without_lesions():
    label_maps = [Path("a"), Path("b"), Path("c")]
    used_maps = [job.label_map for job in training_jobs(1, 9, label_maps)]
    assert used_maps.count(None) == 3 and used_maps.count(label_maps[1]) >= 2
    jobs = unseen_heads(1, label_maps, 2)
    assert len(jobs) == 12
    assert all(job.microbleeds > 0 for job in jobs[:6])
    assert all(job.microbleeds == 0 for job in jobs[6:])
    assert [(j.seed, j.label_map) for j in jobs[:6]] == [(j.seed, j.label_map) for j in jobs[6:]]


def test_examples_keep_lesions_and_mimics_at_their_positions():
    head = simulated_head(7, 6, 3.0)
    scan = simulated_scan(head, 1, "swi", (1.2, 1.2, 2.0), "PSR")
    example = prepared_example(scan, head)
    assert example.image.shape == SHAPE and example.brain[tuple(example.mimics.T)].all()
    assert example.image.min() >= 0 and example.image.max() == 1
    numbers = np.unique(example.lesions[example.lesions > 0])
    assert numbers.tolist() == scan.lesion_table.lesion.tolist()
    intensities = example.image[example.brain]
    assert np.percentile(intensities, 99) == pytest.approx(1 / 1.3, abs=2e-3)
    assert example.image[example.lesions > 0].mean() < 0.8 * np.median(intensities)


def test_card_has_the_preprocessing_of_the_training_examples():
    from lesionflow.training.microbleed_examples import INPUT

    card = yaml.safe_load((REPOSITORY / "config/models/demo-cmb.yaml").read_text())
    assert card["input"]["normalize"] == INPUT["normalize"]
    assert card["input"]["orientation"] == INPUT["orientation"]
    assert tuple(card["input"]["spacing_mm"]) == INPUT["spacing_mm"]
    assert tuple(card["input"]["shape"]) == SHAPE
    assert "simulated" in card["description"] and "never" in card["description"]
