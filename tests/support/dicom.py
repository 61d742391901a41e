"""DICOM series of the scanner of nobody: classic and enhanced MR, with the defects that archives have."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
MAGNITUDE, COMBINED = ["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "M", "SWI", "ND"]
PHASE = ["ORIGINAL", "PRIMARY", "P", "ND"]
MINIP = ["DERIVED", "PRIMARY", "MNIP", "SWI"]


def uid(*names):
    """The same UID for the same names."""
    return generate_uid(entropy_srcs=[str(name) for name in names])


def dicom_affine(affine):
    """Row direction, column direction, row and column spacing, position and step of an affine (RAS) of x, y, z voxels."""
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1], spacing, lps[:3, 3], lps[:3, 2]


def _dataset(sop_class, instance, series, image_type, description, number, date, options):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, instance
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study", date), series
    ds.FrameOfReferenceUID = uid("frame", date)
    ds.Modality, ds.Manufacturer, ds.StudyDate, ds.SeriesNumber = "MR", "SIEMENS", date, number
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101010"
    ds.AcquisitionDate = ds.ContentDate = ds.SeriesDate = date
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", "SECRET123", "19450101"
    ds.PatientSex, ds.StudyID, ds.AccessionNumber = "F", "1", "ACC77"
    ds.SeriesDescription = ds.ProtocolName = description
    ds.ImageType, ds.MagneticFieldStrength = image_type, 3
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "GR", "SP", "3D"
    ds.ScanOptions, ds.PatientPosition = "", "HFS"
    ds.RepetitionTime, ds.EchoTime, ds.EchoNumbers, ds.FlipAngle = 28, 20, 1, 15
    ds.ReferringPhysicianName, ds.PositionReferenceIndicator, ds.AcquisitionNumber = "", "", 1
    for key, value in options.items():
        setattr(ds, key, value)
    return ds


def _pixels(ds, values, spacing):
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(values.min() < 0)
    ds.PixelData = (
        np.ascontiguousarray(values).astype("<i2" if values.min() < 0 else "<u2").tobytes()
    )
    return [float(spacing[1]), float(spacing[0])]  # between rows, between columns


def save_series(
    folder,
    data,
    affine,
    image_type=MAGNITUDE,
    description="swi3d",
    number=5,
    date="20240115",
    name="IM{:04d}",
    instances=None,
    **options,
):
    """A classic series, one file per slice of ``data`` (x, y, z); returns the paths.

    ``instances`` are the slices to write (all by default); ``options`` are further attributes.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    series = uid("series", date, number)
    row, column, spacing, origin, step = dicom_affine(affine)
    paths = []
    for k in range(data.shape[2]) if instances is None else instances:
        echo = options.get("EchoNumbers", 1)
        instance = uid("instance", date, number, k, echo, *image_type)
        ds = _dataset(MR, instance, series, image_type, description, number, date, options)
        ds.InstanceNumber = options.get("InstanceNumber", k + 1)
        ds.ImagePositionPatient = [round(float(v), 8) for v in origin + k * step]
        ds.ImageOrientationPatient = [round(float(v), 12) for v in (*row, *column)]
        ds.SliceThickness = ds.SpacingBetweenSlices = float(spacing[2])
        ds.PixelSpacing = _pixels(ds, data[:, :, k].T, spacing)
        path = Path(folder, name.format(k + 1))
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def save_enhanced(
    path,
    volumes,
    affine,
    description="swi3d",
    number=5,
    date="20240115",
    image_type=None,
    frames=None,
    **options,
):
    """An enhanced MR file: ``volumes`` are (data, component, echo time) such as (array, "MAGNITUDE", 20.0)."""
    row, column, spacing, origin, step = dicom_affine(affine)
    image_type = image_type or ["ORIGINAL", "PRIMARY", "M", "NONE"]
    instance = uid("enhanced", date, number)
    ds = _dataset(
        ENHANCED_MR,
        instance,
        uid("series", date, number),
        image_type,
        description,
        number,
        date,
        options,
    )
    for keyword in (
        "EchoTime",
        "EchoNumbers",
        "ScanningSequence",
        "SequenceVariant",
        "ScanOptions",
    ):
        delattr(ds, keyword)
    ds.ComplexImageComponent = volumes[0][1] if len({v[1] for v in volumes}) == 1 else "MIXED"
    ds.InstanceNumber, ds.AcquisitionDateTime = 1, f"{date}101010"
    ds.VolumetricProperties, ds.PixelPresentation = "VOLUME", "MONOCHROME"
    shared = Dataset()
    measures = Dataset()
    slices, per_frame = [], []
    for volume, (data, component, echo_time) in enumerate(volumes):
        for k in range(data.shape[2]) if frames is None else frames:
            frame = Dataset()
            content = Dataset()
            content.StackID, content.InStackPositionNumber = "1", k + 1
            content.DimensionIndexValues = [1, k + 1, volume + 1]
            content.FrameAcquisitionNumber, content.TemporalPositionIndex = 1, 1
            position, orientation, kind, echo = Dataset(), Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = [round(float(v), 8) for v in origin + k * step]
            orientation.ImageOrientationPatient = [round(float(v), 12) for v in (*row, *column)]
            kind.FrameType, kind.ComplexImageComponent = (
                ["ORIGINAL", "PRIMARY", component[0], "NONE"],
                component,
            )
            kind.PixelPresentation, kind.VolumetricProperties = "MONOCHROME", "VOLUME"
            kind.VolumeBasedCalculationTechnique, kind.AcquisitionContrast = "NONE", "T2_STAR"
            echo.EffectiveEchoTime = echo_time
            frame.FrameContentSequence = Sequence([content])
            frame.PlanePositionSequence = Sequence([position])
            frame.PlaneOrientationSequence = Sequence([orientation])
            frame.MRImageFrameTypeSequence = Sequence([kind])
            frame.MREchoSequence = Sequence([echo])
            per_frame.append(frame)
            slices.append(data[:, :, k].T)
    measures.SliceThickness = measures.SpacingBetweenSlices = float(spacing[2])
    measures.PixelSpacing = _pixels(ds, np.stack(slices), spacing)
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.NumberOfFrames = len(per_frame)
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return Path(path)
