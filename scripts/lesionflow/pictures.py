"""The quality-control picture of a scan: overview slices, and every lesion close up."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lesionflow.geometry import bounding_box

COLUMNS = 6
OVERVIEW_ROWS = 2
LESION_ROWS = 3
HALF_MM = 16.0  # half the side of a close-up
KEPT, DROPPED, BRAIN = "#ff5a36", "#b0b0b0", "#4fc3f7"


def draw_scan(
    image: np.ndarray,
    brain: np.ndarray,
    lesions: np.ndarray,
    table: Sequence[Mapping[str, Any]],
    spacing_mm: Sequence[float],
    title: str,
) -> Any:
    """Figure with axial slices through the brain and a close-up of each lesion.

    Upper rows: evenly spaced axial slices with the outline of the brain mask and a ring around each
    lesion within three millimetres. Lower rows: up to 18 lesions, the most probable first, kept ones
    before dropped ones, each outlined on the slice through its peak.

    Parameters
    ----------
    image, brain, lesions : arrays (x, y, z)
        Axes running to right, anterior and superior (RAS). Pictures are drawn as seen from above:
        the left of the head is on the left (L marks it).
    table
        The scan's rows of lesions.csv (``rows.read_lesions``).
    spacing_mm
        Voxel size.
    title
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and bound to no screen.
    """
    from matplotlib.figure import Figure

    order = sorted(table, key=lambda row: (not row["kept"], -row["max_probability"]))
    shown = order[: COLUMNS * LESION_ROWS]
    rows = OVERVIEW_ROWS + int(np.ceil(len(shown) / COLUMNS))
    figure = Figure(figsize=(2.1 * COLUMNS, 2.6 * rows + 0.4), facecolor="black")
    room = 0.5 / figure.get_figheight()
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.01, top=1 - room, wspace=0.03, hspace=0.12
    )
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    seen = image.T[brain.T]  # in the order in which files hold voxels
    top = float(np.percentile(seen, 99.5)) if seen.size else float(image.max())
    figure.text(0.5, 1 - room / 3, title, color="white", fontsize=10, ha="center", va="center")

    box = _bounds(brain if brain.any() else np.ones_like(brain), margin=6)
    centres = _centres(lesions, [row["lesion"] for row in table])
    kept = np.array([row["kept"] for row in table], bool)
    heights = np.linspace(box[2].start, box[2].stop - 1, COLUMNS * OVERVIEW_ROWS + 2)[1:-1]
    for panel, height in zip(panels[:OVERVIEW_ROWS].flat, heights.round().astype(int), strict=True):
        _slice(panel, image, height, box, spacing_mm, top)
        _outline(panel, brain[..., height], box, spacing_mm, BRAIN, 0.6)
        near = np.abs(centres[:, 2] - height) * spacing_mm[2] <= 3
        x, y = (centres[near, axis] * spacing_mm[axis] for axis in (0, 1))
        colours = np.where(kept[near], KEPT, DROPPED)
        panel.scatter(x, y, s=81, facecolors="none", edgecolors=colours, linewidths=1)
        _name(panel, f"slice {height}", "#9e9e9e")
    panels[0, 0].text(0.02, 0.5, "L", color="white", transform=panels[0, 0].transAxes)
    centre_of = {row["lesion"]: centre for row, centre in zip(table, centres, strict=True)}
    for panel, row in zip(panels[OVERVIEW_ROWS:].flat, shown, strict=False):
        centre = centre_of[row["lesion"]]
        around = tuple(
            slice(max(int(c - HALF_MM / s), 0), min(int(c + HALF_MM / s) + 1, n))
            for c, s, n in zip(centre, spacing_mm, image.shape, strict=True)
        )
        colour = KEPT if row["kept"] else DROPPED
        _slice(panel, image, int(centre[2]), around, spacing_mm, top)
        own = lesions[..., int(centre[2])] == row["lesion"]
        _outline(panel, own, around, spacing_mm, colour, 1.0)
        words = "{lesion}: {label} p {max_probability:.2f}, {volume_mm3:.0f} mm³".format(**row)
        if not row["kept"]:
            words += f"\n{row['dropped_because']}"
        _name(panel, words, colour)
    return figure


def draw_structures(
    image: np.ndarray,
    labels: np.ndarray,
    names: Mapping[int, str],
    spacing_mm: Sequence[float],
    title: str,
) -> Any:
    """Figure with axial slices of a scan whose structures are coloured.

    Parameters
    ----------
    image : array (x, y, z)
        As for ``draw_scan``.
    labels : array (x, y, z), int
        Label values; 0 is none.
    names
        Label value to name.
    spacing_mm, title
        As for ``draw_scan``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = matplotlib.colormaps["hsv"](np.linspace(0, 1, len(names), endpoint=False))
    colours = colours[np.arange(len(names)) * 7 % len(names) if len(names) % 7 else slice(None)]
    number = np.zeros(max([*names, int(labels.max())]) + 1, int)
    number[list(names)] = np.arange(1, len(names) + 1)
    shown = np.ma.masked_equal(number[labels], 0)
    rows = OVERVIEW_ROWS + 1
    figure = Figure(figsize=(2.1 * COLUMNS, 2.6 * rows + 1.0), facecolor="black")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.12, top=0.95, wspace=0.03, hspace=0.12)
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    figure.text(0.5, 0.975, title, color="white", fontsize=10, ha="center", va="center")
    box = _bounds(labels > 0 if labels.any() else np.ones(labels.shape, bool), margin=6)
    top = float(np.percentile(image[box], 99.5))
    heights = np.linspace(box[2].start, box[2].stop - 1, panels.size + 2)[1:-1].round().astype(int)
    for panel, height in zip(panels.flat, heights, strict=True):
        panel.set_axis_off()
        _slice(panel, image, height, box, spacing_mm, top)
        panel.imshow(
            shown[box[0], box[1], height].T,
            cmap=ListedColormap(colours),
            origin="lower",
            vmin=1,
            vmax=max(len(names), 2),
            extent=_extent(box, spacing_mm),
            interpolation="nearest",
            alpha=0.55,
        )
        _name(panel, f"slice {height}", "#9e9e9e")
    panels[0, 0].text(0.02, 0.5, "L", color="white", transform=panels[0, 0].transAxes)
    patches = [Patch(color=c, label=n) for c, n in zip(colours, names.values(), strict=True)]
    figure.legend(
        handles=patches, loc="lower center", ncols=6, fontsize=7, labelcolor="white", frameon=False
    )
    return figure


