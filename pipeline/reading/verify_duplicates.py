"""The promises on duplicates, recounted: no two kept ones, and pairs that are as alike as they are said to be."""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, columns, doc_words, lists_with
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.exchange import shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.agreement import agreement
from pipeline.reading.classes import classes_of
from pipeline.reading.forgotten import forgotten_ids
from pipeline.reading.texts import contents, similarities
from pipeline.schema import DOCUMENTS, EXACT_DUPS, SELECT

# A sample, because texts are read and shingled: an error in one of a hundred near duplicates is missed with probability
# 0.13, and it takes seconds at any size of run.
N_COMPARED = 200
# Both definitions differ by nature, but not by so much: in a corpus of 400 MB of code nine of ten near duplicates agree
# by their characters to .89 of what is said of them or more, and those below half of it were all wrong: other programs
# under one licence, translations, JSON and PHP of the same words.
MIN_AGREED_FRAC = 0.5
MAX_FAR_FRAC = 0.02  # of the sample; no definition of likeness is right about every pair
# One pair more than that may be a matter of definition, as a program in two notations; one below this share is none.
UNLIKE_FRAC = 0.1
MAX_AGREED_BYTES = 2_000_000  # of a pair: sets of pieces take a hundred times as much memory


def duplicates_hold(run: RunFiles) -> tuple[bool, str]:
    keep = [t["keep"].to_numpy() for t in run.shards(SELECT, columns=["keep"])]
    groups = [
        columns(t, "group_position", "group_size")
        for t in run.shards(EXACT_DUPS, columns=["group_position", "group_size"])
    ]
    kept_groups = np.concatenate([g[k] for (g, _), k in zip(groups, keep, strict=True)])
    left, right, similarity = columns(run.near_dups(), "position", "other_position", "similarity")
    every = np.unique(np.concatenate((kept_groups, left, right)))
    equal = (similarity == 1.0) & (shard_of(right) < run.n_shards)
    ends = (np.searchsorted(every, side[equal]) for side in (left, right))
    class_of = classes_of(every.size, *ends)  # documents of equal shingles; what is near to one is near to all
    kept = class_of[np.searchsorted(every, kept_groups)]
    twice = kept.size - np.unique(kept).size
    is_kept = np.zeros(every.size, bool)
    is_kept[kept] = True
    is_kept |= shard_of(every) >= run.n_shards
    a, b = class_of[np.searchsorted(every, left)], class_of[np.searchsorted(every, right)]
    both = int((is_kept[a] & is_kept[b] & (a != b)).sum())
    below = int((similarity < run.mixture.near_dups.min_similarity).sum())
    if twice or both or below:
        return (
            False,
            f"{twice} equal documents and {both} near duplicates kept twice, {below} pairs below the threshold",
        )
    return True, f"no two kept documents are equal or known to be near; {left.size:,} verified pairs"


def bytes_differ(run: RunFiles) -> tuple[bool, str]:
    """No two kept documents have the same bytes, by their contents: no hash, no group and no pair is believed."""
    digests: list[bytes] = []
    for shard, selected in enumerate(run.shards(SELECT, columns=["keep"])):
        content = run.tables.read(DOCUMENTS, shard, columns=["content"])["content"].filter(selected["keep"])
        for chunk in content.chunks:
            data, offsets = bytes_of(chunk)
            bounds = pairwise(offsets.tolist())
            digests += [hashlib.blake2b(data[a:b].tobytes(), digest_size=16).digest() for a, b in bounds]
    if n_equal := len(digests) - len(set(digests)):
        return False, f"{n_equal:,} kept documents have the bytes of another that is kept"
    return True, f"{len(digests):,} kept documents, no two of the same bytes"


