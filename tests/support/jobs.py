"""Jobs as Snakemake gives them to a step's main."""

from types import SimpleNamespace

# of the images of a step: their BIDS metadata, which only rules know
NO_METADATA = dict.fromkeys(("image", "mask", "probability", "labels", "lesions"), {})


class Names(SimpleNamespace):
    """Named values that are a mapping as well, as Snakemake's."""

    def get(self, name, default=None):
        return getattr(self, name, default)

    def keys(self):
        return vars(self).keys()

    def __getitem__(self, name):
        return getattr(self, name)


def job(folder, step, input, output, /, **params):
    return SimpleNamespace(
        rule=step,
        input=Names(**{k: v if isinstance(v, list) else str(v) for k, v in input.items()}),
        output=Names(**{k: str(v) for k, v in output.items()}),
        params=SimpleNamespace(**{"code": "", "images": NO_METADATA, **params}),
        resources=Names(),
        wildcards=Names(scan="sub-1", model="tiny", suffix="swi", folder="sub-1/ses-2/anat"),
        threads=1,
        log=[folder / f"{step}.log"],
    )
