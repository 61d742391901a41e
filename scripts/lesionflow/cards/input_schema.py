"""The section ``input`` of a model card: how an image becomes what the network expects."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from lesionflow.cards.sections import (
    DISTINCT,
    WHOLE,
    Count,
    Fraction,
    Index,
    NotNegative,
    Number,
    Pair,
    Percentile,
    Positive,
    Section,
    Some,
    Text,
    Triple,
)


def _ascending(values: list[float]) -> list[float]:
    if values[0] >= values[1]:
        raise PydanticCustomError("order", "Pair should have the lower number first")
    return values


ORIENTATION = "(?=.*[RL])(?=.*[AP])(?=.*[SI])[RLAPSI]{3}"
Orientation = Annotated[str, StringConstraints(pattern=f"^{ORIENTATION}$")]
Channel = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9]*$")]
UNSET: Any = Field(default_factory=lambda: None)  # absent from the step unless the card has it


class Matlab(Section):
    """How MATLAB images are stored."""

    variable: Text = "vol"
    """Name of the array in the file"""
    orientation: Orientation
    """Where the three axes of the array point: three letters, one each of R or L, A or P, S or I"""
    spacing_mm: Triple[Positive] = [1, 1, 1]
    """Voxel size in mm along each axis of the array, three numbers above 0"""


class Step(Section):
    """One operation of the intensity normalization, and over which voxels its statistics are computed."""

    clip_below: Number = UNSET
    """Raise lower values to this one"""
    clip_above: Number = UNSET
    """Reduce higher values to this one"""
    clip_percentiles: Annotated[Pair[Percentile], AfterValidator(_ascending)] = UNSET
    """Clip to these two percentiles, from 0 to 100, the lower first"""
    divide_by: Positive = UNSET
    """Divide by this number, above 0"""
    divide_by_percentile: Percentile = UNSET
    """Divide by this percentile, from 0 to 100"""
    min_max: Pair[Number] = UNSET
    """Scale linearly so that the lowest and highest values become these two"""
    z_score: Literal[True] = UNSET
    """true: subtract the mean and divide by the standard deviation (ddof 0)"""
    zero_below_fraction_of_max: Fraction = UNSET
    """Set to 0 what is lower than this fraction, from 0 to 1, of the highest value"""
    within: Literal["brain"] = UNSET
    """brain: compute the statistics over the voxels of the brain mask; without this key: over all voxels"""
    per_channel: bool = UNSET
    """true: compute the statistics of each channel separately; otherwise of all channels together"""

    @model_validator(mode="after")
    def _one_operation(self) -> Self:
        operations = len(self.model_fields_set - {"within", "per_channel"})
        if operations != 1:
            error = "Step should have one operation, not {operations}"
            raise PydanticCustomError("operations", error, {"operations": operations})
        return self

    @model_serializer
    def _only_set(self) -> dict[str, Any]:
        return {key: value for key, value in self if key in self.model_fields_set}


class Padding(Section):
    """Zeros around the normalized image."""

    multiple_of: Count = 1
    """Sides become multiples of this integer"""
    at_least: Count = 1
    """Minimum length of the sides"""


class Tiles(Section):
    """Position of the tiles."""

    size: Triple[Count]
    """Voxels of the network's input along each axis, three integers above 0; the output may be smaller"""
    stride: Triple[Count] | None = None
    """Voxels from one tile to the next along each axis; overlapping tiles are averaged; null: the size of the network's output"""
    edge: Literal["zero", "reflect"] = "zero"
    """What tiles contain beyond the image: zero, or reflect, the image mirrored at its outer voxels"""
    skip_outside_brain: bool = False
    """true: tiles without a voxel of the brain mask are background and skip the network"""


