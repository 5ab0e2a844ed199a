"""What a mixture says about languages: overrides by source and path pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple


class Override(NamedTuple):
    """Documents of `source` (None: any) whose path fits the glob `path`: their `language`, and `pool` if not None."""

    path: str
    source: str | None
    language: str
    pool: str | None


@lru_cache(maxsize=1_024)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def override_of(overrides: Sequence[Override], *, source: str, path: str) -> Override | None:
    """The first that fits. Globs know `*`, `?` and `[...]`; `*` crosses folders. Case counts."""
    for override in overrides:
        if override.source in (None, source) and _pattern(override.path).match(path):
            return override
    return None
