"""Which channels of a network's output are labels: one rule for all who read probability maps.

With softmax the first channel is the background and the labels follow it; with sigmoid all channels are labels.
"""


def background_channels(activation: str) -> int:
    """Number of background channels, which come before those of the labels: 1 with softmax, else 0."""
    return int(activation == "softmax")


def decides_by_argmax(activation: str, n_labels: int) -> bool:
    """Whether a voxel has its most probable label: with softmax over several labels; else a threshold decides."""
    return activation == "softmax" and n_labels > 1
