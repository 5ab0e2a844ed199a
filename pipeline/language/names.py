"""What a file's name claims about its content, to hold against what the content looks like.

A name claims less than a language. `.rs` says code, but XML bears that extension too, so data under it is no surprise;
`.txt` says prose or plain data; HTML, Markdown and JSON mix all of these. A name that linguist does not list claims
nothing.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.language.table import TEXT, extension_table, filename_table, languages

# What candidates of a type other than the likeliest leave open, beside code.
_ALSO = {"programming": (), "data": ("data",), "markup": ("data", "prose"), "prose": ("data", "prose")}


class Claim(NamedTuple):
    """`says`: code, text or format. `allows`: the kinds of content that are no surprise; an empty file never is one."""

    says: Literal["code", "text", "format"]
    allows: frozenset[str]


def disagreements(paths: pa.ChunkedArray, kinds: pa.ChunkedArray) -> pa.Array:
    """For each document what its name says where its content is of another kind, else null.

    `paths` are strings, `kinds` the column `content_kind` of table `languages`. Paths are never opened.
    """
    name, kind = (one_chunk(column).dictionary_encode() for column in (_claiming(paths), kinds))
    kind_names = kind.dictionary.to_pylist()
    claims = [_claim(key) for key in name.dictionary.to_pylist()]
    pairs = np.asarray(name.indices).astype(np.int64) * max(1, len(kind_names)) + np.asarray(kind.indices)
    found, place = np.unique(pairs, return_inverse=True)
    said = [_said(claims[pair // len(kind_names)], kind_names[pair % len(kind_names)]) for pair in found.tolist()]
    return pa.array(said, pa.string()).take(pa.array(place))


def disagrees(path: str, content_kind: str) -> str | None:
    """`disagreements` for one document."""
    found: str | None = disagreements(pa.chunked_array([[path]]), pa.chunked_array([[content_kind]]))[0].as_py()
    return found


def _said(claim: Claim | None, kind: str) -> str | None:
    return claim.says if claim is not None and kind != "empty" and kind not in claim.allows else None


def _claiming(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """The part of each path that claims something: a file name that linguist lists, else the last extension.

    Both slashes separate folders, since paths come from Windows archives too.
    """
    names = pc.struct_field(pc.extract_regex(paths, r"(?P<name>[^/\\]*)\z"), [0])
    suffix = pc.struct_field(pc.extract_regex(names, r"(?P<suffix>\.[^.]*)\z"), [0])
    listed = pc.is_in(names, value_set=pa.array(sorted(filename_table()), pa.string()))
    return pc.if_else(listed, names, pc.utf8_lower(pc.fill_null(suffix, "")))


@lru_cache(maxsize=4_096)
def _claim(name: str) -> Claim | None:
    """The claim of a full file name or of an extension in lower case with its dot."""
    candidates = filename_table().get(name) or extension_table().get(name)
    if not candidates:
        return None
    first, *others = candidates
    if first == TEXT:
        return Claim("text", frozenset(("prose", "data")))
    if languages()[first].type != "programming":
        return Claim("format", frozenset(("code", "prose", "data")))
    return Claim("code", frozenset(("code", *(kind for name in others for kind in _ALSO[languages()[name].type]))))
