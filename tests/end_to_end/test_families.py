"""Small networks of every published family, run through the complete pipeline by their cards."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.io
import yaml
from scipy import ndimage

from lesionflow.networks.architectures import registry
from support import forward, published
from support.bids_validator import bids_errors
from support.families import SIDES, head, published_card
from support.paths import REPOSITORY
from support.runs import snakemake
from support.stand_ins import save_function, toy_spec
from support.volumes import oriented, save_scan

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
DATA = REPOSITORY / "tests/data"
FEATURES = [2, 3, 3, 4, 4]
LIVIANET = {"features": [4, 3], "skips": [0], "dense": [6], "keep": [0.75, 0.5]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Cards of four families, with weights in the published formats."""
    folder = tmp_path_factory.mktemp("cards")
    network = published.randomize(published.synthseg(FEATURES, 33))
    network.save_weights(folder / "synthseg.h5")
    np.save(folder / "synthseg.npy", published.weights_of(network), allow_pickle=True)
    published.randomize(published.intel([2, 3, 4])).save(folder / "intel.hdf5")
    for name in ("torch-legacy.pt", "livianet-theano.pkl.gz"):
        shutil.copy(DATA / name, folder)
    core_and_rim = {"labels": {1: "core", 2: "rim"}}
    pallida = {"labels": {1: "left-pallidum", 2: "right-pallidum"}}
    cards = {
        "synthseg-2.0": published_card(
            folder,
            "synthseg-2.0",
            "synthseg.h5",
            network={"features": FEATURES},
            input={"pad": {"multiple_of": 16, "at_least": 48}},
        ),
        "lgg-unet2d": published_card(
            folder,
            "lgg-unet2d",
            "torch-legacy.pt",
            network={"features": [2, 4, 6, 8]},
            input={"resize": [32, 32]},
            output=core_and_rim,
        ),
        "brats-unet3d": published_card(
            folder,
            "brats-unet3d",
            "intel.hdf5",
            network={"features": [2, 3, 4]},
            input={"shape": [32, 32, 32]},
        ),
        "livianet": published_card(
            folder,
            "livianet",
            "livianet-theano.pkl.gz",
            network=LIVIANET,
            input={"tiles": {"size": [9, 9, 9], "edge": "reflect", "skip_outside_brain": True}},
            output=pallida,
        ),
    }
    return folder, cards


@pytest.fixture(scope="module")
def run(tmp_path_factory, models):
    """One run of the four cards on two scans: NIfTI images, and the T1 as a MATLAB file."""
    directory = tmp_path_factory.mktemp("families")
    _, cards = models
    affine = oriented("ILA", (1, 1, 1), SIDES)
    affine[:3, 3] = -(affine[:3, :3] @ (np.array(SIDES) - 1)) / 2
    roi = np.zeros(SIDES, np.uint8)
    roi[8:20, 9:25, 6:14] = 1
    save_scan(directory / "t1.nii.gz", head(1), affine)
    save_scan(directory / "flair.nii.gz", head(2), affine)
    save_scan(directory / "roi.nii.gz", roi, affine)
    scipy.io.savemat(directory / "t1.mat", {"vol": head(1).astype(np.uint8)})
    scipy.io.savemat(directory / "roi.mat", {"vol": roi})
    table = directory / "scans.tsv"
    table.write_text(
        "subject\tt1\tflair\tmask\n1\tt1.nii.gz\tflair.nii.gz\troi.nii.gz\n2\tt1.mat\t\troi.mat\n"
    )
    names = ",".join(str(path) for path in cards.values())
    status, text = snakemake(directory, cohort=table, models=f"[{names}]", brain_mask="provided")
    return directory, status, text


def test_results_of_every_model_are_valid_bids(run):
    """Of several channels, labels and models, of a scan table, and of a MATLAB file."""
    directory, *_ = run
    names = sorted(path.parent.name for path in directory.glob("results/*/dseg.tsv"))
    assert names == ["brats-unet3d", "lgg-unet2d", "livianet", "synthseg-2.0"]
    for name in names:
        assert bids_errors(directory / f"results/{name}") == []
    assert bids_errors(directory / "results") == []
    assert len(sorted(directory.rglob("*_desc-preproc_T1w.nii.gz"))) >= 2
    stem = directory / "results/synthseg-2.0/sub-1/anat/sub-1_space-orig_probseg"
    probabilities = json.loads(stem.with_suffix(".json").read_text())
    assert probabilities["LabelMap"][0] == "background"
    assert len(probabilities["LabelMap"]) == nib.load(f"{stem}.nii.gz").shape[3]


def image(directory, model, name, scan="sub-1"):
    """A result of a scan."""
    return nib.load(directory / f"results/{model}/{scan}/anat/{scan}_{name}.nii.gz")


