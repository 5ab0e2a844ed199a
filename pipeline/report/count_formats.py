"""Prose inside markup and data by format, and documents in no known language by extension: parts of the decisions."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.language.table import OTHER_CODE, UNKNOWN
from pipeline.language.visible import format_of
from pipeline.report.count_documents import Sums, from_row
from pipeline.report.language_decisions import MisnamedDocument, ProseInFormat, UntoldExtension

N_EXAMPLES = 6  # documents of each format
MAX_PATH_CHARS = 240  # a path may be as long as its source likes; report and page may not
COUNTS = ("n_docs", "n_bytes", "n_kept_docs", "n_kept_tokens")


def first_rows(rows: list[dict[str, Any]], table: pa.Table, *, order: tuple[str, ...], n: int) -> list[dict[str, Any]]:
    """The first `n` of the rows found before and the documents of `table`."""
    ascending = [(name, "ascending") for name in order]
    best = table.take(pc.select_k_unstable(table, n, sort_keys=ascending)) if table.num_rows else table
    return best_rows(rows, best.to_pylist(), order=order, n=n)


def best_rows(
    rows: list[dict[str, Any]], more: list[dict[str, Any]], *, order: tuple[str, ...], n: int
) -> list[dict[str, Any]]:
    """The first `n` of both."""
    return sorted([*rows, *more], key=lambda row: (*(row[name] for name in order), row["doc_id"]))[:n]


class FormatCounts:
    """What is counted shard by shard; only the few documents that are shown are held."""

    def __init__(self) -> None:
        self._prose = Sums(("format",), COUNTS)
        self._untold = Sums(("language", "extension"), COUNTS)
        self._shown: dict[str, list[dict[str, Any]]] = {}

    def add(self, docs: pa.Table) -> None:
        """Count the documents of one shard; columns as `count_decisions` makes them."""
        prose = docs.filter(pc.equal(docs["content_kind"], "prose"))
        formats = pa.array([format_of(name) for name in prose["language"].to_pylist()], pa.string())
        prose = prose.append_column("format", formats).filter(pc.not_equal(formats, ""))
        self._prose.add(prose)
        for name in pc.unique(prose["format"]).to_pylist():
            mine = prose.filter(pc.equal(prose["format"], name))
            self._shown[name] = first_rows(self._shown.get(name, []), mine, order=("dropped", "key"), n=N_EXAMPLES)
        untold = docs.filter(pc.is_in(docs["language"], value_set=pa.array([OTHER_CODE, UNKNOWN])))
        self._untold.add(untold.append_column("extension", _extensions(untold["path"])))

    def update(self, other: "FormatCounts") -> None:
        """Add what another has counted."""
        self._prose.add(other._prose.total())
        self._untold.add(other._untold.total())
        for name, rows in other._shown.items():
            self._shown[name] = best_rows(self._shown.get(name, []), rows, order=("dropped", "key"), n=N_EXAMPLES)

    def prose(self) -> tuple[ProseInFormat, ...]:
        """By format, most bytes first."""
        rows = self._prose.total().to_pylist()
        found = [from_row(ProseInFormat, row, documents=self._examples(row["format"])) for row in rows]
        return tuple(sorted(found, key=lambda f: (-f.n_bytes, f.format)))

    def untold(self) -> tuple[UntoldExtension, ...]:
        """By language and extension, most documents first."""
        found = [from_row(UntoldExtension, row) for row in self._untold.total().to_pylist()]
        return tuple(sorted(found, key=lambda u: (u.language, -u.n_docs, u.extension)))

    def _examples(self, name: str) -> tuple[MisnamedDocument, ...]:
        return tuple(from_row(MisnamedDocument, row, path=short_path(row["path"])) for row in self._shown[name])


def short_path(path: str) -> str:
    """A path's end tells the most; the doc_id finds the rest."""
    return path if len(path) <= MAX_PATH_CHARS else "\N{HORIZONTAL ELLIPSIS}" + path[-MAX_PATH_CHARS:]


def _extensions(paths: pa.ChunkedArray) -> pa.Array:
    """The last extension in lower case with its dot, at most 16 characters of it; an empty text without one.

    A row without a path is called by its file and place, `a.jsonl#123`, which says nothing of it.
    """
    found = pc.struct_field(pc.extract_regex(paths, r"[^/\\.](?P<suffix>\.[^./\\#]{1,15})\z"), [0])
    return pc.utf8_lower(pc.fill_null(found, ""))
