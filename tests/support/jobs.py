"""Jobs as Snakemake gives them to a step's main."""

from types import SimpleNamespace


class Names(SimpleNamespace):
    """Named values that can be asked for with ``get``, as Snakemake's."""

    def get(self, name, default=None):
        return getattr(self, name, default)


def job(folder, step, input, output, /, **params):
    return SimpleNamespace(
        rule=step,
        input=Names(**{k: v if isinstance(v, list) else str(v) for k, v in input.items()}),
        output=Names(**{k: str(v) for k, v in output.items()}),
        params=SimpleNamespace(code="", **params),
        resources=Names(),
        wildcards=SimpleNamespace(scan="sub-1", model="tiny", channel="swi"),
        threads=1,
        log=[folder / f"{step}.log"],
    )
