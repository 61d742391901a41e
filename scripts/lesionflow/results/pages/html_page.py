"""HTML pages from Jinja2 templates, and data for their scripts."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

# In a script, HTML would end at "</script>" and older browsers at the separators U+2028 and U+2029.
ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


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


def script_json(value: Any) -> Markup:
    """A value as JSON that can stand in a script or in a ``<script>`` element, whatever its texts are.

    Raises
    ------
    ValueError
        If the value holds NaN or an infinite number, which JSON does not have.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(ESCAPES))  # noqa: S704  (escaped above)
