"""`loopmix config`: the resolved mixture, each value with what it means, as YAML for people and JSON for programs."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

_WIDTH = 44  # where comments begin: most keys with their values are shorter


def explain(model: BaseModel, *, indent: int = 0) -> Iterator[str]:
    """Lines of YAML that load to the same model, with every field's description as a comment."""
    pad = "  " * indent
    for name, value, meaning in _fields(model):
        inner: list[str] = []
        if isinstance(value, BaseModel):
            inner = list(explain(value, indent=indent + 1))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for item in value:
                first, *rest = explain(item, indent=indent + 2)
                inner += [f"{pad}  - {first.strip()}", *rest]
        elif isinstance(value, dict):
            inner = [f"{pad}  {_scalar(k)}: {_scalar(v)}" for k, v in value.items()]
        text = f"{pad}{name}:" if inner else f"{pad}{name}: {_scalar(value)}"
        yield f"{text:<{_WIDTH}}  # {meaning}" if meaning else text
        yield from inner


def explained(value: Any) -> Any:
    """The same for JSON: a model becomes {key: {"value": ..., "meaning": ...}}, at every depth."""
    if isinstance(value, BaseModel):
        return {name: {"value": explained(inner), "meaning": meaning} for name, inner, meaning in _fields(value)}
    return [explained(item) for item in value] if isinstance(value, tuple) else value


def _fields(model: BaseModel) -> Iterator[tuple[str, Any, str]]:
    """Name, value and meaning of each field; a part without a description means what its class says first."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        yield name, value, field.description or (type(value).__doc__ or "").strip().split("\n")[0]


def _scalar(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6).split("\n")[0]
