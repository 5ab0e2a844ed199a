"""The report's loop diagnostics (its interpretability section) on held-out sequences of a trained model.

Choices where the report is silent: differences are measured before and after the final norm; f in the fixed-point gap
is the pass of the loops >= 2 with the kept keys and values, given z(r) as it is; effective rank is taken over a fixed
number of tokens, spread evenly, because it grows with their count; z(0) is the embedding. Tokens at document starts
and padding are left out wherever a neighbour or a loop's shifted input is involved. Attention entropy, attention
change between loops and head diversity are not measured: they need the weights that fused attention never forms.
"""

# ruff: noqa: N815 (shape suffixes)

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import ConfigError
from pipeline.plt.data import Batch, Split, make_batch, read_sequence
from pipeline.plt.events import Diagnostics, LoopDiagnostics, Stat
from pipeline.plt.head import NO_TARGET, chunk_tokens
from pipeline.plt.machine import Machine
from pipeline.plt.model import PLT, Passes

_RANK_TOKENS = 1024
_SATURATED = 0.02
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Measured:
    """One sequence. Rows are loops 1..R; a mean that a loop does not define is NaN."""

    means: dict[str, Floats]  # measure -> [R]
    shift_RT: Floats  # output shift of each linked token
    ranks_RT: Floats  # rank of each true next token
    gates_RL: Floats  # mean gate per layer
    saturated_R: Floats
    sample_RTD: Tensor  # some normed states, for the effective rank


@torch.no_grad()
def diagnose_split(model: PLT, split: Split, *, n_sequences: int, machine: Machine) -> Diagnostics:
    """Measure the first `n_sequences` of the held-out tail; sequences without a linked token count for nothing."""
    indexes = split.held_out[:n_sequences]
    n_sample = math.ceil(_RANK_TOKENS / len(indexes))
    measured, n_tokens = [], 0
    for index in indexes:
        batch = make_batch([read_sequence(split.run, index)]).to(machine.device)
        with machine.autocast():
            passes = model.model.passes(batch.tokens_BT, batch.doc_index_BT)
            if passes.layout.linked_BT1.any():
                measured.append(_measure(model, passes, batch=batch, n_sample=n_sample))
                n_tokens += int(passes.layout.linked_BT1.sum())
    if not measured:
        raise ConfigError(
            f"{split.run.folder}: the first {len(indexes)} held-out sequences hold only documents of one token, "
            "which have nothing to measure; hold out more sequences"
        )
    n_loops = model.config.n_loops
    ranks = _effective_ranks([m.sample_RTD for m in measured])
    loops = tuple(_summarise(measured, row=row, effective_rank=ranks[row]) for row in range(n_loops))
    n_rank_tokens = sum(m.sample_RTD.shape[1] for m in measured)
    return Diagnostics(n_sequences=len(measured), n_tokens=n_tokens, n_rank_tokens=n_rank_tokens, loops=loops)


