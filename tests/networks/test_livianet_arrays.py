"""LiviaNET weights as pickles of Python 2."""

import copyreg
import gzip
import io
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights import livianet_arrays
from lesionflow.networks.weights.livianet_arrays import read_pickled
from support.livianet_layers import assert_same, expected, raw_layers
from support.paths import REPOSITORY

DATA = REPOSITORY / "tests/data"


ATTRIBUTES = {"weights": "W", "gamma": "_gBn", "beta": "_b", "prelu": "_aPrelu"}


ATTRIBUTES |= {"mean": "muBatchNorm", "variance": "_varBnsArrayForRollingAverage"}


ATTRIBUTES |= {"bias": "_bClassLayer"}


@pytest.fixture
def a_class(monkeypatch):
    """Creates an empty class in a module that does not exist, so that pickles can name it."""

    def make(module, name, base=object):
        parts = module.split(".")
        for n in range(1, len(parts) + 1):
            parent = ".".join(parts[:n])
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, ModuleType(parent)))
        made = type(name, (base,), {"__module__": module})
        setattr(sys.modules[module], name, made)
        return made

    return make


class Python2(pickle._Pickler):
    """Protocol 2 with bytes and text as Python 2's one type of string."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, obj):
        data = obj if isinstance(obj, bytes) else obj.encode("latin1")
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(obj)

    dispatch[bytes] = dispatch[str] = save_string


def livianet(a_class, layers, change=lambda net: None):
    """A pickled network, as the repository's code writes it with Python 2."""
    net = a_class("LiviaNet.LiviaNet", "LiviaNet3D")()
    kinds = [
        a_class("LiviaNet.LiviaNet3DConvLayer", "LiviaNet3DConvLayer"),
        a_class("LiviaNet.LiviaSoftmax", "LiviaSoftmax"),
    ]
    variable = a_class("theano.tensor.sharedvar", "TensorSharedVariable")
    container = a_class("theano.gof.link", "Container")

    def shared(array):
        made = variable()
        made.container, made.name = container(), None
        made.container.storage, made.container.readonly = [array], False
        return made

    net.networkLayers, net.learning_rate = [], shared(np.array(0.1, np.float32))
    for arrays in layers:
        layer = kinds["bias" in arrays]()
        layer._aPrelu = None
        for short, array in arrays.items():
            setattr(layer, ATTRIBUTES[short], shared(array))
        layer.params, layer.numberEpochApplyRolling = [layer.W, layer._gBn], 20
        net.networkLayers.append(layer)
    net.lastLayer, net.names = layer, {"a", "b"}
    net.networkModel_Test = a_class("theano.compile.function_module", "Function", dict)()
    net.networkModel_Test["key"] = np.float32(3)
    change(net)
    stream = io.BytesIO()
    Python2(stream, 2).dump(net)
    return stream.getvalue()


def save(path, data, packed=True):
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_a_pickle_of_python_2(a_class, tmp_path, packed):
    layers = raw_layers()
    path = save(tmp_path / "liviaTest_Epoch3", livianet(a_class, layers), packed)
    assert b"U" in livianet(a_class, layers)
    assert_same(read_pickled(path), expected(layers))


def test_a_pickle_of_theano():
    arrays_by_layer = read_pickled(DATA / "livianet-theano.pkl.gz")
    names = [f"ConvLayer_{n}.{part}" for n in range(3) for part in ("conv", "bn", "prelu")]
    assert set(arrays_by_layer) == {*names, "Classifier.conv", "Classifier.bn"}
    assert arrays_by_layer["ConvLayer_2.conv"]["kernel"].shape == (1, 1, 1, 7, 6)


def test_objects_of_pickle_protocols_0_and_1(tmp_path, a_class):
    layers = raw_layers()
    data = livianet(a_class, layers)
    assert b"copy_reg" not in data
    stream = io.BytesIO()
    net = a_class("LiviaNet", "LiviaNet3D")()
    net.networkLayers = []
    pickle._Pickler(stream, 1).dump(net)  # copy_reg._reconstructor(class, object, None)
    assert copyreg.__name__ == "copyreg" and b"ccopy_reg\n_reconstructor" in stream.getvalue()
    assert read_pickled(save(tmp_path / "net", stream.getvalue())) == {}


def no_layers(net):
    del net.networkLayers


def no_storage(net):
    net.networkLayers[1].W.container.storage = []


def of_text(net):
    net.networkLayers[1].W.container.storage = [np.array(["a", "b"])]


def of_objects(net):
    net.networkLayers[1].W.container.storage = [np.array([1, None], object)]


def of_integers(net):
    net.networkLayers[1].W.container.storage = [np.arange(3)]


def not_layers(net):
    net.networkLayers = [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_layers, "is not a LiviaNET: its pickle has no networkLayers"),
        (not_layers, "is not a LiviaNET: its pickle has no networkLayers"),
        (no_storage, "ConvLayer_1: W has no array in container.storage.0."),
        (of_text, "ConvLayer_1: W: an array of the type 'U1', not of numbers: refused"),
        (of_objects, "ConvLayer_1: W: an array of the type 'O8', not of numbers: refused"),
        (of_integers, "ConvLayer_1: weights holds int64; floating-point numbers are expected"),
    ],
)
def test_invalid_pickles(a_class, tmp_path, change, message):
    path = save(tmp_path / "net", livianet(a_class, raw_layers(), change))
    with pytest.raises(WeightsError, match=message) as error:
        read_pickled(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_small_file_that_unpacks_to_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(livianet_arrays, "MAX_BYTES", 1 << 20)
    path = save(tmp_path / "net", b"\0" * (1 << 22))
    assert path.stat().st_size < 1 << 13
    with pytest.raises(WeightsError, match="takes more than 1048576 bytes unpacked: refused"):
        read_pickled(path)


def test_damage_anywhere_is_an_error_or_harmless(a_class, tmp_path):
    data, path = livianet(a_class, raw_layers()), tmp_path / "net"
    rng = np.random.default_rng(0)
    for size in rng.integers(0, len(data), 60):
        for packed in (False, True):
            with pytest.raises(WeightsError):
                read_pickled(save(path, data[:size], packed))
    compressed = gzip.compress(data)
    for size in rng.integers(0, len(compressed), 60):
        with pytest.raises(WeightsError):
            read_pickled(save(path, compressed[:size], False))
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            read_pickled(save(path, damaged, False))
        except WeightsError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
