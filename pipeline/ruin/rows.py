"""The packed pieces against the ledger: how often each document stands there, and under which labels."""

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from pipeline.results import RUIN, RuinFinding, Status
from pipeline.ruin.ledger import Entry
from pipeline.ruin.sample import PackedPieces

# Of a group's documents: a single one that disagrees is told, a hundredth fails. The ledger is exact.
_FAIL_SHARE = 0.01


def repeated_rows(pieces: PackedPieces, ledger: Mapping[str, Entry], *, max_copies: int) -> list[RuinFinding]:
    """Documents that stand in the sequences more often than they should: rows were copied.

    With a ledger those with more packed tokens than it counts, else those with a piece more than `max_copies` times.
    """
    if ledger:
        packed = np.bincount(pieces.doc, weights=pieces.length, minlength=pieces.n_docs).astype(np.int64).tolist()
        both = zip(pieces.doc_ids, packed, strict=True)
        wrong = [doc for doc, n in both if doc in ledger and n > ledger[doc].n_packed_tokens]
        why = "more packed tokens than the ledger counts"
    else:
        places, times = np.unique(np.stack((pieces.doc, pieces.offset)), axis=1, return_counts=True)
        wrong = [pieces.doc_ids[doc] for doc in np.unique(places[0, times > max_copies]).tolist()]
        why = f"a piece stands in the sequences more than {max_copies} times, as often as the mixture allows"
    return _findings("repeated_rows", wrong, dict(_labels(pieces)), why=why)


def short_rows(pieces: PackedPieces, ledger: Mapping[str, Entry]) -> list[RuinFinding]:
    """Documents with fewer packed tokens than the ledger counts. Empty without a ledger."""
    packed = np.bincount(pieces.doc, weights=pieces.length, minlength=pieces.n_docs).astype(np.int64).tolist()
    n_packed = dict(zip(pieces.doc_ids, packed, strict=True))
    labels = {doc: (entry.pool, entry.group) for doc, entry in ledger.items()}
    wrong = [doc for doc, entry in ledger.items() if n_packed.get(doc, 0) < entry.n_packed_tokens]
    return _findings("truncated", wrong, labels, why="fewer packed tokens than the ledger counts")


def wrong_labels(pieces: PackedPieces, ledger: Mapping[str, Entry]) -> list[RuinFinding]:
    """Documents whose pool or group in the sequences is not that of the ledger. Empty without a ledger."""
    labels = _labels(pieces)
    wrong = [d for d, label in labels if d in ledger and label != (ledger[d].pool, ledger[d].group)]
    return _findings("wrong_label", sorted(set(wrong)), dict(labels), why=RUIN["wrong_label"])


def _labels(pieces: PackedPieces) -> list[tuple[str, tuple[str, str]]]:
    """Each document with each of its labels."""
    pairs = np.unique(pieces.doc * len(pieces.groups) + pieces.group)
    docs, groups = np.divmod(pairs, len(pieces.groups))
    return [(pieces.doc_ids[d], pieces.groups[g]) for d, g in zip(docs.tolist(), groups.tolist(), strict=True)]


def _findings(kind: str, wrong: list[str], labels: dict[str, tuple[str, str]], *, why: str) -> list[RuinFinding]:
    sizes, by_group = Counter(labels.values()), defaultdict(list)
    for doc in wrong:
        by_group[labels[doc]].append(doc)
    found = []
    for (pool, group), docs in sorted(by_group.items(), key=lambda item: -len(item[1])):
        n = sizes[pool, group]
        status: Status = "fail" if len(docs) >= _FAIL_SHARE * n else "warn"
        message = f"{len(docs)} of {n} documents: {why}"
        found.append(RuinFinding(pool, group, kind, status, message, len(docs), n, 0.0, 0.0, tuple(docs[:10]), True))
    return found
