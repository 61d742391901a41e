"""Lesions as a DICOM segmentation (SEG) on the slices of the series that the scan came from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from lesionflow import __version__
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.errors import ScanError
from lesionflow.imaging.dicom_geometry import Slice, read_slice
from lesionflow.imaging.dicom_headers import frame_groups, frame_volume

NOT_FOR_DIAGNOSIS = "not for diagnosis"
SERIES_NUMBER = 9000  # added to that of the source series
SHARED = "PlaneOrientationSequence", "PixelMeasuresSequence"  # equal in all frames of a volume
ON_GRID = 0.05  # largest distance of a pixel from a voxel, in voxels


def read_sources(files: Sequence[str], volume: Mapping[str, Any]) -> tuple[list[Any], list[Slice]]:
    """The DICOM files of a volume without their pixels, and where each of their frames lies.

    Parameters
    ----------
    files, volume
        As in ``imaging.dicom.convert_volume``.

    Returns
    -------
    sources
        The files.
    slices
        Of each frame of the volume; the ``number`` is that of the frame in its file.
    """
    import pydicom

    sources, slices = [], []
    wanted = volume["kind"], volume["echo_time"]
    for path in files:
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        sources.append(ds)
        groups = frame_groups(ds)
        slices += [
            replace(read_slice(ds, path, group), number=number)
            for number, group in enumerate(groups, start=1)
            if frame_volume(ds, group) == wanted
        ]
        slices += [] if groups else [read_slice(ds, path)]
        for name in SHARED if groups else ():  # highdicom looks for them there alone
            if name not in ds.SharedFunctionalGroupsSequence[0]:
                setattr(ds.SharedFunctionalGroupsSequence[0], name, [groups[0](name)])
    return sources, slices


def on_slices(labels: np.ndarray, affine: np.ndarray, slices: Sequence[Slice]) -> np.ndarray:
    """A label image on the pixels of DICOM slices (slice, row, column).

    Parameters
    ----------
    labels : array (x, y, z)
        On a grid that differs from that of the slices in the order and direction of its axes alone.
    affine : array (4, 4)
        From voxels to RAS+ in mm.
    slices
        Of the DICOM files, in any order.

    Raises
    ------
    ScanError
        If a pixel is at no voxel.
    """
    to_voxel = np.linalg.inv(affine) @ np.diag([-1.0, -1, 1, 1])
    frames = []
    for of_slice in slices:
        columns, rows = np.meshgrid(*map(np.arange, of_slice.shape))
        steps = of_slice.orientation * of_slice.spacing_mm[:, None]
        lps = of_slice.position + columns[..., None] * steps[0] + rows[..., None] * steps[1]
        position = apply_affine(to_voxel, lps)
        voxel = np.rint(position).astype(int)
        if (
            np.abs(position - voxel).max() > ON_GRID
            or (voxel < 0).any()
            or (voxel >= labels.shape).any()
        ):
            raise ScanError("the slices of the DICOM series are not those of the converted image")
        frames.append(labels[tuple(np.moveaxis(voxel, -1, 0))])
    return np.stack(frames)


def write_segmentation(
    path: Path,
    sources: Sequence[Any],
    slices: Sequence[Slice],
    frames: np.ndarray,
    names: Mapping[int, str],
    about: Mapping[str, Any],
) -> list[str]:
    """Write a binary segmentation with one segment per label that has a voxel; returns the names of the segments.

    Nothing is written if no label has one: a DICOM segmentation has at least one frame.

    Parameters
    ----------
    path
        The file; written atomically, or removed if there is nothing to write.
    sources
        The DICOM files of the series, without their pixels.
    slices
        Where the frames lie.
    frames : array (frame, row, column), int
        Labels on the slices.
    names
        Names of the labels.
    about
        ``model``, ``model_version`` and ``weights_sha256``.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    present = [label for label in names if (frames == label).any()]
    if not present:
        path.unlink(missing_ok=True)
        return []
    algorithm = hd.AlgorithmIdentificationSequence(
        name=about["model"],
        version=about["model_version"],
        family=codes.DCM.ArtificialIntelligence,
        source=f"lesionflow {__version__}",
        parameters={"weights_sha256": about["weights_sha256"]},
    )
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=names[label][:64],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(present, start=1)
    ]
    masks = np.stack([frames == label for label in present], axis=-1).astype(np.uint8)
    # the same segmentation has the same UIDs, whenever it is written
    series = [str(sources[0].SeriesInstanceUID), about["model"], about["weights_sha256"]]
    segmentation = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=masks,
        plane_positions=[hd.PlanePositionSequence("PATIENT", s.position.tolist()) for s in slices],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(entropy_srcs=series),
        series_number=SERIES_NUMBER + int(sources[0].get("SeriesNumber") or 0),
        sop_instance_uid=generate_uid(entropy_srcs=[*series, masks.tobytes().hex()]),
        instance_number=1,
        manufacturer="lesionflow",
        manufacturer_model_name=about["model"],
        software_versions=__version__,
        device_serial_number="0",
        content_label="LESIONS",
        content_description=NOT_FOR_DIAGNOSIS,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=f"{about['model'][:40]}, {NOT_FOR_DIAGNOSIS}",
    )
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        _refer_to_frame(frame, slices)
    with write_atomically(path) as partial:
        segmentation.save_as(partial)
    return [names[label] for label in present]


def _refer_to_frame(frame: Any, slices: Sequence[Slice]) -> None:
    """Let a frame refer to the frame of an enhanced file that it was drawn on: highdicom goes by the position alone.

    Other echoes and components of the series lie at the same positions.
    """
    position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
    distances = [np.linalg.norm(s.position - position) for s in slices]
    for derivation in frame.get("DerivationImageSequence", []):
        if "ReferencedFrameNumber" in derivation.SourceImageSequence[0]:
            del derivation.SourceImageSequence[1:]
            number = slices[int(np.argmin(distances))].number
            derivation.SourceImageSequence[0].ReferencedFrameNumber = number
