"""What a model card may say: its keys, their types, defaults and meanings.

config/schemas/card.schema.yaml and docs/cards.md are generated from here (``make docs``).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from lesionflow.cards.input_schema import Input
from lesionflow.cards.sections import (
    AS_WRITTEN,
    WHOLE,
    Count,
    Fraction,
    Index,
    NotNegative,
    Pair,
    Positive,
    Section,
    Some,
    Text,
    Threshold,
)

LABEL_VALUE = "^[1-9][0-9]{0,3}$"


def _label_value(value: Any) -> Any:
    """The value of a label as int; the keys of a JSON file are strings."""
    text = isinstance(value, str) and re.match(LABEL_VALUE, value)
    return int(value) if text else value


def _distinct_labels(labels: Any) -> Any:
    if isinstance(labels, dict):
        for texts in (map(str, labels), map(str, labels.values())):
            if len(set(texts)) < len(labels):
                raise PydanticCustomError("repeated", "Labels should differ in value and in name")
    return labels


LabelValue = Annotated[int, Field(ge=1, le=9999), BeforeValidator(_label_value)]
LabelName = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Format = Literal[
    "savedmodel",
    "keras-h5",
    "keras",
    "onnx",
    "synthseg-h5",
    "intel-unet3d-h5",
    "torch-unet2d",
    "livianet-pickle",
    "livianet-npy",
]
Connectivity = Annotated[Literal[6, 18, 26], WHOLE]


class Source(Section):
    """Where the weights come from."""

    url: Text | None = None
    """Page where the weights can be downloaded or are described"""
    archive: Annotated[str, StringConstraints(pattern=r"^[^/\\]+\.zip$")] | None = None
    """File name of the zip in models_dir that holds the folds; null: they are beside the card"""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{64}$", to_lower=True)] | None = (
        None
    )
    """SHA-256 of the archive, 64 hexadecimal digits; an archive with this digest may have any name"""
    licence: Text | None = None
    """Licence of the weights, as an SPDX identifier where there is one"""
    citation: Text | None = None
    """DOI of the paper to cite"""


class Network(Section):
    """Of formats whose network is rebuilt: where it differs from the published one; null: as published."""

    features: Some[Count] | None = None
    """Filters of each level of a U-Net, or of each convolution of a LiviaNET, integers above 0"""
    dense: Some[Count] | None = None
    """Filters of LiviaNET's 1x1x1 layers, integers above 0"""
    skips: list[Index] | None = None
    """LiviaNET's convolutions, from 0, whose outputs are cropped and concatenated to the output of the last one"""
    keep: list[Annotated[float, Field(gt=0, le=1), AS_WRITTEN]] | None = None
    """Factors by which LiviaNET multiplies the input of each 1x1x1 layer, the classifier's last (1 minus its dropout), above 0 up to 1"""
    bn_epsilon: Positive | None = None
    """What batch normalization adds to the variance, above 0: 1e-3 in Keras, 1e-5 in PyTorch, the smallest float32 in LiviaNET"""
    kernel_flip: bool | None = None
    """Whether kernels are flipped along all axes: true where the framework convolves (Theano), false where it correlates (Keras, PyTorch)"""
    prefix: Text | None = None
    """Prefix that the names in the file have and those of the network do not, e.g. module."""
    layers: Count | None = None
    """Number of layers with weights that the file must match; null: as many as the network has"""


class Fold(Section):
    """The weights of one fold."""

    path: Text
    """File or SavedModel folder: inside the archive, or relative to the card if there is no archive"""
    md5: Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{32}$", to_lower=True)] | None = None
    """MD5 of the file, or of the contents of a folder's files in the order of their paths, 32 hexadecimal digits; null (your own network): computed and recorded"""


class Flip(Section):
    """Test-time augmentation by a mirror image."""

    axis: Annotated[int, Field(ge=0, le=2), WHOLE] = 0
    """Axis of the network's grid, from 0, along which the image is mirrored"""
    swap: list[Pair[Count]] = []
    """Pairs of label values that the mirror image exchanges, e.g. left and right"""


