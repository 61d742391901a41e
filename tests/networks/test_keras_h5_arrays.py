"""Arrays from H5 files: layouts, links, wrong sizes and damage."""

import h5py
import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.keras_h5_arrays import read_layers

KERNEL = np.arange(6, dtype=np.float32).reshape(1, 2, 3)


def save(path, change=lambda root: None, within=None, suffix=":0", encode=True):
    """Two layers with weights and one without, as Keras 2 writes them."""

    def texts(values):
        return np.array(values, "S") if encode else values

    with h5py.File(path, "w") as file:
        root = file.create_group(within) if within else file
        root.attrs["layer_names"] = texts(["conv", "pool", "bn"])
        for layer, arrays in {"conv": ["kernel", "bias"], "pool": [], "bn": ["gamma"]}.items():
            group = root.create_group(layer)
            names = [f"{layer}/{array}{suffix}" for array in arrays]
            group.attrs["weight_names"] = texts(names)
            for name in names:
                group[name] = KERNEL if "kernel" in name else KERNEL[0, 0]
        if within:
            file.create_group("optimizer_weights")["no_layer"] = KERNEL
        change(root)
    return path


@pytest.mark.parametrize(
    "about",
    [{}, {"within": "model_weights"}, {"suffix": ""}, {"encode": False, "within": "model_weights"}],
)
def test_layouts_of_keras_files(tmp_path, about):
    arrays_by_layer = read_layers(save(tmp_path / "a.h5", **about))
    assert {k: list(v) for k, v in arrays_by_layer.items()} == {
        "conv": ["kernel", "bias"],
        "bn": ["gamma"],
    }
    np.testing.assert_array_equal(arrays_by_layer["conv"]["kernel"], KERNEL)
    np.testing.assert_array_equal(arrays_by_layer["bn"]["gamma"], KERNEL[0, 0])


def test_long_attributes_that_are_split(tmp_path):
    def cut(root):
        names = list(root.attrs["layer_names"])
        del root.attrs["layer_names"]
        root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:2], names[2:]

    assert list(read_layers(save(tmp_path / "a.h5", cut))) == ["conv", "bn"]


def test_other_precisions_become_float32(tmp_path):
    def convert(root):
        for name, kind in (("conv/conv/kernel:0", "f8"), ("conv/conv/bias:0", "f2")):
            array = root[name][()]
            del root[name]
            root[name] = array.astype(kind)

    arrays_by_layer = read_layers(save(tmp_path / "a.h5", convert))
    assert {a.dtype for arrays in arrays_by_layer.values() for a in arrays.values()} == {
        np.dtype("f4")
    }
    np.testing.assert_array_equal(arrays_by_layer["conv"]["kernel"], KERNEL)


def put(name, value):
    def change(root):
        del root[name]
        root[name] = value

    return change


def huge(root):
    del root["conv/conv/kernel:0"]
    root.create_dataset("conv/conv/kernel:0", (1 << 20, 1 << 20), "f4", chunks=(1, 1 << 10))


def kept_elsewhere(root):
    del root["conv/conv/kernel:0"]
    root.create_dataset("conv/conv/kernel:0", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(root):
    del root["conv/conv/kernel:0"]
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
    root.create_virtual_dataset("conv/conv/kernel:0", layout)


def reference(root):
    del root["conv/conv/kernel:0"]
    root.create_dataset("conv/conv/kernel:0", data=root["bn"].ref, dtype=h5py.ref_dtype)


def twice(root):
    group = root["conv"]
    group["other/kernel:0"] = KERNEL
    group.attrs["weight_names"] = ["conv/kernel:0", "other/kernel:0"]


def upwards(root):
    root["conv"].attrs["weight_names"] = [b"../bn/bn/gamma:0"]


def nameless(root):
    del root.attrs["layer_names"]


def of_keras_3(root):
    nameless(root)
    root.create_group("layers")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put("conv", h5py.ExternalLink("other.h5", "/conv")),
            "conv is a link to another place: refused",
        ),
        (put("conv", h5py.SoftLink("/bn")), "conv is a link to another place: refused"),
        (
            put("conv/conv", h5py.ExternalLink("other.h5", "/conv")),
            "conv/kernel:0 is a link to another place: refused",
        ),
        (put("conv/conv/kernel:0", h5py.ExternalLink("/x.h5", "a")), "kernel:0 is a link"),
        (kept_elsewhere, "layer conv: conv/kernel:0 is stored in another file: refused"),
        (virtual, "layer conv: conv/kernel:0 is stored in another file: refused"),
        (reference, "layer conv: conv/kernel:0 is object; an array of floating-point"),
        (
            put("conv/conv/kernel:0", np.arange(3)),
            "layer conv: conv/kernel:0 is int64; an array of",
        ),
        (put("conv/conv/kernel:0", "text"), "layer conv: conv/kernel:0 is object; an array of"),
        (huge, r"layer conv: conv/kernel:0 would take 4398046511104 bytes, more than .*: refused"),
        (twice, "layer conv: has two arrays kernel; one is expected"),
        (upwards, "lists ../bn/bn/gamma:0, but has no such member"),
        (lambda root: root.pop("conv"), "lists conv, but has no such member"),
        (lambda root: root.pop("conv/conv/bias:0"), "lists conv/bias:0, but has no such member"),
        (nameless, "has no layer_names, so its layout is not Keras's"),
        (of_keras_3, "has no layer_names, so its layout is Keras 3's .weights.h5"),
    ],
)
def test_files_that_are_refused(tmp_path, change, message):
    path = save(tmp_path / "a.h5", change)
    save(tmp_path / "other.h5")
    with pytest.raises(WeightsError, match=message) as error:
        read_layers(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_truncated_file(tmp_path):
    data, path = save(tmp_path / "a.h5").read_bytes(), tmp_path / "b.h5"
    for size in np.random.default_rng(0).integers(0, len(data), 60):
        path.write_bytes(data[:size])
        with pytest.raises(WeightsError, match="is not a complete H5 file"):
            read_layers(path)
    path.write_bytes(b"no H5 file" * 1000)
    with pytest.raises(WeightsError, match="is not a complete H5 file"):
        read_layers(path)
