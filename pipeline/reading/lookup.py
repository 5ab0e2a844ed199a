"""Questions about one thing of a run: why a document is in or out, and where a packed token comes from."""

import difflib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError, SchemaError, StoreError
from pipeline.language.names import disagrees
from pipeline.reading.findings import findings_of
from pipeline.reading.limits import limits_of
from pipeline.reading.passages import with_passages
from pipeline.reading.texts import contents, runs_of
from pipeline.rules.meanings import meanings
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, LEDGER, OVERLAPS, QUALITY, Table, bounds_of_pieces

MAX_FOUND = 20  # documents that one name may mean; more fill a screen and say that the name is too short
MAX_DIFF_LINES = 40  # a screen
MAX_DIFF_BYTES = 200_000  # of each text; comparing longer ones line by line takes too long


def why(run: RunFiles, name: str, *, text: bool = False) -> Iterator[dict[str, Any]]:
    """Ledger rows of the document with this doc_id, path, or path ending; at most 20. LoopmixError if there is none.

    Each row gains `features` (the measured numbers), `group_size`, `findings` (places of secrets and personal data, see
    `findings_of`), `meanings` (a sentence per reason), `limits` (those that it crossed, see `limits.Limit`),
    `keeper_path`, `judged` (path, licence and matches of the equal document whose judgement holds for it), `diff` (from
    the keeper to it), `matches` (with items of benchmarks, see `with_passages`) and `sequences` (where its first pieces
    are); of its language `confidence`, `runner_up`, `runner_up_confidence`, `content_kind`, and as `name_says` what the
    name claims where the content is another kind; `made_from` is the format that its text was taken out of. With `text`
    that too.
    """
    found, sentences = 0, meanings(run.mixture.quality)
    for shard in range(run.n_shards):
        ledger = run.tables.read(LEDGER, shard)
        exact = pc.or_(pc.equal(ledger["doc_id"], name), pc.equal(ledger["path"], name))
        ending = pc.ends_with(ledger["path"], "/" + name.lstrip("/"))
        rows = pc.indices_nonzero(pc.or_(exact, ending)).to_pylist()[: MAX_FOUND - found]
        for document in _joined(run, shard, ledger, rows) if rows else ():
            document["findings"] = findings_of(run, shard, document.pop("row"))
            document["meanings"] = {r: sentences[r] for r in document["reasons"]}
            document["judged"] = _judged(run, document["judged_id"]) if document["judged_id"] else None
            document["limits"] = [asdict(limit) for limit in limits_of(run.mixture, document)]
            document["matches"] = with_passages(run, document["doc_id"], document["matches"])
            document["name_says"] = disagrees(document["path"], document["content_kind"])
            keeper = document["keeper_id"]
            document["keeper_path"] = _path_of(run, keeper) if keeper else None
            document["diff"] = _diff(run, keeper, document["doc_id"]) if keeper else []
            document["sequences"] = list(_places(run, document["doc_id"])) if document["n_packed_tokens"] else []
            if text:
                document["text"] = _text(run, document["doc_id"])
            yield document
        found += len(rows)
        if found >= MAX_FOUND:
            return
    if not found:
        raise LoopmixError(f"{name!r}: no document of this run has that doc_id, path or path ending")


_NO_FEATURES = ("doc_id", "prose_language", "marks", "extra")  # columns of table `quality` that are no numbers