class Output(Section):
    """What the network returns."""

    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    """sigmoid: one probability per label; softmax: background first, then the labels, with sum 1"""
    labels: Annotated[
        dict[LabelValue, LabelName],
        Field(min_length=1, json_schema_extra={"propertyNames": {"pattern": LABEL_VALUE}}),
        BeforeValidator(_distinct_labels),
    ]
    """Value (an integer from 1 to 9999) and name of each label (a letter or digit, then letters, digits, _ and -; columns of the tables start with it), in the order of the network's channels"""
    logits: bool = False
    """true: the network ends before its activation, which is added when it is imported"""
    flip: Flip | None = None
    """Test-time augmentation: the mean of the probabilities of the image and of its mirror image, mirrored back; null: none"""
    blur: NotNegative = 0
    """Gaussian blur of each label's probabilities, with zeros outside: sigma in voxels, at least 0; 0: none. It precedes the mean with the mirror image"""
    floor: Threshold = 0
    """Probabilities of a fold below this become 0, from 0 to below 1"""
    soft_volumes: bool = False
    """true: add volumes that are sums of probabilities"""
    total: LabelName | None = None
    """Name of the soft volume of all labels together, e.g. intracranial; null: none"""
    mask: Literal["brain", None] = None
    """brain: multiply the probabilities of each fold by the brain mask; null: leave them"""
    tolerance: Annotated[float, Field(gt=0, le=0.01), AS_WRITTEN] = 1.0e-5
    """Largest difference of OpenVINO's probabilities from TensorFlow's (where TensorFlow's own rounding error is larger, twice that error, at most 1e-4); beyond it TensorFlow predicts. A brain mask tolerates more than lesions do"""


class Components(Section):
    """Which components of the probabilities are kept."""

    threshold: Threshold = 0.25
    """Probability, from 0 to below 1, above which (not at which) a voxel belongs to a component"""
    connectivity: Connectivity = 6
    """Neighbours of a voxel that belong to its component: 6, 18 or 26"""
    overall: bool = True
    """true: of the labels' summed probability only the largest component is kept"""
    classes: list[Some[Count]] = []
    """Groups of label values; of each group's highest probability only the largest component is kept"""


class Postprocess(Section):
    """From probabilities to lesions."""

    threshold: Threshold = 0.5
    """Probability, from 0 to below 1, above which (not at which) a voxel is lesion; with softmax over several labels a voxel takes its most probable channel instead"""
    connectivity: Connectivity = 26
    """Neighbours of a voxel that belong to its lesion: 6 (faces), 18 (and edges) or 26 (and corners)"""
    min_volume_mm3: NotNegative = 0
    """Smallest lesion to keep, in mm3, at least 0"""
    outside_brain: Fraction = 1
    """Largest fraction, from 0 to 1, of a lesion's voxels outside the brain mask; 1 keeps all lesions"""
    keep_largest: bool = False
    """true: of each label only the largest component counts"""
    components: Components | None = None
    """With several labels: what is removed from the probabilities before the labels are chosen; null: nothing. Probabilities are then scaled to the sum 1 again"""


class ModelCard(Section):
    """A model card: where a network's weights come from, what it expects, and what it returns."""

    name: Annotated[str, StringConstraints(pattern="^[a-z0-9]+([.-][a-z0-9]+)*$")]
    """Name of the model: small letters and digits, separated by hyphens or full stops; its folders have this name"""
    version: Text
    """Version of the weights, as their authors call it"""
    description: str = ""
    """What the model finds, in whose scans, and who made it; a sentence or two"""
    source: Source = Field(default_factory=Source)
    """Where the weights come from"""
    format: Format
    """How the weights are stored. The file contains its network: savedmodel (a TensorFlow SavedModel folder), keras-h5 (a full-model Keras H5 file), keras (a Keras 3 .keras file), onnx (one file; runs in OpenVINO). The network is rebuilt and its weights are loaded by name: synthseg-h5, intel-unet3d-h5, torch-unet2d (a PyTorch state_dict), livianet-pickle, livianet-npy (a folder)"""
    network: Network = Field(default_factory=Network)
    """Of formats whose network is rebuilt: where it differs from the published one; null: as published"""
    folds: Some[Fold]
    """The networks of the ensemble, one per fold; the position in this list, from 1, is the number of the fold"""
    input: Input
    """What the network expects"""
    output: Output
    """What the network returns"""
    postprocess: Postprocess = Field(default_factory=Postprocess)
    """From probabilities to lesions"""
