"""The demo ensemble's data, network and figures, on small arrays."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import yaml

import simulate_cohort
from lesionflow.imaging.grids import Grid
from lesionflow.simulation import scan
from lesionflow.simulation.microbleeds import Microbleed, rasterize
from lesionflow.simulation.scan import simulated_head, simulated_scan
from lesionflow.training import train_microbleeds
from lesionflow.training.export_weights import with_digests
from lesionflow.training.microbleed_examples import (
    SHAPE,
    Example,
    prepared,
    training_jobs,
    unseen_heads,
    unseen_jobs,
)
from lesionflow.training.microbleed_scores import scores
from support.paths import HOUSE


def spheres(*places, shape=(40, 40, 40)):
    """An example with a sphere for each (centre, radius)."""
    grid = Grid(np.eye(4), shape)
    bleeds = [Microbleed(np.array(c, float), np.full(3, float(r)), 0.9, "lobar") for c, r in places]
    brain = np.ones(shape, bool)
    empty = np.zeros((0, 3), np.int16)
    image = np.ones(shape, np.float16)
    place = np.zeros(shape, np.uint8)
    return Example(image, rasterize(bleeds, grid), brain, empty, bleeds, grid, place)


def test_figures_by_hand():
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


def test_a_lesion_too_small_to_count_is_neither_missed_nor_false():
    example = spheres(((10, 10, 10), 0.8), ((30, 30, 30), 3))
    found = np.zeros((40, 40, 40))
    found[10, 10, 10] = found[30, 30, 30] = 0.9
    figures = scores([found], [example])
    assert figures["all"]["lesions"] == figures["all"]["found"] == 1
    assert figures["all"]["false_positives"] == 0
    assert scores([0 * found], [example])["all"]["lesions"] == 1


def test_a_false_one_is_where_most_of_it_is():
    example = spheres(((10, 10, 10), 3))
    example.place[20:] = 2
    found = np.zeros((40, 40, 40))
    found[19:23, 5, 5] = 0.9
    figures = scores([found], [example])["by_place"]
    assert figures["infratentorial"]["false_positives"] == 1
    assert figures["lobar"] == {**figures["lobar"], "lesions": 1, "false_positives": 0}


def test_nothing_outside_the_brain_is_found():
    example = spheres(((10, 10, 10), 3))
    example.brain[:] = False
    assert scores([np.ones((40, 40, 40))], [example])["all"]["found"] == 0


def test_no_seed_serves_for_both_training_and_test():
    trained = {job.seed for n in (1, 2) for job in training_jobs(n, 30)}
    tested = {job.seed for n in (1, 2) for job in unseen_jobs(n, 30)}
    heads = {job.seed for n in (1, 2) for job in unseen_heads(n, [Path("a"), Path("b")])}
    assert not trained & tested and not trained & heads and not tested & heads
    assert 0 in [job.bleeds for job in unseen_jobs(1, 8)]


def test_heads_come_in_turn_and_again_without_lesions():
    maps = [Path("a"), Path("b"), Path("c")]
    used = [job.label_map for job in training_jobs(1, 9, maps)]
    assert used.count(None) == 3 and used.count(maps[1]) >= 2
    jobs = unseen_heads(1, maps, 2)
    assert len(jobs) == 12
    assert all(job.bleeds > 0 for job in jobs[:6]) and all(job.bleeds == 0 for job in jobs[6:])
    assert [(j.seed, j.label_map) for j in jobs[:6]] == [(j.seed, j.label_map) for j in jobs[6:]]


def test_each_fold_leaves_another_third_out():
    examples = list(range(9))
    parts = [train_microbleeds.thirds(examples, fold) for fold in (1, 2, 3)]
    assert sorted(n for _, left_out in parts for n in left_out) == examples
    assert all(sorted(learn + left_out) == examples for learn, left_out in parts)


def test_patches_are_drawn_by_seed_and_lie_on_lesions():
    example = spheres(((80, 100, 90), 3), shape=SHAPE)
    first, masks = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    again, _ = next(train_microbleeds.patches([example], np.random.default_rng(4), 12))
    np.testing.assert_array_equal(first, again)
    assert first.shape == masks.shape == (12, 32, 32, 32, 1) and first.dtype == np.float32
    assert (masks.sum(axis=(1, 2, 3, 4)) > 0).sum() >= 3
    assert first.min() >= 0 and first.max() <= 1


def test_false_alarms_are_the_peaks_where_no_lesion_is():
    example = spheres(((10, 10, 10), 3))
    found = np.zeros((1, 40, 40, 40, 1), np.float32)
    found[0, 12, 10, 10] = 0.99  # on the lesion
    found[0, 20, 20, 20:23, 0] = 0.4, 0.6, 0.5
    found[0, 30, 30, 30] = 0.9
    found[0, 5, 30, 30] = 0.3  # not above

    class Model:
        def predict_on_batch(self, image):
            assert image.shape == found.shape and image.dtype == np.float32
            return found

    alarms = train_microbleeds.false_alarms(Model(), example)
    assert alarms.tolist() == [[30, 30, 30], [20, 20, 21]]
    assert len(train_microbleeds.false_alarms(Model(), example, most=1)) == 1


def test_the_road_of_an_example_puts_its_lesions_where_they_are():
    head = simulated_head(7, 6, 3.0)
    scan = simulated_scan(head, 1, "swi", (1.2, 1.2, 2.0), "PSR")
    example = prepared(scan, head)
    assert example.image.shape == SHAPE and example.brain[tuple(example.mimics.T)].all()
    assert example.image.min() >= 0 and example.image.max() == 1
    numbers = np.unique(example.lesions[example.lesions > 0])
    assert numbers.tolist() == scan.truth.lesion.tolist()
    inside = example.image[example.brain]
    assert np.percentile(inside, 99) == pytest.approx(1 / 1.3, abs=2e-3)
    assert example.image[example.lesions > 0].mean() < 0.8 * np.median(inside)


def test_md5_of_new_weights_go_into_the_card():
    text = (HOUSE / "config/models/demo-cmb.yaml").read_text()
    card = yaml.safe_load(with_digests(text, {"fold-2.keras": "ab" * 16}))
    assert card["folds"][1]["md5"] == "ab" * 16 != card["folds"][0]["md5"]
    assert card["input"]["normalize"] == yaml.safe_load(text)["input"]["normalize"]
    with pytest.raises(ValueError, match="fold-9.keras"):
        with_digests(text, {"fold-9.keras": "ab" * 16})


def test_the_card_says_what_the_networks_are_trained_on():
    from lesionflow.training.microbleed_examples import INPUT

    card = yaml.safe_load((HOUSE / "config/models/demo-cmb.yaml").read_text())
    assert card["input"]["normalize"] == INPUT["normalize"]
    assert card["input"]["orientation"] == INPUT["orientation"]
    assert tuple(card["input"]["spacing_mm"]) == INPUT["spacing_mm"]
    assert tuple(card["input"]["shape"]) == SHAPE
    assert "simulated" in card["description"] and "never" in card["description"]


class Here:
    """A pool of processes that is none."""

    def __init__(self, *args, **kwargs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    map = staticmethod(map)


def test_the_demo_cohort_has_what_it_promises(tmp_path, monkeypatch):
    jobs = simulate_cohort.cohort_jobs(2026, 6)
    names = [job.name for job in jobs]
    assert names == ["sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03", "sub-04", "sub-05"]
    assert jobs[0].head == jobs[1].head and jobs[3].bleeds == 0 and jobs[4].broken

    monkeypatch.setattr(
        simulate_cohort, "simulated_head", lambda seed, n: simulated_head(seed, n, 4.0)
    )
    monkeypatch.setattr(
        simulate_cohort,
        "simulated_scan",
        lambda h, s: scan.simulated_scan(h, s, "swi", (2.0, 2.0, 3.0)),
    )
    monkeypatch.setattr(simulate_cohort, "cohort_jobs", lambda seed, scans: jobs[4:5])
    monkeypatch.setattr(simulate_cohort, "ProcessPoolExecutor", Here)
    monkeypatch.setattr("sys.argv", ["simulate_cohort.py", str(tmp_path)])
    simulate_cohort.main()
    folder = tmp_path / "sub-04" / "anat"
    assert sorted(path.name for path in folder.iterdir()) == [
        "sub-04_desc-brain_mask.nii.gz",
        "sub-04_desc-truth_dseg.nii.gz",
        "sub-04_desc-truth_lesions.tsv",
        "sub-04_swi.nii.gz",
    ]
    with pytest.raises(EOFError):
        gzip.decompress((folder / "sub-04_swi.nii.gz").read_bytes())
    assert "SIMULATED" in (tmp_path / "README").read_text()
    assert "sub-04 is broken" in (tmp_path / "README").read_text()


@pytest.mark.slow
def test_weights_move_from_patch_to_whole_volume():
    from lesionflow.networks.architectures.residual_unet3d import copied, residual_unet

    small = residual_unet((16, 16, 16), (4, 6, 8))
    other = copied(small, (16, 22, 18), (4, 6, 8))  # 22 and 18 are odd after one halving
    assert other.output_shape == (None, 16, 22, 18, 1)
    image = np.zeros((1, 16, 22, 18, 1), np.float32)
    assert other(image).numpy().mean() == pytest.approx(1 / (1 + np.exp(4)), abs=1e-3)


@pytest.mark.slow
def test_the_loss_is_nothing_for_the_truth():
    truth = np.zeros((1, 16, 16, 16, 1), np.float32)
    truth[0, 8, 8, 8] = 1
    rate = train_microbleeds.lesion_loss
    assert float(rate(truth, truth)) == pytest.approx(0, abs=1e-3)
    assert float(rate(truth, 1 - truth)) > float(rate(truth, 0 * truth)) > 0.1
