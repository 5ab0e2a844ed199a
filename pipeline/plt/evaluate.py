"""Held-out loss per document, group (language or text source) and pool, beside it that of token frequencies and that of
the same tokens in another order: how much larger that is says what the model knows of order, the *permutation gap*.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline.errors import ConfigError
from pipeline.plt.data import Batch, Split, batch_of, read_sequences
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.plt.head import NO_TARGET
from pipeline.plt.keyed import draw
from pipeline.plt.machine import Machine
from pipeline.plt.model import PLT
from pipeline.results import DocumentLoss, Evaluation, GroupLoss
from pipeline.sequences import Ints, Rows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """The held-out sequences, ready to be scored again and again."""

    sequences: range | Ints
    batches: tuple[Batch, ...]
    piece_numbers: tuple[Ints, ...]  # for each batch and token, an index into the pieces; -1: unscored
    doc_ids: tuple[str, ...]  # of each piece, and so the next three
    piece_groups: Ints  # an index into `groups`
    piece_tokens: Ints  # scored targets; 0 where the document also trains
    piece_bytes: Ints  # that those stand for; zeros where the tokenizer is unknown
    groups: tuple[tuple[str, str], ...]  # (pool, group), sorted
    n_masked_pieces: int

    @property
    def n_tokens(self) -> int:
        return int(self.piece_tokens.sum())


def build_held_out(split: Split, *, batch_size: int, token_bytes: Ints | None = None) -> HeldOut:
    """Read them once. Raises ConfigError if every piece of it belongs to a document that also trains."""
    tail = split.held_out
    read = [list(read_sequences(split.run, tail[i : i + batch_size])) for i in range(0, len(tail), batch_size)]
    of_pieces = [of for rows in read for r in rows for of in r.groups]
    groups = tuple(sorted(set(of_pieces)))
    places = {group: number for number, group in enumerate(groups)}
    doc_ids = tuple(d for rows in read for r in rows for d in r.doc_ids)
    masked = np.array([d in split.seen for d in doc_ids], dtype=bool)
    pairs, first = [], 0
    for rows in read:
        pairs.append(_scored(rows, first=first, masked=masked))
        first += sum(int(r.n_pieces.sum()) for r in rows)
    n_tokens, n_bytes = np.zeros(len(doc_ids), dtype=np.int64), np.zeros(len(doc_ids), dtype=np.int64)
    for batch, numbers in pairs:
        np.add.at(n_tokens, numbers[numbers >= 0], 1)
        if token_bytes is not None:
            np.add.at(n_bytes, numbers[numbers >= 0], token_bytes[batch.targets_BT.numpy()[numbers >= 0]])
    held_out = HeldOut(
        sequences=tail,
        batches=tuple(batch for batch, _ in pairs),
        piece_numbers=tuple(numbers for _, numbers in pairs),
        doc_ids=doc_ids,
        piece_groups=np.array([places[of] for of in of_pieces], dtype=np.int64),
        piece_tokens=n_tokens,
        piece_bytes=n_bytes,
        groups=groups,
        n_masked_pieces=int(masked.sum()),
    )
    if not held_out.n_tokens:
        raise ConfigError(
            f"data.n_held_out_sequences: none of the {held_out.n_masked_pieces} pieces in the {len(tail)} held-out "
            "sequences can be scored, their documents also train; hold out more, or curate more data"
        )
    return held_out


def _scored(rows: list[Rows], *, first: int, masked: npt.NDArray[np.bool_]) -> tuple[Batch, Ints]:
    """The batch without the targets of `masked` pieces, and the piece of each target that is left.

    `first` is the number of the batch's first piece.
    """
    batch = batch_of(rows)
    inside_BT, targets_BT = batch.doc_index_BT.numpy() >= 0, batch.targets_BT.numpy()  # a view: masking shows in batch
    n_pieces, starts = (np.concatenate([getattr(r, name) for r in rows]) for name in ("n_pieces", "starts"))
    # By pieces, not documents of the batch: those may hold several, each with a group of its own.
    marks_BT = np.zeros(targets_BT.shape, dtype=np.int64)
    marks_BT[np.repeat(np.arange(len(n_pieces)), n_pieces), starts] = 1
    piece_BT = np.cumsum(marks_BT).reshape(marks_BT.shape) - 1 + first
    targets_BT[inside_BT] = np.where(masked[piece_BT[inside_BT]], NO_TARGET, targets_BT[inside_BT])
    numbers_BT = np.where(targets_BT != NO_TARGET, piece_BT, -1)
    return batch, numbers_BT


def evaluate(model: PLT, held_out: HeldOut, *, step: int, machine: Machine, ranks: Ranks = ALONE) -> Evaluation:
    """Score what is held out; every mean weighs targets equally."""
    return evaluation_of(held_out, piece_losses(model, held_out, machine=machine, ranks=ranks), step=step)


@torch.no_grad()
def piece_losses(
    model: PLT, held_out: HeldOut, *, machine: Machine, ranks: Ranks = ALONE, permuted: bool = False
) -> Floats:
    """Summed nats of each piece, as it is or `permuted`. Processes share the batches, in equal numbers of passes."""
    n_batches, n_pieces = len(held_out.batches), len(held_out.doc_ids)
    sums = np.zeros(n_pieces)
    for number in range(ranks.rank, -(-n_batches // ranks.size) * ranks.size, ranks.size):
        batch = _permuted(held_out, number % n_batches) if permuted else held_out.batches[number % n_batches]
        there = batch.to(machine.device)
        with machine.autocast():
            losses = model(there.tokens_BT, there.doc_index_BT, there.targets_BT)
        if number < n_batches:
            numbers = held_out.piece_numbers[number]
            scored = numbers >= 0
            sums += np.bincount(numbers[scored], weights=losses.double().cpu().numpy()[scored], minlength=n_pieces)
    return np.asarray(ranks.add_up(torch.from_numpy(sums).to(machine.device)).cpu().numpy(), dtype=np.float64)


def _permuted(held_out: HeldOut, number: int) -> Batch:
    """The batch with each piece's tokens in a drawn order, all but its first: so the same tokens are scored."""
    batch = held_out.batches[number]
    n_rows, seq_len = batch.tokens_BT.shape
    start = sum(len(b.pools) for b in held_out.batches[:number])
    places = np.asarray(held_out.sequences[start : start + n_rows])[:, None] * seq_len + np.arange(seq_len)
    documents_BT = batch.doc_index_BT.numpy()
    inside = np.flatnonzero(documents_BT >= 0)
    # Rows and their pieces stand in order, so a count of starts numbers the pieces of the batch.
    starts = np.diff(documents_BT, axis=1, prepend=-1).reshape(-1)[inside] != 0
    bits = draw("permuted", places.reshape(-1)[inside])
    bits[starts] = 0  # the first token stays the first
    order = np.lexsort((bits, np.cumsum(starts)))
    tokens = batch.tokens_BT.numpy().copy()
    tokens.reshape(-1)[inside] = tokens.reshape(-1)[inside[order]]
    targets = batch.targets_BT.numpy().copy()
    scored = np.flatnonzero(targets.reshape(-1) != NO_TARGET)
    targets.reshape(-1)[scored] = tokens.reshape(-1)[scored + 1]
    return Batch(torch.from_numpy(tokens), batch.doc_index_BT, torch.from_numpy(targets), batch.pools, batch.n_real)


