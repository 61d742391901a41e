"""Training and test examples of the demo ensemble."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training.microbleed_examples import (
    SHAPE,
    evaluation_jobs,
    held_out_jobs,
    preprocess,
    training_jobs,
)
from support.paths import REPOSITORY


def test_training_and_evaluation_share_no_seeds():
    training = {job.seed for n in (1, 2) for job in training_jobs(n, 30)}
    evaluation = {job.seed for n in (1, 2) for job in evaluation_jobs(n, 30)}
    held_out = {job.seed for n in (1, 2) for job in held_out_jobs(n, [Path("a"), Path("b")])}
    assert not training & evaluation and not training & held_out and not evaluation & held_out
    assert 0 in [job.microbleeds for job in evaluation_jobs(1, 8)]


def test_label_maps_are_used_in_turn_and_held_out_heads_again_without_lesions():
    label_maps = [Path("a"), Path("b"), Path("c")]
    used = [job.label_map for job in training_jobs(1, 9, label_maps)]
    assert used.count(None) == 3 and used.count(label_maps[1]) >= 2
    jobs = held_out_jobs(1, label_maps, 2)
    assert len(jobs) == 12
    with_lesions, without_lesions = jobs[:6], jobs[6:]
    assert all(job.microbleeds > 0 for job in with_lesions)
    assert all(job.microbleeds == 0 for job in without_lesions)
    heads = [
        [(job.seed, job.label_map) for job in half] for half in (with_lesions, without_lesions)
    ]
    assert heads[0] == heads[1]


def test_preprocessing_keeps_the_positions_of_lesions():
    head = simulated_head(7, 6, 3.0)
    scan = simulated_scan(head, 1, "swi", (1.2, 1.2, 2.0), "PSR")
    example = preprocess(scan, head)
    assert example.image.shape == SHAPE and example.brain[tuple(example.mimics.T)].all()
    assert example.image.min() >= 0 and example.image.max() == 1
    numbers = np.unique(example.lesions[example.lesions > 0])
    assert numbers.tolist() == scan.lesion_table.lesion.tolist()
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
