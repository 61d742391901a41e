"""DICOM segmentations, read back and compared voxel by voxel with the pixels that the lesions were found on."""

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.imaging.dicom import convert_volume
from lesionflow.results.dicom_segmentation import on_slices, read_sources, write_segmentation
from support.dicom import save_enhanced, save_series
from support.volumes import oriented

DATA = np.arange(10 * 9 * 6, dtype=np.int16).reshape(10, 9, 6)  # each voxel has its own value
ABOUT = {"model": "shiva-cmb-v2", "model_version": "2", "weights_sha256": "ab" * 32}
NAMES = {1: "cmb", 2: "vessel", 3: "none"}
VOLUME = {"kind": "magnitude", "echo_time": 20.0, "whole": True}


def label_of(value):
    """Labels of voxels by their values: two lesions of one label, a voxel of another."""
    return np.select([np.isin(value, [100, 101, 109, 400]), value == 77], [1, 2], 0)


def segmented(tmp_path, paths, labels=label_of):
    """The segmentation of the converted volume; its segments; the DICOM files."""
    convert_volume(paths, VOLUME, tmp_path / "a.nii.gz")
    image = nib.load(tmp_path / "a.nii.gz")
    sources, slices = read_sources(paths, VOLUME)
    frames = on_slices(labels(image.get_fdata()), image.affine, slices)
    segments = write_segmentation(tmp_path / "a.dcm", sources, slices, frames, NAMES, ABOUT)
    return segments, sources


@pytest.mark.parametrize("code", ["LPS", "PSR", "LIP", "RAS"])
def test_a_classic_series(tmp_path, code):
    affine = oriented(code, (0.5, 0.6, 2.0), DATA.shape, rotation=(10, -20, 30))
    paths = [str(p) for p in save_series(tmp_path / "in", DATA, affine, name="{}")][::-1]
    segments, sources = segmented(tmp_path, paths)
    assert segments == ["cmb", "vessel"]
    seg = hd.seg.segread(tmp_path / "a.dcm")
    for source in sources:
        pixels = pydicom.dcmread(source.filename).pixel_array
        masks = seg.get_pixels_by_source_instance(
            [source.SOPInstanceUID],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
        for number, label in enumerate((1, 2)):
            assert np.array_equal(masks[0, ..., number], label_of(pixels) == label)
    assert seg.NumberOfFrames == sum(
        len(np.unique(np.argwhere(label_of(DATA) == n)[:, 2])) for n in (1, 2)
    )
    assert seg.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
    assert seg.StudyInstanceUID == sources[0].StudyInstanceUID
    assert "not for diagnosis" in seg.SeriesDescription
    (algorithm,) = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("shiva-cmb-v2", "2")
    assert "ab" * 32 in algorithm.AlgorithmParameters


def test_a_volume_of_an_enhanced_file(tmp_path):
    affine = oriented("LPS", (0.5, 0.6, 2.0), DATA.shape)
    volumes = [(DATA * 0 + 5, "MAGNITUDE", 10.0), (DATA, "MAGNITUDE", 20.0)]
    path = str(save_enhanced(tmp_path / "in/a", volumes, affine))
    segments, (source,) = segmented(tmp_path, [path])
    assert segments == ["cmb", "vessel"]
    seg = hd.seg.segread(tmp_path / "a.dcm")
    pixels = pydicom.dcmread(path).pixel_array
    numbers = range(1, len(pixels) + 1)
    masks = seg.get_pixels_by_source_frame(
        source.SOPInstanceUID,
        numbers,
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    for number, label in enumerate((1, 2)):
        assert np.array_equal(masks[..., number], label_of(pixels) == label)


def test_without_a_lesion_no_segmentation_is_written_and_an_old_one_is_removed(tmp_path):
    paths = [str(p) for p in save_series(tmp_path / "in", DATA, np.diag([-1.0, -1, 2, 1]))]
    assert segmented(tmp_path, paths)[0]
    assert (tmp_path / "a.dcm").exists()
    assert segmented(tmp_path, paths, lambda value: np.zeros(value.shape, int))[0] == []
    assert not (tmp_path / "a.dcm").exists()


def test_labels_on_another_grid_are_refused(tmp_path):
    paths = [str(p) for p in save_series(tmp_path / "in", DATA, np.diag([-1.0, -1, 2, 1]))]
    _, slices = read_sources(paths, VOLUME)
    for affine in (np.diag([-1.0, -1, 2.2, 1]), np.diag([1.0, 1, 2, 1])):
        with pytest.raises(ScanError, match="not those of the converted image"):
            on_slices(DATA, affine, slices)
