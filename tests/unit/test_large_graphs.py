import atexit
import gc
import inspect

import pytest
import snakemake.common
import snakemake.rules
import snakemake.sourcecache
from snakemake.ioutils.subpath import subpath

from lesionflow import large_graphs


@pytest.fixture
def prepared(monkeypatch):
    """The libraries after ``prepare``, until the test ends; and what they were before."""
    before = snakemake.sourcecache.parse_uri, snakemake.common.get_function_params
    monkeypatch.setattr(snakemake.sourcecache, "parse_uri", before[0])
    for module in (snakemake.common, snakemake.rules):
        monkeypatch.setattr(module, "get_function_params", before[1])
    thresholds, at_exit = gc.get_threshold(), []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    large_graphs.prepare()
    large_graphs.prepare()
    assert gc.freeze in at_exit
    yield before
    gc.set_threshold(*thresholds)


def test_a_path_is_parsed_as_before_and_once(prepared):
    own = prepared[0]
    for uri in ("/data/house/scripts/mask.py", "scripts/mask.py", "https://a.org/b.py?c=1"):
        assert snakemake.sourcecache.parse_uri(uri)._asdict() == own(uri)._asdict()
    assert snakemake.sourcecache.parse_uri("/a.py") is snakemake.sourcecache.parse_uri("/a.py")


def test_snakemake_finds_its_scripts_that_way(prepared):
    """Fails when another release of Snakemake looks otherwise: then the memory of paths can go."""
    before = snakemake.sourcecache.parse_uri.cache_info()
    snakemake.sourcecache.LocalSourceFile("/data/house/scripts/of this test.py").get_cache_path()
    after = snakemake.sourcecache.parse_uri.cache_info()
    assert (after.hits, after.misses) == (before.hits, before.misses + 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda wildcards: None,
        lambda wildcards, input, **rest: None,
        subpath(lambda wildcards, attempt: "a/b", parent=True),  # which says itself what it takes
        max,
    ],
)
def test_what_a_function_takes_is_said_as_before(prepared, function):
    own = prepared[1]
    if function is max:  # has no signature: an error, and the same one at every call
        for _ in range(2):
            with pytest.raises(ValueError, match="signature"):
                snakemake.rules.get_function_params(function)
        return
    assert snakemake.rules.get_function_params(function) == own(function)
    assert snakemake.common.get_function_params(function) == own(function)


def test_snakemake_asks_input_functions_that_way(prepared):
    """Fails when another release of Snakemake asks otherwise: then the memory of signatures can go."""
    asking = inspect.getsource(snakemake.rules.Rule.apply_input_function)
    assert "get_function_params(func)" in asking


def test_another_release_without_these_names_is_left_alone(prepared, monkeypatch):
    monkeypatch.delattr(snakemake.rules, "get_function_params")
    large_graphs.prepare()
    assert not hasattr(snakemake.rules, "get_function_params")
