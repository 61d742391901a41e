"""HTML pages from Jinja2 templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(folder: Path, template: str, **values: Any) -> str:
    """HTML of a template in a folder; text values are escaped.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a value that is not given.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(**values)
