"""The promises on texts that are alike, recounted: no two of the same bytes, and similarities that are true."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np

from pipeline.arrays.columns import bytes_of, joined
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.agreement import agreement
from pipeline.reading.matched import count_distinct
from pipeline.reading.near_samples import NearSamples, near_samples
from pipeline.reading.spread import Spread
from pipeline.reading.texts import similarities
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.schema import DOCUMENTS, SELECT

# Both definitions differ by nature, but not by so much: in a corpus of 400 MB of code nine of ten near duplicates agree
# by their characters to .89 of what is said of them or more, and those below half of it were all wrong: other programs
# under one licence, translations, JSON and PHP of the same words.
MIN_AGREED_FRAC = 0.5
MAX_FAR_FRAC = 0.02  # of the sample; no definition of likeness is right about every pair
# One pair more than that may be a matter of definition, as a program in two notations; one below this share is none.
UNLIKE_FRAC = 0.1
MAX_AGREED_BYTES = 2_000_000  # of a pair: sets of pieces take a hundred times as much memory


def bytes_differ(run: RunFiles, work: Work) -> tuple[bool, str]:
    """No two kept documents have the same bytes, by their contents: no hash, no group and no pair is believed."""
    spans = work.shards(run)
    digests = work.spread("bytes", width=2, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    n_kept = sum(work.each(partial(_digests, run.tables, digests), spans, name="verify.bytes"))
    if n_equal := n_kept - count_distinct(work, digests, name="verify.digests"):
        return False, f"{n_equal:,} kept documents have the bytes of another that is kept"
    return True, f"{n_kept:,} kept documents, no two of the same bytes"


def _digests(tables: Tables, out: Spread, span: Span) -> int:
    """Pass on a hash of the bytes of each kept document of some shards; how many there are."""
    words = []
    for shard in span.items:
        keep = tables.read(SELECT, shard, columns=["keep"])["keep"].to_numpy()
        content = tables.read(DOCUMENTS, shard, columns=["content"])["content"]
        found, first = [], 0
        for chunk in content.chunks:
            data, offsets = bytes_of(chunk)
            bounds = offsets.tolist()
            for row in np.flatnonzero(keep[first : first + len(chunk)]).tolist():
                found.append(hashlib.blake2b(data[bounds[row] : bounds[row + 1]].data, digest_size=16).digest())
            first += len(chunk)
        if first != keep.size:
            raise ValueError(f"shard {shard} of select has {keep.size} rows, documents {first}")
        pairs = np.frombuffer(b"".join(found), ">u8").reshape(-1, 2)
        words.append((pairs[:, 0], pairs[:, 1]))
    high, low = joined(words, n=2)
    out.write(span.number, high, low, part=out.part_of(high))
    return high.size


def similarities_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Compare keyed samples of near duplicates with their keepers, and of verified pairs, word by word from their
    texts."""
    samples = near_samples(run, work)
    rows = samples.dropped.rows
    pairs = list(zip(rows["doc_id"].to_pylist(), rows["keeper_id"].to_pylist(), strict=True))
    claimed, least = rows["similarity"].to_numpy(), run.mixture.near_dups.min_similarity
    true = np.array(similarities(run, pairs, samples.texts)) if pairs else claimed
    n_wrong = int((np.abs(true - claimed) > 1e-9).sum() + (true < least).sum())
    if wrong := _wrong_pairs(run, samples):
        return False, f"{len(wrong)} verified pairs are not as similar as near_dups says, as {wrong[0]}"
    if n_wrong:
        return False, f"{n_wrong} of {len(pairs)} near duplicates are not as similar to their keeper as the ledger says"
    n = samples.dropped.n
    return True, f"{len(pairs)} of {n} near duplicates compared again: each is as similar to its keeper as said"


def _wrong_pairs(run: RunFiles, samples: NearSamples) -> list[str]:
    """Of a keyed sample of the verified pairs, kept or not, those whose texts are more or less similar than said."""
    rows = samples.pairs.rows.to_pylist()
    pairs = [(row["doc_id"], row["other_id"]) for row in rows]
    found = zip(rows, similarities(run, pairs, samples.texts) if pairs else [], strict=True)
    return [
        f"{row['doc_id']} and {row['other_id']}, {true:.3f} and said to be {row['similarity']:.3f}"
        for row, true in found
        if abs(true - row["similarity"]) > 1e-9
    ]


def texts_agree(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Hold a keyed sample of near duplicates, equal words among them, against a second definition of likeness."""
    samples = near_samples(run, work)
    far, n_unlike, n_compared = [], 0, 0
    for row in samples.near.rows.to_pylist():
        one, two = (samples.texts[i].content if i in samples.texts else b"" for i in (row["doc_id"], row["keeper_id"]))
        if len(one) + len(two) > MAX_AGREED_BYTES:
            continue
        n_compared += 1
        agreed = agreement(one, two)
        n_unlike += agreed < UNLIKE_FRAC * row["similarity"]
        if agreed < MIN_AGREED_FRAC * row["similarity"]:
            far.append(
                f"{row['doc_id']} agrees {agreed:.2f} with {row['keeper_id']}, said to be {row['similarity']:.2f}"
            )
    said = f"{n_compared} of {samples.near.n} near duplicates compared by their characters"
    if n_unlike > MAX_FAR_FRAC * n_compared or len(far) > 1 + MAX_FAR_FRAC * n_compared:
        return False, f"{said}: {len(far)} agree far less than said, as {'; '.join(far[:3])}"
    return True, f"{said}: {len(far)} agree far less than said" + (f" ({far[0]})" if far else "")
