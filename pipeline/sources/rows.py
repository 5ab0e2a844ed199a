"""Raw documents -> a `documents` table. The one place that decodes, hashes, and says what is wrong with a row."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.config import Source
from pipeline.schema import DOCUMENTS
from pipeline.sources.decode import BINARY, Decoded, Undecided, decide, examine
from pipeline.sources.notebooks import MADE_FROM, is_notebook_label, take_apart
from pipeline.sources.placeholders import placeholder, unfit
from pipeline.sources.prefix import strip
from pipeline.sources.raw import EMPTY, TOO_LARGE, RawDocument
from pipeline.sources.values import Metadata, is_natural
from pipeline.sources.votes import priors_of

_NOTEBOOK = f".{MADE_FROM}"
_MENDED = "utf-8-damaged"  # as `decode` calls it
UNDECIDABLE = "undecidable_encoding"
_UNREAD = Decoded(b"", "unread", None)  # a row whose bytes were never looked at
# What is held as Python objects before it moves into Arrow: little beside a shard of 64 MB. Where batches end shows in
# the pages of the parquet file, so a change here changes the bytes of table `documents`.
_BATCH_BYTES = 16_000_000
_BATCH_ROWS = 16_384
# What Python can show as a date.
_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000  # microseconds since 1970


class _Row(NamedTuple):
    """A row as it enters the table."""

    raw: RawDocument
    read: Decoded  # but for its content
    content: bytes
    metadata: Metadata
    problem: str | None
    made_from: str | None = None

    @property
    def path(self) -> str:
        return self.metadata.path or f"{self.raw.input_file}#{self.raw.input_row}"


def as_documents(
    found: Iterable[RawDocument],
    *,
    source: Source,
    max_document_bytes: int,
    min_encoding_confidence: float,
    notebooks: Literal["script", "keep"] = "script",
) -> pa.Table:
    """The table of one shard, rows in the order in which they are found."""
    settle = partial(_settle, max_document_bytes=max_document_bytes, min_encoding_confidence=min_encoding_confidence)

    def batch(rows: list[RawDocument], read: Iterable[Decoded]) -> pa.RecordBatch:
        settled = [settle(row, one) for row, one in zip(rows, read, strict=True)]
        read_rows = _read_rows(rows, settled, source=source)
        if notebooks == "script":
            read_rows = [_taken_apart(one, source=source, max_bytes=max_document_bytes) for one in read_rows]
        return _batch(read_rows, source=source)

    batches: dict[int, pa.RecordBatch] = {}
    # Legacy encodings are decided when the shard is known, because neighbours vote. All other batches move on at once.
    waiting: dict[int, tuple[list[RawDocument], list[Decoded | Undecided]]] = {}
    for at, rows in enumerate(_in_batches(found)):
        looked = [_look(row, max_document_bytes=max_document_bytes) for row in rows]
        if any(isinstance(one, Undecided) for one in looked):
            waiting[at] = rows, looked
        else:
            batches[at] = batch(rows, [one for one in looked if isinstance(one, Decoded)])
    decided = iter(_vote([pair for both in waiting.values() for pair in zip(*both, strict=True)], source=source))
    for at, (rows, looked) in waiting.items():
        batches[at] = batch(rows, [next(decided) if isinstance(one, Undecided) else one for one in looked])
    return pa.Table.from_batches([batches[at] for at in sorted(batches)], schema=DOCUMENTS.schema)


def _vote(pairs: list[tuple[RawDocument, Decoded | Undecided]], *, source: Source) -> list[Decoded]:
    """The readings of undecided rows, in order. Neighbours: rows of one repository, closer those of one folder."""
    open_rows = [(row, one) for row, one in pairs if isinstance(one, Undecided)]
    if not open_rows:
        return []
    repositories, folders = zip(*(_neighbourhood(row, source=source) for row, _ in open_rows), strict=True)
    priors = priors_of([one.evidence for _, one in open_rows], repositories=repositories, folders=folders)
    return [decide(one, prior=prior) for (_, one), prior in zip(open_rows, priors, strict=True)]


def _neighbourhood(row: RawDocument, *, source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of a row's repository and folder. Without a path, the rows of a file have nothing to do with each other."""
    repo, path = row.metadata.repo or source.repo, row.metadata.path
    if path is None:
        alone = (row.input_file, str(row.input_row))
        return (alone, alone) if repo is None else ((repo,), (repo, ""))
    folder = path.rpartition("/")[0]
    return ((repo,), (repo, folder)) if repo is not None else (("", folder), ("", folder))


def document_id(source: str, *, input_file: str, input_row: int) -> str:
    """32 hex characters that name an input row, wherever the source's folder lies and however it is cut."""
    return xxhash.xxh3_128_hexdigest(f"{source}\0{input_file}\0{input_row}".encode())


def _in_batches(found: Iterable[RawDocument]) -> Iterator[list[RawDocument]]:
    rows: list[RawDocument] = []
    n_bytes = 0
    for row in found:
        rows.append(row)
        n_bytes += len(row.content or b"")
        if n_bytes >= _BATCH_BYTES or len(rows) >= _BATCH_ROWS:
            yield rows
            rows, n_bytes = [], 0
    if rows:
        yield rows


