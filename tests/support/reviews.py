"""Decisions of reviewers, for tests."""

import numpy as np

from lesionflow.results.reviews.current_lesions import CurrentLesions
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.reviews.review_file import Decision

MAP, OTHER_MAP, SCAN = "a" * 64, "b" * 64, "c" * 64
SHAPE = (20, 6, 4)
AFFINE = np.diag([2.0, 2, 2, 1])


def decision(verdict="accepted", lesion=1, reviewer="Ann", /, **changes):
    """A decision on a lesion of sub-1 under the model m: lesion n has the voxels n * 100 to n * 100 + 2."""
    values = {"scan": "sub-1", "model": "m", "label": "cmb", "note": ""}
    values |= {"date": "2026-11-27T12:40:00Z", "lesion_map_sha256": MAP, "scan_sha256": SCAN}
    values |= {"lesion": lesion, "place_mm": (-12.5, float(lesion), 30.0)}
    values["voxels"] = f"{lesion * 100},3"
    return Decision(decision=verdict, reviewer=reviewer, **values | changes)


def mark(x, y, z, reviewer="Ann", /, **changes):
    """A missed lesion at a place in mm."""
    return decision("missed", 0, reviewer, **{"voxels": "", "place_mm": (x, y, z)} | changes)


def complete(reviewer="Ann", /, **changes):
    """The statement that the whole scan was looked at."""
    nothing = {"label": "", "voxels": "", "place_mm": None}
    return decision("complete", 0, reviewer, **nothing | changes)


def line(**lesions):
    """A map (20, 6, 4) with lesions along the first axis: ``a=(1, 3, 5)`` is lesion 1 from index 3 to 5."""
    numbers = np.zeros(SHAPE, np.int32)
    for number, first, last in lesions.values():
        numbers[first : last + 1, 2, 1] = number
    return numbers


def current_of(numbers, labels=None, dropped=()):
    """The lesions of a map, all of the label cmb unless told otherwise."""
    sidecar = lesion_sidecar(numbers, AFFINE)
    rows = []
    for number in map(int, sidecar["voxels"]):
        x, y, z = 2 * np.argwhere(numbers == number).mean(axis=0)
        row = {"lesion": str(number), "label": (labels or {}).get(number, "cmb")}
        row |= {"x_mm": str(x), "y_mm": str(y), "z_mm": str(z), "volume_mm3": "8.0"}
        rows.append(row | {"kept": "false" if number in dropped else "true"})
    return CurrentLesions(
        SCAN,
        sidecar["lesion_map_sha256"],
        AFFINE,
        SHAPE,
        rows,
        {int(number): text for number, text in sidecar["voxels"].items()},
        ("cmb", "wmh"),
    )


def on(numbers, verdict, lesion, reviewer="Ann", **changes):
    """A decision on a lesion of a map."""
    current = current_of(numbers)
    row = current.by_number[lesion]
    place = float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])
    changes = {"voxels": current.voxels[lesion], "place_mm": place} | changes
    return decision(
        verdict, lesion, reviewer, lesion_map_sha256=current.lesion_map_sha256, **changes
    )


def marked_on(numbers, x_mm, reviewer="Ann", **changes):
    digest = current_of(numbers).lesion_map_sha256
    return mark(x_mm, 4.0, 2.0, reviewer, lesion_map_sha256=digest, **changes)
