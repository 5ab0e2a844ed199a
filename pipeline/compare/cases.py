"""Documents to look at, read from both runs at the places that the sums have named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.compare.causes import Case, cause_of, measured_as
from pipeline.compare.found import KINDS, ChangedDocument, DocumentSide, SettingChange, ShareChange
from pipeline.compare.meet import Met
from pipeline.compare.settings import value
from pipeline.compare.token_causes import MadeBy
from pipeline.engine.exchange import row_of, shard_of
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.privacy.policies import policy_of
from pipeline.reading.ids import places_of
from pipeline.reading.limits import Limit, limits_of
from pipeline.reading.work import Span, Work
from pipeline.rules.meanings import meanings
from pipeline.schema import DOCUMENTS, LEDGER, OVERLAPS, QUALITY, REDACTED, TOKENS, Table

Place = tuple[int, int]  # shard and row
Document = dict[str, Any]  # a row of the ledger with what else decided it
# What is read beside the ledger; runs may be compared when measured numbers are gone.
_BESIDE: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (DOCUMENTS, ("content_hash",)),
    (OVERLAPS, ("matches",)),
    (QUALITY, ("prose_language",)),
    (REDACTED, ("findings", "content")),
)


def examples(
    met: Met, runs: Sequence[RunFiles], work: Work, *, changes: Sequence[SettingChange], groups: Sequence[ShareChange]
) -> tuple[ChangedDocument, ...]:
    """The documents of smallest key of each kind, with what both runs say of them and what made the difference."""
    wanted = [(kind, place) for kind in KINDS for _, place in sorted(met.examples.get(kind, ()))]
    asked = [[place[side] for _, place in wanted] for side in (0, 1)]
    found = [_read(run, {_place(p) for p in mine if p >= 0}, work) for run, mine in zip(runs, asked, strict=True)]
    named = _named(runs, found, work)
    mixtures, made_by = [run.mixture for run in runs], [_made_by(run) for run in runs]
    shown = []
    for kind, place in wanted:
        one, other = (found[side].get(_place(p)) if p >= 0 else None for side, p in enumerate(place))
        case = Case(kind, (one, other), mixtures, named, changes, groups, made_by)
        shown.append(_shown(case, [_limits(run, of) for run, of in zip(runs, (one, other), strict=True)]))
    return tuple(shown)


def _made_by(run: RunFiles) -> MadeBy:
    versions = (int(run.manifest["stages"][table.name]["version"]) for table in (REDACTED, TOKENS))
    return MadeBy(tokenizer_of(run.store, run.manifest).sha256, *versions)


def _place(position: int) -> Place:
    word = np.array([position], np.uint64)
    return int(shard_of(word)[0]), int(row_of(word)[0])


def _shown(case: Case, limits: Sequence[Sequence[Limit]]) -> ChangedDocument:
    there = [document for document in case.sides if document is not None]
    one, other = case.sides
    renamed = other["doc_id"] if one and other and one["doc_id"] != other["doc_id"] else None
    return ChangedDocument(
        kind=case.kind,
        doc_id=there[0]["doc_id"],
        doc_id_b=renamed,
        source=there[0]["source"],
        path=there[0]["path"],
        a=_side(case, 0, limits[0]),
        b=_side(case, 1, limits[1]),
        cause=cause_of(case),
    )


def _side(case: Case, number: int, limits: Sequence[Limit]) -> DocumentSide | None:
    document = case.sides[number]
    if document is None:
        return None
    keeper = case.named[number].get(document["keeper_id"] or "")
    known = meanings(case.mixtures[number].quality)
    said = tuple(
        _said(reason, [limit for limit in limits if limit.reason == reason], meaning=known.get(reason, ""))
        for reason in document["reasons"]
    )
    return DocumentSide(
        pool=document["pool"],
        language=document["language"],
        decided_by=document["decided_by"],
        n_bytes=document["n_bytes"],
        fate=document["fate"],
        reasons=tuple(document["reasons"]),
        keeper_id=document["keeper_id"],
        keeper_path=keeper["path"] if keeper else None,
        similarity=document["similarity"],
        n_packed_tokens=document["n_packed_tokens"],
        said=said,
    )


def _said(reason: str, limits: Sequence[Limit], *, meaning: str) -> str:
    """A reason with what was measured and the limits that it crossed; without such ones with what it means."""
    parts = []
    for limit in limits:
        if limit.key is None or limit.value is None:
            continue
        measured = "" if limit.measured is None else f"{measured_as(limit.measured)} "
        parts.append(f"{measured}{limit.crossed} {limit.key} = {value(limit.value)}")
    return f"{reason}: {'; '.join(parts) or meaning}"


def _limits(run: RunFiles, document: Document | None) -> list[Limit]:
    return [] if document is None else limits_of(run.mixture, document)


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(run: RunFiles, places: Iterable[Place], work: Work) -> dict[Place, Document]:
    """Documents by their places; each shard that holds some is read by one task."""
    rows: dict[int, list[int]] = {}
    for shard, row in sorted(places):
        rows.setdefault(shard, []).append(row)
    items = [(number, shard, mine) for number, (shard, mine) in enumerate(rows.items())]
    found: dict[Place, Document] = {}
    for (_, shard, mine), documents in zip(
        items, work.each(partial(_documents, run.tables), items, name="compare.examples"), strict=True
    ):
        found |= {(shard, row): document for row, document in zip(mine, documents, strict=True)}
    for document in found.values():
        document["findings"] = [
            one | {"policy": policy_of(one["kind"], run.mixture.privacy.policies)} for one in document["findings"] or ()
        ]
    return found


def _documents(tables: Tables, item: tuple[int, int, list[int]]) -> list[Document]:
    _, shard, rows = item
    read = tables.read(LEDGER, shard).take(pa.array(rows))
    for table, names in _BESIDE:
        is_there = tables.store.exists(tables.path(table, shard))
        found = tables.read(table, shard, columns=list(names)).take(pa.array(rows)) if is_there else None
        for name in names:
            read = read.append_column(name, pa.nulls(len(rows)) if found is None else found[name])
    documents: list[Document] = read.to_pylist()
    for document in documents:
        document["matches"] = document["matches"] or []
        # Whether the masked text is the same is all that is asked; no text leaves the task.
        masked = xxhash.xxh3_128_hexdigest(document.pop("content") or b"")
        document["masked"] = None if document["findings"] is None else masked
    return documents


def _moved(run: RunFiles, missing: dict[str, Document], work: Work) -> dict[str, Document]:
    """Of documents that `run` does not have under their ids those that it has from another place of its input: the
    first with the same repository, path and size."""
    wanted = {(one["repo"], one["path"], one["n_bytes"]): doc_id for doc_id, one in missing.items()}
    found: dict[str, Place] = {}
    spans = work.shards(run) if wanted else []
    for here in work.each(partial(_with_paths, run.tables, wanted), spans, name="compare.keepers"):
        found = here | found
    documents = _read(run, found.values(), work)
    return {doc_id: documents[place] for doc_id, place in found.items()}


def _with_paths(tables: Tables, wanted: dict[tuple[Any, ...], str], span: Span) -> dict[str, Place]:
    paths = pa.array(sorted({path for _, path, _ in wanted}), pa.string())
    found: dict[str, Place] = {}
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["repo", "path", "n_bytes"])
        rows = pc.indices_nonzero(pc.is_in(ledger["path"], value_set=paths))
        for row, one in zip(rows.to_pylist(), ledger.take(rows).to_pylist(), strict=True):
            doc_id = wanted.get((one["repo"], one["path"], one["n_bytes"]))
            if doc_id is not None:
                found.setdefault(doc_id, (shard, row))
    return found


def _named(
    runs: Sequence[RunFiles], found: Sequence[dict[Place, Document]], work: Work
) -> tuple[dict[str, Document], dict[str, Document]]:
    """In each run the documents that any of those found names: keepers, and equals that were judged for them."""
    ids = {
        document[name]
        for of_run in found
        for document in of_run.values()
        for name in ("keeper_id", "judged_id")
        if document[name]
    }
    both = []
    for run in runs:
        places = places_of(run, ids, work) if ids else {}
        documents = _read(run, places.values(), work)
        both.append({doc_id: documents[place] for doc_id, place in places.items()})
    for run, known, others in ((runs[1], both[1], both[0]), (runs[0], both[0], both[1])):
        known |= _moved(run, {i: document for i, document in others.items() if i not in known}, work)
    for of_run, named in zip(found, both, strict=True):
        for document in of_run.values():
            document["judged"] = named.get(document["judged_id"] or "")
    return both[0], both[1]
