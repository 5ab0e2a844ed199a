"""The report's loop diagnostics (its interpretability section) on held-out sequences of a trained model.

Choices where the report is silent: differences are measured before and after the final norm; f in the fixed-point gap
is the pass of the loops >= 2 with the kept keys and values, given z(r) as it is; effective rank is taken over a fixed
number of tokens, spread evenly, because it grows with their count, once pooled over sequences and once within each;
z(0) is the embedding; attention is the mixture of both branches (see `probe.py`), averaged over layers. Tokens at
document starts and padding are left out wherever a neighbour or a loop's shifted input is involved.

Every mean is one over sequences, with the half-width of its 95 % interval: sequences are independent, tokens are not.
"""

# ruff: noqa: N815 (shape suffixes)

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.plt import measures
from pipeline.plt.data import Batch, Split, batch_of, read_rows
from pipeline.plt.head import NO_TARGET
from pipeline.plt.machine import Machine
from pipeline.plt.measures import Floats, mean_where, per_loop
from pipeline.plt.model import PLT, Passes
from pipeline.plt.probe import probe_attention, record_inputs
from pipeline.results import Diagnostics, LoopDiagnostics, Stat

# Effective rank grows with the number of rows, so both are fixed: ranks of two models compare only at equal counts. The
# report says neither; these are plain choices.
_RANK_TOKENS = 1024
_SEQUENCE_RANK_TOKENS = 128
_LATER = ("alignment", "alignment_normed", "offset_cost", "offset_cost_normed", "gate_mean")  # undefined in loop 1
_SHARES = ("output_shift_share", "peak_share", "attention_change", "attention_change_share")


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
        batch = batch_of(list(read_rows(split.run, index, stop=index + 1))).to(machine.device)
        with machine.autocast(), record_inputs(model.model) as inputs:
            passes = model.model.passes(batch.tokens_BT, batch.doc_index_BT)
        if passes.layout.linked_BT1.any():
            with machine.autocast():
                measured.append(_measure(model, passes, batch=batch, n_sample=n_sample, inputs=inputs))
            n_tokens += int(passes.layout.linked_BT1.sum())
    if not measured:
        raise ConfigError(
            f"{split.run.folder}: the first {len(indexes)} held-out sequences hold only documents of one token, "
            "which have nothing to measure; hold out more sequences"
        )
    n_loops = model.config.n_loops
    ranks = [measures.effective_rank(torch.cat([m.sample_RTD[r] for m in measured])) for r in range(n_loops)]
    loops = tuple(_summarise(measured, row=row, effective_rank=ranks[row]) for row in range(n_loops))
    return Diagnostics(
        n_sequences=len(measured),
        n_tokens=n_tokens,
        n_rank_tokens=sum(m.sample_RTD.shape[1] for m in measured),
        n_sequence_rank_tokens=_SEQUENCE_RANK_TOKENS,
        loops=loops,
    )


