"""The page of configuration keys, from the models of a mixture and of a training file."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline.config import Mixture
from pipeline.fields import Known
from pipeline.plt.config import TrainConfig
from pipeline.yaml_file import models_in

MADE = "<!-- Below: made from the models: LOOPMIX_WRITE_DOCS=1 pytest tests/docs. -->\n"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "anything"}
_KNOWN = {"language": "language", "source": "source", "group": "language or source", "license": "licence",
          "secret": "kind or class of secrets"}  # fmt: skip
_MOST = 9  # words of a choice that a cell lists


def body() -> str:
    """A section for each part of a mixture, then for each of a training file."""
    lines = ["## Mixture", "", "The whole file.", "", *table(Mixture), ""]
    lines += sections(Mixture, ())
    lines += ["## Training file", "", "The whole file.", "", *table(TrainConfig), ""]
    lines += sections(TrainConfig, ())
    return "\n".join(lines).rstrip("\n") + "\n"


def sections(model: type[BaseModel], above: tuple[str, ...]) -> list[str]:
    """The parts below a model, each before its own parts."""
    lines: list[str] = []
    for name, field in model.model_fields.items():
        for inner in dict.fromkeys(models_in(field.annotation)):
            place = (*above, name + ("[]" if is_list(field.annotation) else ""))
            what = " ".join((inner.__doc__ or "").split())
            lines += [f"### `{'.'.join(place)}`", "", what, "", *table(inner), "", *sections(inner, place)]
    return lines


def table(model: type[BaseModel]) -> list[str]:
    """The keys of a model."""
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        inner = next(models_in(field.annotation), None)
        meaning = field.description or (" ".join((inner.__doc__ or "").split()).partition(". ")[0] if inner else "")
        takes = kind(field.annotation, tuple(field.metadata))
        rows.append(f"| `{name}` | {cell(takes)} | {cell(default(field))} | {cell(meaning)} |")
    return rows


def kind(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What may be written for a field, with its bounds."""
    known = next((m for m in flat(metadata) if isinstance(m, Known)), None)
    words = _KNOWN[known.of] if known else _plain(annotation)
    bounds = [b for m in flat(metadata) for b in bound(m)]
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _plain(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind(inner[0], inner[1:])
    if origin is Literal:
        shown = [f"`{'true' if one is True else one}`" for one in inner]
        return ", ".join(shown[:_MOST]) + (f" and {len(shown) - _MOST} more" if len(shown) > _MOST else "")
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(one) for one in inner))
    if origin in (tuple, list):
        return f"list of {kind(inner[0])}" + ("s" if kind(inner[0]) == "part" else "")
    if origin in (dict, Mapping):
        return f"mapping of {kind(inner[0])} to {kind(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "part"
    return _WORDS[annotation]


def flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    """Constraints, those inside a FieldInfo too."""
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from flat(tuple(one.metadata))
        else:
            yield one


def bound(constraint: Any) -> list[str]:
    """A constraint in words; none for checks by our own functions."""
    match constraint:
        case annotated_types.Ge(ge=n):
            return [f"at least {n:,}"]
        case annotated_types.Gt(gt=n):
            return [f"above {n:,}"]
        case annotated_types.Le(le=n):
            return [f"at most {n:,}"]
        case annotated_types.Lt(lt=n):
            return [f"below {n:,}"]
        case annotated_types.MinLen(min_length=1):
            return ["not empty"]
        case annotated_types.MaxLen(max_length=n):
            return [f"at most {n:,} long"]
    return []


def default(field: FieldInfo) -> str:
    """What stands there if nothing is written."""
    if field.is_required():
        return "must be given"
    value = field.default
    if value is PydanticUndefined:
        made = field.default_factory() if field.default_factory else None  # type: ignore[call-arg]
        return "as below" if isinstance(made, BaseModel) else "empty"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "empty"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return f"`{value}`" if value else "empty"


def is_list(annotation: Any) -> bool:
    """Whether a field holds several of a model."""
    origin = typing.get_origin(annotation)
    return origin in (tuple, list) or any(is_list(one) for one in typing.get_args(annotation))


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
