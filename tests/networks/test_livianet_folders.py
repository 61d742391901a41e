"""LiviaNET weights as folders of NumPy arrays."""

import io

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.livianet_arrays import read_folder
from support.livianet_layers import assert_same, expected, raw_layers


def save_folder(folder, layers):
    folder.mkdir(exist_ok=True)
    for n, arrays in enumerate(layers):
        name = "Classifier" if "bias" in arrays else f"ConvLayer_{n}"
        for short, array in arrays.items():
            np.save(folder / f"{short}_{name}.npy", array)
    return folder


def test_a_folder_of_arrays(tmp_path):
    layers = raw_layers()
    path = save_folder(tmp_path / "net", layers)
    (path / "Readme.txt").write_text("passed over")
    assert_same(read_folder(path), expected(layers))
    averaged = [
        {**layer, **{k: layer[k].mean(0) for k in ("mean", "variance")}} for layer in layers
    ]
    assert_same(read_folder(save_folder(path, averaged)), expected(layers))


def test_the_published_files_are_not_a_complete_network(tmp_path):
    for n, shape in enumerate([(10, 1, 3, 3, 3), (20, 10, 3, 3, 3), (30, 20, 3, 3, 3)]):
        np.save(tmp_path / f"weights_ConvLayer_{n}.npy", np.zeros(shape, np.float32))
    with pytest.raises(WeightsError) as error:
        read_folder(tmp_path)
    vectors = "(gamma, beta, mean, variance, prelu)"
    assert str(error.value) == (
        f"{tmp_path}: lacks parameters of the layers ConvLayer_0 {vectors}; ConvLayer_1 {vectors}; "
        f"ConvLayer_2 {vectors}; Classifier (weights, bias, gamma, beta, mean, variance): each is "
        "expected in a file such as mean_ConvLayer_0.npy; convolutions alone are not a complete network"
    )


def header(shape, descr="<f4"):
    """Header of a .npy file that declares a shape, followed by few bytes."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + b"1234"


def pickled_array():
    stream = io.BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    return stream.getvalue()


def zipped_arrays():
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("gamma_ConvLayer_0.npy", b"", "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", b"text", "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", header((1 << 40,)), "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", header((1 << 62, 1 << 62)), "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", header((1,), "|O"), "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", pickled_array(), "is not a complete .npy file"),
        ("gamma_ConvLayer_0.npy", zipped_arrays(), "is not a .npy file"),
        ("gamma_ConvLayer_0.npy", header((1,), "<i4"), "ConvLayer_0: gamma holds int32"),
        ("weights_ConvLayer_x.npy", b"", "is not the name of a LiviaNET parameter"),
        ("scale_ConvLayer_0.npy", b"", "is not the name of a LiviaNET parameter"),
        ("weights_DenseLayer_0.npy", b"", "is not the name of a LiviaNET parameter"),
        ("weights_0.npy", b"", "is not the name of a LiviaNET parameter"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_invalid_folders(tmp_path, name, data, message):
    path = save_folder(tmp_path / "net", raw_layers())
    (path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=message) as error:
        read_folder(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    path = save_folder(tmp_path / "net", raw_layers())
    (path / "bias_Classifier.npy").unlink()
    with pytest.raises(WeightsError, match=r"lacks parameters of the layers Classifier \(bias\): "):
        read_folder(path)
