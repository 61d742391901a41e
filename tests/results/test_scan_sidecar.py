"""Quality, flags and provenance of one scan."""

import pandas as pd
import pytest

from lesionflow import __version__
from lesionflow.results import columns
from lesionflow.results.scan_sidecar import scan_sidecar

LESIONS = pd.DataFrame({"kept": [True, False, True, False, False]})


def sidecar(channels, **changed):
    values = {name: 0 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    values |= {"mask_source": "provided", "brain_volume_ml": 1200, **changed}
    return scan_sidecar([{"mask_source": "overwritten"}, values], channels, LESIONS, "cmb", "2.0")


def test_the_reference_channel_prevails_and_voxels_are_summed():
    reference = {"input_sha256": "first", "nonfinite_voxels": 2, "intensity_p99": 5.0}
    second = {"input_sha256": "second", "nonfinite_voxels": 3, "filled": True}
    merged = sidecar([reference, second])
    assert merged["brain_volume_ml"] == 1200
    assert merged["mask_source"] == "provided"
    assert merged["input_sha256"] == "first"
    assert merged["intensity_p99"] == 5.0
    assert merged["nonfinite_voxels"] == 5
    assert merged["flags"] == "channel-filled;nonfinite-voxels"


def test_versions_and_dropped_lesions_are_added():
    values = sidecar([])
    assert (values["model"], values["model_version"]) == ("cmb", "2.0")
    assert values["lesionflow_version"] == __version__
    assert values["lesions_dropped"] == 3


def test_flags():
    poor = {"brain_volume_ml": 300, "brain_at_edge": 0.5, "brain_outside_box": 0.1}
    assert sidecar([], **poor)["flags"] == "brain-cut-by-box;brain-at-edge;brain-volume"
    unknown = {"brain_volume_ml": None, "brain_at_edge": None, "mask_source": "none"}
    assert sidecar([], **unknown)["flags"] == "no-brain-mask"


def test_without_a_mask_no_brain_is_outside_the_box():
    values = sidecar([], mask_source="none", brain_outside_box=0.3)
    assert values["brain_outside_box"] is None
    assert values["flags"] == "no-brain-mask"


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError, match="mask_source"):
        scan_sidecar([{"brain_volume_ml": 1200}], [], LESIONS, "cmb", "2.0")
