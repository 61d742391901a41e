"""Read named tensors (a state_dict) from PyTorch files of both formats, with NumPy.

Since PyTorch 1.6 a file is a zip file of uncompressed entries: ``data.pkl``, a pickle in which tensors are views of
storages, and the bytes of the storages in ``data/KEY``. Older files are a sequence of pickles (a magic number, the
protocol number, information about the system, the object, the keys of the storages), followed for each key by the
number of elements as a little-endian int64 and the bytes. Sources: ``torch/serialization.py`` and
``torch/_utils.py`` of PyTorch 2.13, which writes both formats.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError
from lesionflow.networks.weights.safe_pickle import Persistent, read_pickle

MAGIC = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # as pickled
PROTOCOL = 1001
BFLOAT16 = np.dtype("<u2")  # the upper half of a float32; NumPy has no such type
KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16.str,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<u1",
}
HOLDERS = ("state_dict", "model_state_dict")


@dataclass
class View:
    """A tensor before its storage is read."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class Named(dict):
    """Replaces an OrderedDict, without the attributes that PyTorch adds to it."""

    def __setstate__(self, state: Any) -> None:
        pass


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors by name from a PyTorch file that holds a state_dict, or one under ``state_dict``.

    Parameters
    ----------
    path
        Zip or legacy format.

    Returns
    -------
    dict of arrays
        Floating-point tensors as float32, others in their own type, in PyTorch's order of axes.

    Raises
    ------
    WeightsError
        If the file is damaged, names anything but tensors, or has a tensor that exceeds its storage.
    """
    with path.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    tensors, storages = _read_zip(path) if is_zip else _read_legacy(path)
    for key in HOLDERS:
        if isinstance(tensors, dict) and isinstance(tensors.get(key), dict):
            tensors = tensors[key]
            break
    if not isinstance(tensors, dict) or not tensors:
        raise WeightsError(f"{path}: holds {_kind(tensors)}, not a state_dict")
    for name, view in tensors.items():
        if not isinstance(name, str) or not isinstance(view, View):
            raise WeightsError(f"{path}: {str(name)[:60]!r} is {_kind(view)}, not a tensor")
    return {name: _tensor(path, name, view, storages) for name, view in tensors.items()}


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a dict of {[key[:30] for key in value if isinstance(key, str)][:3]}"
    return f"a {type(value).__name__}"


def _resolve(module: str, name: str) -> Any:
    if module in ("torch", "torch.cuda", "torch.storage") and name in KINDS:
        return name
    stand_ins = {
        ("collections", "OrderedDict"): Named,
        ("torch._utils", "_rebuild_tensor_v2"): _view,
        ("torch._utils", "_rebuild_parameter"): _parameter,
    }
    if (module, name) not in stand_ins:
        raise WeightsError(
            f"its pickle names {module}.{name}, which is not part of a tensor: refused"
        )
    return stand_ins[module, name]


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View:
    return View(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _read_zip(path: Path) -> tuple[Any, dict[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as file:
            return _read_entries(path, file)
    except WeightsError:
        raise
    except Exception as error:  # a damaged zip file can raise anything
        raise WeightsError(f"{path}: is not a complete PyTorch file ({error})") from error


def _read_entries(path: Path, file: zipfile.ZipFile) -> tuple[Any, dict[str, bytes]]:
    entries = {entry.filename: entry for entry in file.infolist()}
    packed = [e.filename for e in entries.values() if e.compress_type != zipfile.ZIP_STORED]
    if packed or sum(e.file_size for e in entries.values()) > path.stat().st_size:
        raise WeightsError(
            f"{path}: {packed[0] if packed else 'its entries'} would be larger unpacked than the file "
            "(PyTorch does not compress): refused"
        )
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise WeightsError(f"{path}: is a zip with {len(roots)} data.pkl, not a PyTorch file")
    root = roots[0]
    order = file.read(root + "byteorder") if root + "byteorder" in entries else b"little"
    if order.strip() != b"little":
        raise WeightsError(
            f"{path}: its byte order is {order[:20]!r}; only little-endian files are read"
        )
    content, _ = read_pickle(path, file.read(root + "data.pkl"), _resolve)
    start = root + "data/"
    keys = [name for name in entries if name.startswith(start)]
    return content, {name.removeprefix(start): file.read(name) for name in keys}


def _read_legacy(path: Path) -> tuple[Any, dict[str, bytes]]:
    data, at, parts = path.read_bytes(), 0, []
    if not data.startswith(MAGIC):
        raise WeightsError(
            f"{path}: is not a PyTorch file (neither a zip file nor with the magic number)"
        )
    for _ in range(5):
        pickled, end = read_pickle(path, data[at:], _resolve)
        parts.append(pickled)
        at += end
    _, protocol, system, content, keys = parts
    if protocol != PROTOCOL or not isinstance(system, dict) or not isinstance(keys, list):
        raise WeightsError(f"{path}: is not a PyTorch file of the protocol {PROTOCOL}")
    if system.get("little_endian") is not True:
        raise WeightsError(f"{path}: only little-endian files are read")
    used = [_storage(path, storage) for storage in _storages(content)]
    kinds = {key: kind for kind, key, _ in used}
    storages = {}
    for key in keys:
        if not isinstance(key, str) or key not in kinds:
            raise WeightsError(f"{path}: has a storage that no tensor uses")
        left = len(data) - at - 8
        size = int.from_bytes(data[at : at + 8], "little", signed=True) * kinds[key].itemsize
        if not 0 <= size <= left:
            raise WeightsError(
                f"{path}: is truncated: storage {key} needs {size} bytes, but {max(left, 0)} are left"
            )
        storages[key] = data[at + 8 : at + 8 + size]
        at += 8 + size
    return content, storages


def _storages(value: Any) -> list[Any]:
    """Storages of all tensors in an object, at any depth; each object is visited once."""
    storages, visited, todo = [], set(), [value]
    while todo:
        item = todo.pop()
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, View):
            storages.append(item.storage)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            todo.extend(item)
    return storages


def _storage(path: Path, storage: Any) -> tuple[np.dtype, str, int]:
    """Type, key and number of elements, from (``storage``, class, key, device, number[, view])."""
    pid = storage.pid if isinstance(storage, Persistent) else None
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise WeightsError(f"{path}: a tensor without a storage")
    kind, key, number = pid[1], pid[2], pid[4]
    valid = isinstance(kind, str) and isinstance(key, str) and isinstance(number, int)
    if not valid or kind not in KINDS or pid[5:] not in ((), (None,)):
        raise WeightsError(f"{path}: a tensor's storage is described in an unknown way")
    return np.dtype(KINDS[kind]), key, number


def _tensor(path: Path, name: str, view: View, storages: dict[str, bytes]) -> np.ndarray:
    dtype, key, number = _storage(path, view.storage)
    raw, size = storages.get(key, b""), number * dtype.itemsize
    if len(raw) != size:
        raise WeightsError(
            f"{path}: {name}: its storage {key} should have {size} bytes, not {len(raw)}"
        )
    shape, strides, offset = view.shape, view.strides, view.offset
    tuples = isinstance(shape, tuple) and isinstance(strides, tuple)
    sizes = (*shape, *strides, offset) if tuples else (None,)
    if not all(type(n) is int and n >= 0 for n in sizes) or len(shape) != len(strides):
        raise WeightsError(f"{path}: {name}: its shape, strides or offset are invalid")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 in shape or last >= number or math.prod(shape) > number:
        raise WeightsError(
            f"{path}: {name}: the shape {shape} with the strides {strides} from {offset} does not fit "
            f"its storage of {number}"
        )
    flat = np.frombuffer(raw, dtype)
    if dtype == BFLOAT16:
        flat = (flat.astype("<u4") << 16).view("<f4")
    steps = [step * flat.itemsize for step in strides]
    tensor = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps)
    return tensor.astype(np.float32 if flat.dtype.kind == "f" else flat.dtype.newbyteorder("="))
