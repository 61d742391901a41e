"""Pickles that would call functions, in every format with pickles: nothing is called, and the message names the function."""

import gzip
import io
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.livianet_arrays import read_pickled
from lesionflow.networks.weights.safe_pickle import (
    StubArray,
    StubDtype,
    array_of,
    encoded,
    read_pickle,
)
from lesionflow.networks.weights.torch_state_dict import MAGIC, read_tensors


class Call:
    """Pickles as a call of a function with arguments, and a state to set on its result."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments, *([state] if state else []))

    def __reduce__(self):
        return self.parts


def torch_zip(path, evil):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", evil)
        file.writestr("archive/byteorder", "little")
    return read_tensors


def torch_legacy(path, evil):
    path.write_bytes(
        MAGIC + b"." + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + evil
    )
    return read_tensors


def torch_legacy_early(path, evil):
    path.write_bytes(MAGIC + b"." + evil)
    return read_tensors


def livianet(path, evil):
    path.write_bytes(gzip.compress(evil))
    return read_pickled


def livianet_plain(path, evil):
    path.write_bytes(evil)
    return read_pickled


def programs(mark):
    """Pickles that would create a file, with the global that each names."""
    touch, python = f"touch {mark}", f"open({str(mark)!r}, 'w').close()"
    by_hand = f"S'{touch}'\n".encode()
    return {
        "posix.system": [
            pickle.dumps(Call(os.system, touch), protocol) for protocol in (0, 1, 2, 4, 5)
        ]
        + [
            pickle.dumps({"state_dict": {"a.weight": [Call(os.system, touch)]}}, 2),
            pickle.dumps(Call(os.system, touch, state={"W": 1}), 2),
            b"(" + by_hand + b"iposix\nsystem\n.",
            b"(cposix\nsystem\n" + by_hand + b"o.",
            b"\x80\x04\x8c\x05posix\x8c\x06system\x93(\x8c"
            + bytes([len(touch)])
            + touch.encode()
            + b"tR.",
        ],
        "os.system": [b"cos\nsystem\n(" + by_hand + b"tR."],
        "subprocess.Popen": [pickle.dumps(Call(subprocess.Popen, ["touch", str(mark)]), 4)],
        "eval": [pickle.dumps(Call(eval, python), 4)],
        "exec": [pickle.dumps(Call(exec, python), 2), b"c__builtin__\nexec\n(S'1'\ntR."],
        "getattr": [pickle.dumps(Call(getattr, 1, "real"), 2)],
        "__import__": [pickle.dumps(Call(__import__, "this"), 4)],
        "io.open": [pickle.dumps(Call(io.open, str(mark), "w"), 4)],
    }


@pytest.mark.parametrize(
    "make", [torch_zip, torch_legacy, torch_legacy_early, livianet, livianet_plain]
)
def test_a_malicious_pickle_runs_nothing_and_the_message_names_the_call(tmp_path, make):
    mark = tmp_path / "was-run"
    count = 0
    for name, files in programs(mark).items():
        for evil in files:
            path = tmp_path / f"{count}.file"
            count += 1
            read = make(path, evil)
            with pytest.raises(WeightsError) as error:
                read(path)
            assert name in str(error.value), evil
            assert "refused" in str(error.value)
            assert str(error.value).startswith(f"{path}: ")
            assert not mark.exists()
    pickle.loads(programs(mark)["posix.system"][0])  # these programs do work where they are run
    assert mark.exists()


def test_names_in_known_packages_are_not_called(tmp_path):
    mark = tmp_path / "was-run"
    code = f"open({str(mark)!r}, 'w').close()"
    for module, name in (
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("theano.misc", "run"),
        ("numpy", "load"),
        ("copy_reg", "_reconstructor"),
    ):
        evil = f"c{module}\n{name}\n(S{code!r}\n(dtR.".encode()
        path = tmp_path / "net"
        path.write_bytes(evil)
        with pytest.raises(
            WeightsError, match="is not a LiviaNET: its pickle has no networkLayers"
        ):
            read_pickled(path)
        assert not mark.exists()
        torch_zip(path, evil)
        with pytest.raises(WeightsError, match=f"names {module}.{name}"):
            read_tensors(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is damaged or truncated"),
        (b"\x80\x02", "is damaged or truncated"),
        (b"no pickle", "is damaged or truncated"),
        (b"\x80\x02T\xff\xff\xff\x7fabc.", "is damaged or truncated"),  # a string of 2 GB
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.", "is damaged or truncated"),  # of 9 EB
        (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.", "is damaged or truncated"),  # a frame of 9 EB
        (b"Nr\xff\xff\xff\x7f.", "memo number 2147483647 at step 1 of a pickle: refused"),
        (b"Np99999999999\n.", "memo number 99999999999 at step 1"),
        (b"h\x05.", "is damaged or truncated"),
        (b"\x82\x01.", "is damaged or truncated"),  # an extension's code
        (b"N" * 9, "is damaged or truncated"),
    ],
)
def test_declared_sizes_without_data_take_no_memory(tmp_path, data, message):
    with pytest.raises(WeightsError, match=message):
        read_pickle(tmp_path / "a", data, lambda module, name: None)


def test_the_end_of_the_first_pickle_is_returned(tmp_path):
    first = pickle.dumps([1, "a"], 2)
    assert read_pickle(tmp_path / "a", first + b"rest", encoded) == ([1, "a"], len(first))


def as_stub(state):
    array = StubArray("ignored")
    array.__setstate__(state)
    return array


def a_dtype(code, order="<"):
    dtype = StubDtype(code, 0, 1)
    dtype.__setstate__((3, order, None, None, None, -1, -1, 0))
    return dtype


@pytest.mark.parametrize("code", ["f4", "f8", "f2", "i8", "u1", "b1"])
def test_arrays_are_read_from_their_bytes(code):
    array = (np.arange(24).reshape(2, 3, 4) % 7).astype(code)
    for fortran, order in ((False, "C"), (True, "F")):
        raw = array.tobytes(order)
        for same in (raw, raw.decode("latin1")):
            unpickled = array_of(as_stub((1, (2, 3, 4), a_dtype(code), fortran, same)))
            np.testing.assert_array_equal(unpickled, array)
    swapped = array.astype(array.dtype.newbyteorder(">"))
    unpickled = array_of(as_stub((1, (2, 3, 4), a_dtype(code, ">"), False, swapped.tobytes())))
    np.testing.assert_array_equal(unpickled, array)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (2,), a_dtype("O8"), False, [1, 2]), "of the type 'O8', not of numbers"),
        ((1, (2,), a_dtype("f4"), False, [1, 2]), "not of numbers"),
        ((1, (2,), a_dtype("V8"), False, b"a" * 16), "of the type 'V8', not of numbers"),
        ((1, (2,), "f4", False, b"a" * 8), "of the type 'unknown'"),
        ((1, (3,), a_dtype("f4"), False, b"a" * 8), "needs 12 bytes, but has 8"),
        ((1, (1 << 60, 1 << 60), a_dtype("f4"), False, b"a"), "but has 1"),
        ((1, (-2, -1), a_dtype("f4"), False, b"a" * 8), "is not a tuple of sizes"),
        ((1, [2], a_dtype("f4"), False, b"a" * 8), "is not a tuple of sizes"),
        ((1, (2,), a_dtype("f4"), False), "an array without its state"),
    ],
)
def test_arrays_that_are_refused(state, message):
    with pytest.raises(WeightsError, match=message):
        array_of(as_stub(state))


def test_only_one_encoding_of_bytes():
    assert encoded("\xff\x00a", "latin1") == b"\xff\x00a"
    with pytest.raises(WeightsError, match="in the encoding 'rot13': refused"):
        encoded("a", "rot13")
