"""What the models of the config and of the cards share: their base class, types of values, and error messages."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

Value = TypeVar("Value")


class Section(BaseModel):
    """A mapping with these keys and no others; the text under a key is its description."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        regex_engine="python-re",  # patterns look ahead
    )


def _whole_number(value: Any) -> Any:
    """2.0 as the integer 2, as in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_written(value: Any, check: Callable[[Any], float]) -> Any:
    """A checked number of the type in which it is written: integers stay integers."""
    check(value)
    return value


def _distinct(values: Any) -> Any:
    if isinstance(values, list) and any(value in values[:n] for n, value in enumerate(values)):
        raise PydanticCustomError("repeated", "List should have each item only once")
    return values


WHOLE = BeforeValidator(_whole_number)
AS_WRITTEN = WrapValidator(_as_written)
DISTINCT = BeforeValidator(_distinct)

Text = Annotated[str, StringConstraints(min_length=1)]
Index = Annotated[int, Field(ge=0), WHOLE]
Count = Annotated[int, Field(ge=1), WHOLE]
Number = Annotated[float, AS_WRITTEN]
Positive = Annotated[float, Field(gt=0), AS_WRITTEN]
NotNegative = Annotated[float, Field(ge=0), AS_WRITTEN]
Fraction = Annotated[float, Field(ge=0, le=1), AS_WRITTEN]
Threshold = Annotated[float, Field(ge=0, lt=1), AS_WRITTEN]
Percentile = Annotated[float, Field(ge=0, le=100), AS_WRITTEN]
Pair = Annotated[list[Value], Field(min_length=2, max_length=2)]
Triple = Annotated[list[Value], Field(min_length=3, max_length=3)]
Some = Annotated[list[Value], Field(min_length=1)]


def describe_error(error: ValidationError, model: type[Section]) -> str:
    """The first mistake in one line: ``key: what is wrong (what the key means)``.

    Unknown keys come first, since a required key that is missing may be a misspelt one.
    """
    mistakes = error.errors(include_url=False)
    unknown = ("extra_forbidden", "invalid_key")
    mistake = next((m for m in mistakes if m["type"] in unknown), mistakes[0])
    section: type[Section] | None = model
    meaning = ""
    *parents, key = [part for part in mistake["loc"] if part != "[key]"]
    for part in [*parents, key]:
        if section and part in section.model_fields:
            field = section.model_fields[str(part)]
            meaning, section = field.description or "", section_of(field.annotation)
    path = ".".join(map(str, parents))
    if mistake["type"] in unknown:
        hint = _known_keys(str(key), list(section.model_fields)) if section else ""
        return f"{path}{': ' if path else ''}unknown key {key!r}{hint}"
    if mistake["type"] == "missing":
        problem = "this key is required"
    elif mistake["type"] in ("string_type", "list_type") and _is_number(mistake["input"]):
        text = f'"{mistake["input"]}"' if isinstance(key, int) else f'{key}="{mistake["input"]}"'
        problem = f"{mistake['input']!r} is read as a number; text is written '{text}'"
    elif mistake["type"] == "string_pattern_mismatch":
        problem = f"{mistake['input']!r} is not allowed"
    else:  # "Input should ...", "List should ... after validation, not ..."
        text = re.sub(r"^\w+ | after validation| or instance of \w+", "", mistake["msg"])
        problem = f"{mistake['input']!r} {text}"
    return f"{path}{'.' if path else ''}{key}: {problem} ({meaning})"


def _known_keys(key: str, known: list[str]) -> str:
    """The allowed key that is meant, if one is similar, and all of them."""
    similar = get_close_matches(key, known, 1)
    question = f": did you mean {similar[0]}?" if similar else ""
    return f"{question} (allowed: {', '.join(known)})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def section_of(annotation: Any) -> type[Section] | None:
    """The section in a type such as ``list[Fold]`` or ``Matlab | None``, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(section_of, get_args(annotation))), None)
