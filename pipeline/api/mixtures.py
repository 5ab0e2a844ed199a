"""A mixture from whatever Python holds: a file, a dict or keywords, lists and dicts inside; checked like a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline.config import Mixture
from pipeline.request.load import load_mixture as load_file
from pipeline.request.load import mixture_of

WHERE = "mixture"  # what errors call data that come from no file


class PlainMixture(Mixture):
    """A mixture of keyword arguments, which are the keys of a mixture file; lists and dicts may stand inside.

    Names are resolved and checked as in a file; relative paths start at the working directory. Raises ConfigError
    with every error.
    """

    def __init__(self, **parts: Any) -> None:
        checked = mixture_of(_plain(parts), base=Path.cwd(), where=WHERE)
        super().__init__(**{name: getattr(checked, name) for name in checked.model_fields_set})


def load_mixture(source: str | os.PathLike[str] | Mapping[str, Any] | Mixture) -> PlainMixture:
    """The mixture in a YAML file, in a mapping with the keys of such a file, or another one, checked again.

    Relative paths start at the file's folder, and at the working directory where there is no file. Raises ConfigError
    with every error; looks at no input.
    """
    if isinstance(source, str | os.PathLike):
        found = load_file(Path(source))
    else:  # `mixture_of` says what is wrong with anything else
        found = mixture_of(_plain(source), base=Path.cwd(), where=WHERE)
    return public(found)


def public(found: Mixture) -> PlainMixture:
    """The same mixture under its public type, unchecked."""
    return PlainMixture.model_construct(found.model_fields_set, **{name: getattr(found, name) for name in _FIELDS})


_FIELDS = tuple(Mixture.model_fields)


def _plain(value: Any) -> Any:
    """Mappings, sequences, paths and models as what a YAML file would give. A model says only what it was told."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
