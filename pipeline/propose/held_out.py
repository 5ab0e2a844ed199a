"""Documents that no training of the search reads, drawn once: a set that scores the search, and one for each new seed.

The sets of the confirmation are apart from that of the search, which the recommended shares have been fitted to, and
from each other: the spread over seeds then holds the spread over documents too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.errors import ConfigError
from pipeline.propose.groups import Groups
from pipeline.propose.pieces import Ints, PieceTable

_MAX_FRAC = 4  # at most one document in four of a group is held out: a plain choice, the rest must still teach it
_MIN_DOCS = 2  # of a group in a set: with one, a set would be that document


@dataclass(frozen=True)
class HeldOutSets:
    """Pieces of each set, and all pieces of documents in none of them."""

    sets: tuple[Ints, ...]
    free: Ints


def hold_out(pieces: PieceTable, groups: Groups, *, n_sets: int, n_tokens: int, seq_len: int, seed: int) -> HeldOutSets:
    """Draw `n_sets` sets with `n_tokens` tokens of each group, fewer where a quarter of its documents has fewer."""
    key = stage_key(seed, "propose/held_out")
    of_set: list[list[Ints]] = [[] for _ in range(n_sets)]
    is_held_out: npt.NDArray[np.bool_] = np.zeros(len(pieces.doc_ids), bool)
    hashes = keyed_hash(key, *pieces.words)
    for number, group in enumerate(groups.each):
        members = np.flatnonzero(groups.of_piece == number)
        documents = np.unique(pieces.document[members])
        least = _MAX_FRAC * _MIN_DOCS * n_sets
        if len(documents) < least:
            raise ConfigError(
                f"{group.key}: has {len(documents)} documents, {least} are needed to hold some out for {n_sets} sets; "
                "give fewer --groups or fewer --confirm-seeds"
            )
        # Twice as many as would do if each gave a full sequence: many documents are shorter.
        wanted = min(len(documents) // _MAX_FRAC, n_sets * max(_MIN_DOCS, 2 * n_tokens // seq_len))
        drawn = documents[np.argsort(hashes[documents], kind="stable")][:wanted]
        is_held_out[drawn] = True
        for place, chosen in enumerate(of_set):
            chosen.append(_widest_first(pieces, members, documents=drawn[place::n_sets], n_tokens=n_tokens, key=key))
    free = np.flatnonzero(~is_held_out[pieces.document])
    return HeldOutSets(tuple(np.concatenate(chosen) for chosen in of_set), free)


def _widest_first(pieces: PieceTable, members: Ints, *, documents: Ints, n_tokens: int, key: np.uint64) -> Ints:
    """One piece of each document, then a second of each and so on, until there are `n_tokens` tokens or no more."""
    mine = members[np.isin(pieces.document[members], documents)]
    document = pieces.document[mine]
    hashes = keyed_hash(key, document.astype(np.uint64), pieces.offset[mine].astype(np.uint64))
    order = np.lexsort((hashes, document))
    mine, document = mine[order], document[order]
    first = np.concatenate(([0], np.flatnonzero(np.diff(document)) + 1))
    rank = np.arange(len(mine)) - np.repeat(first, np.diff(np.append(first, len(mine))))
    mine = mine[np.argsort(rank, kind="stable")]
    before = np.cumsum(pieces.length[mine]) - pieces.length[mine]
    found: Ints = mine[before < n_tokens]
    return found
