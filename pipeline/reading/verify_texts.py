"""The promises on decoded tokens, each by a keyed sample: they are the text, and hold nothing that was to be redacted.

Samples are drawn by doc_id, so token ids are read of those shards alone in which a document is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.arrays.trained import trained_rows
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.privacy.policies import Policy, policy_of
from pipeline.reading.work import Span, Work
from pipeline.reading.written import Form, form_of, reader_of, written
from pipeline.schema import DOCUMENTS, LANGUAGES, LEDGER, REDACTED, SELECT, TOKENS

# Samples, because texts are decoded: with this size an error in one of a hundred documents is missed with probability
# 4e-5, and it takes seconds at any size of run.
N_DECODED = 1_000
N_READ = 1_000


def drawn_rows(
    tables: Tables, shard: int, *, key: str, limit: float, mask: Callable[[Tables, int], np.ndarray]
) -> tuple[np.ndarray, pa.Table | None]:
    """The rows of a shard that a keyed sample draws among those of `mask`, and the shard of `tokens` if there are any.

    `limit` is the share that is drawn, of 2**64.
    """
    found = tables.read(TOKENS, shard, columns=["doc_id"])
    drawn = keyed_hash(stage_key(0, key), *doc_words(found)).astype(np.float64) < limit
    if not drawn.any():
        return np.zeros(0, np.int64), None
    rows = np.flatnonzero(drawn & mask(tables, shard))
    return rows, tables.read(TOKENS, shard) if rows.size else None


def count_rows(run: RunFiles, work: Work, mask: Callable[[Tables, int], np.ndarray], *, name: str) -> int:
    """How many documents `mask` holds for."""
    return sum(work.each(partial(_n_rows, run.tables, mask), work.shards(run), name=name))


def _n_rows(tables: Tables, mask: Callable[[Tables, int], np.ndarray], span: Span) -> int:
    return sum(int(mask(tables, shard).sum()) for shard in span.items)


def is_kept(tables: Tables, shard: int) -> np.ndarray:
    """Documents of a shard that are kept."""
    return np.asarray(tables.read(SELECT, shard, columns=["keep"])["keep"])


def is_packed(tables: Tables, shard: int) -> np.ndarray:
    """Documents of a shard that are packed."""
    return np.asarray(pc.greater(tables.read(LEDGER, shard, columns=["n_packed_tokens"])["n_packed_tokens"], 0))


def _has_ids(tables: Tables, shard: int) -> np.ndarray:
    """Documents of a shard that have token ids."""
    return np.asarray(tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"].is_valid())


def text_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Decode a keyed sample of kept documents back to their bytes, placeholders included."""
    written(run)  # before any shard is read: tasks believe what this has compared
    limit = min(1.0, N_DECODED / max(1, count_rows(run, work, is_kept, name="verify.n-kept"))) * 2**64
    n_same = n_seen = 0
    for same, seen in work.each(
        partial(_decoded, run.tables, form_of(run), limit), work.shards(run), name="verify.text"
    ):
        n_same, n_seen = n_same + same, n_seen + seen
    return n_same == n_seen, f"{n_same} of {n_seen} sampled documents decode to their bytes"


def _decoded(tables: Tables, form: Form, limit: float, span: Span) -> tuple[int, int]:
    """How many of the documents drawn from some shards decode to their bytes, and how many are drawn."""
    n_same = n_seen = 0
    for shard in span.items:
        rows, tokens = drawn_rows(tables, shard, key="verify", limit=limit, mask=_has_ids)
        if tokens is None:
            continue
        content = trained_rows(
            *(tables.read(table, shard, columns=["content"]) for table in (DOCUMENTS, REDACTED)), rows=rows
        )
        for row, text in zip(rows.tolist(), content, strict=True):
            n_same += reader_of(form).text(np.asarray(tokens["token_ids"][row].values)) == text.as_py()
        n_seen += rows.size
    return n_same, n_seen


def redaction_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Look for secrets and personal data in the decoded tokens of a keyed sample of the packed documents.

    Neither `redacted` nor any text is believed: what the tokens say is what is read.
    """
    written(run)
    limit = min(1.0, N_READ / max(1, count_rows(run, work, is_packed, name="verify.n-packed"))) * 2**64
    policies = dict(run.mixture.privacy.policies)
    n_read, leaks = 0, list[str]()
    for n, found in work.each(
        partial(_read, run.tables, form_of(run), policies, limit), work.shards(run), name="verify.privacy"
    ):
        n_read, leaks = n_read + n, leaks + found
    if leaks:
        return False, f"{len(leaks)} of {n_read} packed documents hold what should be redacted: {', '.join(leaks[:3])}"
    return True, f"{n_read} packed documents decoded: none holds what should be redacted"


def _read(tables: Tables, form: Form, policies: dict[str, Policy], limit: float, span: Span) -> tuple[int, list[str]]:
    """How many documents are drawn from some shards, and those that hold what should be redacted."""
    n_read, leaks = 0, list[str]()
    for shard in span.items:
        rows, tokens = drawn_rows(tables, shard, key="privacy", limit=limit, mask=is_packed)
        if tokens is None:
            continue
        texts = [reader_of(form).text(np.asarray(tokens["token_ids"][row].values)) for row in rows.tolist()]
        languages = tables.read(LANGUAGES, shard, columns=["language"])["language"].take(pa.array(rows))
        ids = tokens["doc_id"].take(pa.array(rows)).to_pylist()
        leaks += _leaks(policies, texts, languages.to_pylist(), ids)
        n_read += len(texts)
    return n_read, leaks


def _leaks(policies: dict[str, Policy], texts: list[bytes], languages: list[str], ids: list[str]) -> list[str]:
    """The documents that hold a find whose policy is to redact it, with the kinds of their finds."""
    from pipeline.privacy.assigned import UNQUOTED  # late: kernels, which a quick look does not load
    from pipeline.privacy.find import find
    from pipeline.privacy.replace import spans_of

    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    found = spans_of(find(data, offsets, unquoted=np.array([one in UNQUOTED for one in languages], bool)))
    leaks = []
    for row, spans in found.items():
        kinds = {kind for _, _, kind in spans if policy_of(kind, policies) == "redact"}
        if kinds:
            leaks.append(f"{ids[row]} ({', '.join(sorted(kinds))})")
    return leaks
