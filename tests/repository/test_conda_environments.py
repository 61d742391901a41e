"""The conda environments agree with uv.lock, and hold what the steps that use them import."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml

from lesionflow.base.digests import sources
from support.paths import REPOSITORY

LOCKED = {
    package["name"]: package
    for package in tomllib.loads((REPOSITORY / "uv.lock").read_text())["package"]
}
PYPI_NAMES = {"matplotlib-base": "matplotlib"}  # of packages that conda names differently
RULES = "\n".join(path.read_text() for path in sorted((REPOSITORY / "rules").glob("*.smk")))
ENVIRONMENTS = sorted((REPOSITORY / "envs").glob("*.yaml"))
STEPS = dict(
    re.findall(r'^rule (\w+):\n(?:(?!^rule ).*\n)*?    conda:\n +"../envs/(.+)"', RULES, re.M)
)


def pins(environment):
    """Version by package, as conda and pip take them, and the version of Python."""
    dependencies = yaml.safe_load(environment.read_text())["dependencies"]
    from_pip = next((d["pip"] for d in dependencies if isinstance(d, dict)), [])
    from_conda = [d for d in dependencies if isinstance(d, str) and d != "pip"]
    # conda writes one equals sign for a version, pip two
    versions = [re.fullmatch(r"([a-z0-9-]+)=([0-9.]+)", pin) for pin in from_conda]
    versions += [re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)", pin) for pin in from_pip]
    assert all(versions), environment
    named = {PYPI_NAMES.get(match[1], match[1]): match[2] for match in versions}
    return named, named.pop("python")


def installed_with(packages):
    """Packages with all that they depend on, by uv.lock."""
    found, queue = set(), list(packages)
    while queue:
        if (name := queue.pop()) not in found:
            found.add(name)
            queue += [dependency["name"] for dependency in LOCKED[name].get("dependencies", [])]
    return found


def imported_at_start(script):
    """Distributions that Python imports with a script, other than those that it needs in some functions only."""
    modules = set()
    for source in sources(script):
        if source.suffix == ".py":
            for node in ast.parse(source.read_bytes()).body:
                if isinstance(node, ast.Import):
                    modules |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add(node.module.split(".")[0])
    distributions = packages_distributions()
    return {
        distributions[module][0].lower()
        for module in modules - sys.stdlib_module_names - {"lesionflow", "__future__"}
    }


def test_the_steps_of_all_rules_are_found():
    assert set(STEPS) == set(re.findall(r'script:\n +"../scripts/(\w+).py"', RULES))
    assert {path.name for path in ENVIRONMENTS} == set(STEPS.values())


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_pin_the_versions_of_the_lock_file(environment):
    versions, python = pins(environment)
    assert versions == {name: LOCKED[name]["version"] for name in versions}
    lowest = re.match(
        r">=([0-9.]+),",
        tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["requires-python"],
    )[1]
    assert python == lowest
    assert yaml.safe_load(environment.read_text())["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("step", sorted(STEPS))
def test_the_environment_of_a_step_has_what_it_imports(step):
    versions, _ = pins(REPOSITORY / "envs" / STEPS[step])
    missing = imported_at_start(REPOSITORY / f"scripts/{step}.py") - installed_with(versions)
    assert not missing, f"envs/{STEPS[step]} lacks {missing}"