def _bounds(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    return tuple(
        slice(max(axis.start - margin, 0), min(axis.stop + margin, n))
        for axis, n in zip(bounding_box(mask), mask.shape, strict=True)
    )


def _centres(lesions: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """A voxel of each lesion, on its middle slice."""
    found = np.argwhere(lesions)
    owner = lesions[tuple(found.T)]
    centres = []
    for number in numbers:
        voxels = found[owner == number]
        away = np.linalg.norm(voxels - voxels.mean(axis=0), axis=1)
        centres.append(voxels[away.argmin()])
    return np.array(centres).reshape(-1, 3)


def _extent(box: tuple[slice, ...], spacing: Sequence[float]) -> tuple[float, ...]:
    x, y = ((box[a].start - 0.5) * spacing[a] for a in (0, 1))
    return x, (box[0].stop - 0.5) * spacing[0], y, (box[1].stop - 0.5) * spacing[1]


def _slice(
    panel: Any,
    image: np.ndarray,
    height: int,
    box: tuple[slice, ...],
    spacing: Sequence[float],
    top: float,
) -> None:
    part = image[box[0], box[1], height].T
    panel.imshow(
        part,
        cmap="gray",
        origin="lower",
        vmin=0,
        vmax=top,
        extent=_extent(box, spacing),
        interpolation="nearest",
    )


def _name(panel: Any, words: str, colour: str) -> None:
    """Words above a panel. Without ``y`` matplotlib lays out every tick, though none is drawn, to clear them."""
    panel.set_title(words, color=colour, fontsize=7, pad=2, y=1)


def _outline(
    panel: Any,
    mask: np.ndarray,
    box: tuple[slice, ...],
    spacing: Sequence[float],
    colour: str,
    width: float,
) -> None:
    part = mask[box[0], box[1]].T
    if part.any() and not part.all():
        x = np.arange(box[0].start, box[0].stop) * spacing[0]
        y = np.arange(box[1].start, box[1].stop) * spacing[1]
        panel.contour(x, y, part, levels=[0.5], colors=colour, linewidths=width)
