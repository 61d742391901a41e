"""The network of the demo ensemble."""

import numpy as np
import pytest


@pytest.mark.slow
def test_weights_are_copied_from_patch_size_to_whole_volume():
    from lesionflow.networks.architectures.residual_unet3d import residual_unet, with_shape

    small = residual_unet((16, 16, 16), (4, 6, 8))
    other = with_shape(small, (16, 22, 18), (4, 6, 8))  # 22 and 18 are odd after one halving
    assert other.output_shape == (None, 16, 22, 18, 1)
    image = np.zeros((1, 16, 22, 18, 1), np.float32)
    assert other(image).numpy().mean() == pytest.approx(1 / (1 + np.exp(4)), abs=1e-3)
