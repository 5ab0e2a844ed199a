"""Held-out loss per pool and per group (language or text source), and the loss of token frequencies beside it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline.errors import ConfigError
from pipeline.plt.data import Batch, Ints, Rows, Split, batch_of, read_sequences
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.plt.head import NO_TARGET
from pipeline.plt.machine import Machine
from pipeline.plt.model import PLT
from pipeline.results import Evaluation, GroupLoss


@dataclass(frozen=True)
class HeldOut:
    """The held-out sequences, ready to be scored again and again."""

    batches: tuple[Batch, ...]
    group_numbers: tuple[Ints, ...]  # for each batch and token, an index into `groups`; -1: unscored
    groups: tuple[tuple[str, str], ...]  # (pool, group), sorted
    group_bytes: Ints  # bytes that each group's scored targets stand for; zeros where the tokenizer is unknown
    n_masked_pieces: int

    @property
    def n_tokens(self) -> int:
        return sum(int((numbers >= 0).sum()) for numbers in self.group_numbers)


def build_held_out(split: Split, *, batch_size: int, token_bytes: Ints | None = None) -> HeldOut:
    """Read them once. Raises ConfigError if every piece of it belongs to a document that also trains."""
    tail = split.held_out
    read = [list(read_sequences(split.run, tail[i : i + batch_size])) for i in range(0, len(tail), batch_size)]
    groups = tuple(sorted({of for rows in read for r in rows for of in r.groups}))
    places = {group: number for number, group in enumerate(groups)}
    pairs = [_scored(rows, places=places, unscored=split.seen) for rows in read]
    group_bytes = np.zeros(len(groups), dtype=np.int64)
    if token_bytes is not None:
        for batch, of_batch in pairs:
            scored = of_batch >= 0
            np.add.at(group_bytes, of_batch[scored], token_bytes[batch.targets_BT.numpy()[scored]])
    held_out = HeldOut(
        batches=tuple(batch for batch, _ in pairs),
        group_numbers=tuple(numbers for _, numbers in pairs),
        groups=groups,
        group_bytes=group_bytes,
        n_masked_pieces=sum(d in split.seen for rows in read for r in rows for d in r.doc_ids),
    )
    if not held_out.n_tokens:
        raise ConfigError(
            f"data.n_held_out_sequences: none of the {held_out.n_masked_pieces} pieces in the {len(tail)} held-out "
            "sequences can be scored, their documents also train; hold out more, or curate more data"
        )
    return held_out


def _scored(rows: list[Rows], *, places: dict[tuple[str, str], int], unscored: frozenset[str]) -> tuple[Batch, Ints]:
    """The batch, without the targets of `unscored` documents, and the group number of each target that is left."""
    batch = batch_of(rows)
    n_pieces = np.concatenate([r.n_pieces for r in rows])
    inside_BT, targets_BT = batch.doc_index_BT.numpy() >= 0, batch.targets_BT.numpy()  # a view: masking shows in batch
    piece_BT = batch.doc_index_BT.numpy() + (np.cumsum(n_pieces) - n_pieces)[:, None]
    masked = np.array([d in unscored for r in rows for d in r.doc_ids])
    group_of = np.array([places[of] for r in rows for of in r.groups])
    targets_BT[inside_BT] = np.where(masked[piece_BT[inside_BT]], NO_TARGET, targets_BT[inside_BT])
    numbers_BT = np.full(targets_BT.shape, -1, dtype=np.int64)
    scored_BT = targets_BT != NO_TARGET
    numbers_BT[scored_BT] = group_of[piece_BT[scored_BT]]
    return batch, numbers_BT


@torch.no_grad()
def evaluate(model: PLT, held_out: HeldOut, *, step: int, machine: Machine, ranks: Ranks = ALONE) -> Evaluation:
    """Score the tail; every mean weighs targets equally. Processes share the batches, in equal numbers of passes."""
    n_batches, n_groups = len(held_out.batches), len(held_out.groups)
    sums = np.zeros(n_groups)
    for number in range(ranks.rank, -(-n_batches // ranks.size) * ranks.size, ranks.size):
        there = held_out.batches[number % n_batches].to(machine.device)
        with machine.autocast():
            losses = model(there.tokens_BT, there.doc_index_BT, there.targets_BT)
        if number < n_batches:
            numbers = held_out.group_numbers[number]
            scored = numbers >= 0
            sums += np.bincount(numbers[scored], weights=losses.double().cpu().numpy()[scored], minlength=n_groups)
    sums = ranks.add_up(torch.from_numpy(sums).to(machine.device)).cpu().numpy()
    pools, groups = _as_losses(held_out, sums)
    n_tokens = sum(g.n_tokens for g in groups)
    return Evaluation(step=step, n_tokens=n_tokens, loss=float(sums.sum() / n_tokens), pools=pools, groups=groups)


def unigram_losses(held_out: HeldOut, counts: dict[str, Ints]) -> tuple[GroupLoss, ...]:
    """Held-out loss of token frequencies: `counts` per pool of the tokens trained on, one added to each.

    The floor in bits per byte: a model above it in some language has learnt less there than counting would.
    """
    sums = np.zeros(len(held_out.groups))
    logs = {pool: -np.log((count + 1) / (count + 1).sum()) for pool, count in counts.items()}
    empty = next(iter(logs.values()))
    uniform = np.full(len(empty), np.log(len(empty)))
    per_group = [logs.get(pool, uniform) for pool, _ in held_out.groups]
    for batch, numbers in zip(held_out.batches, held_out.group_numbers, strict=True):
        targets = batch.targets_BT.numpy()
        for number in np.unique(numbers[numbers >= 0]).tolist():
            sums[number] += per_group[number][targets[numbers == number]].sum()
    pools, groups = _as_losses(held_out, sums)
    return (*pools, *groups)


def _as_losses(held_out: HeldOut, sums: npt.NDArray[np.float64]) -> tuple[tuple[GroupLoss, ...], tuple[GroupLoss, ...]]:
    """Means of pools and of groups from summed losses; groups without a scored target are left out."""
    counts = np.zeros(len(held_out.groups), dtype=np.int64)
    for numbers in held_out.group_numbers:
        counts += np.bincount(numbers[numbers >= 0], minlength=len(counts))
    groups = tuple(
        GroupLoss(pool, group, n_tokens=int(n), loss=float(total / n), n_bytes=int(n_bytes))
        for (pool, group), total, n, n_bytes in zip(held_out.groups, sums, counts, held_out.group_bytes, strict=True)
        if n
    )
    return tuple(_pool_loss(pool, groups) for pool in sorted({g.pool for g in groups})), groups


def _pool_loss(pool: str, groups: tuple[GroupLoss, ...]) -> GroupLoss:
    members = [g for g in groups if g.pool == pool]
    n_tokens = sum(g.n_tokens for g in members)
    loss = sum(g.loss * g.n_tokens for g in members) / n_tokens
    return GroupLoss(pool, "", n_tokens=n_tokens, loss=loss, n_bytes=sum(g.n_bytes for g in members))
