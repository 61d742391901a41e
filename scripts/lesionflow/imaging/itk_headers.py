"""Headers of NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd) files: shape, affine, and the file with the voxels.

SimpleITK reads the voxels. The headers are read here as well: ITK takes what a header does not state for an identity,
and looks for the voxels wherever the header says. Formats: https://teem.sourceforge.net/nrrd/format.html and
https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionflow.base.errors import ScanError
from lesionflow.imaging.file_types import NRRD

LONGEST_HEADER = 1 << 20
TO_RAS = {  # signs of the axes of a space
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
}
SCALAR_KINDS = {"domain", "space", "???", "none"}


@dataclass(frozen=True)
class ItkHeader:
    """What a header states.

    Attributes
    ----------
    shape
        Number of voxels along each axis.
    affine : array (4, 4)
        From voxels to RAS+ in mm.
    data_file
        The file with the voxels; None if they are in the file of the header.
    compressed
        Whether the length of the voxels in the file is unknown.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    data_file: Path | None
    compressed: bool


def read_itk_header(path: Path) -> ItkHeader:
    """The header of a NRRD or MetaImage file.

    Raises
    ------
    ScanError
        If it is damaged, is not of a 3-D image of numbers, or names files other than one in the same folder;
        with status ``header-conflict``, if it does not state where the voxels lie.
    """
    with path.open("rb") as file:
        block = file.read(LONGEST_HEADER)
    try:
        return _read_nrrd(path, block) if path.name.endswith(NRRD) else _read_metaimage(path, block)
    except (KeyError, ValueError, IndexError) as error:
        text = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise ScanError(f"{path}: the header cannot be read: {text}") from error


def _read_nrrd(path: Path, block: bytes) -> ItkHeader:
    if not block.startswith(b"NRRD"):
        raise ScanError(f"{path} is not a NRRD file")
    text = re.split(rb"\r?\n\r?\n", block, maxsplit=1)[0].decode("utf-8", "replace")
    lines = [
        line for line in text.splitlines()[1:] if not line.startswith("#") and ":=" not in line
    ]
    fields = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            raise ValueError(f"{line[:80]!r} is no field")
        fields[name.strip().lower().replace(" ", "")] = value.strip()
    shape = _shape(fields["sizes"])
    kinds = fields.get("kinds", "").lower().split()
    if len(shape) != 3 or any(kind not in SCALAR_KINDS for kind in kinds):
        raise ScanError(
            f"a 3-D image of one number per voxel is needed, the axes of {path} are {shape} {kinds}"
        )
    space = fields.get("space", "").lower()
    if space not in TO_RAS or "spacedirections" not in fields or "spaceorigin" not in fields:
        raise ScanError(
            f"{path} does not state where its voxels lie: it needs space (such as left-posterior-superior), "
            "space directions and space origin",
            "header-conflict",
        )
    units = set(fields.get("spaceunits", "").replace('"', "").split()) - {"mm", "???"}
    if units:
        raise ScanError(
            f"{path} states lengths in {', '.join(units)}, not in mm", "header-conflict"
        )
    directions = [_vector(v) for v in re.findall(r"\([^)]*\)", fields["spacedirections"])]
    origin = _vector(fields["spaceorigin"])
    if len(directions) != 3:
        raise ValueError(f"space directions are {fields['spacedirections']!r}")
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(directions)
    affine[:3, 3] = origin
    name = fields.get("datafile")
    if path.name.endswith(".nhdr") and name is None:
        raise KeyError("data file")
    data_file = _data_file(path, name) if name is not None else None
    return ItkHeader(
        shape,
        np.diag([*TO_RAS[space], 1.0]) @ affine,
        data_file,
        fields["encoding"].lower() != "raw",
    )


def _read_metaimage(path: Path, block: bytes) -> ItkHeader:
    fields = {}
    for line in block.decode("latin-1").splitlines():
        name, separator, value = line.partition("=")
        if not separator:
            raise ScanError(f"{path} is not a MetaImage file")
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    name = fields["ElementDataFile"]
    shape = _shape(fields["DimSize"])
    n_numbers = fields.get("ElementNumberOfChannels", "1")
    if len(shape) != 3 or fields["NDims"] != "3" or n_numbers != "1":
        raise ScanError(
            f"a 3-D image of one number per voxel is needed, {path} has the shape {shape} with {n_numbers} numbers per voxel"
        )
    slope = fields.get("ElementToIntensityFunctionSlope", "1")
    intercept = fields.get("ElementToIntensityFunctionOffset", "0")
    if (float(slope), float(intercept)) != (1, 0):
        raise ScanError(f"{path} has scaled intensities (slope {slope}), which ITK does not scale")
    matrix, offset = (
        next((fields[key] for key in keys if key in fields), None)
        for keys in (
            ("TransformMatrix", "Rotation", "Orientation"),
            ("Offset", "Position", "Origin"),
        )
    )
    if matrix is None or offset is None or "ElementSpacing" not in fields:
        raise ScanError(
            f"{path} does not state where its voxels lie: it needs TransformMatrix, Offset and ElementSpacing",
            "header-conflict",
        )
    directions = np.array([float(value) for value in matrix.split()]).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = directions.T * _vector(fields["ElementSpacing"])
    affine[:3, 3] = _vector(offset)
    data_file = None if name.upper() == "LOCAL" else _data_file(path, name)
    binary = fields.get("BinaryData", "True").lower() == "true"
    compressed = fields.get("CompressedData", "False").lower() == "true"
    to_ras = np.diag([-1.0, -1, 1, 1])
    return ItkHeader(shape, to_ras @ affine, data_file, compressed or not binary)


def _shape(text: str) -> tuple[int, int, int]:
    sizes = tuple(int(size) for size in text.split())
    if min(sizes, default=0) < 1:
        raise ValueError(f"the sizes are {text!r}")
    return sizes  # type: ignore[return-value]


def _vector(text: str) -> np.ndarray:
    """Three numbers, in parentheses or not."""
    values = [float(value) for value in text.strip("() ").replace(",", " ").split()]
    return np.array(values).reshape(3)


def _data_file(path: Path, name: str) -> Path:
    """The file with the voxels: one file beside the header, which a cohort from elsewhere can name only so."""
    if (
        name != Path(name).name
        or "\\" in name
        or "%" in name
        or name.split(maxsplit=1)[0] in ("LIST", ".")
    ):
        raise ScanError(
            f"{path} has its voxels in {name!r}: only one file in the same folder is read"
        )
    return path.with_name(name)