def similarities_hold(run: RunFiles) -> tuple[bool, str]:
    """Compare keyed samples of near duplicates with their keepers, and of verified pairs, word by word from their
    texts."""
    rows, n = _sampled(run, "verify", near_only=False)
    pairs = list(zip(rows["doc_id"].to_pylist(), rows["keeper_id"].to_pylist(), strict=True))
    claimed, least = rows["similarity"].to_numpy(), run.mixture.near_dups.min_similarity
    true = np.array(similarities(run, pairs)) if pairs else claimed
    n_wrong = int((np.abs(true - claimed) > 1e-9).sum() + (true < least).sum())
    if wrong := _wrong_pairs(run):
        return False, f"{len(wrong)} verified pairs are not as similar as near_dups says, as {wrong[0]}"
    if n_wrong:
        return False, f"{n_wrong} of {len(pairs)} near duplicates are not as similar to their keeper as the ledger says"
    return True, f"{len(pairs)} of {n} near duplicates compared again: each is as similar to its keeper as said"


def _wrong_pairs(run: RunFiles) -> list[str]:
    """Of a keyed sample of the verified pairs, kept or not, those whose texts are more or less similar than said."""
    pairs_all, gone = run.near_dups(), forgotten_ids(run)
    for name in ("doc_id", "other_id"):
        pairs_all = pairs_all.filter(pc.invert(pc.is_in(pairs_all[name], value_set=gone)))
    rows = _keyed_sample(pairs_all, "pairs").to_pylist()
    pairs = [(row["doc_id"], row["other_id"]) for row in rows]
    found = zip(rows, similarities(run, pairs) if pairs else [], strict=True)
    return [
        f"{row['doc_id']} and {row['other_id']}, {true:.3f} and said to be {row['similarity']:.3f}"
        for row, true in found
        if abs(true - row["similarity"]) > 1e-9
    ]


def texts_agree(run: RunFiles) -> tuple[bool, str]:
    """Hold a keyed sample of near duplicates, equal words among them, against a second definition of likeness."""
    rows, n = _sampled(run, "agree", near_only=True)
    texts = contents(run, [*rows["doc_id"].to_pylist(), *rows["keeper_id"].to_pylist()])
    far, n_unlike, n_compared = [], 0, 0
    for row in rows.to_pylist():
        one, two = (texts.get(row[name], (b"", ""))[0] for name in ("doc_id", "keeper_id"))
        if len(one) + len(two) > MAX_AGREED_BYTES:
            continue
        n_compared += 1
        agreed = agreement(one, two)
        n_unlike += agreed < UNLIKE_FRAC * row["similarity"]
        if agreed < MIN_AGREED_FRAC * row["similarity"]:
            far.append(
                f"{row['doc_id']} agrees {agreed:.2f} with {row['keeper_id']}, said to be {row['similarity']:.2f}"
            )
    said = f"{n_compared} of {n} near duplicates compared by their characters"
    if n_unlike > MAX_FAR_FRAC * n_compared or len(far) > 1 + MAX_FAR_FRAC * n_compared:
        return False, f"{said}: {len(far)} agree far less than said, as {'; '.join(far[:3])}"
    return True, f"{said}: {len(far)} agree far less than said" + (f" ({far[0]})" if far else "")


def _sampled(run: RunFiles, key: str, *, near_only: bool) -> tuple[pa.Table, int]:
    """A keyed sample of the documents that were dropped for a keeper of other bytes, and how many there are."""
    tables, gone = [], forgotten_ids(run)
    for table in run.shards(SELECT, columns=["doc_id", "keeper_id", "similarity", "reasons"]):
        is_near = lists_with(table["reasons"], "near_duplicate") | lists_with(table["reasons"], "known_duplicate")
        is_less = pc.fill_null(pc.less(table["similarity"], 1.0), False).to_numpy()
        compared = is_near if near_only else is_less
        there = ~np.asarray(pc.is_in(table["keeper_id"], value_set=gone))  # or it has no text to compare with
        tables.append(table.filter(pa.array(compared & there)))
    rows = pa.concat_tables(tables)
    return _keyed_sample(rows, key), rows.num_rows


def _keyed_sample(rows: pa.Table, key: str) -> pa.Table:
    """At most N_COMPARED rows, chosen by `key` and doc_id."""
    order = keyed_hash(stage_key(0, key), *doc_words(rows)) if rows.num_rows else np.zeros(0, np.uint64)
    return rows.take(pa.array(np.argsort(order)[:N_COMPARED]))
