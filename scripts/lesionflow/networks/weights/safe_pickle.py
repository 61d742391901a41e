"""Read untrusted pickles without building or calling anything that they name.

A pickle is a program for a stack machine that may call any Python function. Here every name in it is looked up in
a table, and names that are not in the table are refused. The program is also parsed once before it runs, so
that a declared length without data behind it takes no memory.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError

TEXT = "latin1"  # Python 2 has one type for bytes and text; this encoding preserves every byte


def read_pickle(path: Path, data: bytes, resolve: Callable[[str, str], Any]) -> tuple[Any, int]:
    """Load the first pickle in ``data``; return its object and the position after it.

    Parameters
    ----------
    path
        The file, for messages.
    data
        Bytes that begin with a pickle.
    resolve
        Returns the stand-in for a global, given its module and name; raises ``WeightsError`` to refuse it.

    Raises
    ------
    WeightsError
        If the pickle is damaged or truncated, or names something that is refused.
    """
    try:
        end = _program_end(data)
        return _Reader(io.BytesIO(data[:end]), resolve).load(), end
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{path}: is damaged or truncated: its pickle ends early ({reason})"
        ) from error


def _program_end(data: bytes) -> int:
    """Position after the first pickle, after checking its lengths and memo numbers."""
    for step, (code, argument, position) in enumerate(pickletools.genops(io.BytesIO(data))):
        # Python allocates a table of the size of the largest number
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > step:
            raise WeightsError(f"memo number {argument} at step {step} of a pickle: refused")
        if code.name == "STOP":
            return int(position or 0) + 1
    raise WeightsError("the pickle does not stop")


class _Reader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, resolve: Callable[[str, str], Any]) -> None:
        super().__init__(stream, encoding=TEXT)
        self.resolve = resolve

    def find_class(self, module: str, name: str) -> Any:
        return self.resolve(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return Persistent(pid)


class Persistent:
    """Persistent ID of an object that is stored outside the pickle."""

    def __init__(self, pid: Any) -> None:
        self.pid = pid


class Stub:
    """Stand-in for an object whose class is not built: its arguments, state and items."""

    module = name = ""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        """There is no ``__init__``, since pickles may create objects without calling it."""
        stub = super().__new__(cls)
        stub.arguments, stub.state, stub.items = arguments, {}, []
        return stub

    arguments: tuple[Any, ...]
    state: dict[Any, Any]
    items: list[Any]

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)  # (attributes, slots)
        for value in parts:
            if isinstance(value, dict):
                self.state.update(value)
            else:
                self.items.append(value)

    def append(self, item: Any) -> None:
        """As a list does."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """As a list does."""
        self.items.extend(items)

    def add(self, item: Any) -> None:
        """As a set does."""
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))


def stub(module: str, name: str) -> type[Stub]:
    """Class of the stand-ins for one global."""
    return type("Stub", (Stub,), {"module": module, "name": name})


class StubArray(Stub):
    """Stand-in for a NumPy array, with its bytes; see ``array_of``."""


class StubDtype(Stub):
    """Stand-in for a NumPy dtype."""


def encoded(text: str, encoding: str = TEXT) -> bytes:
    """``_codecs.encode``, which Python 3 writes for bytes in protocol 2.

    Raises
    ------
    WeightsError
        If the encoding is not Latin-1.
    """
    if encoding not in ("latin1", "latin-1"):
        raise WeightsError(f"bytes in the encoding {str(encoding)[:20]!r}: refused")
    return text.encode(TEXT)


def array_of(stub: StubArray) -> np.ndarray:
    """The numeric array of a stand-in.

    The state of a NumPy array is (version, shape, dtype, is Fortran order, bytes), that of a dtype (version, byte
    order, ...), after ``dtype(code, ...)``.

    Raises
    ------
    WeightsError
        If it is not numeric, or has more or fewer bytes than its shape needs.
    """
    if len(stub.items) != 5:
        raise WeightsError("an array without its state")
    _, shape, dtype, fortran, raw = stub.items
    if isinstance(raw, str):
        raw = raw.encode(TEXT)
    code = str(dtype.arguments[0]) if isinstance(dtype, StubDtype) and dtype.arguments else ""
    if not isinstance(raw, bytes) or code[:1] not in ("f", "i", "u", "b"):
        raise WeightsError(
            f"an array of the type {code[:20] or 'unknown'!r}, not of numbers: refused"
        )
    big = len(dtype.items) > 1 and dtype.items[1] == ">"
    kind = np.dtype(code).newbyteorder(">" if big else "<")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise WeightsError("an array whose shape is not a tuple of sizes")
    size = kind.itemsize
    for n in shape:
        size *= n
    if size != len(raw):
        raise WeightsError(f"an array of the shape {shape} needs {size} bytes, but has {len(raw)}")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
