"""Forward passes of the published networks in NumPy and SciPy, without a framework.

Arrays are (x, y[, z], channel), float64; weights are dictionaries of arrays by layer and name, in
Keras's order of axes.
"""

from itertools import product

import numpy as np
from scipy.signal import convolve


def conv(x, weights):
    """Correlation with zero padding to the same size, and the bias if there is one."""
    kernel = weights["kernel"].astype(np.float64)
    dims = x.ndim - 1
    x = np.pad(x, [(n // 2, n // 2) for n in kernel.shape[:dims]] + [(0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(
        x, kernel.shape[:dims], axis=tuple(range(dims))
    )
    return np.tensordot(
        windows, kernel, (range(dims, 2 * dims + 1), (dims, *range(dims)))
    ) + weights.get("bias", 0)


def conv_transposed(x, weights):
    """Transposed convolution of kernel 2 and stride 2; the kernel is (2, ..., out, in)."""
    kernel = weights["kernel"].astype(np.float64)
    out = np.zeros((*(2 * n for n in x.shape[:-1]), kernel.shape[-2]))
    for corner in product((0, 1), repeat=x.ndim - 1):
        out[tuple(slice(c, None, 2) for c in corner)] = x @ kernel[corner].T
    return out + weights["bias"]


def batch_norm(x, weights, epsilon):
    gamma, beta, mean, variance = (
        weights[k].astype(np.float64) for k in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def pool(x):
    for axis in range(x.ndim - 1):
        x = np.maximum(
            x.take(range(0, x.shape[axis], 2), axis), x.take(range(1, x.shape[axis], 2), axis)
        )
    return x


def upsample(x):
    for axis in range(x.ndim - 1):
        x = x.repeat(2, axis)
    return x


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def synthseg(w, x, levels, epsilon=1e-3, skip_first=True, skip_normalized=False):
    def both(x, name):
        for n in (0, 1):
            x = elu(conv(x, w[f"unet_conv_{name}_{n}"]))
        return x

    skips = []
    for level in range(levels):
        x = both(x, f"downarm_{level}")
        before, x = x, batch_norm(x, w[f"unet_bn_down_{level}"], epsilon)
        skips.append(x if skip_normalized else before)
        x = pool(x) if level < levels - 1 else x
    for n in range(levels - 1):
        pair = [skips[levels - 2 - n], upsample(x)]
        x = both(np.concatenate(pair if skip_first else pair[::-1], -1), f"uparm_{levels + n}")
        x = batch_norm(x, w[f"unet_bn_up_{n}"], epsilon)
    return softmax(conv(x, w["unet_likelihood"]))


def intel(w, x, skip_first=False, epsilon=1e-3):
    """Intel's U-Net with three levels."""

    def block(x, name):
        for n in (0, 1):
            x = relu(batch_norm(conv(x, w[f"{name}_conv{n}"]), w[f"{name}_bn{n}"], epsilon))
        return x

    def joined(up, skip):
        return np.concatenate([skip, up] if skip_first else [up, skip], -1)

    a = block(x, "encodeA")
    b = block(pool(a), "encodeB")
    c = block(pool(b), "encodeC")
    x = block(joined(conv_transposed(c, w["transconvC"]), b), "decodeA")
    x = block(joined(conv_transposed(x, w["transconvA"]), a), "convOut")
    return sigmoid(conv(x, w["PredictionMask"]))


def livianet(layers, x, convs, skips, keep, true_convolution=True, skips_first=False):
    """LiviaNET; layers have ``weights`` (out, in, x, y, z) and vectors, and ``layers[-1]`` a bias."""

    def convolution(x, layer, factor):
        tiny = np.finfo(np.float32).tiny
        mean, variance = layer["mean"], layer["variance"]
        mean, variance = (v.mean(0) if v.ndim == 2 else v for v in (mean, variance))
        x = layer["gamma"] * (x - mean) / np.sqrt(variance + tiny) + layer["beta"]
        if "prelu" in layer:
            x = np.maximum(0, x) + layer["prelu"] * np.minimum(0, x)
        x, w = x * factor, layer["weights"].astype(np.float64)
        w = w if true_convolution else w[:, :, ::-1, ::-1, ::-1]
        out = [
            sum(convolve(x[..., i], w[o, i], "valid", "direct") for i in range(w.shape[1]))
            for o in range(w.shape[0])
        ]
        return np.stack(out, -1) + layer.get("bias", 0)

    outputs = []
    for layer in layers[:convs]:
        x = convolution(x, layer, 1)
        outputs.append(x)
    centres = []
    for n in skips:
        edge = convs - 1 - n
        centres.append(outputs[n][edge:-edge, edge:-edge, edge:-edge])
    x = np.concatenate([*centres, x] if skips_first else [x, *centres], -1)
    for layer, factor in zip(layers[convs:], keep, strict=True):
        x = convolution(x, layer, factor)
    return softmax(x)
