"""The keys of config/config.yaml, their types, defaults and meanings.

config/schemas/config.schema.yaml and docs/config.md are generated from here (``make docs``).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from lesionflow.base.errors import ConfigError
from lesionflow.cards.sections import (
    DISTINCT,
    Count,
    NotNegative,
    Section,
    Some,
    Text,
    Threshold,
    describe_error,
)

ScanEntity = Literal["acq", "ce", "rec", "dir", "flip", "inv", "chunk"]


def _bool(value: Any) -> Any:
    """A word of YAML as a boolean: on its command line, Snakemake reads True and False only."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_bool)]


def _list_of(item: Any) -> BeforeValidator:
    """A single value in place of a list of one."""
    return BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value,
        json_schema_input_type=item | list[item],
    )


Names = Annotated[list[Text], DISTINCT, _list_of(Text)]
Kind = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9]*$")]
PATTERNS = {
    "swi": ["*_swi.*", "*_T2starw.*"],
    "t1": ["*_T1w.*"],
    "flair": ["*_FLAIR.*"],
    "t2": ["*_T2w.*"],
    "mask": ["*_desc-brain_mask.*"],
    "regions": ["*_desc-regions_dseg.*"],
    "truth": ["*_desc-truth_dseg.*"],
}
SERIES = {
    "swi": ["*swi*", "*swan*", "*ven_bold*", "*mag_images*", "*t2star*", "*t2_star*", "*t2[*]*"],
    "t1": ["*t1*", "*mprage*", "*bravo*"],
    "flair": ["*flair*"],
    "t2": ["*t2w*", "*t2_tse*", "*t2_space*"],
}


def _over(defaults: dict[str, list[str]]) -> BeforeValidator:
    """The defaults of the channels that are not given, as where Snakemake merges --config with config.yaml."""
    return BeforeValidator(lambda value: defaults | value if isinstance(value, dict) else value)


Patterns = Annotated[dict[Kind, Some[Text]], _over(PATTERNS)]
Series = Annotated[dict[Kind, Some[Text]], _over(SERIES)]


class Config(Section):
    """Keys of config/config.yaml and of --config."""

    cohort: Text = "bids"
    """A BIDS directory, a directory of SUBJECT/swi/*.nii[.gz] folders, or a scan table (.tsv, .csv)"""
    patterns: Patterns = PATTERNS
    """Per channel (and for mask, regions, truth), the patterns of its file names in a cohort directory; those that are not given stay"""
    dicom: Text | None = None
    """In place of cohort: a directory of DICOM files, with one folder per subject"""
    dicom_series: Series = SERIES
    """Per channel, the patterns of the descriptions of its DICOM series, without regard to case; those that are not given stay"""
    dicom_seg: Switch = False
    """Whether the lesions of scans that came from DICOM are written as DICOM segmentations as well"""
    scan_entities: Annotated[list[ScanEntity], DISTINCT, _list_of(ScanEntity)] = []
    """BIDS entities by which images of the reference channel are scans of their own, as by their run"""
    include: Names = []
    """Scans to run: names or globs; none means all"""
    exclude: Names = []
    """Scans to leave out: names or globs; they keep a row with the status excluded"""
    models: Annotated[Names, Field(min_length=1)] = Field("demo-cmb", validate_default=True)
    """Cards: names in config/models/, or paths to a card (.yaml) or to a SHiVAi model_info.json"""
    models_dir: Text = "models"
    """Folder of downloaded weights and imported folds, relative to the working directory"""
    brain_mask: Text = "auto"
    """auto: the mask that a scan has, computed if it has none; provided; compute; none: the whole field of view counts as brain; or a card whose labels are the brain"""
    affine: Literal["strict", "sform", "qform"] = "strict"
    """What to do if sform and qform are both coded and differ by more than 1e-3 mm at the corners"""
    echo: Count | None = None
    """Volume (from 1) of 4-D multi-echo scans, and echo entity of BIDS names; overrides every card"""
    threshold: Threshold | None = None
    """Probability above which a voxel is lesion, from 0 to below 1; overrides every card"""
    min_volume_mm3: NotNegative | None = None
    """Smallest lesion to keep, in mm3; overrides every card"""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where networks run; auto: on a GPU if TensorFlow finds one, otherwise on the CPU"""
    backend: Literal["auto", "tensorflow", "openvino"] = "auto"
    """What runs them; auto: TensorFlow on a GPU, and on the CPU OpenVINO if it converts the fold"""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the networks: bfloat16 by OpenVINO on a CPU that supports it, float16 (mixed) by TensorFlow on a GPU; float32 otherwise"""
    xla: Switch = False
    """Whether TensorFlow compiles networks with XLA"""
    keep: Annotated[list[Literal["resampled", "cropped", "normalized", "folds"]], DISTINCT] = []
    """Intermediate images to keep under results/; normalized images and fold maps are always kept"""
    review: Names = []
    """Files review.tsv, exported from the report: cohort.csv gets reviewed counts, lesions.csv the decisions"""
    report: Literal["crops", "volumes"] = "crops"
    """What the pages of the scans embed for their viewer: crops around the lesions, or the volumes"""


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with defaults for absent keys; ``include``, ``exclude`` and ``models`` are lists.

    Parameters
    ----------
    config
        As merged by Snakemake.

    Raises
    ------
    ConfigError
        For an unknown key, a wrong type or an invalid value.
    """
    try:
        return Config.model_validate(dict(config)).model_dump()
    except ValidationError as error:
        raise ConfigError(f"config: {describe_error(error, Config)}") from error