def _joined(run: RunFiles, shard: int, ledger: pa.Table, rows: list[int]) -> list[dict[str, Any]]:
    """Rows of the ledger of a shard with what other tables say about the same documents."""

    def read(table: Table, *columns: str) -> list[dict[str, Any]]:
        return list(run.tables.read(table, shard, columns=list(columns) or None).take(rows).to_pylist())

    languages = read(LANGUAGES, "confidence", "runner_up", "runner_up_confidence", "content_kind")
    others = zip(
        _made_from(run, shard, rows),
        languages,
        read(EXACT_DUPS, "group_size"),
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
    try:
        found = run.tables.read(DOCUMENTS, shard, columns=["made_from"])
    except (StoreError, SchemaError):
        return [None] * len(rows)
    return list(found["made_from"].take(rows).to_pylist())


def _text(run: RunFiles, doc_id: str) -> str | None:
    """The document's text; None where the run holds it no longer."""
    found = contents(run, (doc_id,)).get(doc_id)
    return None if found is None else found[0].decode("utf-8", errors="replace")


def _path_of(run: RunFiles, doc_id: str) -> str | None:
    for place in runs_of(run):
        for shard in place.shards(LEDGER, columns=["doc_id", "path"]):
            row = pc.index(shard["doc_id"], doc_id).as_py()
            if row >= 0:
                return str(shard["path"][row].as_py())
    return None


def _judged(run: RunFiles, doc_id: str) -> dict[str, Any]:
    """What was judged of a document of this run."""
    for shard, ledger in enumerate(run.shards(LEDGER, columns=["doc_id", "path", "license"])):
        row = pc.index(ledger["doc_id"], doc_id).as_py()
        if row >= 0:
            found: dict[str, Any] = ledger.slice(row, 1).to_pylist()[0]
            return found | {"matches": run.tables.read(OVERLAPS, shard)["matches"][row].as_py()}
    raise LoopmixError(f"{doc_id}: stands as `judged_id` in the ledger, but is no document of this run")


def _diff(run: RunFiles, keeper: str, doc_id: str) -> list[str]:
    """A unified diff from the keeper to the document; empty where the bytes are equal or a text is gone."""
    texts = contents(run, (keeper, doc_id))
    if keeper not in texts or doc_id not in texts:
        return []
    first, second = (
        texts[i][0][:MAX_DIFF_BYTES].decode("utf-8", errors="replace").splitlines() for i in (keeper, doc_id)
    )
    lines = list(difflib.unified_diff(first, second, "keeper", "document", lineterm="", n=1))
    if not lines and texts[keeper][0] != texts[doc_id][0]:
        lines = ["they differ in line ends or beyond the first bytes alone"]
    left_out = len(lines) - MAX_DIFF_LINES
    return lines if left_out <= 0 else [*lines[:MAX_DIFF_LINES], f"... {left_out} more lines"]


def _places(run: RunFiles, doc_id: str, *, limit: int = 5) -> Iterator[int]:
    """Numbers of the first sequences in which the document has a piece."""
    base, n = 0, 0
    for table in run.packed():
        pieces = table["doc_ids"].combine_chunks()
        hits = pc.indices_nonzero(pc.equal(pieces.flatten(), doc_id))
        parents = pc.list_parent_indices(pieces).take(hits)
        for row in pc.unique(parents).to_pylist():
            if n == limit:
                return
            n += 1
            yield base + int(row)
        base += table.num_rows


def trace(run: RunFiles, sequence: int, *, offset: int | None = None) -> list[dict[str, Any]]:
    """The pieces of packed sequence number `sequence` (or the one that holds token `offset`): document and origin.

    LoopmixError if there is no such sequence, or the offset lies in the padding.
    """
    base = 0
    for table in run.packed():
        if base <= sequence < base + table.num_rows:
            return _pieces_of(run, table.slice(sequence - base, 1).to_pylist()[0], sequence, offset)
        base += table.num_rows
    raise LoopmixError(f"sequence {sequence}: the run has sequences 0 to {base - 1}")


def _pieces_of(run: RunFiles, row: dict[str, Any], sequence: int, offset: int | None) -> list[dict[str, Any]]:
    cu = row[bounds_of_pieces(row)]
    if offset is not None and not 0 <= offset < cu[-1]:
        raise LoopmixError(f"sequence {sequence}: token {offset} is not real; it has tokens 0 to {cu[-1] - 1}")
    wanted = [j for j in range(len(cu) - 1) if offset is None or cu[j] <= offset < cu[j + 1]]
    origin = _origins(run, {row["doc_ids"][j] for j in wanted})
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


def _origins(run: RunFiles, ids: set[str]) -> dict[str, dict[str, Any]]:
    columns = ["doc_id", "source", "repo", "path", "revision", "license", "input_file", "input_row"]
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, dict[str, Any]] = {}
    for shard in run.shards(DOCUMENTS, columns=columns):
        for row in shard.filter(pc.is_in(shard["doc_id"], value_set=wanted)).to_pylist():
            found[row["doc_id"]] = row
    return found