class Input(Section):
    """What the network expects."""

    channels: Annotated[Some[Channel], Field(json_schema_extra={"uniqueItems": True}), DISTINCT]
    """The images of a scan in the network's order, by their names in the cohort (small letters and digits); the first is the reference. any: in the card of a brain mask, the reference of the model that it is used for"""
    reference: Text | None = None
    """Channel whose grid the others are resampled to and in which results are written; null: the first"""
    fill_missing: Text | None = None
    """Channel that replaces those that a scan lacks; null: a scan that lacks one is missing-input"""
    echo: Count | None = None
    """Volume, from 1, of a 4-D multi-echo file; null: 4-D files are refused"""
    matlab: Matlab | None = None
    """How MATLAB images (.mat) are stored, which have no geometry; null: they are refused"""
    orientation: Annotated[str, StringConstraints(pattern=f"^(stored|{ORIENTATION})$")] = "RAS"
    """Where the three axes point: three letters, one each of R or L, A or P, S or I, in any order; or stored: the array as it is in the file"""
    quarter_turns: Annotated[int, Field(ge=0, le=3), WHOLE] = 0
    """Quarter turns of the array in the plane of its first two axes after that, as by NumPy's rot90, 0 to 3"""
    spacing_mm: Triple[Positive] | None = [1, 1, 1]
    """Voxel size in mm along each axis, three numbers above 0; null: that of the scan"""
    spacing_tolerance_mm: NotNegative = 0
    """The voxel size of the scan is kept if no axis differs from spacing_mm by more than this, at least 0"""
    align: Literal["centre", "corner"] = "centre"
    """centre: the network's grid has the same centre as the scan's field of view; corner: it starts where the scan's first voxel starts"""
    blur: NotNegative = 0
    """Gaussian blur before resampling, along axes that do not become finer: sigma in voxels of the network's grid, at least 0; 0: none"""
    interpolation: Literal["nearest", "linear", "bspline", "welch"] = "linear"
    """How intensities are resampled to that grid: nearest, linear, bspline (cubic) or welch (windowed sinc)"""
    outside: Literal["zero", "edge"] = "zero"
    """Values outside the field of view: zero, or edge, that of the nearest voxel (with interpolation linear)"""
    drop_slices: Pair[Index] = [0, 0]
    """Number of slices to drop at the start and at the end of the third axis"""
    before_crop: list[Step] = []
    """Steps of the intensity normalization before the crop, in order, one operation each"""
    crop: Literal["brain", "centre", "foreground", None] = "brain"
    """Where the box is placed: brain, on the rounded-up centre of mass of the brain mask, moved up if it would cut the top of the mask; centre, on the centre of the field of view; foreground, around all voxels that are not 0 in any channel; null: the whole field of view"""
    shape: Triple[Count] | None = None
    """Voxels of the box along each axis, three integers above 0; null with crop foreground or null"""
    snap_start: Index = 0
    """A centred box that would start below this voxel of an axis starts at the first one (Intel's topologies: 5); 0: never"""
    padding: Literal["before", "after"] = "before"
    """Where the box extends beyond the scan it is filled with zeros: before the normalization, whose statistics then include them; or after it"""
    resize: Pair[Annotated[int, Field(ge=2), WHOLE]] | None = None
    """Voxels, two integers above 1, to which the first two axes are resized by splines after the crop, once both have been padded with zeros to the same length; null: no resizing"""
    resize_order: Annotated[int, Field(ge=0, le=5), WHOLE] = 2
    """Degree of these splines, 0 (nearest) to 5"""
    pad: Padding = Field(default_factory=Padding)
    """Zeros around the normalized image, equally many on both sides, until it fits the network"""
    normalize: list[Step] = []
    """Steps of the intensity normalization after the crop, in order, one operation each"""
    mask: Literal["brain", None] = None
    """brain: set the normalized image to 0 outside the brain mask; null: leave it"""
    view: Literal["volume", "tiles", "slices"] = "volume"
    """What the network sees of a scan at a time: volume, all of it; tiles, boxes of equal size; slices, each plane of the first two axes (2-D networks)"""
    tiles: Tiles | None = None
    """With view tiles: their size and position; null with other views"""
    layout: Literal["channels_last", "channels_first"] = "channels_last"
    """Order of the network's own axes: channels_last (TensorFlow) or channels_first (PyTorch, most ONNX files)"""
