"""What the loops of one sequence do to states and output: the measures of the report that need no attention map."""

# ruff: noqa: N815 (shape suffixes)

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.plt.head import chunk_tokens
from pipeline.plt.model import PLT, Passes

_SATURATED = 0.02  # a plain choice; a sigmoid's slope is then a twelfth of its largest
Floats = npt.NDArray[np.float64]


def pass_again(model: PLT, z_BTD: Tensor, *, passes: Passes) -> Tensor:
    """f(z): one more pass over a state as it is, without re-injection or shift."""
    kept = passes.kept if model.config.n_loops > 1 else None
    return model.model.loop(z_BTD, layout=passes.layout, kept=kept)[0]


def per_loop(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def mean_where(values_T: Tensor, where_T: Tensor) -> float:
    return float(values_T[where_T].double().mean())


def step_sizes(states: list[Tensor], linked_T: Tensor) -> Floats:
    """How far each loop moves a token; `states` begins with the embedding, here and below."""
    return per_loop(mean_where((b - a).norm(dim=-1)[0], linked_T) for a, b in pairwise(states))


def alignments(states: list[Tensor], linked_T: Tensor) -> Floats:
    """Whether a loop goes on in the direction of the one before (1), across it (0) or back (-1)."""
    steps = [b - a for a, b in pairwise(states)]
    cosines = [functional.cosine_similarity(a, b, dim=-1)[0] for a, b in pairwise(steps)]
    return per_loop([math.nan, *(mean_where(c, linked_T) for c in cosines)])


def offset_costs(states: list[Tensor], linked_T: Tensor) -> Floats:
    """Omega of loop r: how far apart the neighbouring states are that its shift exchanges, those of loop r - 1."""
    costs = [mean_where((z - z.roll(1, dims=1)).norm(dim=-1)[0], linked_T) for z in states[1:-1]]
    return per_loop([math.nan, *costs])


def layer_means(gates_LHT: Tensor | None, *, n_layers: int) -> Floats:
    if gates_LHT is None:
        return np.full(n_layers, math.nan)
    return np.asarray(gates_LHT.mean(dim=(1, 2)).cpu().numpy(), dtype=np.float64)


def saturated_frac(gates_LHT: Tensor) -> float:
    return float(((gates_LHT < _SATURATED) | (gates_LHT > 1 - _SATURATED)).double().mean())


@dataclass(frozen=True)
class Output:
    """What the head says after each loop 1..R, per token."""

    shift_RT: Tensor
    entropy_RT: Tensor
    loss_RT: Tensor
    rank_RT: Tensor


def read_out(model: PLT, normed: list[Tensor], *, targets_T: Tensor) -> Output:
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
    return Output(shift, entropy, loss, rank)


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


def effective_rank(states_ND: Tensor) -> float:
    """Number of directions in use: exp of the entropy of singular values normalised to sum 1. NaN if not finite."""
    if not states_ND.isfinite().all():  # a model that diverged has no spectrum
        return math.nan
    share_N = torch.linalg.svdvals(states_ND)
    share_N = share_N / share_N.sum()
    return float((-torch.special.xlogy(share_N, share_N).sum()).exp())
