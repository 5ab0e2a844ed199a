"""`loopmix config`: the resolved mixture as YAML, each value with what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

_WIDTH = 44


def explain(model: BaseModel, *, indent: int = 0) -> Iterator[str]:
    """Lines of YAML that load to the same model, with every field's description as a comment."""
    pad = "  " * indent
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        comment = field.description or (type(value).__doc__ or "").strip().split("\n")[0]
        if isinstance(value, BaseModel):
            yield _line(f"{pad}{name}:", comment)
            yield from explain(value, indent=indent + 1)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield _line(f"{pad}{name}:", comment)
            for item in value:
                lines = list(explain(item, indent=indent + 2))
                yield f"{pad}  - {lines[0].strip()}"
                yield from lines[1:]
        elif isinstance(value, dict) and value:
            yield _line(f"{pad}{name}:", comment)
            yield from (f"{pad}  {_scalar(k)}: {_scalar(v)}" for k, v in value.items())
        else:
            yield _line(f"{pad}{name}: {_scalar(value)}", comment)


def _line(text: str, comment: str) -> str:
    return f"{text:<{_WIDTH}}  # {comment}" if comment else text


def _scalar(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6).split("\n")[0]