def data(*args, **kwargs):
    return np.asanyarray(image(*args, **kwargs).dataobj)


def test_the_table_has_the_columns_of_every_model(run):
    directory, status, text = run
    assert status == 0, text
    rows = pd.read_csv(directory / "results/cohort.csv", dtype=str, keep_default_na=False)
    assert rows.status.tolist() == ["ok", "unreadable"]
    assert "MATLAB file" in rows.reason[1]
    for column in (
        "synthseg-2.0_left-thalamus_volume_mm3",
        "synthseg-2.0_left-thalamus_soft_volume_mm3",
        "synthseg-2.0_intracranial_soft_volume_mm3",
        "lgg-unet2d_rim_count",
        "brats-unet3d_whole-tumour_max_probability",
        "livianet_right-pallidum_volume_mm3",
    ):
        assert float(rows[column][0]) >= 0
    assert rows["lgg-unet2d_flags"][0] == "brain-volume;channel-filled"
    assert (
        rows["livianet_left-pallidum_volume_mm3"] == rows["livianet_left-pallidum_volume_mm3"][0]
    ).all()
    assert rows["livianet_right-pallidum_count"][1] != ""
    lesions = pd.read_csv(directory / "results/lesions.csv", dtype=str)
    assert set(lesions.model) >= {"synthseg-2.0", "lgg-unet2d", "livianet"}


def test_results_are_on_the_original_grid(run):
    directory, *_ = run
    for model, channel in (
        ("synthseg-2.0", "t1"),
        ("lgg-unet2d", "flair"),
        ("brats-unet3d", "flair"),
    ):
        source = nib.load(directory / f"{channel}.nii.gz")
        for name in ("probseg", "dseg", "desc-lesions_dseg"):
            result = image(directory, model, f"space-orig_{name}")
            assert result.shape[:3] == SIDES
            np.testing.assert_array_equal(result.affine, source.affine)


def ila_to_ras(array):
    """Reorder an array from ILA+ to RAS+ axes."""
    return np.transpose(array, (1, 2, 0))[::-1, :, ::-1]


def test_synthseg_input_probabilities_and_soft_volumes(run, models):
    directory, *_ = run
    weights = np.load(models[0] / "synthseg.npy", allow_pickle=True).item()
    normalized = ila_to_ras(head(1))
    low, high = np.percentile(normalized, [0.5, 99.5])
    normalized = (normalized.clip(low, high) - low) / (high - low)
    before = [(48 - n) // 2 for n in normalized.shape]
    padding = [(b, 48 - n - b) for b, n in zip(before, normalized.shape, strict=True)]
    padded = np.pad(normalized, padding)
    np.testing.assert_allclose(
        data(directory, "synthseg-2.0", "space-model_desc-preproc_T1w"), padded, atol=1e-6
    )

    def posteriors(x):
        maps = forward.synthseg(weights, x[..., None], 5)
        window = np.exp(-2 * np.arange(-1.0, 2) ** 2)
        kernel = np.einsum("i,j,k", *[window / window.sum()] * 3)
        return np.stack(
            [ndimage.convolve(m, kernel, mode="constant") for m in np.moveaxis(maps, 3, 0)], -1
        )

    card = yaml.safe_load((REPOSITORY / "config/models/synthseg-2.0.yaml").read_text())
    values = [0, *card["output"]["labels"]]
    opposite = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52}
    opposite |= {17: 53, 18: 54, 26: 58, 28: 60}
    opposite |= {right: left for left, right in opposite.items()}
    order = [values.index(opposite.get(value, value)) for value in values]
    expected = (posteriors(padded) + posteriors(padded[::-1])[::-1][..., order]) / 2
    probability = data(directory, "synthseg-2.0", "space-model_probseg")
    assert np.abs(probability - expected).max() < 2e-5
    cleaned = data(directory, "synthseg-2.0", "space-model_desc-clean_probseg")
    np.testing.assert_allclose(cleaned.sum(axis=3), 1, atol=1e-4)
    volumes = pd.read_csv(
        directory / "results/synthseg-2.0/sub-1/anat/sub-1_volumes.tsv", sep="\t"
    ).set_index("name")
    soft = cleaned[..., 1:].sum(axis=(0, 1, 2), dtype=float)
    np.testing.assert_allclose(volumes.soft_volume_mm3[:-1], soft, rtol=1e-3, atol=0.1)
    assert volumes.soft_volume_mm3["intracranial"] == pytest.approx(soft.sum(), rel=1e-4)


