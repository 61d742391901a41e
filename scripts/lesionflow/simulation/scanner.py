"""Scanner effects on a simulated scan (bias field, blur, ghosts, noise), and its orientation in the file."""

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)
from scipy import ndimage

ORIENTATIONS = ("RAS", "LAS", "LPS", "RPS", "LPI", "RAI", "PSR", "SRA")


def add_scanner_effects(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add in-plane blur, bias field, ghosts, Rician noise (Gudbjartsson & Patz 1995) and an arbitrary scale.

    A third of the scans has a ghost, as from motion between lines of k-space: a faint copy, shifted by half or a
    third of the field of view along the phase-encoding direction, which is one of the two in-plane axes.
    """
    sigma = float(rng.uniform(0.3, 0.55))
    signal = ndimage.gaussian_filter(signal, (sigma, sigma, 0), truncate=3)
    bias = np.zeros((1, 1, 1), np.float32)
    for _ in range(4):
        x, y, z = (
            np.cos(np.linspace(0, np.pi * rng.uniform(0.3, 1.3), n) + rng.uniform(0, 6))
            for n in signal.shape
        )
        wave = x[:, None, None] * y[:, None] * z * rng.normal(0, 0.08)
        bias = bias + wave.astype(np.float32)
    signal *= np.exp(bias)
    if rng.random() < 1 / 3:
        axis = int(rng.integers(2))
        shift = signal.shape[axis] // int(rng.integers(2, 4))
        signal = signal + np.float32(rng.uniform(0.01, 0.05)) * np.roll(signal, shift, axis)
    noise_sd = np.float32(0.75 / rng.uniform(14, 40))
    signal += noise_sd * rng.standard_normal(signal.shape, np.float32)
    signal = np.hypot(signal, noise_sd * rng.standard_normal(signal.shape, np.float32))
    return signal * np.float32(rng.uniform(250, 1500))


def reorient(
    signal: np.ndarray, labels: list[np.ndarray], affine: np.ndarray, orientation: str
) -> tuple[nib.Nifti1Image, list[np.ndarray]]:
    """Convert a signal to an image, and reorient it and its label arrays to axis codes such as ``LPS``.

    Returns
    -------
    image, labels
        The image is int16; sform and qform codes are 1.
    """
    image = nib.Nifti1Image(np.rint(np.minimum(signal, 32767)).astype(np.int16), affine)
    transform = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(orientation)))
    image = image.as_reoriented(transform)
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    image.header["descrip"] = b"simulated"
    return image, [np.ascontiguousarray(apply_orientation(label, transform)) for label in labels]