def evaluation_of(held_out: HeldOut, losses: Floats, *, step: int) -> Evaluation:
    """Pools and groups of summed losses per piece."""
    pools, groups = group_losses(held_out, losses)
    n_tokens = sum(g.n_tokens for g in groups)
    return Evaluation(step=step, n_tokens=n_tokens, loss=float(losses.sum() / n_tokens), pools=pools, groups=groups)


def unigram_piece_losses(held_out: HeldOut, counts: dict[str, Ints]) -> Floats:
    """Loss of token frequencies on each piece: `counts` per pool of the tokens trained on, one added to each.

    The floor in bits per byte: a model above it in some language has learnt less there than counting would.
    """
    sums = np.zeros(len(held_out.doc_ids))
    logs = {pool: -np.log((count + 1) / (count + 1).sum()) for pool, count in counts.items()}
    empty = next(iter(logs.values()))
    uniform = np.full(len(empty), np.log(len(empty)))
    pools = np.array([held_out.groups[g][0] for g in held_out.piece_groups.tolist()])
    for batch, numbers in zip(held_out.batches, held_out.piece_numbers, strict=True):
        targets, scored = batch.targets_BT.numpy(), numbers >= 0
        pieces, ids = numbers[scored], targets[scored]
        for pool in np.unique(pools[pieces]).tolist():
            mine = pools[pieces] == pool
            of_pool = logs.get(pool, uniform)[ids[mine]]
            sums += np.bincount(pieces[mine], weights=of_pool, minlength=len(sums))
    return sums


def unigram_losses(held_out: HeldOut, counts: dict[str, Ints]) -> tuple[GroupLoss, ...]:
    """The same per pool and group."""
    pools, groups = group_losses(held_out, unigram_piece_losses(held_out, counts))
    return (*pools, *groups)


def group_losses(held_out: HeldOut, losses: Floats) -> tuple[tuple[GroupLoss, ...], tuple[GroupLoss, ...]]:
    """Means of pools and of groups from summed losses per piece; groups without a scored target are left out."""
    n_groups = len(held_out.groups)
    sums, counts, n_bytes = (
        np.bincount(held_out.piece_groups, weights=of_piece, minlength=n_groups)
        for of_piece in (losses, held_out.piece_tokens, held_out.piece_bytes)
    )
    groups = tuple(
        GroupLoss(pool, group, n_tokens=int(n), loss=float(total / n), n_bytes=int(of_group))
        for (pool, group), total, n, of_group in zip(held_out.groups, sums, counts, n_bytes, strict=True)
        if n
    )
    return tuple(_pool_loss(pool, groups) for pool in sorted({g.pool for g in groups})), groups


def document_losses(
    held_out: HeldOut, *, losses: Floats, permuted: Floats, unigram: Floats
) -> tuple[DocumentLoss, ...]:
    """The scored pieces of each document together, by document id."""
    places: dict[str, list[int]] = {}
    for number, doc_id in enumerate(held_out.doc_ids):
        if held_out.piece_tokens[number]:
            places.setdefault(doc_id, []).append(number)
    return tuple(
        DocumentLoss(
            doc_id=doc_id,
            pool=held_out.groups[held_out.piece_groups[numbers[0]]][0],
            group=held_out.groups[held_out.piece_groups[numbers[0]]][1],
            n_tokens=int(held_out.piece_tokens[numbers].sum()),
            n_bytes=int(held_out.piece_bytes[numbers].sum()),
            nats=float(losses[numbers].sum()),
            permuted_nats=float(permuted[numbers].sum()),
            unigram_nats=float(unigram[numbers].sum()),
        )
        for doc_id, numbers in sorted(places.items())
    )


def _pool_loss(pool: str, groups: tuple[GroupLoss, ...]) -> GroupLoss:
    members = [g for g in groups if g.pool == pool]
    n_tokens = sum(g.n_tokens for g in members)
    loss = sum(g.loss * g.n_tokens for g in members) / n_tokens
    return GroupLoss(pool, "", n_tokens=n_tokens, loss=loss, n_bytes=sum(g.n_bytes for g in members))
