"""What the row of a scan says beside its lesions."""

import pytest

from lesionflow.results import columns
from lesionflow.results.scan_results import merge_sidecars, quality_and_provenance


def test_the_reference_channel_prevails_and_voxels_are_summed():
    reference = {"input_sha256": "first", "nonfinite_voxels": 2, "intensity_p99": 5.0}
    second = {"input_sha256": "second", "nonfinite_voxels": 3, "filled": True}
    merged = merge_sidecars([{"brain_volume_ml": 1200}, {"backend": "b"}], [reference, second])
    assert merged == {
        **{"brain_volume_ml": 1200, "backend": "b", "input_sha256": "first"},
        **{"nonfinite_voxels": 5, "intensity_p99": 5.0, "filled": True},
    }


def test_flags():
    sidecar = {name: 0 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    sidecar |= {"brain_volume_ml": 300, "brain_at_edge": 0.5, "brain_outside_box": 0.1}
    sidecar |= {"mask_source": "provided", "filled": False}
    flags = quality_and_provenance(sidecar)["flags"]
    assert flags == "brain-cut-by-box;brain-at-edge;brain-volume"
    sidecar |= {"brain_volume_ml": None, "brain_at_edge": None, "mask_source": "none"}
    sidecar |= {"brain_outside_box": 0}
    assert quality_and_provenance(sidecar)["flags"] == "no-brain-mask"


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError, match="mask_source"):
        quality_and_provenance({"brain_volume_ml": 1200})
