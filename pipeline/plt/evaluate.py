"""Held-out loss per pool and per group (language or text source)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from pipeline.errors import ConfigError
from pipeline.plt.data import NO_TARGET, Batch, Sequence, Split, batches
from pipeline.plt.events import Evaluation, GroupLoss
from pipeline.plt.loss import Machine, token_losses
from pipeline.plt.model import PLT


@dataclass(frozen=True)
class HeldOut:
    """The tail of the stream, ready to be scored again and again."""

    batches: tuple[Batch, ...]
    group_numbers: tuple[npt.NDArray[np.int64], ...]  # for each batch and token, an index into `groups`; -1: unscored
    groups: tuple[tuple[str, str], ...]  # (pool, group), sorted
    n_masked_pieces: int

    @property
    def n_tokens(self) -> int:
        return sum(int((numbers >= 0).sum()) for numbers in self.group_numbers)


def build_held_out(split: Split, *, batch_size: int) -> HeldOut:
    """Read the tail once. Raises ConfigError if every piece of it belongs to a document that also trains."""
    pairs = list(batches(split, indexes=split.held_out, size=batch_size, unscored=split.seen))
    sequences = [s for _, rows in pairs for s in rows]
    groups = tuple(sorted({(s.pool, group) for s in sequences for group in s.groups}))
    numbers = tuple(
        np.where(batch.targets_BT.numpy() == NO_TARGET, -1, np.stack([_group_numbers(s, groups=groups) for s in rows]))
        for batch, rows in pairs
    )
    held_out = HeldOut(
        batches=tuple(batch for batch, _ in pairs),
        group_numbers=numbers,
        groups=groups,
        n_masked_pieces=sum(doc_id in split.seen for s in sequences for doc_id in s.doc_ids),
    )
    if not held_out.n_tokens:
        raise ConfigError(
            f"data.n_held_out_sequences: none of the {held_out.n_masked_pieces} pieces in the last "
            f"{len(sequences)} sequences can be scored, their documents also train; hold out more, or curate more data"
        )
    return held_out


def _group_numbers(sequence: Sequence, *, groups: tuple[tuple[str, str], ...]) -> npt.NDArray[np.int64]:
    numbers_T = np.full(len(sequence.token_ids), -1, dtype=np.int64)
    for (start, end), group in zip(pairwise(sequence.cu_seqlens), sequence.groups, strict=True):
        numbers_T[start:end] = groups.index((sequence.pool, group))
    return numbers_T


@torch.no_grad()
def evaluate(model: PLT, held_out: HeldOut, *, step: int, machine: Machine) -> Evaluation:
    """Score the tail; every mean weighs targets equally."""
    n_groups = len(held_out.groups)
    sums, counts = np.zeros(n_groups), np.zeros(n_groups, dtype=np.int64)
    for batch, numbers in zip(held_out.batches, held_out.group_numbers, strict=True):
        there = batch.to(machine.device)
        with machine.autocast():
            losses = token_losses(model, there.tokens_BT, doc_index_BT=there.doc_index_BT, targets_BT=there.targets_BT)
        scored = numbers >= 0
        sums += np.bincount(numbers[scored], weights=losses.double().cpu().numpy()[scored], minlength=n_groups)
        counts += np.bincount(numbers[scored], minlength=n_groups)
    scored_groups = [
        GroupLoss(pool, group, n_tokens=int(n), loss=float(total / n))
        for (pool, group), total, n in zip(held_out.groups, sums, counts, strict=True)
        if n
    ]
    return Evaluation(
        step=step,
        n_tokens=int(counts.sum()),
        loss=float(sums.sum() / counts.sum()),
        pools=tuple(_pool_loss(pool, scored_groups) for pool in sorted({g.pool for g in scored_groups})),
        groups=tuple(scored_groups),
    )


def _pool_loss(pool: str, groups: list[GroupLoss]) -> GroupLoss:
    members = [g for g in groups if g.pool == pool]
    n_tokens = sum(g.n_tokens for g in members)
    return GroupLoss(pool, "", n_tokens=n_tokens, loss=sum(g.loss * g.n_tokens for g in members) / n_tokens)