def _measure(model: PLT, passes: Passes, *, batch: Batch, n_sample: int) -> _Measured:
    block = model.model
    linked_T = passes.layout.linked_BT1[0, :, 0]
    raw = [passes.embeddings_BTD, *passes.states_BTD]
    normed = [block.norm(z_BTD) for z_BTD in raw]
    means = {"step_size": _step_sizes(raw, linked_T), "step_size_normed": _step_sizes(normed, linked_T)}
    means |= {"alignment": _alignments(raw, linked_T), "alignment_normed": _alignments(normed, linked_T)}
    means |= {"offset_cost": _offset_costs(raw, linked_T), "offset_cost_normed": _offset_costs(normed, linked_T)}
    means["fixed_point_gap"] = _per_loop(
        _mean((z_BTD - _pass_again(model, z_BTD, passes=passes)).norm(dim=-1)[0], linked_T) for z_BTD in raw[1:]
    )
    gates_RLHT = [torch.stack([g[0] for g in loop]) if loop else None for loop in ((), *passes.gates_BHT)]
    linked_gates = [None if g is None else g[:, :, linked_T].double() for g in gates_RLHT]
    means["gate_mean"] = _per_loop(math.nan if g is None else float(g.mean()) for g in linked_gates)
    output = _read_out(model, normed, targets_T=batch.targets_BT[0])
    real_T = batch.doc_index_BT[0] >= 0
    scored_T = batch.targets_BT[0] != NO_TARGET
    means["output_shift"] = _per_loop(_mean(row, linked_T) for row in output.shift_RT)
    means["output_entropy"] = _per_loop(_mean(row, real_T) for row in output.entropy_RT)
    means["loss"] = _per_loop(_mean(row, scored_T) for row in output.loss_RT)
    places = torch.linspace(0, int(linked_T.sum()) - 1, min(n_sample, int(linked_T.sum()))).long()
    return _Measured(
        means=means,
        shift_RT=output.shift_RT[:, linked_T].double().cpu().numpy(),
        ranks_RT=output.rank_RT[:, scored_T].double().cpu().numpy(),
        gates_RL=np.stack([_layer_means(g, n_layers=len(block.layers)) for g in linked_gates]),
        saturated_R=_per_loop(math.nan if g is None else _saturated_frac(g) for g in linked_gates),
        sample_RTD=torch.stack([z_BTD[0][linked_T][places.to(z_BTD.device)].double().cpu() for z_BTD in normed[1:]]),
    )


def _pass_again(model: PLT, z_BTD: Tensor, *, passes: Passes) -> Tensor:
    """f(z): one more pass over a state as it is, without re-injection or shift."""
    if model.config.n_loops == 1:
        return model.model.first(z_BTD, layout=passes.layout)[0]
    return model.model.again(z_BTD, kept=passes.kept, layout=passes.layout)[0]


