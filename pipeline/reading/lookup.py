"""Questions about one thing of a run: why a document is in or out, and where a packed token comes from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.progress import unprinted
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store_errors import CURATE
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError, SchemaError, StoreError
from pipeline.globs import is_text
from pipeline.language.names import disagrees
from pipeline.reading.findings import findings_of
from pipeline.reading.ids import is_id, places_of
from pipeline.reading.input_size import input_bytes
from pipeline.reading.limits import limits_of
from pipeline.reading.marks import laid_out
from pipeline.reading.masked import masked_by_id, masked_rows
from pipeline.reading.passages import with_passages
from pipeline.reading.samples import has_texts, show
from pipeline.reading.stream_files import StreamFiles, stream_files
from pipeline.reading.texts import runs_of
from pipeline.reading.work import Span, Work, working
from pipeline.rules.meanings import meanings
from pipeline.schema import (
    DOCUMENTS,
    EXACT_DUPS,
    LANGUAGES,
    LEDGER,
    OVERLAPS,
    PACKED,
    QUALITY,
    Table,
    bounds_of_pieces,
    packed_schema,
)
from pipeline.sources.names import to_text

MAX_FOUND = 20  # documents that one name may mean; more fill a screen and say that the name is too short
MAX_DIFF_LINES = 40  # a screen
MAX_DIFF_BYTES = 200_000  # of each text; comparing longer ones line by line takes too long


def why(run: RunFiles, name: str, *, text: bool = False, work: Work | None = None) -> Iterator[dict[str, Any]]:
    """Ledger rows of the document with this doc_id, path, or path ending; at most 20. LoopmixError if there is none.

    Each row gains `features` (the measured numbers), `group_size`, `findings` (places of secrets and personal data, see
    `findings_of`), `meanings` (a sentence per reason), `limits` (those that it crossed, see `limits.Limit`),
    `keeper_path`, `judged` (path, licence and matches of the equal document whose judgement holds for it), `diff` (from
    the keeper to it), `matches` (with items of benchmarks, see `with_passages`) and `sequences` (where its first pieces
    are); of its language `confidence`, `runner_up`, `runner_up_confidence`, `content_kind`, and as `name_says` what the
    name claims where the content is another kind; `input_bytes` is the size of a file that was not loaded, where it is
    known; `made_from` is the format that its text was taken out of. With `text` that too, without the values that
    privacy found and left, and `places` in it: where rules fired, see `laid_out`.
    `work` says where shards are searched, by default in this process.
    """
    with working() if work is None else nullcontext(work) as here:
        yield from _why(run, name, here, text=text)


def _why(run: RunFiles, name: str, work: Work, *, text: bool) -> Iterator[dict[str, Any]]:
    found, sentences = 0, meanings(run.mixture.quality)
    for shard, rows in _named(run, name, work):
        rows = rows[: MAX_FOUND - found]
        ledger = run.tables.read(LEDGER, shard)
        for document in _joined(run, shard, ledger, rows):
            row = document.pop("row")
            document["findings"] = findings_of(run, shard, row)
            document["meanings"] = {r: sentences[r] for r in document["reasons"]}
            document["judged"] = _judged(run, document["judged_id"], work) if document["judged_id"] else None
            document["input_bytes"] = input_bytes(run, document, shard=shard, row=row)
            document["limits"] = [asdict(limit) for limit in limits_of(run.mixture, document)]
            document["matches"] = with_passages(run, document["doc_id"], document["matches"], work)
            document["name_says"] = disagrees(document["path"], document["content_kind"])
            keeper = document["keeper_id"]
            document["keeper_path"] = _path_of(run, keeper, work) if keeper else None
            document["diff"] = _diff(run, keeper, document["doc_id"], work) if keeper else []
            document["sequences"] = _sequences(run, document["doc_id"], work) if document["n_packed_tokens"] else []
            if text:
                document |= _text(run, shard, row, document)
            yield document
        found += len(rows)
        if found >= MAX_FOUND:
            return
    if not found:
        said = "no document of this run has that doc_id, path or path ending; table `ledger` lists them all"
        raise LoopmixError(f"{name!r}: {said}")


def _named(run: RunFiles, name: str, work: Work) -> Iterator[tuple[int, list[int]]]:
    """Shards and rows of the documents with this doc_id, path or path ending. Who asks no more stops the search.

    A path may be given as it was shown, with escapes for what could steer a terminal.
    """
    if is_id(name) and (found := places_of(run, [name], work)):
        yield from ((shard, [row]) for shard, row in found.values())
        return
    names = _spellings(name)
    for places in work.each(partial(_with_path, run.tables, names), work.shards(run) if names else [], name="why"):
        yield from places


def _spellings(name: str) -> tuple[str, ...]:
    """How tables may spell a name. Bytes that are no UTF-8 the system gives as surrogates, and `to_text` spells."""
    if is_text(name):
        return tuple(dict.fromkeys((name, unprinted(name))))
    try:
        return (to_text(name.encode("utf-8", errors="surrogateescape")),)
    except UnicodeEncodeError:  # surrogates that stand for no byte: no table holds them
        return ()


def _with_path(tables: Tables, names: tuple[str, ...], span: Span) -> list[tuple[int, list[int]]]:
    found = []
    for shard in span.items:
        path = tables.read(LEDGER, shard, columns=["path"])["path"]
        fits = (pc.or_(pc.equal(path, name), pc.ends_with(path, "/" + name.lstrip("/"))) for name in names)
        rows = pc.indices_nonzero(reduce(pc.or_, fits))
        if len(rows):
            found.append((shard, rows[:MAX_FOUND].to_pylist()))
    return found


_NO_FEATURES = ("doc_id", "prose_language", "marks", "extra")  # columns of table `quality` that are no numbers


def _joined(run: RunFiles, shard: int, ledger: pa.Table, rows: list[int]) -> list[dict[str, Any]]:
    """Rows of the ledger of a shard with what other tables say about the same documents."""

    def read(table: Table, *columns: str) -> list[dict[str, Any]]:
        return list(run.tables.read(table, shard, columns=list(columns) or None).take(rows).to_pylist())

    languages = read(LANGUAGES, "doc_id", "confidence", "runner_up", "runner_up_confidence", "content_kind")
    others = zip(
        _made_from(run, shard, rows),
        languages,
        read(EXACT_DUPS, "doc_id", "group_size"),
        read(QUALITY),
        read(OVERLAPS),
        strict=True,
    )
    return [
        document
        | {"made_from": made}
        | language
        | equals
        | {"row": row}
        | {"features": {k: v for k, v in quality.items() if k not in _NO_FEATURES}}
        | {"prose_language": quality["prose_language"]}
        | {"marks": quality["marks"], "extra": dict(quality["extra"] or ())}
        | {"matches": overlaps["matches"]}
        for row, document, (made, language, equals, quality, overlaps) in zip(
            rows, ledger.take(rows).to_pylist(), others, strict=True
        )
    ]


def _made_from(run: RunFiles, shard: int, rows: list[int]) -> list[str | None]:
    """What each text was taken out of. A run may be asked when its texts are gone, or made before this was kept: then
    nothing is known."""
    if not run.store.exists(run.tables.path(DOCUMENTS, shard)):
        return [None] * len(rows)
    try:
        found = run.tables.read(DOCUMENTS, shard, columns=["doc_id", "made_from"])
    except SchemaError:
        return [None] * len(rows)
    return list(found["made_from"].take(rows).to_pylist())


def _text(run: RunFiles, shard: int, row: int, document: dict[str, Any]) -> dict[str, Any]:
    """The document's text without what privacy found and left, and the places of its marks; None where it is gone."""
    if not has_texts(run):
        return {"text": None, "places": []}
    found = show(run.mixture, document, masked_rows(run, shard, [row])[0], n_bytes=None)
    text, places = laid_out([part for _, parts in found.excerpts for part in parts])
    return {"text": text, "places": places}


