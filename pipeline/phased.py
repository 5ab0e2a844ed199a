"""The phases of a mixture as they are packed and read: where each lies, its ratio, its sequences.

A mixture without phases is one phase without a name, which lies right in `packed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

import numpy as np
import pyarrow as pa

from pipeline.config import Mixture
from pipeline.phases import Phase
from pipeline.schema import PACKED
from pipeline.targets import Balance, Pack


@dataclass(frozen=True)
class Phased:
    """One phase of a run; `number` counts from 0 and is None where the mixture names no phases."""

    number: int | None
    name: str
    folder: str  # of its shards, inside the run
    seq_len: int
    code_parts: int
    text_parts: int
    global_batch: int | None  # sequences of a training step: in all phases as many tokens
    wanted: Phase | None

    @property
    def said(self) -> str:
        """How a sentence begins that is about this phase alone; empty where there is no other."""
        return f"{self.name}: " if self.number is not None else ""


def phases_of(mixture: Mixture) -> tuple[Phased, ...]:
    """The phases of a mixture in the order of training."""
    code, text, pack = mixture.balance.code.parts, mixture.balance.text.parts, mixture.pack
    if not mixture.phases:
        return (Phased(None, "", PACKED, pack.seq_len, code, text, pack.global_batch, None),)
    found = []
    for number, phase in enumerate(mixture.phases):
        seq_len = phase.seq_len or pack.seq_len
        batch = None if pack.global_batch is None else pack.global_batch * pack.seq_len // seq_len
        ratio = (code, text) if phase.ratio is None else (phase.ratio.code, phase.ratio.text)
        folder = f"{PACKED}/{number + 1}-{phase.name}"
        found.append(Phased(number, phase.name, folder, seq_len, *ratio, batch, phase))
    return tuple(found)


def pack_of(mixture: Mixture, phase: Phased) -> Pack:
    """How one phase is packed: its part of the shards and partitions of the mixture, by its part of the tokens."""
    own = {"seq_len": phase.seq_len, "global_batch": phase.global_batch}
    share = _share(mixture, phase)
    for name in ("n_shards", "n_partitions"):
        n = getattr(mixture.pack, name)
        own[name] = None if n is None else max(1, -(-(n * share.numerator) // share.denominator))
    return mixture.pack.model_copy(update=own)


def _share(mixture: Mixture, phase: Phased) -> Fraction:
    """Of all tokens those of a phase; 1 where nobody can say yet."""
    tokens = [one.tokens for one in mixture.phases]
    if phase.wanted is None or phase.wanted.tokens is None or None in tokens:
        return Fraction(1)
    return Fraction(phase.wanted.tokens, sum(n for n in tokens if n is not None))


def balance_of(balance: Balance, phase: Phase) -> Balance:
    """What one phase wants of both pools, beside the mixture's own rules for them."""
    pools = {}
    for name, pool in (("code", balance.code), ("text", balance.text)):
        shares = getattr(phase.shares, name)
        parts = pool.parts if phase.ratio is None else getattr(phase.ratio, name)
        pools[name] = pool.model_copy(update={"parts": parts, "shares": pool.shares if shares is None else shares})
    return balance.model_copy(update={**pools, "total_tokens": phase.tokens})


def as_one(mixture: Mixture) -> Balance:
    """All phases as one balance: their tokens in the ratio that these have together, under the mixture's own shares.

    For estimates: what may enter a phase is left out. The balance itself where the mixture names no phases.
    """
    balance = mixture.balance
    if not mixture.phases:
        return balance
    code = text = 0
    for phase in phases_of(mixture):
        assert phase.wanted is not None
        if phase.wanted.tokens is None:  # what is left decides
            return balance
        unit = phase.wanted.tokens // (phase.code_parts + phase.text_parts)
        code, text = code + unit * phase.code_parts, text + unit * phase.text_parts
    scale = gcd(code, text)
    if not scale:
        return balance
    pools = {"code": code // scale, "text": text // scale}
    parts = {name: getattr(balance, name).model_copy(update={"parts": n}) for name, n in pools.items()}
    return balance.model_copy(update={**parts, "total_tokens": code + text})


def of_phase(plan: pa.Table, number: int) -> pa.Table:
    """doc_id, n_tokens, n_copies, cut_tokens of table `balance` of a mixture with phases, as one phase takes them."""
    columns = {"doc_id": plan["doc_id"], "n_tokens": plan["n_tokens"]}
    for name, of in (("n_copies", "phase_copies"), ("cut_tokens", "phase_cut_tokens")):
        flat = np.asarray(plan[of].combine_chunks().flatten())
        columns[name] = pa.array(flat[number :: max(1, flat.size // max(1, plan.num_rows))])
    return pa.table(columns)