def _measure(model: PLT, passes: Passes, *, batch: Batch, n_sample: int, inputs: list[Tensor]) -> _Measured:
    block = model.model
    linked_T = passes.layout.linked_BT1[0, :, 0]
    raw = [passes.embeddings_BTD, *passes.states_BTD]
    normed = [block.norm(z_BTD) for z_BTD in raw]
    means = probe_attention(block, passes, inputs=inputs, linked_T=linked_T)
    for suffix, states in (("", raw), ("_normed", normed)):
        means[f"step_size{suffix}"] = measures.step_sizes(states, linked_T)
        means[f"alignment{suffix}"] = measures.alignments(states, linked_T)
        means[f"offset_cost{suffix}"] = measures.offset_costs(states, linked_T)
    means["fixed_point_gap"] = per_loop(
        mean_where((z_BTD - measures.pass_again(model, z_BTD, passes=passes)).norm(dim=-1)[0], linked_T)
        for z_BTD in raw[1:]
    )
    gates_RLHT = [torch.stack([g[0] for g in loop]) if loop else None for loop in ((), *passes.gates_BHT)]
    linked_gates = [None if g is None else g[:, :, linked_T].double() for g in gates_RLHT]
    means["gate_mean"] = per_loop(math.nan if g is None else float(g.mean()) for g in linked_gates)
    output = measures.read_out(model, normed, targets_T=batch.targets_BT[0])
    scored_T = batch.targets_BT[0] != NO_TARGET
    means["output_shift"] = per_loop(mean_where(row, linked_T) for row in output.shift_RT)
    means["output_entropy"] = per_loop(mean_where(row, batch.doc_index_BT[0] >= 0) for row in output.entropy_RT)
    means["loss"] = per_loop(mean_where(row, scored_T) for row in output.loss_RT)
    shift_RT = output.shift_RT[:, linked_T].double().cpu().numpy()
    ranks_RT = output.rank_RT[:, scored_T].double().cpu().numpy()
    means["target_rank"] = np.median(ranks_RT, axis=1) if ranks_RT.size else np.full(len(ranks_RT), math.nan)
    means |= _shares(means, shift_RT)
    means["sequence_rank"] = per_loop(
        measures.effective_rank(_spread(z_BTD[0][linked_T], _SEQUENCE_RANK_TOKENS))
        if int(linked_T.sum()) >= _SEQUENCE_RANK_TOKENS
        else math.nan
        for z_BTD in normed[1:]
    )
    return _Measured(
        means=means,
        shift_RT=shift_RT,
        ranks_RT=ranks_RT,
        gates_RL=np.stack([measures.layer_means(g, n_layers=len(block.layers)) for g in linked_gates]),
        saturated_R=per_loop(math.nan if g is None else measures.saturated_frac(g) for g in linked_gates),
        sample_RTD=torch.stack([_spread(z_BTD[0][linked_T], n_sample) for z_BTD in normed[1:]]),
    )


def _spread(states_TD: Tensor, n: int) -> Tensor:
    """At most `n` rows, evenly spread, in float64 on the CPU."""
    places = torch.linspace(0, len(states_TD) - 1, min(n, len(states_TD))).long()
    return states_TD[places.to(states_TD.device)].double().cpu()


def _shares(means: dict[str, Floats], shift_RT: Floats) -> dict[str, Floats]:
    """Each later loop's part of what all later loops do in this sequence."""
    n_loops = len(shift_RT)
    sums = {"output_shift_share": shift_RT.sum(axis=1), "attention_change_share": means["attention_change"]}
    shares = {name: np.full(n_loops, math.nan) for name in (*sums, "peak_share")}
    if n_loops > 1:
        for name, of_loops in sums.items():
            whole = of_loops[1:].sum()
            if whole > 0:
                shares[name][1:] = of_loops[1:] / whole
        peaks = shift_RT[1:].argmax(axis=0)
        shares["peak_share"][1:] = [(peaks == r).mean() for r in range(n_loops - 1)]
    return shares


def _stat(measured: list[_Measured], name: str, *, row: int) -> Stat:
    """Mean over the sequences that have the measure; NaN where none has it or a value is not finite."""
    values = np.array([m.means[name][row] for m in measured])
    values = values[~np.isnan(values)]  # a sequence may hold no token that is scored
    if not len(values) or not np.isfinite(values).all():
        return Stat(mean=math.nan, ci95=math.nan)
    spread = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Stat(mean=float(values.mean()), ci95=float(1.96 * spread))


def _summarise(measured: list[_Measured], *, row: int, effective_rank: float) -> LoopDiagnostics:
    looped = row > 0
    shift_RT = np.concatenate([m.shift_RT for m in measured], axis=1)
    ranks_T = np.concatenate([m.ranks_RT[row] for m in measured])
    extra_RT = shift_RT[1:]
    whole = extra_RT.sum()  # zero where no loop changes anything, not a number where the model diverged
    gates = np.stack([m.gates_RL[row] for m in measured])
    stats: dict[str, Stat | None] = {name: _stat(measured, name, row=row) for name in measured[0].means}
    if not looped:
        stats |= dict.fromkeys((*_LATER, *_SHARES))
    return LoopDiagnostics(
        loop=row + 1,
        effective_rank=effective_rank,
        gate_saturated_frac=float(np.mean([m.saturated_R[row] for m in measured])) if looped else None,
        layer_gate_means=tuple(gates.mean(axis=0).tolist()) if looped else (),
        output_shift_frac=float(shift_RT[row].sum() / whole) if looped and whole > 0 else None,
        peak_frac=float((extra_RT.argmax(axis=0) == row - 1).mean()) if looped else None,
        median_target_rank=float(np.median(ranks_T)) if len(ranks_T) else math.nan,
        **stats,  # type: ignore[arg-type]
    )
