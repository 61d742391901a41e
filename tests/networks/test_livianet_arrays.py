"""LiviaNET's files: pickles as Python 2 writes them, folders of arrays, and what is damaged in either."""

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
from lesionflow.networks.weights.livianet_arrays import read_folder, read_pickled
from support.paths import HOUSE

DATA = HOUSE / "tests/data"
ATTRIBUTES = {"weights": "W", "gamma": "_gBn", "beta": "_b", "prelu": "_aPrelu"}
ATTRIBUTES |= {"mean": "muBatchNorm", "variance": "_varBnsArrayForRollingAverage"}
ATTRIBUTES |= {"bias": "_bClassLayer"}


def raw_layers(seed=0):
    """One convolution to 4 features, one dense layer to 5, a classifier of 3 labels."""
    rng = np.random.default_rng(seed)
    layers = []
    for before, after, size, last in ((1, 4, 3, False), (4, 5, 1, False), (5, 3, 1, True)):
        layer = {
            "weights": rng.normal(size=(after, before, size, size, size)),
            "gamma": rng.normal(size=before),
            "beta": rng.normal(size=before),
            "mean": rng.normal(size=(20, before)),
            "variance": rng.uniform(0.5, 1, (20, before)),
            ("bias" if last else "prelu"): rng.normal(size=after if last else before),
        }
        layers.append({k: v.astype(np.float32) for k, v in layer.items()})
    return layers


@pytest.fixture
def a_class(monkeypatch):
    """Makes an empty class in a module that is not there, so that pickles can name it."""

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
    """The bytes of a pickled network, as the repository's code under Python 2 makes it."""
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


def expected(layers):
    found = {}
    for n, arrays in enumerate(layers):
        name = "Classifier" if "bias" in arrays else f"ConvLayer_{n}"
        conv = {"kernel": np.moveaxis(arrays["weights"], (0, 1), (4, 3))}
        if "bias" in arrays:
            conv["bias"] = arrays["bias"]
        else:
            found[f"{name}.prelu"] = {"alpha": arrays["prelu"][None, None, None]}
        found[f"{name}.conv"] = conv
        found[f"{name}.bn"] = {
            "gamma": arrays["gamma"],
            "beta": arrays["beta"],
            "moving_mean": arrays["mean"].mean(0),
            "moving_variance": arrays["variance"].mean(0),
        }
    return found


def assert_same(found, wanted):
    assert {k: set(v) for k, v in found.items()} == {k: set(v) for k, v in wanted.items()}
    for layer, arrays in wanted.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(found[layer][name], array, 1e-6, 1e-7, err_msg=layer)
            assert found[layer][name].dtype == np.float32


@pytest.mark.parametrize("packed", [True, False])
def test_a_pickle_of_python_2(a_class, tmp_path, packed):
    layers = raw_layers()
    path = save(tmp_path / "liviaTest_Epoch3", livianet(a_class, layers), packed)
    assert b"U" in livianet(a_class, layers)
    assert_same(read_pickled(path), expected(layers))


def test_a_pickle_of_theano():
    found = read_pickled(DATA / "livianet-theano.pkl.gz")
    names = [f"ConvLayer_{n}.{part}" for n in range(3) for part in ("conv", "bn", "prelu")]
    assert set(found) == {*names, "Classifier.conv", "Classifier.bn"}
    assert found["ConvLayer_2.conv"]["kernel"].shape == (1, 1, 1, 7, 6)


def test_objects_of_pythons_first_protocols(tmp_path, a_class):
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
        (no_layers, "is no LiviaNET: its pickle has no networkLayers"),
        (not_layers, "is no LiviaNET: its pickle has no networkLayers"),
        (no_storage, "ConvLayer_1: W has no array in container.storage.0."),
        (of_text, "ConvLayer_1: W: an array of the type 'U1', not of numbers: refused"),
        (of_objects, "ConvLayer_1: W: an array of the type 'O8', not of numbers: refused"),
        (of_integers, "ConvLayer_1: weights holds int64; floating-point numbers are expected"),
    ],
)
def test_false_pickles(a_class, tmp_path, change, message):
    path = save(tmp_path / "net", livianet(a_class, raw_layers(), change))
    with pytest.raises(WeightsError, match=message) as error:
        read_pickled(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path, monkeypatch):
    monkeypatch.setattr(livianet_arrays, "LARGEST", 1 << 20)
    path = save(tmp_path / "net", b"\0" * (1 << 22))
    assert path.stat().st_size < 1 << 13
    with pytest.raises(WeightsError, match="takes more than 1048576 bytes unpacked: refused"):
        read_pickled(path)


def test_damage_anywhere_is_an_error_or_does_not_matter(a_class, tmp_path):
    data, path = livianet(a_class, raw_layers()), tmp_path / "net"
    rng = np.random.default_rng(0)
    for size in rng.integers(0, len(data), 60):
        for packed in (False, True):
            with pytest.raises(WeightsError):
                read_pickled(save(path, data[:size], packed))
    whole = gzip.compress(data)
    for size in rng.integers(0, len(whole), 60):
        with pytest.raises(WeightsError):
            read_pickled(save(path, whole[:size], False))
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            read_pickled(save(path, damaged, False))
        except WeightsError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


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


def test_the_published_files_alone_are_no_network(tmp_path):
    for n, shape in enumerate([(10, 1, 3, 3, 3), (20, 10, 3, 3, 3), (30, 20, 3, 3, 3)]):
        np.save(tmp_path / f"weights_ConvLayer_{n}.npy", np.zeros(shape, np.float32))
    with pytest.raises(WeightsError) as error:
        read_folder(tmp_path)
    vectors = "(gamma, beta, mean, variance, prelu)"
    assert str(error.value) == (
        f"{tmp_path}: lacks parameters of the layers ConvLayer_0 {vectors}; ConvLayer_1 {vectors}; "
        f"ConvLayer_2 {vectors}; Classifier (weights, bias, gamma, beta, mean, variance): each is "
        "expected in a file such as mean_ConvLayer_0.npy; convolutions alone make no network"
    )


def header(shape, descr="<f4"):
    """A .npy file's beginning that declares a shape, with few bytes after it."""
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
        ("gamma_ConvLayer_0.npy", b"", "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", b"text", "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", header((1 << 40,)), "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", header((1 << 62, 1 << 62)), "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", header((1,), "|O"), "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", pickled_array(), "is not a whole .npy file"),
        ("gamma_ConvLayer_0.npy", zipped_arrays(), "is not a .npy file"),
        ("gamma_ConvLayer_0.npy", header((1,), "<i4"), "ConvLayer_0: gamma holds int32"),
        ("weights_ConvLayer_x.npy", b"", "is no parameter of a LiviaNET by its name"),
        ("scale_ConvLayer_0.npy", b"", "is no parameter of a LiviaNET by its name"),
        ("weights_DenseLayer_0.npy", b"", "is no parameter of a LiviaNET by its name"),
        ("weights_0.npy", b"", "is no parameter of a LiviaNET by its name"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_false_folders(tmp_path, name, data, message):
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
