"""The methods of a run in words, to paste into a paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from lesionflow.base.label_channels import decides_by_argmax

PACKAGES = ("nibabel", "scipy", "simpleitk", "tensorflow", "openvino", "snakemake")
BRAIN_MASKS = {
    "auto": "provided with the scans, or computed where there was none",
    "provided": "provided with the scans",
    "compute": "computed by lesionflow",
    "none": "not used; the whole field of view was searched",
}


def methods_text(
    run: Mapping[str, Any], weights: Mapping[str, str], measured: int, scans: int
) -> str:
    """Methods of a run, one paragraph per model, and the references.

    Parameters
    ----------
    run
        What the run is (``run_record.describe``).
    weights
        SHA-256 of the weights by model; empty where no scan has results.
    measured, scans
        Number of scans with results, and of all scans.
    """
    settings, cards = run["settings"], list(run["models"].values())
    commit = f", commit {run['commit'][:10]}" if run["commit"] else ""
    mask = settings["brain_mask"]
    packages = ", ".join(
        f"{name} {run['packages'][name]}" for name in PACKAGES if run["packages"].get(name)
    )
    opening = (
        f"Scans were processed with lesionflow {run['lesionflow_version']}{commit} ({packages}). Of {scans} scans, {measured} "
        f"have results. Brain masks were {BRAIN_MASKS.get(mask, f'computed with the model card {mask}')}."
    )
    paragraphs = [opening, *(_model(card, weights.get(card["name"], "")) for card in cards)]
    paragraphs.append(
        "Volumes are in mm³ by the affine of the images."
        + (
            " Lesions were reviewed by readers; reviewed counts are of lesions that were accepted, and of missed ones that were marked."
            if settings.get("review")
            else ""
        )
    )
    citations = [card["source"]["citation"] for card in cards if card["source"]["citation"]]
    references = [
        "The lesionflow authors. lesionflow: from a directory of brain scans to a cohort table of lesions."
    ]
    references += [f"doi:{citation}" for citation in dict.fromkeys(citations)]
    return "\n\n".join([*paragraphs, "References\n" + "\n".join(references)])


def _model(card: Mapping[str, Any], weights: str) -> str:
    """How one model was run, and what counted as a lesion."""
    spec, output, rules = card["input"], card["output"], card["postprocess"]
    folds, citation = len(card["folds"]), card["source"]["citation"]
    spacing = spec["spacing_mm"]
    grid = (
        "their own grid" if not spacing else f"{' × '.join(f'{mm:g}' for mm in spacing)} mm voxels"
    )
    networks = (
        "one network"
        if folds == 1
        else f"an ensemble of {folds} networks, whose probabilities were averaged"
    )
    text = (
        f"The model {card['name']}, version {card['version']}{f' (doi:{citation})' if citation else ''}, is {networks}"
        f"{f' (SHA-256 of the weights: {weights})' if weights else ''}. It was applied to {_listed(spec['channels'])} images, "
        f"resampled to {grid}, and labels {_listed(list(output['labels'].values()))}. "
    )
    if decides_by_argmax(output["activation"], len(output["labels"])):
        text += "Each voxel was given its most probable label."
    else:
        text += (
            f"Voxels with a probability above {rules['threshold']:g} were grouped into lesions with {rules['connectivity']} "
            "neighbours."
        )
    dropped = [
        f"smaller than {rules['min_volume_mm3']:g} mm³" if rules["min_volume_mm3"] else "",
        f"with more than {rules['outside_brain']:.0%} of their voxels outside the brain mask"
        if rules["outside_brain"] < 1
        else "",
        "other than the largest of their label" if rules["keep_largest"] else "",
    ]
    if any(dropped):
        text += f" Lesions {' or '.join(filter(None, dropped))} were not counted."
    return text


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