def _path_of(run: RunFiles, doc_id: str, work: Work) -> str | None:
    for place in runs_of(run):
        for shard, row in places_of(place, [doc_id], work).values():
            return str(place.tables.read(LEDGER, shard, columns=["path"])["path"][row].as_py())
    return None


def _judged(run: RunFiles, doc_id: str, work: Work) -> dict[str, Any]:
    """What was judged of a document of this run."""
    for shard, row in places_of(run, [doc_id], work).values():
        ledger = run.tables.read(LEDGER, shard, columns=["doc_id", "path", "license"])
        found: dict[str, Any] = ledger.slice(row, 1).to_pylist()[0]
        matches = run.tables.read(OVERLAPS, shard, columns=["matches"])["matches"]
        return found | {"matches": matches[row].as_py()}
    raise LoopmixError(f"{doc_id}: stands as `judged_id` in the ledger, but is no document of this run")


def _diff(run: RunFiles, keeper: str, doc_id: str, work: Work) -> list[str]:
    """A unified diff from the keeper to the document; empty where the bytes are equal or a text is gone."""
    texts = {one: found.safe for one, found in masked_by_id(run, (keeper, doc_id), work).items()}
    if keeper not in texts or doc_id not in texts:
        return []
    first, second = (texts[i][:MAX_DIFF_BYTES].decode("utf-8", errors="replace").splitlines() for i in (keeper, doc_id))
    lines = list(difflib.unified_diff(first, second, "keeper", "document", lineterm="", n=1))
    if not lines and texts[keeper] != texts[doc_id]:
        lines = ["they differ in line ends or beyond the first bytes alone"]
    left_out = len(lines) - MAX_DIFF_LINES
    return lines if left_out <= 0 else [*lines[:MAX_DIFF_LINES], f"... {left_out} more lines"]