def _per_loop(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _mean(values_T: Tensor, where_T: Tensor) -> float:
    return float(values_T[where_T].double().mean())


def _step_sizes(states: list[Tensor], linked_T: Tensor) -> Floats:
    """How far each loop moves a token; `states` begins with the embedding, here and below."""
    return _per_loop(_mean((b - a).norm(dim=-1)[0], linked_T) for a, b in pairwise(states))


def _alignments(states: list[Tensor], linked_T: Tensor) -> Floats:
    """Whether a loop goes on in the direction of the one before (1), across it (0) or back (-1)."""
    steps = [b - a for a, b in pairwise(states)]
    cosines = [functional.cosine_similarity(a, b, dim=-1)[0] for a, b in pairwise(steps)]
    return _per_loop([math.nan, *(_mean(c, linked_T) for c in cosines)])


def _offset_costs(states: list[Tensor], linked_T: Tensor) -> Floats:
    """Omega of loop r: how far apart the neighbouring states are that its shift exchanges, those of loop r - 1."""
    costs = [_mean((z - z.roll(1, dims=1)).norm(dim=-1)[0], linked_T) for z in states[1:-1]]
    return _per_loop([math.nan, *costs])


def _layer_means(gates_LHT: Tensor | None, *, n_layers: int) -> Floats:
    if gates_LHT is None:
        return np.full(n_layers, math.nan)
    return np.asarray(gates_LHT.mean(dim=(1, 2)).cpu().numpy(), dtype=np.float64)


def _saturated_frac(gates_LHT: Tensor) -> float:
    return float(((gates_LHT < _SATURATED) | (gates_LHT > 1 - _SATURATED)).double().mean())


@dataclass(frozen=True)
class _Output:
    """What the head says after each loop 1..R, per token."""

    shift_RT: Tensor
    entropy_RT: Tensor
    loss_RT: Tensor
    rank_RT: Tensor


def _read_out(model: PLT, normed: list[Tensor], *, targets_T: Tensor) -> _Output:
    """Apply the head to every loop, a chunk of tokens at a time; the logits of one chunk are all that is held."""
    size = chunk_tokens(targets_T.device, vocab_size=model.config.vocab_size)
    chunks = []
    for start in range(0, len(targets_T), size):
        targets = targets_T[start : start + size]
        before, rows = None, []
        for state_BTD in normed:
            logp = model.lm_head(state_BTD[0, start : start + size]).float().log_softmax(dim=-1)
            if before is not None:
                rows.append(_compare(logp, before=before, targets=targets))
            before = logp
        chunks.append(torch.stack(rows, dim=1))  # measure, loop, token
    shift, entropy, loss, rank = torch.cat(chunks, dim=2)
    return _Output(shift, entropy, loss, rank)


def _compare(logp_TV: Tensor, *, before: Tensor, targets: Tensor) -> Tensor:
    """Four measures per token: KL to the loop before, entropy, loss, rank of the target."""
    p_TV = logp_TV.exp()
    target_T1 = targets.clamp(min=0)[:, None]
    true_T1 = logp_TV.gather(1, target_T1)
    return torch.stack(
        [
            (p_TV * (logp_TV - before)).sum(dim=-1),
            -(p_TV * logp_TV).sum(dim=-1),
            -true_T1[:, 0],
            1.0 + (logp_TV > true_T1).sum(dim=-1),
        ]
    )


def _effective_ranks(samples: list[Tensor]) -> list[float]:
    """Each loop's number of directions in use: exp of the entropy of its normalised singular values."""
    states_RSD = torch.cat(samples, dim=1)
    if not states_RSD.isfinite().all():  # a model that diverged has no spectrum
        return [math.nan] * len(states_RSD)
    share_RN = torch.linalg.svdvals(states_RSD)
    share_RN = share_RN / share_RN.sum(dim=1, keepdim=True)
    entropy_R = -torch.special.xlogy(share_RN, share_RN).sum(dim=1)
    ranks: list[float] = entropy_R.exp().tolist()
    return ranks


def _summarise(measured: list[_Measured], *, row: int, effective_rank: float) -> LoopDiagnostics:
    def stat(name: str) -> Stat:
        values = np.array([m.means[name][row] for m in measured])
        values = values[~np.isnan(values)]  # a sequence may hold no token that is scored
        if not len(values) or not np.isfinite(values).all():
            return Stat(mean=math.nan, ci95=math.nan)
        spread = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        return Stat(mean=float(values.mean()), ci95=float(1.96 * spread))

    looped = row > 0
    shift_RT = np.concatenate([m.shift_RT for m in measured], axis=1)
    ranks_T = np.concatenate([m.ranks_RT[row] for m in measured])
    extra_RT = shift_RT[1:]
    whole = extra_RT.sum()  # zero where no loop changes anything, not a number where the model diverged
    gates = np.stack([m.gates_RL[row] for m in measured])
    return LoopDiagnostics(
        loop=row + 1,
        step_size=stat("step_size"),
        step_size_normed=stat("step_size_normed"),
        alignment=stat("alignment") if looped else None,
        alignment_normed=stat("alignment_normed") if looped else None,
        effective_rank=effective_rank,
        fixed_point_gap=stat("fixed_point_gap"),
        offset_cost=stat("offset_cost") if looped else None,
        offset_cost_normed=stat("offset_cost_normed") if looped else None,
        gate_mean=stat("gate_mean") if looped else None,
        gate_saturated_frac=float(np.mean([m.saturated_R[row] for m in measured])) if looped else None,
        layer_gate_means=tuple(gates.mean(axis=0).tolist()) if looped else (),
        output_shift=stat("output_shift"),
        output_shift_frac=float(shift_RT[row].sum() / whole) if looped and whole > 0 else None,
        peak_frac=float((extra_RT.argmax(axis=0) == row - 1).mean()) if looped else None,
        output_entropy=stat("output_entropy"),
        loss=stat("loss"),
        median_target_rank=float(np.median(ranks_T)) if len(ranks_T) else math.nan,
    )
