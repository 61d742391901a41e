"""What the headers of DICOM files say of the volumes that they hold: series, kind of image, echo, number of slices."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARK = slice(128, 132)  # of the bytes of a file: DICM
MR_IMAGES = {  # SOP classes: MR, enhanced MR, legacy converted enhanced MR
    *("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"),
}
DEFLATED = "1.2.840.10008.1.2.1.99"  # whose whole content is compressed
ENDINGS = (".dcm", ".ima")  # of names that promise a DICOM file
TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyDate", "SeriesNumber"),
    *("StudyInstanceUID", "PatientID", "VolumeBasedCalculationTechnique"),
    *("SeriesDescription", "ProtocolName", "ImageType", "EchoTime", "Rows"),
    *("ComplexImageComponent", "NumberOfFrames", "PerFrameFunctionalGroupsSequence"),
    "SharedFunctionalGroupsSequence",
]
# Kinds of images that are never the input of a network, in the order in which they are looked for.
QSM, MINIP, MIP, LOCALIZER, MOSAIC = "QSM", "minIP", "MIP", "localizer", "mosaic"
REFORMAT, PHASE = "reformat", "phase"
EXCLUDED = (QSM, MINIP, MIP, LOCALIZER, MOSAIC, REFORMAT, PHASE)
COMBINED, MAGNITUDE, OTHER = "combined SWI", "magnitude", "image"
_RULES = (  # kind, tokens of ImageType, description; the first match wins
    (QSM, {"QSM"}, r"(^|[\W_])qsm([\W_]|$)|susceptibility.?map"),
    # Siemens calls its minimum intensity projection of susceptibility-weighted images mIP_Images(SW)
    (MINIP, {"MNIP", "MINIP", "MIN IP", "MIN_IP", "MINIMUM"}, r"min.?ip|mnip|mip_images"),
    (
        MIP,
        {
            "MIP",
            "MAXIP",
            "MAX_IP",
            "MAXIMUM",
            "PROJECTION IMAGE",
            "VOLUME_RENDER",
            "SURFACE_RENDER",
        },
        r"(^|[\W_])mip([\W_]|$)|projection",
    ),
    (LOCALIZER, {"LOCALIZER"}, r"localizer|localiser|scout|survey"),
    (MOSAIC, {"MOSAIC"}, r"(?!)"),
    (
        REFORMAT,
        {"MPR", "CURVED_MPR", "CSA MPR", "REFORMATTED", "CSA RESAMPLED", "SCREEN SAVE"},
        r"(?!)",
    ),
    (
        PHASE,
        {"P", "PHASE", "PHASE MAP", "REAL", "R", "I", "IMAGINARY"},
        r"(^|[\W_])pha(se)?([\W_]|$)",
    ),
    (COMBINED, {"SWI"}, r"swi_images|swip|swan|ven_?bold"),
    (MAGNITUDE, {"M", "M_FFE", "M_SE", "MAGNITUDE"}, r"mag_images"),
)

Header = dict[str, Any]  # of one file, as JSON stores it; ``read_dicom_header`` lists the keys


class DamagedDicomError(Exception):
    """A file that is marked as DICOM, or named like it, and cannot be read."""


def kind_of_image(
    image_type: Sequence[str], description: str, component: str = "", technique: str = ""
) -> str:
    """Kind of an image, by its ImageType and what it was computed by first where these tell, and by its description.

    Parameters
    ----------
    image_type
        Values of ImageType or FrameType.
    description
        SeriesDescription.
    component
        ComplexImageComponent.
    technique
        VolumeBasedCalculationTechnique, which tells projections in enhanced files.
    """
    tokens = {str(token).strip().upper() for token in [*image_type[2:], component, technique]}
    tokens -= {"", "NONE", "MIXED"}
    return next(
        (
            kind
            for kind, known, pattern in _RULES
            if tokens & known or re.search(pattern, description.lower())
        ),
        OTHER,
    )


def read_dicom_header(path: Path) -> Header | None:
    """The header of a DICOM file of an MR image; None for any other file.

    Returns
    -------
    dict
        ``series``, ``study`` and ``instance`` (UIDs), ``patient`` (see ``_patient``), ``date`` of the study, ``number``
        and ``description`` of the series, ``type`` (ImageType), and ``volumes``: kind, echo time in ms (None if unknown) and number of slices of each.

    Raises
    ------
    DamagedDicomError
        If it is a DICOM file that cannot be read up to its pixels.
    """
    import pydicom
    from pydicom.filereader import read_file_meta_info

    with path.open("rb") as file:
        start = file.read(MARK.stop)
    if start[MARK] != b"DICM":
        if not start and path.name.lower().endswith(ENDINGS):
            raise DamagedDicomError("it is empty")
        return None
    try:
        meta = read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == DEFLATED:
            raise DamagedDicomError("it is compressed as a whole, which dcm2niix does not read")
        with pydicom.config.disable_value_validation():
            ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
            sop_class = meta.get("MediaStorageSOPClassUID") or ds.get("SOPClassUID")
            if sop_class and sop_class not in MR_IMAGES:
                return None  # a report, a presentation state, a list of files, another modality
            return _header(ds)
    except DamagedDicomError:
        raise
    except Exception as error:  # pydicom raises any kind on hostile content
        raise DamagedDicomError(f"{type(error).__name__}: {error}"[:200]) from error


def _header(ds: Any) -> Header:
    if not ds.get("Rows"):  # pydicom takes the end of a file for the end of its header
        raise DamagedDicomError("it ends before its pixels")
    groups = frame_groups(ds)
    frames = [frame_volume(ds, group) for group in groups] or [frame_volume(ds)]
    return {
        "series": str(ds.SeriesInstanceUID),
        "study": str(ds.get("StudyInstanceUID") or ""),
        "instance": str(ds.SOPInstanceUID),
        "patient": _patient(ds),
        "date": _line(ds.get("StudyDate") or ""),
        "number": int(ds.get("SeriesNumber") or 0),
        "description": _description(ds),
        "type": _image_type(ds),
        "volumes": [[*volume, frames.count(volume)] for volume in dict.fromkeys(frames)],
    }


def frame_groups(ds: Any) -> list[Any]:
    """For each frame of an enhanced file a function: the item of a functional group, its own or the shared one."""
    shared = (ds.get("SharedFunctionalGroupsSequence") or [{}])[0]

    def of_frame(frame: Any) -> Any:
        return lambda name: (frame.get(name) or shared.get(name) or [{}])[0]

    return [of_frame(frame) for frame in ds.get("PerFrameFunctionalGroupsSequence") or []]


def frame_volume(ds: Any, group: Any = None) -> tuple[str, float | None]:
    """Kind and echo time in ms of a frame of an enhanced file, by its functional groups, or of a classic file."""
    component, image_type = ds.get("ComplexImageComponent"), _image_type(ds)
    technique = ds.get("VolumeBasedCalculationTechnique")
    echo_time = ds.get("EchoTime")
    if group is not None:
        frame_type = group("MRImageFrameTypeSequence")
        component = frame_type.get("ComplexImageComponent") or component
        image_type = list(frame_type.get("FrameType") or image_type)
        technique = frame_type.get("VolumeBasedCalculationTechnique") or technique
        echo_time = group("MREchoSequence").get("EffectiveEchoTime")
    kind = kind_of_image(image_type, _description(ds), str(component or ""), str(technique or ""))
    return kind, None if echo_time in (None, "") else round(float(echo_time), 4)


def _description(ds: Any) -> str:
    return _line(ds.get("SeriesDescription") or ds.get("ProtocolName") or "")


def _patient(ds: Any) -> str:
    """Two bytes of a digest of PatientID, empty without one: enough to tell two patients apart, too few to tell who it is."""
    number = _line(ds.get("PatientID") or "")
    return hashlib.sha256(number.encode()).hexdigest()[:4] if number else ""


def _image_type(ds: Any) -> list[str]:
    return [_line(value) for value in ds.get("ImageType") or []]


def _line(text: Any) -> str:
    """One printable line of at most 64 characters, as in DICOM."""
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(printable.split())[:64]
