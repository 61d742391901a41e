"""Write the pages and pictures of docs/ that come from the code; ``--check`` tells whether they do.

The road's rules and arrows are read off a dry run of the workflow, the columns off
``lesionflow.results.columns`` and ``lesionflow.results.evaluation_columns``, the keys of the config and of the
cards, with their JSON Schemas, off ``lesionflow.cards``.
"""

from library_path import REPOSITORY  # isort: skip

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from doc_pages import card_page, config_page, json_schema, outputs_page
from lesionflow.cards.card_schema import ModelCard
from lesionflow.cards.config import Config

EDGE = re.compile(r"(\d+) -> (\d+)")
NODE = re.compile(r'(\d+)\[\s*label\s*=\s*"([a-z_]+)"')
Edges = list[tuple[str, str]]


def road() -> Edges:
    """Arrows between rules, from a dry run on one scan."""
    with tempfile.TemporaryDirectory() as folder:
        anat = Path(folder, "bids/sub-01/anat")
        anat.mkdir(parents=True)
        image = nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
        image.set_sform(np.eye(4), 1)
        nib.save(image, anat / "sub-01_swi.nii")
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(REPOSITORY / "Snakefile"),
        ]
        done = subprocess.run(
            [*command, "--directory", folder, "--rulegraph", "dot"],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        sys.exit(done.stderr)
    names = dict(NODE.findall(done.stdout))
    return sorted({(names[a], names[b]) for a, b in EDGE.findall(done.stdout) if names[b] != "all"})


def places(edges: Edges) -> dict[str, tuple[float, float]]:
    """Where each rule stands: to the right of all that it needs, as high as those on average."""
    names = sorted({name for edge in edges for name in edge})
    needs = {name: [a for a, b in edges if b == name] for name in names}
    rank: dict[str, int] = {}
    while len(rank) < len(names):
        for name in names:
            if name not in rank and all(a in rank for a in needs[name]):
                rank[name] = 1 + max((rank[a] for a in needs[name]), default=-1)
    row = {"import_fold": 1, "describe": 1, "draw": 1, "resample": -1}
    return {name: (rank[name], row.get(name, 0)) for name in names}


def draw_road(edges: Edges, path: Path) -> None:
    """The road as a picture."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "road", "svg.fonttype": "none"})
    at = places(edges)
    figure = Figure(figsize=(16, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(-0.6, max(x for x, _ in at.values()) + 0.6)
    axes.set_ylim(-1.9, 1.4)
    for a, b in edges:
        far = abs(at[b][0] - at[a][0]) > 1 and at[a][1] == at[b][1]
        axes.annotate(
            "",
            xy=at[b],
            xytext=at[a],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#cfd8dc" if far else "#546e7a",
                "shrinkA": 22,
                "shrinkB": 24,
                "connectionstyle": f"arc3,rad={0.22 if far else 0}",
                "zorder": 1 if far else 2,
            },
        )
    for name, (x, y) in at.items():
        axes.text(
            x,
            y,
            name.replace("_", "\n"),
            ha="center",
            va="center",
            fontsize=10,
            zorder=3,
            bbox={"boxstyle": "round,pad=0.4", "fc": "#e3f2fd", "ec": "#1e88e5"},
        )
    figure.savefig(path, metadata={"Date": None})


def demo_page() -> str:
    """What the demo ensemble reaches on simulated scans."""
    figures = json.loads((REPOSITORY / "resources/demo-cmb/figures.json").read_text("utf-8"))
    parts = [
        "# The demo ensemble",
        "",
        "Made by `make docs` from resources/demo-cmb/figures.json.",
        "",
        "**A demonstration: trained on simulated scans only, never for research or clinical use.** These figures say",
        "nothing about real scans.",
        "",
    ]
    for part in figures.values():
        parts += [f"{part['about']}. {part['scans']} scans.", "", *_score_rows(part), ""]
        clean = part["false_positives_a_scan_without_lesions"]
        if clean is not None:
            parts += [f"False positives on a scan without any lesion: {clean}.", ""]
    return "\n".join(parts)


def _score_rows(part: dict[str, Any]) -> list[str]:
    keys = ["lesions", "found", "false_positives", "sensitivity", "precision", "f1"]
    keys.append("false_positives_a_scan")
    rows = {"all": part["all"], **part["by_diameter"], **part["by_place"]}
    table = ["| | " + " | ".join(key.replace("_", " ") for key in keys) + " |", "|---" * 8 + "|"]
    for name, row in rows.items():
        cells = ["-" if row[key] is None else str(row[key]) for key in keys]
        table.append(f"| {name} | {' | '.join(cells)} |")
    return table


def mask_page() -> str:
    """What the brain mask reaches on simulated scans."""
    figures = json.loads((REPOSITORY / "resources/brainmask/figures.json").read_text("utf-8"))
    parts = [
        "# The brain mask",
        "",
        "Made by `make docs` from resources/brainmask/figures.json.",
        "",
        f"{figures['about']}: {figures['outline']['scans']} scans. Outline: the brain with its sulci, as masks are",
        "drawn and as the network was taught. Tissue: without any CSF around it, which a mask at 2.5 mm cannot follow",
        "into the sulci.",
        "",
    ]
    parts += ["| scans | outline: worst | mean | tissue: worst | mean |", "|---|---|---|---|---|"]
    truths = [figures["outline"], figures["tissue"]]
    cells = [(t["worst"]["dice"], t["mean"]) for t in truths]
    parts.append(_mask_row("all", cells))
    for key in ("by_sequence", "by_spacing_mm", "by_head"):
        for name in truths[0][key]:
            unit = " mm" if key == "by_spacing_mm" else ""
            cells = [(t[key][name]["worst"], t[key][name]["mean"]) for t in truths]
            parts.append(_mask_row(f"{name}{unit}", cells))
    return "\n".join([*parts, ""])


def _mask_row(name: str, cells: list[tuple[float, float]]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.3f}" for pair in cells for value in pair) + " |"


def road_page(edges: Edges) -> str:
    """The road as text that is drawn where Mermaid is understood."""
    arrows = [f"    {a} --> {b}" for a, b in edges]
    head = [
        "# The road",
        "",
        "Made by `make docs` from a dry run.",
        "",
        "![the road](road.svg)",
        "",
    ]
    return "\n".join([*head, "```mermaid", "flowchart LR", *arrows, "```", ""])


def main() -> None:
    """Write docs/, or tell which page differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail if a page differs"
    )
    check = parser.parse_args().check
    edges = road()
    docs = REPOSITORY / "docs"
    pages = {
        "outputs.md": outputs_page(),
        "config.md": config_page(),
        "cards.md": card_page(),
        "../config/schemas/config.schema.yaml": json_schema(Config),
        "../config/schemas/card.schema.yaml": json_schema(ModelCard),
        "demo.md": demo_page(),
        "brainmask.md": mask_page(),
        "road.md": road_page(edges),
    }
    stale = [
        name
        for name, text in pages.items()
        if not (docs / name).is_file() or (docs / name).read_text("utf-8") != text
    ]
    if check:
        sys.exit(f"stale: {', '.join(stale)}; run `make docs`" if stale else 0)
    docs.mkdir(exist_ok=True)
    for name, text in pages.items():
        (docs / name).write_text(text, encoding="utf-8")
    draw_road(edges, docs / "road.svg")


if __name__ == "__main__":
    main()
