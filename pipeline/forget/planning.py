"""From the documents that go to all that one forget will write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import StageError
from pipeline.forget.matching import Matched
from pipeline.forget.places import changed, places_of, touched
from pipeline.forget.plan import ForgetPlan, Gone, Planned
from pipeline.forget.prints import prints_of
from pipeline.forget.refill import FreePlace, Refill, Spare, refill
from pipeline.forget.spares import caps_of, spares_of
from pipeline.schema import DOCUMENTS, REDACTED, TOKENS

REBUILD = "rebuild"  # of a summary: the rest of the run is left to `curate`
_ID_BYTES = 4  # of a token id, in `tokens` and in `packed`


def plan_of(run: RunFiles, matched: Matched) -> ForgetPlan:
    """Decide everything; nothing is written. StageError where a pool cannot fill the places of what goes."""
    gone = {shard: _gone(run, shard, rows) for shard, rows in matched.rows.items()}
    ids = pa.array([g.doc_id for of in gone.values() for g in of], pa.string())
    rows = touched(run, ids)
    places, spares = places_of(rows), spares_of(run, matched.rows)
    caps = caps_of(run, spares, matched.rows)
    standing = {
        number: frozenset(i for i, goes in zip(row.doc_ids, row.goes, strict=True) if not goes)
        for number, row in rows.items()
    }
    filled = refill(places, spares, standing=standing, allows=caps.allows, take=caps.take)
    if filled.short:
        raise _refused(filled, places, spares)
    sequences = changed(rows, filled.fills, spares)
    summary = _summary(matched, places, filled, spares) | _removed(run, matched.rows, places)
    summary["sequences"] = len(rows)
    prints = prints_of(run, matched.rows).tolist()
    return ForgetPlan(gone, _planned(filled, spares), sequences, matched.hashes, prints, summary)


def rebuild_plan(run: RunFiles, matched: Matched) -> ForgetPlan:
    """The same where nothing is refilled: what was made of `documents` will be made anew."""
    gone = {shard: _gone(run, shard, rows) for shard, rows in matched.rows.items()}
    places = places_of(touched(run, pa.array([g.doc_id for of in gone.values() for g in of], pa.string())))
    nothing = Refill([], {}, {})
    summary = _summary(matched, places, nothing, []) | _removed(run, matched.rows, places)
    return ForgetPlan(gone, {}, {}, matched.hashes, [], summary | {REBUILD: True})


def _gone(run: RunFiles, shard: int, rows: np.ndarray) -> list[Gone]:
    found = run.tables.read(DOCUMENTS, shard, columns=["doc_id", "content_hash"]).take(pa.array(rows))
    ids, hashes = found["doc_id"].to_pylist(), found["content_hash"].to_pylist()
    return [Gone(row, i, h.hex()) for row, i, h in zip(rows.tolist(), ids, hashes, strict=True)]


def _planned(filled: Refill, spares: Sequence[Spare]) -> dict[int, list[Planned]]:
    """What becomes of each document of which tokens entered."""
    entered: Counter[int] = Counter()
    for fill in filled.fills:
        entered[fill.spare] += fill.length
    found: dict[int, list[Planned]] = {}
    for number in sorted(entered):
        spare = spares[number]
        n = spare.used + entered[number]
        is_whole = n == spare.n_tokens
        planned = Planned(spare.position & 0xFFFFFFFF, int(is_whole), 0 if is_whole else n, n)
        found.setdefault(spare.position >> 32, []).append(planned)
    return found


def _refused(filled: Refill, places: Sequence[FreePlace], spares: Sequence[Spare]) -> StageError:
    """What is missing, in numbers."""
    needed: Counter[str] = Counter()
    for place in places:
        needed[place.group[0]] += place.length
    there: Counter[str] = Counter()
    for spare in spares:
        there[spare.group[0]] += spare.n_tokens - spare.used
    said = "; ".join(
        f"{pool}: {needed[pool]:,} tokens would go, documents that could take their places have {there[pool]:,}, "
        f"and {n:,} would stay empty"
        for pool, n in sorted(filled.short.items())
    )
    return StageError(
        f"a pool has too little surplus to fill the places of what is forgotten, so nothing was changed: {said}. "
        "`--rebuild` takes the documents out and leaves the rest to `loopmix curate`, which balances and packs anew"
    )


def _summary(matched: Matched, places: Sequence[FreePlace], filled: Refill, spares: Sequence[Spare]) -> dict[str, Any]:
    removed: Counter[str] = Counter()
    refilled: Counter[str] = Counter()
    for place in places:
        removed["/".join(place.group)] += place.length
    for fill in filled.fills:
        refilled["/".join(spares[fill.spare].group)] += fill.length
    return {
        "documents": matched.n_docs,
        "listed": matched.n_listed,
        "equal_bytes": matched.n_equal_bytes,
        "equal_words": matched.n_equal_words,
        "forgotten_before": matched.n_before,
        "entries": len(matched.of_entry),
        "entries_missing": len(matched.missing),
        "tokens_removed": dict(sorted(removed.items())),
        "tokens_refilled": dict(sorted(refilled.items())),
        "tokens_from_other_groups": {"/".join(g): n for g, n in sorted(filled.from_others.items())},
        "pieces_removed": len(places),
        "pieces_added": len(filled.fills),
    }


def _removed(run: RunFiles, rows: dict[int, np.ndarray], places: Sequence[FreePlace]) -> dict[str, Any]:
    """Bytes that go: texts as they are read, ids as they lie."""
    texts = ids = 0
    for shard, mine in rows.items():
        at = pa.array(mine)
        for table in (DOCUMENTS, REDACTED):
            content = run.tables.read(table, shard, columns=["content"])["content"].take(at)
            texts += int(pc.sum(pc.binary_length(content)).as_py() or 0)
        ids += int(pc.sum(run.tables.read(TOKENS, shard, columns=["n_tokens"])["n_tokens"].take(at)).as_py() or 0)
    packed = sum(place.length for place in places)
    by = {"texts": texts, "tokens": _ID_BYTES * ids, "packed": _ID_BYTES * packed}
    return {"bytes_removed": sum(by.values()), "bytes_removed_by": by}
