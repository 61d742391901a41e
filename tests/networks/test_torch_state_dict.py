"""PyTorch files read without PyTorch: valid, damaged and invalid ones."""

import io
import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.torch_state_dict import MAGIC, read_tensors
from support.paths import REPOSITORY

DATA = REPOSITORY / "tests/data"


@pytest.mark.parametrize("name", ["various-zip.pt", "various-legacy.pt"])
def test_views_and_types_of_a_checkpoint(name):
    tensors = read_tensors(DATA / name)
    base = np.arange(24, dtype=np.float32)
    expected = {
        "slice": base.reshape(4, 6)[1:3, ::2],
        "transposed": base.reshape(2, 3, 4).transpose(2, 0, 1),
        "half": np.float32([1.5, -2.25, 65504]),
        "double": np.float32([0.1, 1e-3]),
        "bfloat16": np.float32([1.5, -3.140625, 1.0002555517425873e30]),
        "long": np.int64(7),
        "bool": np.uint8([1, 0]),
        "parameter": np.float32([1, 2]),
    }
    assert list(tensors) == list(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(tensors[key], array)
        assert tensors[key].dtype == array.dtype


def test_both_formats_give_the_same_tensors():
    zipped, legacy = (read_tensors(DATA / f"torch-{kind}.pt") for kind in ("zip", "legacy"))
    assert list(zipped) == list(legacy)
    assert len(zipped) == 92
    for name, array in zipped.items():
        np.testing.assert_array_equal(array, legacy[name])


class Global:
    """Pickles as a global of a module that does not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Tensor:
    """Pickles as a PyTorch tensor does."""

    def __init__(self, shape=(3,), strides=(1,), offset=0, number=3, kind="FloatStorage", key="0"):
        self.pid = ("storage", Global("torch", kind), key, "cpu", number)
        self.view = (offset, shape, strides, False, ())


class Pid:
    def __init__(self, value):
        self.value = value


class Writer(pickle._Pickler):
    """Writes the two classes above: Python's own pickler looks names up."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Pid):
            self.save(obj.value)
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            self.save((Pid(obj.pid), *obj.view))
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(obj):
    stream = io.BytesIO()
    Writer(stream, 2).dump(obj)
    return stream.getvalue()


NUMBERS = np.float32([1, 2, 3]).tobytes()


def save_zip(path, obj, storages=None, **options):
    storages = {"0": NUMBERS} if storages is None else storages
    with zipfile.ZipFile(path, "w", options.get("compression", zipfile.ZIP_STORED)) as file:
        file.writestr("a/data.pkl", pickled(obj))
        if "byteorder" in options:
            file.writestr("a/byteorder", options["byteorder"])
        for key, raw in storages.items():
            file.writestr(f"a/data/{key}", raw)
    return path


def save_legacy(path, obj, keys=("0",), numbers=3, little=True, protocol=1001, raw=NUMBERS):
    parts = [protocol, {"little_endian": little}, obj, list(keys)]
    data = MAGIC + b"." + b"".join(pickled(part) for part in parts)
    path.write_bytes(data + b"".join(struct.pack("<q", numbers) + raw for _ in keys))
    return path


def test_tensors_made_by_hand(tmp_path):
    state = {"a": Tensor(), "b": Tensor((2,), (2,)), "c": Tensor((), (), 1)}
    for path in (save_zip(tmp_path / "a", state), save_legacy(tmp_path / "b", state)):
        tensors = {k: v.tolist() for k, v in read_tensors(path).items()}
        assert tensors == {"a": [1, 2, 3], "b": [1, 3], "c": 2}
    for holder in ("state_dict", "model_state_dict"):
        path = save_zip(tmp_path / "a", {"epoch": 1, holder: state})
        assert set(read_tensors(path)) == set(state)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"w": Tensor((4,))}, r"w: the shape .4,. .* does not fit its storage of 3"),
        ({"w": Tensor((3,), (1,), 1)}, "w: the shape .3,. with the strides .1,. from 1 does not"),
        ({"w": Tensor((2,), (3,))}, "w: the shape .* does not fit"),
        ({"w": Tensor((1 << 40,), (0,))}, "w: the shape .* does not fit"),
        ({"w": Tensor((0,))}, "w: the shape .* does not fit"),
        ({"w": Tensor((-1,))}, "w: its shape, strides or offset are invalid"),
        ({"w": Tensor((3,), (-1,), 2)}, "w: its shape, strides or offset are invalid"),
        ({"w": Tensor((3,), (1, 1))}, "w: its shape, strides or offset are invalid"),
        ({"w": Tensor([3], (1,))}, "w: its shape, strides or offset are invalid"),
        ({"w": Tensor((3,), (1,), 0.5)}, "w: its shape, strides or offset are invalid"),
        (
            {"w": Tensor(number=10**15)},
            "w: its storage 0 should have 4000000000000000 bytes, not 12",
        ),
        ({"w": Tensor(number=-1)}, "w: its storage 0 should have -4 bytes"),
        ({"w": Tensor(kind="ComplexFloatStorage")}, "names torch.ComplexFloatStorage, .* refused"),
        ({"w": 3}, "'w' is a int, not a tensor|that no tensor uses"),
        ({5: Tensor()}, "is a View, not a tensor"),
        ([Tensor()], "holds a list, not a state_dict"),
        ({}, "holds a dict of .*, not a state_dict|that no tensor uses"),
        ({"state_dict": 3}, "'state_dict' is a int, not a tensor|that no tensor uses"),
    ],
)
def test_invalid_tensors(tmp_path, save, obj, message):
    path = save(tmp_path / "a.pt", obj)
    with pytest.raises(WeightsError, match=message) as error:
        read_tensors(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("pid", "message"),
    [
        (7, "a tensor without a storage"),
        (("module", 1, 2, 3, 4), "a tensor without a storage"),
        (("storage", "NoStorage", "0", "cpu", 3), "described in an unknown way"),
        (("storage", "FloatStorage", "0", "cpu", 3, ("0", 0, 3)), "described in an unknown way"),
    ],
)
def test_invalid_storages(tmp_path, pid, message):
    tensor = Tensor()
    tensor.pid = pid
    with pytest.raises(WeightsError, match=message):
        read_tensors(save_zip(tmp_path / "a.pt", {"w": tensor}))


