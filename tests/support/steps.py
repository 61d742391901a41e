"""Steps of the workflow as modules, by their files: a step may bear the name of an installed package."""

import importlib.util

from support import SCRIPTS


def step(name):
    """The module of a step."""
    spec = importlib.util.spec_from_file_location(f"step_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
