"""JSON sidecars: what is written is read, and a damaged file is named."""

import pickle

import pytest

from lesionflow.base import json_sidecar
from lesionflow.base.errors import DamagedFileError, LesionflowError


def test_values_are_read_as_they_were_written(tmp_path):
    values = {"b": 1, "a": [1.5, None, "ä"], "": {"x": True}}
    json_sidecar.write(tmp_path / "a.json", values)
    assert json_sidecar.read(tmp_path / "a.json") == values
    assert list(json_sidecar.read(str(tmp_path / "a.json"))) == ["b", "a", ""]


@pytest.mark.parametrize(
    "content", [b"", b'{"a": 1, "b"', b"{", b"\0" * 20, b'{"a": "\xff"}', b"[1, 2]\n[3]"]
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "sub-1_desc-x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError) as caught:
        json_sidecar.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged: it should be a JSON file, but ")
    assert message.endswith("Delete it and run the same command again")
    assert "\n" not in message
    assert isinstance(caught.value, LesionflowError)
    assert isinstance(caught.value, ValueError)  # as callers expect that go on without the file
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_a_missing_file_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        json_sidecar.read(tmp_path / "a.json")
