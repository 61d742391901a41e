"""DICOM volumes to NIfTI, by dcm2niix, whose result is compared with the positions in the DICOM files."""

import json
import logging
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.dicom_geometry import Slice, check_numbers, dicom_grid, read_slice
from lesionflow.imaging.dicom_headers import frame_groups, frame_volume
from lesionflow.imaging.nifti import write_nifti
from lesionflow.imaging.nifti_header import check_affine, read_header

TIMEOUT_S = 1800
EXIT_STATUS = {  # of dcm2niix, as its manual lists them
    2: "no DICOM image",
    4: "corrupt DICOM images",
    8: "only some of the images were converted",
}
# Warnings after which the volume is not what was acquired; others are kept in the sidecar.
FATAL = re.compile(
    r"interslice distance varies|not equidistant|not large enough|unable to|"
    r"slices? (is|are) missing|corrupt|overlap|not stacked",
    re.I,
)
SAME_MM = 0.05  # between the corners of the volume by DICOM and by NIfTI


def convert_volume(files: Sequence[str], volume: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """Convert one volume of a DICOM series, and write it as NIfTI.

    Parameters
    ----------
    files
        The files of the volume.
    volume
        ``kind`` and ``echo_time`` of the frames to take from an enhanced file (``dicom_headers.frame_volume``), and
        ``whole``: whether the series has no other volume.
    output
        ``.nii.gz``; written atomically.

    Returns
    -------
    dict
        dcm2niix's sidecar, without what identifies a person, and ``SeriesInstanceUID`` and ``ConversionWarnings``.

    Raises
    ------
    ScanError
        If a file is damaged, slices are missing or doubled, dcm2niix does not convert all images to one volume, or the
        volume does not lie where the DICOM files say.
    """
    with TemporaryDirectory() as temporary:
        source, converted = Path(temporary, "dicom"), Path(temporary, "nifti")
        source.mkdir()
        converted.mkdir()
        slices: list[Slice] = []
        about: dict[str, Any] = {}
        for number, path in enumerate(files):
            ds = _read(path)
            # a name of its own: those of the cohort may be anything
            copy = source / f"{number:06d}.dcm"
            try:
                slices += _prepare(ds, path, volume, copy)
                about = {"SeriesInstanceUID": str(ds.SeriesInstanceUID)}
                about["ImageType"] = [str(value) for value in ds.ImageType]
            except (AttributeError, TypeError, ValueError, LookupError, OverflowError) as error:
                raise ScanError(f"{path} is damaged: {error}") from error
        # of a part of a classic series, the numbers of the other images are missing without a fault
        checked = slices if volume["whole"] or len(files) == 1 else []
        if numbers := [s.number for s in checked if s.number is not None]:
            check_numbers(numbers)
        affine, shape = dicom_grid(slices)
        check_affine(affine, shape)
        warnings = _run(source, converted)
        image = _only_image(converted, warnings)
        header = read_header(image)
        _check_corners(header, affine, shape)
        header["descrip"] = header["aux_file"] = header["db_name"] = b""  # times of the acquisition
        with image.open("rb") as file:
            file.seek(int(header["vox_offset"]))
            write_nifti(output, header, file.read())
        sidecar = json.loads(
            image.with_suffix(".json").read_text(encoding="utf-8", errors="replace")
        )
    logging.info("%d slices of series %s", shape[2], about["SeriesInstanceUID"])
    return {**sidecar, **about, "ConversionWarnings": warnings}


def _read(path: str) -> Any:
    import pydicom

    try:
        with pydicom.config.disable_value_validation():
            return pydicom.dcmread(path)
    except Exception as error:  # pydicom raises any kind on hostile content
        raise ScanError(f"{path} cannot be read as DICOM: {error}") from error


def _prepare(ds: Any, path: str, volume: Mapping[str, Any], copy: Path) -> list[Slice]:
    """Put the frames of a file that belong to the volume in place for dcm2niix; returns the geometry of each slice."""
    if (n_numbers := int(ds.get("SamplesPerPixel") or 1)) != 1:
        raise ScanError(f"{path} has {n_numbers} numbers per pixel (colours), one is needed")
    groups = frame_groups(ds)
    if not groups:
        _check_length(ds, path, 1)
        copy.symlink_to(Path(path).absolute())
        return [read_slice(ds, path)]
    _check_length(ds, path, len(groups))
    wanted = (volume["kind"], volume["echo_time"])
    chosen = [n for n, group in enumerate(groups) if frame_volume(ds, group) == wanted]
    slices = [read_slice(ds, path, groups[n]) for n in chosen]
    if len(chosen) == len(groups):
        copy.symlink_to(Path(path).absolute())
    else:
        _write_frames(ds, path, chosen, copy)
    return slices


def _check_length(ds: Any, path: str, n_frames: int) -> None:
    """Check that the pixels are complete, as far as their length is known without decompressing them."""
    pixels = ds.get("PixelData")
    expected = int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel", 1)) * n_frames
    expected *= int(ds.get("BitsAllocated", 16)) // 8
    compressed = ds.file_meta.TransferSyntaxUID.is_compressed
    if not pixels or (not compressed and len(pixels) < expected):
        raise ScanError(
            f"{path} is truncated: {len(pixels or b'')} of {expected} bytes of its pixels"
        )


def _write_frames(ds: Any, path: str, chosen: Sequence[int], copy: Path) -> None:
    """Write an enhanced file with some of its frames."""
    from pydicom.encaps import encapsulate, generate_frames

    n_frames = len(ds.PerFrameFunctionalGroupsSequence)
    if ds.file_meta.TransferSyntaxUID.is_compressed:
        frames = list(generate_frames(ds.PixelData, number_of_frames=n_frames))
        ds.PixelData = encapsulate([frames[n] for n in chosen])
    else:
        size = len(ds.PixelData) // n_frames
        ds.PixelData = b"".join(ds.PixelData[n * size : (n + 1) * size] for n in chosen)
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[n] for n in chosen]
    ds.NumberOfFrames = len(chosen)
    try:
        ds.save_as(copy)
    except Exception as error:  # pydicom raises any kind on hostile content
        raise ScanError(f"{path}: its frames cannot be separated: {error}") from error


