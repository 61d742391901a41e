"""Imported folds of every Keras format compared with the published network."""

import os

import numpy as np
import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import WeightsError
from support.imported_folds import SMALL, imported, largest_difference, volume
from support.stand_ins import FULL, SHAPE, lambdas, unet, v1_like, v2_like

pytestmark = pytest.mark.slow


FULL_SIZE = pytest.mark.skipif(
    os.environ.get("LESIONFLOW_FULL_SIZE") != "1",
    reason="LESIONFLOW_FULL_SIZE=1 takes minutes and 7 GB",
)


def v2(tmp_path, shape, depth):
    model = v2_like(shape, depth)
    model.export(str(tmp_path / "v2"), verbose=False)
    return tmp_path / "v2", model, {"fmt": "savedmodel"}


def v1(tmp_path, shape, depth, **parts):
    model, twin = v1_like(shape, depth, **parts), v1_like(shape, depth, mixed=False, **parts)
    twin.set_weights(model.get_weights())  # the mixed one does not run on a CPU
    model.save(tmp_path / "v1.h5")
    return tmp_path / "v1.h5", twin, {"fmt": "keras-h5", "md5": "published"}


def v1_with_lambdas(tmp_path, shape, depth):
    return v1(tmp_path, shape, depth, **lambdas())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "shape", "depth"),
    [
        (v2, SHAPE, 3),
        (v1, SHAPE, 3),
        (v1_with_lambdas, SHAPE, 3),
        pytest.param(v2, FULL, 9, marks=FULL_SIZE),
        pytest.param(v1, FULL, 7, marks=FULL_SIZE),
        pytest.param(v1_with_lambdas, FULL, 7, marks=FULL_SIZE),
    ],
)
def test_imports_match_networks_like_the_published_ones(tmp_path, caplog, make, shape, depth):
    path, model, about = make(tmp_path, shape, depth)
    image = volume(shape)
    expected = np.array(model(image[None], training=False))[0]
    assert expected.std() > 0.1  # or else being close would say nothing
    before = sorted(p.name for p in tmp_path.iterdir())
    folder = imported(path, tmp_path, shape, **about)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*before, "toy"])
    record = json_sidecar.read(folder / "fold.json")
    assert record["openvino"] is True
    assert "ConvolutionBackpropData" in (folder / "openvino.xml").read_text()  # nothing upsampled
    # At full size float32 is 1e-5 (v2) and 6e-5 (v1) from float64, eager or not, in either framework:
    # random weights amplify rounding. v1's, trained for 250 steps, were 1.2e-6 from the original,
    # the two frameworks 2.4e-7 largest_difference.
    limit = 1e-4 if shape == FULL else 1e-5
    assert largest_difference(folder, image, expected, "tensorflow") <= limit
    assert largest_difference(folder, image, expected, "openvino") <= limit
    assert "gradients" not in caplog.text  # which nobody asks for
    names = {
        "files.json",
        "fold.json",
        "openvino.xml",
        "openvino.bin",
        "saved_model.pb",
        "variables",
    }
    assert {p.name for p in folder.iterdir()} - {"assets", "fingerprint.pb", "compiled"} == names


def keras3(tmp_path, **more):
    import keras

    model = unet(keras, SMALL, 2, 4, 2, channels=2, labels=3)
    model.save(tmp_path / "a.keras")
    return tmp_path / "a.keras", model, {"fmt": "keras", **more}


def keras3_mixed(tmp_path):
    import keras

    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = unet(keras, SMALL, 2, 4, 2, channels=2, labels=3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    twin = unet(keras, SMALL, 2, 4, 2, channels=2, labels=3)
    twin.set_weights(model.get_weights())
    model.save(tmp_path / "a.keras")
    return tmp_path / "a.keras", twin, {"fmt": "keras"}


def keras3_h5(tmp_path):
    import keras

    model = unet(keras, SMALL, 2, 4, 2, channels=2, labels=3)
    model.save(tmp_path / "a.h5")
    return tmp_path / "a.h5", model, {"fmt": "keras-h5"}


def transposed_h5(tmp_path):
    import tf_keras

    image = tf_keras.Input((*SMALL, 2))
    x = tf_keras.layers.Conv3D(4, 3, padding="same", activation="elu")(image)
    x = tf_keras.layers.Conv3DTranspose(3, 1, activation="softmax")(x)
    model = tf_keras.Model([image], [x])
    model.compile(loss=lambda truth, record: record)  # a loss that no other program knows
    model.save(tmp_path / "a.h5")
    return tmp_path / "a.h5", model, {"fmt": "keras-h5"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [keras3, keras3_mixed, keras3_h5, transposed_h5])
def test_keras_files_with_several_channels_and_labels(tmp_path, make):
    path, model, about = make(tmp_path)
    image = volume(SMALL, 2)
    expected = np.array(model(image[None], training=False))[0]
    folder = imported(path, tmp_path, SMALL, channels=2, outputs=3, activation="softmax", **about)
    assert largest_difference(folder, image, expected, "tensorflow") <= 1e-5
    assert largest_difference(folder, image, expected, "openvino") <= 1e-5


@pytest.mark.parametrize("fmt", ["keras-h5", "keras"])
@pytest.mark.filterwarnings("ignore")
def test_code_in_a_file_runs_only_if_the_card_has_its_md5(tmp_path, fmt, monkeypatch):
    mark = tmp_path / "was-run"
    monkeypatch.setenv("LESIONFLOW_TEST_MARK", str(mark))
    if fmt == "keras":
        import keras
    else:
        import tf_keras as keras
    code = "import os; open(os.environ['LESIONFLOW_TEST_MARK'], 'w').close()"
    evil = eval(f"lambda x: (exec({code!r}), x)[1]")  # all of it byte code
    image = keras.Input((*SMALL, 1))
    out = keras.layers.Lambda(evil, output_shape=(*SMALL, 1))(image)
    path = tmp_path / ("a.keras" if fmt == "keras" else "a.h5")
    keras.Model(image, out).save(path)
    mark.unlink(missing_ok=True)
    with pytest.raises(WeightsError, match="holds code that loading it would run .a Lambda layer"):
        imported(path, tmp_path, SMALL, fmt=fmt)
    assert not mark.exists()
    assert not list(tmp_path.glob("toy/*"))
    imported(path, tmp_path, SMALL, fmt=fmt, md5="published")
    assert mark.exists()
