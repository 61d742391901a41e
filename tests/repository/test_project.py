"""The project agrees with itself."""

import re
import tomllib

import pytest
import yaml

import lesionflow
from lesionflow.results.scan_status import STEPS
from support.paths import HOUSE

LOCK = {
    package["name"]: package["version"]
    for package in tomllib.loads((HOUSE / "uv.lock").read_text())["package"]
}
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
RULES = "\n".join(path.read_text() for path in (HOUSE / "rules").glob("*.smk"))


@pytest.mark.parametrize("env", sorted((HOUSE / "envs").glob("*.yaml")), ids=lambda p: p.stem)
def test_conda_environments_have_the_pins_of_the_lock(env):
    dependencies = yaml.safe_load(env.read_text())["dependencies"]
    pip = next((d["pip"] for d in dependencies if isinstance(d, dict)), [])
    pins = [d for d in dependencies if isinstance(d, str) and d not in ("pip",)] + pip
    for pin in pins:
        name, version = re.split("==?", pin)
        if name != "python":
            assert LOCK[CONDA_NAMES.get(name, name)] == version, pin


def test_one_version_everywhere():
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    assert project["version"] == lesionflow.__version__
    citation = yaml.safe_load((HOUSE / "CITATION.cff").read_text())
    assert citation["version"] == lesionflow.__version__
    assert f"[{lesionflow.__version__}]" in (HOUSE / "CHANGELOG.md").read_text()


def test_one_rule_one_script_and_its_mark():
    found = re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", RULES, re.S | re.M)
    assert len(found) >= 13
    for name, body in found:
        if "default_target" in body:
            continue
        assert f'script:\n        "../scripts/{name}.py"' in body, name
        assert f'code=code_digest("{name}")' in body, name
        makes = () if name == "check_model" else ("output", "benchmark")  # it prints, every time
        for directive in ("input", "log", "conda", "params", *makes):
            assert f"    {directive}:\n" in body, (name, directive)


def test_profiles_rerun_by_content_and_keep_going():
    for path in (HOUSE / "profiles").glob("*/profile.v9+.yaml"):
        profile = yaml.safe_load(path.read_text())
        assert profile["rerun-triggers"] == ["mtime", "params", "input", "software-env"]
        assert profile["max-checksum-file-size"] >= 10**10
        assert profile["keep-going"] is True


def test_every_dependency_is_accounted_for():
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    page = (HOUSE / "CONTRIBUTING.md").read_text()
    for dependency in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)[0]
        assert re.search(rf"\b{re.escape(name)}\b", page), name


def test_files_stay_small():
    for path in (HOUSE / "scripts").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path


def test_a_scan_is_two_cluster_jobs():
    groups = yaml.safe_load((HOUSE / "profiles/slurm/profile.v9+.yaml").read_text())["groups"]
    assert set(STEPS) - set(groups) == {"import_fold"}
    assert set(groups.values()) == {"prepare", "measure"}
