"""Pickles of other people's objects, read without building or running any of what they name.

A pickle is a program for a small machine that may call any function of Python. Here every name in it
goes through a table; what the table does not hold is refused. The program is also read once before it
is run, so that a length that it declares, but does not have, takes no memory.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lesionflow.base.errors import WeightsError

TEXT = "latin1"  # Python 2 has one type for bytes and text; this encoding keeps every byte


def read_pickle(path: Path, data: bytes, named: Callable[[str, str], Any]) -> tuple[Any, int]:
    """The object of the first pickle in ``data``, and where that pickle ends.

    Parameters
    ----------
    path
        What the messages call the file.
    data
        Bytes that begin with a pickle.
    named
        Gives what stands for a global, by module and name; raises ``WeightsError`` to refuse it.

    Raises
    ------
    WeightsError
        If the pickle is damaged, cut off, or names what is refused.
    """
    try:
        end = _program_end(data)
        return _Reader(io.BytesIO(data[:end]), named).load(), end
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:  # a damaged program fails in any way
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{path}: is damaged or cut off, its pickle ends early ({reason})"
        ) from error


def _program_end(data: bytes) -> int:
    """Position after the first pickle, once each of its lengths and memo numbers is found to hold."""
    for step, (code, argument, position) in enumerate(pickletools.genops(io.BytesIO(data))):
        # Python makes a table as long as the largest number, whatever it is
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > step:
            raise WeightsError(f"memo number {argument} at step {step} of a pickle: refused")
        if code.name == "STOP":
            return int(position or 0) + 1
    raise WeightsError("the pickle does not stop")


class _Reader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, named: Callable[[str, str], Any]) -> None:
        super().__init__(stream, encoding=TEXT)
        self.named = named

    def find_class(self, module: str, name: str) -> Any:
        return self.named(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return Persistent(pid)


class Persistent:
    """What a pickle keeps elsewhere: its identity there."""

    def __init__(self, pid: Any) -> None:
        self.pid = pid


class Stub:
    """What stands for an object of a class that is not built: arguments, state and items as told."""

    module = name = ""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """Without ``__init__``: pickles make objects in both ways."""
        stub = super().__new__(cls)
        stub.arguments, stub.state, stub.items = arguments, {}, []
        return stub

    arguments: tuple[Any, ...]
    state: dict[Any, Any]
    items: list[Any]

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)  # (attributes, slots)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)
            else:
                self.items.append(part)

    def append(self, item: Any) -> None:
        """Of a list."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Of a list."""
        self.items.extend(items)

    def add(self, item: Any) -> None:
        """Of a set."""
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))


def stub(module: str, name: str) -> type[Stub]:
    """A class of stubs for one global."""
    return type("Stub", (Stub,), {"module": module, "name": name})


class StubArray(Stub):
    """What stands for a NumPy array: its bytes, looked at by ``array_of``."""


class StubDtype(Stub):
    """What stands for a NumPy dtype."""


def encoded(text: str, encoding: str = TEXT) -> bytes:
    """``_codecs.encode``, which Python 3 writes for bytes where the protocol is Python 2's.

    Raises
    ------
    WeightsError
        For another encoding than Latin-1.
    """
    if encoding not in ("latin1", "latin-1"):
        raise WeightsError(f"bytes in the encoding {str(encoding)[:20]!r}: refused")
    return text.encode(TEXT)


def array_of(stub: StubArray) -> np.ndarray:
    """The array that a stub stands for: numbers only, as many as it has bytes for.

    NumPy's state of an array is (version, shape, dtype, whether in Fortran's order, bytes), that of
    a dtype (version, byte order, ...), after ``dtype(code, ...)``.

    Raises
    ------
    WeightsError
        If it holds objects, or more or fewer bytes than its shape needs.
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
        raise WeightsError("an array whose shape is no tuple of sizes")
    size = kind.itemsize
    for n in shape:
        size *= n
    if size != len(raw):
        raise WeightsError(f"an array of the shape {shape} needs {size} bytes, but has {len(raw)}")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