def _run(source: Path, converted: Path) -> list[str]:
    """Run dcm2niix on a folder; returns its warnings.

    Raises
    ------
    ScanError
        If it fails, or warns that the volume is not what was acquired.
    """
    import dcm2niix

    command = [str(dcm2niix.bin), "-b", "y", "-ba", "y", "-z", "n", "-f", "image"]
    try:
        done = subprocess.run(
            [*command, "-o", str(converted), str(source)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ScanError(f"dcm2niix did not end within {TIMEOUT_S} s") from error
    lines = [
        line.strip().replace(f"{source}/", "") for line in (done.stdout + done.stderr).splitlines()
    ]
    for line in lines:
        logging.info("dcm2niix: %s", line)
    warnings = [line for line in lines if re.match(r"(warning|error)\b", line, re.I)]
    fatal = [line for line in lines if FATAL.search(line)]
    if done.returncode or fatal:
        why = EXIT_STATUS.get(done.returncode, f"exit status {done.returncode}")
        raise ScanError(f"dcm2niix: {'; '.join(fatal or warnings) or why}")
    return warnings


def _only_image(folder: Path, warnings: Sequence[str]) -> Path:
    images = sorted(folder.glob("*.nii"))
    if len(images) != 1:
        names = ", ".join(path.name for path in images) or "no file"
        raise ScanError(f"dcm2niix has made {names} of one volume: {'; '.join(warnings)}")
    return images[0]


def _check_corners(header: Any, affine: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Check that an image has as many voxels as the DICOM series, and its eight corners where those of the series are.

    dcm2niix may store the axes in another order: it rotates coronal and sagittal images of 3-D sequences.
    """
    of_image = header.get_data_shape()
    if sorted(of_image) != sorted(shape):
        raise ScanError(f"dcm2niix has made {of_image} voxels of the {shape} of the DICOM series")
    of_series, of_nifti = _corners(affine, shape), _corners(header.get_sform(), of_image)
    distances = np.linalg.norm(of_series[:, None] - of_nifti[None], axis=2).min(axis=1)
    if distances.max() > SAME_MM:
        raise ScanError(
            f"dcm2niix puts corners of the volume {distances.max():.3g} mm from where the DICOM files say"
        )


def _corners(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """World positions (8, 3) of the corners of an image."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, -1).T
    return nib.affines.apply_affine(affine, corners)
