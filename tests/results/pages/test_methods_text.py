"""The methods of a run in words."""

from lesionflow.results.pages.methods_text import methods_text
from support.pages import CARD, RUN


def text(card=CARD, weights="ff00", **settings):
    run = {**RUN, "settings": {**RUN["settings"], **settings}, "models": {"net": card}}
    return methods_text(run, {"net": weights}, 3, 4)


def test_versions_weights_threshold_and_citation_are_stated():
    words = text()
    for part in (
        "lesionflow 0.1.0, commit abc123",
        "Of 4 scans, 3 have results",
        "net, version v1 (doi:10.1000/182), is an ensemble of 2 networks, whose probabilities were averaged",
        "SHA-256 of the weights: ff00",
        "swi images, resampled to 1 × 1 × 1 mm voxels",
        "probability above 0.5",
        "26 neighbours",
        "more than 25% of their voxels outside the brain mask were not counted",
    ):
        assert part in words, part
    assert words.endswith("doi:10.1000/182")


def test_only_filters_that_were_applied_are_stated():
    rules = {**CARD["postprocess"], "outside_brain": 1.0}
    assert "not counted" not in text({**CARD, "postprocess": rules})
    rules |= {"min_volume_mm3": 4, "keep_largest": True}
    words = text({**CARD, "postprocess": rules})
    assert "smaller than 4 mm³ or other than the largest of their label were not counted" in words


def test_one_network_structures_masks_and_reviews():
    output = {"activation": "softmax", "labels": {"1": "a", "2": "b", "3": "c"}}
    words = text({**CARD, "folds": [{}], "output": output}, weights="", review=["r.tsv"])
    assert "is one network. " in words and "labels a, b and c" in words
    assert "most probable label" in words and "threshold" not in words
    assert "reviewed by readers" in words
    assert "computed with the model card mine" in text(brain_mask="mine")
    assert "field of view" in text(brain_mask="none")
