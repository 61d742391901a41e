"""LiviaNET, a 3-D network without pooling and padding, whose output is smaller than its input.

Dolz, Desrosiers and Ben Ayed, NeuroImage 2018. Source: ``src/LiviaNet`` of github.com/josedolz/LiviaNET,
commit ac01462: every layer is batch normalization, PReLU and a convolution without bias; kernels are flipped
(a true convolution); dropout does not scale during training, so in inference signals are multiplied by the
probability of being kept.
"""

from collections.abc import Mapping
from typing import Any

from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import FoldSpec

DEFAULTS: Mapping[str, Any] = {
    "features": (10, 20, 30),
    "dense": (100,),
    "skips": (),
    "keep": (0.75, 0.5),
    "bn_epsilon": 1.1754944e-38,  # the smallest normal float32, as in the repository
    "kernel_flip": True,
}
KERNEL = 3


def margin(network: Mapping[str, Any]) -> int:
    """Voxels by which the output is smaller at each side: half of the receptive field.

    Parameters
    ----------
    network
        ``features`` of the convolutions, those of the published example if absent or None.

    Returns
    -------
    int
        3 for the example, 9 for the network of the NeuroImage paper.
    """
    features = network.get("features") or DEFAULTS["features"]
    return len(features) * (KERNEL // 2)


def build(spec: FoldSpec, network: Mapping[str, Any]) -> Any:
    """The network, with random weights, for inference.

    Layers are called ``ConvLayer_N.bn``, ``.prelu`` and ``.conv``, with N from 0 over the convolutions and
    then the dense layers, and ``Classifier.bn`` and ``.conv``.

    Parameters
    ----------
    spec
        ``shape`` (x, y, z, channels), ``channels`` and ``activation`` of the output.
    network
        ``features`` of each convolution of 3 voxels a side; ``skips``, the convolutions (from 0)
        whose central parts are concatenated to the output of the last one, as input of the first dense layer; ``dense``, the
        features of each convolution of 1 voxel; ``keep``, the factor of the signal of each dense layer and of
        the classifier; ``bn_epsilon``.

    Returns
    -------
    keras.Model

    Raises
    ------
    WeightsError
        If there are too few or too many factors, a skip is from no earlier convolution, or the input is
        too small.
    """
    import keras

    layers = keras.layers
    features, dense, keep = network["features"], network["dense"], network["keep"]
    if len(keep) != len(dense) + 1:
        raise WeightsError(
            f"network.keep of the card: expected {len(dense) + 1} factors, one for each dense layer and one "
            f"for the classifier, found {len(keep)}"
        )
    if not all(0 <= n < len(features) for n in network["skips"]):
        raise WeightsError(
            f"network.skips of the card: expected numbers from 0 to {len(features) - 1}, found "
            f"{list(network['skips'])}"
        )
    smallest = min((n for n in spec.shape[:3] if n is not None), default=None)
    if smallest is not None and smallest <= 2 * margin(network):
        raise WeightsError(
            f"an input of {tuple(spec.shape[:3])} is too small: each side loses {2 * margin(network)} voxels"
        )

    def normalized(x: Any, name: str) -> Any:
        return layers.BatchNormalization(epsilon=network["bn_epsilon"], name=f"{name}.bn")(x)

    def layer(x: Any, number: int, width: int, size: int, factor: float | None = None) -> Any:
        name = f"ConvLayer_{number}"
        x = layers.PReLU(shared_axes=[1, 2, 3], name=f"{name}.prelu")(normalized(x, name))
        if factor is not None:
            x = layers.Rescaling(factor, name=f"{name}.keep")(x)
        return layers.Conv3D(width, size, use_bias=False, name=f"{name}.conv")(x)

    image = keras.Input(tuple(spec.shape), name="image")
    x, outputs = image, []
    for number, width in enumerate(features):
        x = layer(x, number, width, KERNEL)
        outputs.append(x)
    crops = {n: (len(features) - 1 - n) * (KERNEL // 2) for n in network["skips"]}
    centres = [layers.Cropping3D(c, name=f"centre_{n}")(outputs[n]) for n, c in crops.items()]
    if centres:
        x = layers.Concatenate(name="joined")([x, *centres])
    for number, (width, factor) in enumerate(zip(dense, keep, strict=False), len(features)):
        x = layer(x, number, width, 1, factor)
    x = layers.Rescaling(keep[-1], name="Classifier.keep")(normalized(x, "Classifier"))
    head = layers.Conv3D(spec.channels, 1, name="Classifier.conv")
    return keras.Model(image, layers.Activation(spec.activation)(head(x)))
