"""Tissue intensities of simulated scans, by sequence."""

import numpy as np

Contrast = dict[str, tuple[float, float]]  # mean and standard deviation over scans, by tissue

# The order of the tissues in each sequence follows textbooks; the values are rough, with the brightest tissue near
# 1. SWI as at 3 T (Haacke et al. 2009): white matter somewhat darker than grey matter, CSF about as bright as grey
# matter, iron and deoxygenated blood dark.
SEQUENCES: dict[str, Contrast] = {
    "swi": {
        "wm": (0.66, 0.03),
        "gm": (0.77, 0.03),
        "csf": (0.80, 0.10),
        "meninges": (0.42, 0.06),
        "bone": (0.10, 0.02),
        "marrow": (0.30, 0.08),
        "scalp": (0.42, 0.12),
        "soft": (0.42, 0.06),
        "fat": (0.45, 0.12),
        "mucosa": (0.50, 0.10),
        "eye": (0.75, 0.10),
        "artery": (0.85, 0.12),
        "sinus": (0.40, 0.10),
    },
    "t2star": {
        "wm": (0.62, 0.03),
        "gm": (0.74, 0.03),
        "csf": (0.90, 0.08),
        "meninges": (0.45, 0.06),
        "bone": (0.10, 0.02),
        "marrow": (0.30, 0.10),
        "scalp": (0.50, 0.12),
        "soft": (0.48, 0.06),
        "fat": (0.55, 0.15),
        "mucosa": (0.60, 0.10),
        "eye": (0.90, 0.08),
        "artery": (0.80, 0.12),
        "sinus": (0.55, 0.10),
    },
    "t1": {
        "wm": (0.80, 0.03),
        "gm": (0.58, 0.03),
        "csf": (0.20, 0.03),
        "meninges": (0.45, 0.06),
        "bone": (0.12, 0.03),
        "marrow": (0.75, 0.10),
        "scalp": (0.70, 0.10),
        "soft": (0.48, 0.05),
        "fat": (0.95, 0.06),
        "mucosa": (0.50, 0.08),
        "eye": (0.20, 0.03),
        "artery": (0.60, 0.25),
        "sinus": (0.40, 0.10),
    },
    "flair": {
        "wm": (0.55, 0.03),
        "gm": (0.70, 0.03),
        "csf": (0.12, 0.03),
        "meninges": (0.45, 0.06),
        "bone": (0.08, 0.02),
        "marrow": (0.55, 0.10),
        "scalp": (0.70, 0.10),
        "soft": (0.45, 0.05),
        "fat": (0.85, 0.08),
        "mucosa": (0.80, 0.10),
        "eye": (0.12, 0.03),
        "artery": (0.20, 0.05),
        "sinus": (0.25, 0.08),
    },
    "pd": {
        "wm": (0.68, 0.03),
        "gm": (0.82, 0.03),
        "csf": (0.88, 0.08),
        "meninges": (0.55, 0.06),
        "bone": (0.12, 0.03),
        "marrow": (0.55, 0.10),
        "scalp": (0.65, 0.10),
        "soft": (0.58, 0.06),
        "fat": (0.80, 0.10),
        "mucosa": (0.75, 0.08),
        "eye": (0.85, 0.06),
        "artery": (0.25, 0.08),
        "sinus": (0.40, 0.12),
    },
    "t2": {
        "wm": (0.38, 0.03),
        "gm": (0.52, 0.03),
        "csf": (1.00, 0.05),
        "meninges": (0.30, 0.06),
        "bone": (0.06, 0.02),
        "marrow": (0.40, 0.10),
        "scalp": (0.55, 0.10),
        "soft": (0.28, 0.05),
        "fat": (0.65, 0.10),
        "mucosa": (0.70, 0.10),
        "eye": (0.95, 0.05),
        "artery": (0.12, 0.04),
        "sinus": (0.20, 0.08),
    },
}

# Relative loss of signal of veins, iron, microbleeds and tissue near air, with SWI as 1: large in a gradient echo with
# a long echo time, small in a spin echo or with a short echo time.
SUSCEPTIBILITY = {"swi": 1.0, "t2star": 0.8, "t1": 0.1, "flair": 0.15, "pd": 0.15, "t2": 0.2}


def random_intensities(
    sequence: str, rng: np.random.Generator, sd_factor: float = 1.0
) -> dict[str, float]:
    """Draw one intensity per tissue for a scan of a sequence; ``sd_factor`` scales the standard deviations.

    Raises
    ------
    ValueError
        If the sequence is not one of ``SEQUENCES``.
    """
    if sequence not in SEQUENCES:
        raise ValueError(f"the sequence {sequence!r} is not one of {', '.join(SEQUENCES)}")
    return {
        tissue: max(0.02, float(rng.normal(mean, sd_factor * sd)))
        for tissue, (mean, sd) in SEQUENCES[sequence].items()
    }
