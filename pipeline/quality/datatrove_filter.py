"""A filter of datatrove as a scorer: 1 where it would drop the document, 0 where it would keep it."""

import inspect
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, StageError
from pipeline.filters import Scorer

# What a verdict rests on: its own code, and the libraries by which some filters split words.
_DISTRIBUTIONS = ("datatrove", "spacy", "nltk")


def versions_here() -> str:
    """Names and versions of the packages that decide a verdict. ConfigError where datatrove is not installed."""
    found = []
    for name in _DISTRIBUTIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError as error:
            if name == "datatrove":
                raise ConfigError("needs datatrove; pip install 'loopmix[datatrove]'") from error
    return ", ".join(found)


def load_filter(scorer: Scorer) -> Any:
    """The filter with its options, one a process. ConfigError for options that it refuses."""
    return _load(str(scorer.filter), tuple(sorted(scorer.options.items())))


@lru_cache(maxsize=8)
def _load(name: str, options: tuple[tuple[str, Any], ...]) -> Any:
    try:
        from datatrove.pipeline import filters
    except ImportError as error:
        raise ConfigError(f"needs datatrove ({error}); pip install 'loopmix[datatrove]'") from error
    kind, given = getattr(filters, name), dict(options)
    if "exclusion_writer" in given:
        raise ConfigError("options.exclusion_writer: nothing is written; leave it out")
    try:
        inspect.signature(kind.__init__).bind(None, **given)
        return kind(**given)
    except ImportError as error:
        raise ConfigError(f"{name} needs another package: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} refuses the options {given}: {error}") from error


def verdicts(loaded: Any, texts: Sequence[str]) -> np.ndarray:
    """Of each text, float64 [n]. What the filter changes in a text is forgotten. StageError where it fails."""
    from datatrove.data import Document

    found = np.zeros(len(texts), np.float64)
    for row, text in enumerate(texts):
        try:
            said = loaded.filter(Document(text=text, id=""))
        except ImportError as error:
            raise StageError(f"{type(loaded).__name__} needs another package: {error}") from error
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise StageError(f"{type(loaded).__name__} failed: {type(error).__name__}: {said}") from error
        found[row] = not (said[0] if isinstance(said, tuple) else said)
    return found
