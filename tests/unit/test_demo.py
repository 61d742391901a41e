"""The demo ensemble's data, network and figures, on small arrays."""

import gzip

import numpy as np
import pytest
import yaml

import simulate_cohort
from lesionflow import demo_training, swi
from lesionflow.demo_data import SHAPE, Example, prepared, training_jobs, unseen_jobs
from lesionflow.demo_scores import scores
from lesionflow.foci import Focus, rasterize
from lesionflow.geometry import Grid
from lesionflow.swi import simulated_head, simulated_swi
from paths import HOUSE
from train_demo import with_digests


def spheres(*places, shape=(40, 40, 40)):
    """An example with a sphere for each (centre, radius)."""
    grid = Grid(np.eye(4), shape)
    bleeds = [Focus(np.array(c, float), np.full(3, float(r)), 0.9, "lobar") for c, r in places]
    brain = np.ones(shape, bool)
    empty = np.zeros((0, 3), np.int16)
    image = np.ones(shape, np.float16)
    return Example(image, rasterize(bleeds, grid), brain, empty, bleeds, grid)


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


def test_nothing_outside_the_brain_is_found():
    example = spheres(((10, 10, 10), 3))
    example.brain[:] = False
    assert scores([np.ones((40, 40, 40))], [example])["all"]["found"] == 0


def test_no_seed_serves_for_both_training_and_test():
    trained = {seed for n in (1, 2) for seed, _ in training_jobs(n, 30)}
    tested = {seed for n in (1, 2) for seed, _ in unseen_jobs(n, 30)}
    assert not trained & tested
    assert 0 in dict(unseen_jobs(1, 8)).values()


def test_each_fold_leaves_another_third_out():
    examples = list(range(9))
    parts = [demo_training.thirds(examples, fold) for fold in (1, 2, 3)]
    assert sorted(n for _, left_out in parts for n in left_out) == examples
    assert all(sorted(learn + left_out) == examples for learn, left_out in parts)


def test_patches_are_drawn_by_seed_and_lie_on_lesions():
    example = spheres(((80, 100, 90), 3), shape=SHAPE)
    first, masks = next(demo_training.patches([example], np.random.default_rng(4), 12))
    again, _ = next(demo_training.patches([example], np.random.default_rng(4), 12))
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

    alarms = demo_training.false_alarms(Model(), example)
    assert alarms.tolist() == [[30, 30, 30], [20, 20, 21]]
    assert len(demo_training.false_alarms(Model(), example, most=1)) == 1


def test_the_road_of_an_example_puts_its_lesions_where_they_are():
    head = simulated_head(7, 6, 3.0)
    scan = simulated_swi(head, 1, (1.2, 1.2, 2.0), "PSR")
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
    from lesionflow.demo_data import INPUT

    card = yaml.safe_load((HOUSE / "config/models/demo-cmb.yaml").read_text())
    assert card["input"]["normalize"] == INPUT["normalize"]
    assert card["input"]["orientation"] == INPUT["orientation"]
    assert tuple(card["input"]["spacing_mm"]) == INPUT["spacing_mm"]
    assert tuple(card["input"]["shape"]) == SHAPE
    assert "simulated" in card["description"] and "never" in card["description"]


def test_the_demo_cohort_has_what_it_promises(tmp_path, monkeypatch):
    jobs = simulate_cohort.cohort_jobs(2026, 6)
    names = [job.name for job in jobs]
    assert names == ["sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03", "sub-04", "sub-05"]
    assert jobs[0].head == jobs[1].head and jobs[3].bleeds == 0 and jobs[4].broken

    monkeypatch.setattr(
        simulate_cohort, "simulated_head", lambda seed, n: simulated_head(seed, n, 4.0)
    )
    monkeypatch.setattr(
        simulate_cohort, "simulated_swi", lambda h, s: swi.simulated_swi(h, s, (2.0, 2.0, 3.0))
    )
    simulate_cohort.describe(tmp_path, jobs)
    simulate_cohort.write_scan(jobs[4], tmp_path)
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
    from lesionflow.demo_network import copied, residual_unet

    small = residual_unet((16, 16, 16), (4, 6, 8))
    other = copied(small, (16, 22, 18), (4, 6, 8))  # 22 and 18 are odd after one halving
    assert other.output_shape == (None, 16, 22, 18, 1)
    image = np.zeros((1, 16, 22, 18, 1), np.float32)
    assert other(image).numpy().mean() == pytest.approx(1 / (1 + np.exp(4)), abs=1e-3)


@pytest.mark.slow
def test_the_loss_is_nothing_for_the_truth():
    truth = np.zeros((1, 16, 16, 16, 1), np.float32)
    truth[0, 8, 8, 8] = 1
    rate = demo_training.lesion_loss
    assert float(rate(truth, truth)) == pytest.approx(0, abs=1e-3)
    assert float(rate(truth, 1 - truth)) > float(rate(truth, 0 * truth)) > 0.1
