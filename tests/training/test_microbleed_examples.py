"""Training and test examples of the demo ensemble."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training.microbleed_examples import (
    SHAPE,
    prepared,
    training_jobs,
    unseen_heads,
    unseen_jobs,
)
from support.paths import REPOSITORY


def test_training_and_test_share_no_seeds():
    trained = {job.seed for n in (1, 2) for job in training_jobs(n, 30)}
    tested = {job.seed for n in (1, 2) for job in unseen_jobs(n, 30)}
    heads = {job.seed for n in (1, 2) for job in unseen_heads(n, [Path("a"), Path("b")])}
    assert not trained & tested and not trained & heads and not tested & heads
    assert 0 in [job.bleeds for job in unseen_jobs(1, 8)]


def test_label_maps_take_turns_and_heads_repeat_without_lesions():
    maps = [Path("a"), Path("b"), Path("c")]
    used = [job.label_map for job in training_jobs(1, 9, maps)]
    assert used.count(None) == 3 and used.count(maps[1]) >= 2
    jobs = unseen_heads(1, maps, 2)
    assert len(jobs) == 12
    assert all(job.bleeds > 0 for job in jobs[:6]) and all(job.bleeds == 0 for job in jobs[6:])
    assert [(j.seed, j.label_map) for j in jobs[:6]] == [(j.seed, j.label_map) for j in jobs[6:]]


def test_prepared_examples_keep_their_lesions_in_place():
    head = simulated_head(7, 6, 3.0)
    scan = simulated_scan(head, 1, "swi", (1.2, 1.2, 2.0), "PSR")
    example = prepared(scan, head)
    assert example.image.shape == SHAPE and example.brain[tuple(example.mimics.T)].all()
    assert example.image.min() >= 0 and example.image.max() == 1
    numbers = np.unique(example.lesions[example.lesions > 0])
    assert numbers.tolist() == scan.table.lesion.tolist()
    inside = example.image[example.brain]
    assert np.percentile(inside, 99) == pytest.approx(1 / 1.3, abs=2e-3)
    assert example.image[example.lesions > 0].mean() < 0.8 * np.median(inside)


def test_the_card_matches_the_training_examples():
    from lesionflow.training.microbleed_examples import INPUT

    card = yaml.safe_load((REPOSITORY / "config/models/demo-cmb.yaml").read_text())
    assert card["input"]["normalize"] == INPUT["normalize"]
    assert card["input"]["orientation"] == INPUT["orientation"]
    assert tuple(card["input"]["spacing_mm"]) == INPUT["spacing_mm"]
    assert tuple(card["input"]["shape"]) == SHAPE
    assert "simulated" in card["description"] and "never" in card["description"]
