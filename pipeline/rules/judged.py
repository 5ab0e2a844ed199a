"""Judged: every rule that fires on a document, from what was measured. No text is read, so a moved limit is cheap.

It only says what fires; `select` drops.
"""

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import hash_words, one_chunk, strings
from pipeline.reasons import in_order
from pipeline.rules.judge import FeaturesOfShard, Fired, in_rows, judge
from pipeline.rules.settings import Judging
from pipeline.schema import JUDGED


def judge_documents(documents: pa.Table, languages: pa.Table, quality: pa.Table, *, config: Judging) -> pa.Table:
    """Table `judged` of one shard: documents needs doc_id, problem, content_hash and n_bytes, languages pool and
    language, quality `is_blank` and what the rules ask for.

    A document that ingest found a problem with, or that is blank, has that as its only reason: rules of its pool
    would say the same again.
    """
    fired = _problems(documents, blank=_blank(quality))
    fired += judge(config.rules, judged_documents(documents, languages, quality))
    names = [rule.reason for rule in config.rules]
    return _table(documents["doc_id"], fired, order=in_order({f.reason for f in fired}, rules=names))


def judged_documents(documents: pa.Table, languages: pa.Table, quality: pa.Table) -> FeaturesOfShard:
    """What rules ask about a shard; documents needs problem and content_hash, languages pool and language."""
    return FeaturesOfShard(
        quality=quality,
        pool=strings(languages["pool"]),
        language=strings(languages["language"]),
        content_words=hash_words(documents["content_hash"]),
        among=(strings(documents["problem"]) == "") & ~_blank(quality),
    )


def _blank(quality: pa.Table) -> np.ndarray:
    return np.asarray(one_chunk(quality["is_blank"]).to_numpy(zero_copy_only=False))


def _problems(documents: pa.Table, *, blank: np.ndarray) -> list[Fired]:
    """What ingest found, as rules that fire; a document of white space is empty whatever ingest said."""
    problem, size = strings(documents["problem"]), documents["n_bytes"].to_numpy().astype(np.float64)
    found = [Fired(p, problem == p, size) for p in sorted(set(problem.tolist()) - {"", "empty"})]
    return [*found, Fired("empty", (problem == "empty") | ((problem == "") & blank), size)]


def _table(doc_ids: pa.ChunkedArray, fired: list[Fired], *, order: list[str]) -> pa.Table:
    offsets, reasons, values = in_rows(fired, order=order, n=len(doc_ids))
    kind = JUDGED.schema.field("fired").type
    codes = pa.array(order, pa.string()).take(pa.array(reasons))
    rules = pa.StructArray.from_arrays([codes, pa.array(values, pa.float64())], fields=list(kind.value_type))
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rules, type=kind)
    return pa.table({"doc_id": one_chunk(doc_ids), "fired": lists}, schema=JUDGED.schema)
