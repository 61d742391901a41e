"""Files of the repository that must agree with each other."""

import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml

import lesionflow
from lesionflow.base import layout
from lesionflow.results.scan_status import STEPS
from support.paths import REPOSITORY
from support.runs import snakemake

RULE_FILES = "\n".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
PROFILES = sorted((REPOSITORY / "profiles").glob("*/profile.v9+.yaml"))


def project_metadata():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_all_files_state_the_same_version():
    assert project_metadata()["version"] == lesionflow.__version__
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == lesionflow.__version__
    assert f"[{lesionflow.__version__}]" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_every_rule_has_its_script_code_digest_and_directives():
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", RULE_FILES, re.S | re.M)
    assert len(rules) >= 13
    for name, body in rules:
        if "default_target" in body:
            continue
        assert f'script:\n        "../scripts/{name}.py"' in body, name
        assert f'code=code_digest("{name}")' in body, name
        result_directives = (
            () if name == "check_model" else ("output", "benchmark")
        )  # check_model prints
        for directive in ("input", "log", "conda", "params", *result_directives):
            assert f"    {directive}:\n" in body, (name, directive)


def test_no_step_has_the_name_of_a_package():
    """With scripts/ on PYTHONPATH, Python would import the step in place of the package."""
    names = {path.stem for path in (REPOSITORY / "scripts").iterdir()} - {"lesionflow"}
    assert not names & {*sys.stdlib_module_names, *packages_distributions()}


def test_profiles_rerun_by_content_and_keep_going():
    assert PROFILES
    for path in PROFILES:
        profile = yaml.safe_load(path.read_text())
        assert profile["rerun-triggers"] == ["mtime", "params", "input", "software-env"]
        assert profile["max-checksum-file-size"] >= 10**10
        assert profile["keep-going"] is True


def test_contributing_explains_every_dependency():
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    for dependency in project_metadata()["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)[0]
        assert re.search(rf"^\| {re.escape(name)} \| ", page, re.M), name


def test_libraries_of_the_pages_are_pinned_licensed_and_explained():
    package = json.loads((REPOSITORY / "resources/pages/package.json").read_text())
    lock = json.loads((REPOSITORY / "resources/pages/package-lock.json").read_text())["packages"]
    assets = REPOSITORY / "scripts/lesionflow/results/pages/assets"
    licences = (assets / "LICENCES.txt").read_text()
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    for name, version in package["dependencies"].items():
        assert lock[f"node_modules/{name}"]["version"] == version
        assert f"\n{name} {version} (" in f"\n{licences}"
        assert name.removesuffix("-dt").removesuffix("-buttons") in page
    assert package["dependencies"]["@niivue/niivue"] in (assets / "niivue.js").read_text()


def test_python_files_have_at_most_300_lines():
    for path in (REPOSITORY / "scripts").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path


def test_steps_of_a_scan_form_two_cluster_jobs():
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.v9+.yaml").read_text())
    groups = profile["groups"]
    assert set(STEPS) - set(groups) == {"import_fold"}
    assert set(groups.values()) == {"prepare", "measure"}


@pytest.mark.slow
def test_every_rule_says_what_it_does(tmp_path):
    status, text = snakemake(tmp_path, "--list")
    assert status == 0, text
    listed = dict(re.findall(r"^(\w+)(?: \((.+)\))?$", text, re.M))
    assert {*layout.JOBS, "all", "tables"} <= set(listed)
    assert [rule for rule in layout.JOBS if not listed[rule]] == []