def test_brats_input_is_the_centre_of_the_image_in_stored_orientation(run):
    directory, *_ = run
    cropped = head(2)[:, 0:32]  # 34 - 32 leaves 1 voxel before, fewer than 5: the box begins at 0
    z_scores = (cropped - cropped.mean()) / cropped.std()
    before = [(32 - n) // 2 for n in SIDES]
    network_input = data(directory, "brats-unet3d", "space-model_desc-preproc_FLAIR")
    inside = network_input[before[0] : before[0] + 29, :, before[2] : before[2] + 26]
    np.testing.assert_allclose(inside, z_scores, atol=1e-4)
    assert np.count_nonzero(network_input) == np.count_nonzero(inside)


def test_lgg_input_is_resized_and_normalized_and_one_lesion_per_label_is_kept(run):
    directory, *_ = run
    affine = image(directory, "lgg-unet2d", "space-model_probseg").affine
    assert nib.aff2axcodes(affine) == ("P", "L", "S")
    for name in ("FLAIR", "t1gd"):  # it also replaces the missing T1 with contrast agent
        network_input = data(directory, "lgg-unet2d", f"space-model_desc-preproc_{name}")
        assert network_input.shape[:2] == (32, 32)
        assert network_input.mean() == pytest.approx(0, abs=1e-4)
        assert network_input.std() == pytest.approx(1, abs=1e-4)
    table = pd.read_csv(directory / "results/lgg-unet2d/sub-1/anat/sub-1_lesions.tsv", sep="\t")
    kept = table[table.kept]
    assert kept.label.is_unique
    assert set(table[~table.kept].dropped_because) <= {"not the largest of its label"}


def test_livianet_tiles_equal_one_prediction_of_the_image_within_the_roi(run):
    directory, *_ = run
    padded = np.pad(head(1), 2, mode="reflect")
    probability = data(directory, "livianet", "space-model_probseg")
    assert probability.shape == (*SIDES, 3)
    np.testing.assert_allclose(probability.sum(axis=3), 1, atol=1e-5)
    spec = toy_spec(
        Path("weights"), [None] * 3, 1, 3, "softmax", "livianet-pickle", network=LIVIANET
    )
    model = registry.rebuild(spec, DATA / "livianet-theano.pkl.gz")
    expected = np.array(model(padded[None, ..., None].astype(np.float32)))[0]
    roi = np.asanyarray(nib.load(directory / "roi.nii.gz").dataobj) > 0
    assert np.abs(probability - expected)[roi].max() < 1e-5
    skipped = (probability[..., 0] == 1) & (expected[..., 0] < 0.9)
    assert skipped.sum() > 100  # tiles far from the ROI are not predicted


def test_check_model_describes_a_model_without_a_cohort(tmp_path, models, run):
    _, cards = models
    text = snakemake(
        tmp_path, "check_model", models=cards["lgg-unet2d"], models_dir=run[0] / "models"
    )[1]
    for line in (
        "t1, flair, t1gd (on the grid of flair, which stands in for missing ones)",
        "PLS, the scan's own voxels",
        "sigmoid: 1 core, 2 rim",
        "torch-legacy.pt (torch-unet2d)",
        "32 x 32 x 1 voxels",
    ):
        assert line in text, text
    status, text = snakemake(tmp_path, "all", "check_model", models=cards["lgg-unet2d"])
    assert status != 0
    assert "bids does not exist" in text


def test_all_labels_of_a_brain_mask_card_are_brain(tmp_path, models, run):
    folder, cards = models

    def halves(x):  # background, and the left and right half of the bright voxels
        import tensorflow as tf

        bright = tf.cast(x > 0.4, tf.float32)
        left = tf.concat([bright[:, :12], 0 * bright[:, 12:]], axis=1)
        return tf.concat([1 - bright, left, bright - left], axis=-1)

    save_function(tmp_path / "net", halves, [24, 40, 40])
    brain_card = {
        "name": "halves",
        "version": "7",
        "format": "savedmodel",
        "folds": [{"path": "net"}],
        "input": {
            "channels": ["any"],
            "crop": "centre",
            "shape": [24, 40, 40],
            "normalize": [{"min_max": [0, 1]}],
        },
        "output": {"activation": "softmax", "labels": {1: "left", 2: "right"}},
    }
    (tmp_path / "halves.yaml").write_text(yaml.safe_dump(brain_card))
    status, text = snakemake(
        tmp_path,
        cohort=run[0] / "scans.tsv",
        include="sub-1",
        models=cards["brats-unet3d"],
        models_dir=run[0] / "models",
        brain_mask=tmp_path / "halves.yaml",
    )
    assert status == 0, text
    rows = pd.read_csv(tmp_path / "results/cohort.csv")
    assert rows.mask_source[0] == "halves 7"
    brain = data(tmp_path, "brats-unet3d", "space-model_desc-brain_mask") > 0
    network_input = data(tmp_path, "brats-unet3d", "space-model_desc-preproc_FLAIR")
    assert network_input[brain].mean() > network_input[~brain].mean() + 0.5
