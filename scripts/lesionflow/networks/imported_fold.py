"""Names of the files in the folder of an imported fold.

The folder has ``fold.json``, which describes the fold, and its network: a TensorFlow SavedModel, an OpenVINO
network, or both. OpenVINO's compiled networks are cached beside them.

The SavedModel's signature ``serving_default`` maps ``image``, float32 (batch, x, y, z, channel), or (batch, x,
y, channel) for a 2-D network, to ``probability``, float32, with one label per channel. OpenVINO's network
is the same one, if OpenVINO can convert it and agrees. A fold from an ONNX file has OpenVINO's network only.
"""

FOLD_JSON = "fold.json"
SAVED_MODEL = "saved_model.pb"
OPENVINO = "openvino.xml"  # with ``openvino.bin`` beside it
COMPILED = "compiled"