def test_invalid_zip_files(tmp_path):
    state, path = {"w": Tensor()}, tmp_path / "a.pt"
    for change, message in (
        ({"storages": {}}, "w: its storage 0 should have 12 bytes, not 0"),
        ({"byteorder": "big"}, "its byte order is b'big'; only little-endian"),
        ({"compression": zipfile.ZIP_DEFLATED}, "larger unpacked than the file .*: refused"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_tensors(save_zip(path, state, **change))
    assert read_tensors(save_zip(path, state, byteorder="little"))["w"].tolist() == [1, 2, 3]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no weights")
    with pytest.raises(WeightsError, match="is a zip with 0 data.pkl, not a PyTorch file"):
        read_tensors(path)


def test_sizes_in_the_directory_of_a_zip_are_not_trusted(tmp_path):
    path = save_zip(tmp_path / "a.pt", {"w": Tensor()})
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="larger unpacked than the file"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": 4}, "is truncated: storage 0 needs 16 bytes, but 12 are left"),
        ({"numbers": 2**61}, "is truncated: storage 0 needs .* bytes, but 12 are left"),
        ({"numbers": -1}, "is truncated: storage 0 needs -4 bytes"),
        ({"numbers": 2}, "w: its storage 0 should have 12 bytes, not 8"),
        ({"keys": []}, "w: its storage 0 should have 12 bytes, not 0"),
        ({"keys": ["0", "9"]}, "has a storage that no tensor uses"),
        ({"keys": [[]]}, "has a storage that no tensor uses"),
        ({"little": False}, "only little-endian files are read"),
        ({"protocol": 1002}, "not a PyTorch file of the protocol 1001"),
    ],
)
def test_invalid_legacy_files(tmp_path, change, message):
    with pytest.raises(WeightsError, match=message):
        read_tensors(save_legacy(tmp_path / "a.pt", {"w": Tensor()}, **change))


def test_files_that_are_not_pytorch_files(tmp_path):
    path = tmp_path / "a.pt"
    for data in (b"", b"PK", b"text", pickle.dumps({"a": 1}), b"PK\x03\x04 and no more"):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match="is not a (complete )?PyTorch file"):
            read_tensors(path)


@pytest.mark.parametrize("name", ["various-zip.pt", "various-legacy.pt"])
def test_damage_anywhere_is_an_error_or_harmless(tmp_path, name):
    data, path = (DATA / name).read_bytes(), tmp_path / name
    rng = np.random.default_rng(0)
    for size in rng.integers(0, len(data), 150):
        path.write_bytes(data[:size])
        with pytest.raises(WeightsError):
            read_tensors(path)
    for _ in range(500):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_tensors(path)
        except WeightsError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    shutil.copyfile(DATA / name, path)
    assert len(read_tensors(path)) == 8
