"""What a source writes before each content, taken off again, and what it says there about the document.

A pattern is one of RE2's, which needs time in proportion to what it reads whatever the pattern, and sees the first
`_HEAD_BYTES` only. Its named groups (`(?P<path>...)`) fill fields that the row leaves empty.
"""

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources.values import READERS, Metadata

NAMED = {
    # StarCoderData, section 3 of arXiv 2305.06161: markers in this order, each of them left out at random.
    "starcoderdata": r"(?:<reponame>(?P<repo>[^<\n]*)|<filename>(?P<path>[^<\n]*)|<gh_stars>(?P<stars>[^<\n]*))+\n?",
}
_HEAD_BYTES = 4_096  # a prefix is short; bounds the time
_WHOLE = "loopmix_prefix"


def strip(
    contents: Sequence[bytes], metadata: Sequence[Metadata], *, pattern: str
) -> tuple[list[bytes], list[Metadata]]:
    """Contents without the prefix, where they begin with it, and metadata with what it said."""
    heads = pa.array([one[:_HEAD_BYTES].decode("utf-8", errors="ignore") for one in contents], pa.large_string())
    found = pc.extract_regex(heads, pattern=rf"\A(?P<{_WHOLE}>(?:{NAMED.get(pattern, pattern)}))").to_pylist()
    left, filled = [], []
    for content, one, said in zip(contents, metadata, found, strict=True):
        prefix = said.pop(_WHOLE).encode("utf-8") if said else b""
        left.append(content[len(prefix) :])
        fresh = (
            {name: _read(name, value) for name, value in said.items() if value and not _of(one, name)} if said else {}
        )
        filled.append(one._replace(**fresh))
    return left, filled


def n_fitting(contents: Sequence[bytes], *, pattern: str) -> int:
    """How many contents begin with a prefix of at least one byte."""
    left, _ = strip(contents, [Metadata()] * len(contents), pattern=pattern)
    return sum(len(one) < len(whole) for one, whole in zip(left, contents, strict=True))


def _of(metadata: Metadata, name: str) -> Any:
    return getattr(metadata, {"revision_time": "revision_micros"}.get(name, name))


def _read(name: str, value: str) -> Any:
    """Stars come as ranges, `10-100` or `1000+`, of which the lower end is sure."""
    if name == "stars" and (number := re.match(r"\d{1,18}", value)):
        return int(number[0])
    return READERS[name](value)