def _standing(run: RunFiles) -> StreamFiles:
    """The packed shards. StoreError where one has another size than the manifest says: sequences are numbered over all,
    and in shards that changed places or come from another run each number is another sequence."""
    files = list(run.files(PACKED))
    for file, stands in zip(files, run.store.intact(files, by_hash=False), strict=True):
        if not stands:
            where = run.store.full(file.path)
            raise StoreError(f"{where}: is missing, or has not the {file.n_bytes:,} bytes of the manifest; {CURATE}")
    return stream_files(run)


def _sequences(run: RunFiles, doc_id: str, work: Work, *, limit: int = 5) -> list[int]:
    """Numbers of the first sequences in which the document has a piece."""
    files, base, found = _standing(run), 0, list[int]()
    for shards in work.each(partial(_with_piece, files, doc_id), files.spans(work, run), name="why.sequences"):
        for n_rows, rows in shards:
            found += [base + row for row in rows]
            base += n_rows
        if len(found) >= limit:
            break
    return found[:limit]


def _with_piece(files: StreamFiles, doc_id: str, span: Span) -> list[tuple[int, list[int]]]:
    """Of some packed shards how many sequences each has, and which of them hold a piece of the document."""
    found = []
    for number in span.items:
        pieces = one_chunk(files.read(number, "doc_ids")["doc_ids"])
        hits = pc.indices_nonzero(pc.equal(pieces.flatten(), doc_id))
        found.append((len(pieces), pc.unique(pc.list_parent_indices(pieces).take(hits)).to_pylist()))
    return found


def trace(run: RunFiles, sequence: int, *, offset: int | None = None, work: Work | None = None) -> list[dict[str, Any]]:
    """The pieces of packed sequence number `sequence` (or the one that holds token `offset`): document and origin.

    `work` says where shards are searched. LoopmixError if there is no such sequence, or the offset lies in the padding.
    """
    files, base = _standing(run), 0
    with working() if work is None else nullcontext(work) as here:
        for number in range(len(files.paths)):
            n_rows = files.read(number, "n_real").num_rows
            if base <= sequence < base + n_rows:
                columns = [name for name in packed_schema(1, joined=run.joined).names if name != "token_ids"]
                row = files.read_sound(number, *columns).slice(sequence - base, 1).to_pylist()[0]
                where = run.store.full(files.paths[number])
                return _pieces_of(run, row, sequence, offset, here, where=where)
            base += n_rows
    raise LoopmixError(f"sequence {sequence}: the run has sequences 0 to {base - 1}")


def _pieces_of(
    run: RunFiles, row: dict[str, Any], sequence: int, offset: int | None, work: Work, *, where: str
) -> list[dict[str, Any]]:
    cu = row[bounds_of_pieces(row)]
    if offset is not None and not 0 <= offset < cu[-1]:
        raise LoopmixError(f"sequence {sequence}: token {offset} is not real; it has tokens 0 to {cu[-1] - 1}")
    wanted = [j for j in range(len(cu) - 1) if offset is None or cu[j] <= offset < cu[j + 1]]
    ids = {row["doc_ids"][j] for j in wanted}
    origin = _origins(run, ids, work)
    if strange := sorted(ids - origin.keys()):
        raise StoreError(
            f"{where}: sequence {sequence} names {strange[0]!r}, which no document of this run is; {CURATE}"
        )
    return [
        {
            "sequence": sequence,
            "pool": row["pool"],
            "group": row["groups"][j],
            "tokens": [cu[j], cu[j + 1]],
            "doc_offset": row["doc_offsets"][j],
            **origin[row["doc_ids"][j]],
        }
        for j in wanted
    ]


def _origins(run: RunFiles, ids: set[str], work: Work) -> dict[str, dict[str, Any]]:
    columns = ["doc_id", "source", "repo", "path", "revision", "license", "input_file", "input_row"]
    rows: dict[int, list[int]] = {}
    for shard, row in places_of(run, ids, work, table=DOCUMENTS).values():
        rows.setdefault(shard, []).append(row)
    found: dict[str, dict[str, Any]] = {}
    for shard, mine in rows.items():
        for origin in run.tables.read(DOCUMENTS, shard, columns=columns).take(mine).to_pylist():
            found[origin["doc_id"]] = origin
    return found