def _look(row: RawDocument, *, max_document_bytes: int) -> Decoded | Undecided:
    if row.content is None or len(row.content) > max_document_bytes:
        return _UNREAD
    return examine(row.content)


def _settle(
    row: RawDocument, decoded: Decoded, *, max_document_bytes: int, min_encoding_confidence: float
) -> tuple[Decoded, str | None]:
    """What is read and the problem: decoded, or left out and why. White space alone is kept, but named a problem."""
    if row.content is None:
        return decoded, row.problem
    if decoded is _UNREAD or len(decoded.content) > max_document_bytes:
        return decoded._replace(content=b""), TOO_LARGE
    found = placeholder(row.content)
    if row.n_replaced and decoded.encoding == "utf-8":
        decoded = decoded._replace(encoding=_MENDED, n_replaced=row.n_replaced)
    if decoded.encoding == BINARY:
        return decoded, found or BINARY
    if decoded.confidence is not None and decoded.confidence < min_encoding_confidence:
        return decoded._replace(content=b"", n_replaced=0), found or UNDECIDABLE
    return decoded, found or ("empty" if _is_blank(decoded.content) else unfit(decoded.content))


def _is_blank(content: bytes) -> bool:
    rest = content.lstrip()
    if not rest or rest[0] < 0x80:
        return not rest
    return not rest[:256].decode("utf-8", errors="ignore").strip() and not rest.decode("utf-8").strip()


def _read_rows(rows: list[RawDocument], settled: list[tuple[Decoded, str | None]], *, source: Source) -> list[_Row]:
    """Rows with what the source says of them, in columns or in front of the content."""
    read, problems = zip(*settled, strict=True)
    contents = [one.content for one in read]
    metadata = [row.metadata for row in rows]
    if source.columns.language is None and source.pool == "auto":
        # A column that is mapped by its name alone may hold the language of prose, unless all is code.
        metadata = [m._replace(language=None) if is_natural(m.language) else m for m in metadata]
    if source.strip_prefix is not None:
        contents, metadata = strip(contents, metadata, pattern=source.strip_prefix)
        problems = tuple(p or (EMPTY if _is_blank(c) else None) for p, c in zip(problems, contents, strict=True))
    return list(map(_Row, rows, read, contents, metadata, problems))


def _taken_apart(row: _Row, *, source: Source, max_bytes: int) -> _Row:
    """A notebook as its script, in the language of its kernel unless the source names that of the script. Its problem
    is the script's: an output may have one that goes with it, and an escape of JSON may hide one."""
    if not row.path.lower().endswith(_NOTEBOOK):
        return row
    script = take_apart(row.content, max_bytes=max_bytes)
    if script is None:
        return row
    metadata = row.metadata
    if source.pool != "text" and (metadata.language is None or is_notebook_label(metadata.language)):
        metadata = metadata._replace(language=script.language)
    n_replaced = min(row.read.n_replaced, script.content.count("\ufffd".encode()))  # others stood in outputs
    read = row.read._replace(n_replaced=n_replaced)
    return row._replace(
        read=read, content=script.content, metadata=metadata, problem=unfit(script.content), made_from=MADE_FROM
    )


def _batch(rows: list[_Row], *, source: Source) -> pa.RecordBatch:
    contents, metadata, read = ([getattr(row, name) for row in rows] for name in ("content", "metadata", "read"))
    raw, joined, n = [row.raw for row in rows], _joined(contents), len(rows)
    columns: dict[str, list[Any]] = {
        "doc_id": [document_id(source.name, input_file=r.input_file, input_row=r.input_row) for r in raw],
        "source": [source.name] * n,
        "repo": [m.repo or source.repo for m in metadata],
        "path": [row.path for row in rows],
        "revision": [m.revision for m in metadata],
        "revision_time": [_in_calendar(m.revision_micros) for m in metadata],
        "license": [m.license or source.license for m in metadata],
        "stars": [m.stars for m in metadata],
        "pool_hint": [source.pool] * n,
        "language_label": [m.language for m in metadata],
        "n_bytes": [len(content) for content in contents],
        "content_hash": [xxhash.xxh3_128_digest(content) for content in contents],
        "encoding": [one.encoding for one in read],
        "encoding_confidence": [one.confidence for one in read],
        "n_replaced": [one.n_replaced for one in read],
        "n_repaired": [one.n_repaired for one in read],
        "input_file": [r.input_file for r in raw],
        "input_row": [r.input_row for r in raw],
        "problem": [row.problem for row in rows],
        "made_from": [row.made_from for row in rows],
        "lost_fields": [list(m.lost) for m in metadata],
    }
    arrays = [pa.array(columns[f.name], type=f.type) if f.name in columns else joined for f in DOCUMENTS.schema]
    return pa.record_batch(arrays, schema=DOCUMENTS.schema)


def _in_calendar(micros: int | None) -> int | None:
    """Years 1 to 9999; what lies outside is no date."""
    return micros if micros is not None and _YEAR_1 <= micros < _YEAR_10000 else None


def _joined(contents: Sequence[bytes]) -> pa.Array:
    """A large_binary array made with a single copy; appending value by value costs several."""
    offsets = np.zeros(len(contents) + 1, dtype=np.int64)
    np.cumsum([len(content) for content in contents], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(contents))]
    return pa.Array.from_buffers(pa.large_binary(), len(contents), buffers)
