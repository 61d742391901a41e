"""The channels of a network's output that are labels.

With softmax the first channel is the background and the labels follow it; with sigmoid all channels are labels.
"""


def background_channels(activation: str) -> int:
    """Number of background channels, which come before those of the labels: 1 with softmax, else 0."""
    return int(activation == "softmax")


def decides_by_argmax(activation: str, n_labels: int) -> bool:
    """Whether each voxel gets its most probable label, as with softmax over several labels; else by a threshold."""
    return activation == "softmax" and n_labels > 1
