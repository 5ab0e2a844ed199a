"""What names claim, against every kind of content."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.names import disagreements, disagrees

KINDS = ("code", "prose", "data", "binary", "empty")


@pytest.mark.parametrize(
    ("path", "says", "surprises"),
    [
        ("src/a.py", "code", {"prose", "data", "binary"}),
        ("SRC\\A.PY", "code", {"prose", "data", "binary"}),  # a Windows archive
        ("src/lib.rs", "code", {"prose", "binary"}),  # XML bears the extension too
        ("app.ts", "code", {"prose", "binary"}),
        ("Makefile", "code", {"prose", "data", "binary"}),
        ("CMakeLists.txt", "code", {"prose", "data", "binary"}),  # the full name goes before the extension
        ("notes.txt", "text", {"code", "binary"}),
        ("README", "text", {"code", "binary"}),
        ("docs/index.md", "format", {"binary"}),
        ("page.html", "format", {"binary"}),
        ("rows.json", "format", {"binary"}),
        ("", None, set()),
        ("src/", None, set()),
        ("a.py/b", None, set()),
        ("doc-0001", None, set()),
        ("a.unheardof", None, set()),
        (".", None, set()),
        ("a\n.py", "code", {"prose", "data", "binary"}),
        ("<script>.py", "code", {"prose", "data", "binary"}),
    ],
)
def test_names_when_content_is_of_each_kind(path: str, says: str | None, surprises: set[str]) -> None:
    assert {kind: disagrees(path, kind) for kind in KINDS} == {k: says if k in surprises else None for k in KINDS}


def test_names_when_there_are_none() -> None:
    nothing = pa.chunked_array([pa.array([], pa.string())])
    assert len(disagreements(nothing, nothing)) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a.py", "b.txt", "c.md", "d", "e.RS", "x/README"]) | st.text(), st.sampled_from(KINDS)
        )
    )
)
def test_names_when_asked_together_are_answered_as_alone(rows: list[tuple[str, str]]) -> None:
    paths, kinds = (pa.chunked_array([pa.array([row[i] for row in rows], pa.string())]) for i in (0, 1))
    assert disagreements(paths, kinds).to_pylist() == [disagrees(path, kind) for path, kind in rows]
    halves = [pa.chunked_array([c.slice(0, 1).chunk(0), c.slice(1).chunk(0)]) for c in (paths, kinds)] if rows else []
    assert not rows or disagreements(*halves).equals(disagreements(paths, kinds))
