"""Attention as each loop uses it, formed openly for a sample of queries: what fused attention never shows.

The map of a loop r >= 2 is the mixture that the model really applies, A = g * A_global + (1 - g) * A_local, laid out by
key position; loop 1 has A_global alone. A is positive wherever loop 1's is, so the change from loop to loop is a finite
KL. The report does not say which map it takes; this is the one that acts.

Shapes: Q sampled queries, T keys, H heads. Cost per loop and layer: Q*T*H numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.plt.attention import BatchLayout
from pipeline.plt.model import Layer, LoopedBlock, Passes

# Of a sequence, evenly spread: an open map costs Q*T*H numbers, and the mean over sequences is what is reported.
N_QUERIES = 64
MEASURES = ("attention_entropy", "attention_change", "head_rank", "head_similarity")


@contextmanager
def record_inputs(block: LoopedBlock) -> Iterator[list[Tensor]]:
    """Collect what each layer reads, in the order of the calls: loop by loop, layer by layer."""
    inputs: list[Tensor] = []

    def take(layer: Any, args: tuple[Any, ...]) -> None:
        inputs.append(args[0])

    handles = [layer.register_forward_pre_hook(take) for layer in block.layers]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()


def probe_attention(block: LoopedBlock, passes: Passes, *, inputs: list[Tensor], linked_T: Tensor) -> dict[str, Any]:
    """Means over sampled queries, heads and layers of one sequence: measure -> [R], NaN where a loop has none."""
    places_Q = linked_T.nonzero()[:, 0]
    picked = torch.linspace(0, len(places_Q) - 1, min(N_QUERIES, len(places_Q))).round().long()
    places_Q = places_Q[picked.to(places_Q.device)]
    n_loops, n_layers = len(passes.states_BTD), len(block.layers)
    found = {name: np.full((n_loops, n_layers), np.nan) for name in MEASURES}
    for number, layer in enumerate(block.layers):
        assert isinstance(layer, Layer)
        before = None
        for loop in range(n_loops):
            map_HQT = _map(layer, passes, loop=loop, number=number, x_BTD=inputs[loop * n_layers + number], at=places_Q)
            found["attention_entropy"][loop, number] = _entropy(map_HQT)
            found["head_rank"][loop, number], found["head_similarity"][loop, number] = _diversity(map_HQT)
            if before is not None:
                found["attention_change"][loop, number] = _change(map_HQT, before)
            before = map_HQT
    return {name: values.mean(axis=1) for name, values in found.items()}


def _map(layer: Layer, passes: Passes, *, loop: int, number: int, x_BTD: Tensor, at: Tensor) -> Tensor:
    """[H, Q, T] in float32."""
    layout, attn = passes.layout, layer.self_attn
    q_BHTC, (own_BKTC, _) = attn.project(layer.input_layernorm(x_BTD), layout)
    q_HQC = q_BHTC[0][:, at]
    everything = _scores(q_HQC, passes.kept[number][0][0], allowed=_allowed(layout, at=at, window=None))
    if loop == 0:
        return everything
    nearby = _scores(q_HQC, own_BKTC[0], allowed=_allowed(layout, at=at, window=layout.window))
    gate_HQ1 = passes.gates_BHT[loop - 1][number][0][:, at, None].float()
    mixed_HQT: Tensor = gate_HQ1 * everything + (1 - gate_HQ1) * nearby
    return mixed_HQT


def _allowed(layout: BatchLayout, *, at: Tensor, window: int | None) -> Tensor:
    segment_T = layout.segment_BT[0]
    distance_QT = at[:, None] - torch.arange(len(segment_T), device=at.device)
    seen_QT = (distance_QT >= 0) & (segment_T[at, None] == segment_T[None, :])
    return seen_QT if window is None else seen_QT & (distance_QT <= window)


def _scores(q_HQC: Tensor, k_KTC: Tensor, *, allowed: Tensor) -> Tensor:
    k_HTC = k_KTC.repeat_interleave(q_HQC.shape[0] // k_KTC.shape[0], dim=0)
    scores_HQT = torch.einsum("hqc,htc->hqt", q_HQC.float(), k_HTC.float()) / q_HQC.shape[-1] ** 0.5
    map_HQT: Tensor = scores_HQT.masked_fill(~allowed, -torch.inf).softmax(dim=-1)
    return map_HQT


def _entropy(map_HQT: Tensor) -> float:
    return float(-torch.special.xlogy(map_HQT, map_HQT).sum(dim=-1).double().mean())


def _change(map_HQT: Tensor, before_HQT: Tensor) -> float:
    """Mean KL from this loop's map to the one before. Underflow to zero under float32 is lifted to its least number."""
    tiny = torch.finfo(torch.float32).tiny
    parts = torch.special.xlogy(map_HQT, map_HQT) - torch.special.xlogy(map_HQT, before_HQT.clamp(min=tiny))
    return float(parts.sum(dim=-1).double().mean())


def _diversity(map_HQT: Tensor) -> tuple[float, float]:
    """Effective rank of the H x T matrix of each query's heads, and their mean cosine off the diagonal."""
    if not bool(map_HQT.isfinite().all()):
        return float("nan"), float("nan")
    map_QHT = map_HQT.transpose(0, 1).double()
    gram_QHH = map_QHT @ map_QHT.transpose(1, 2)
    singular_QH = torch.linalg.eigvalsh(gram_QHH.cpu()).clamp(min=0).sqrt()
    share_QH = singular_QH / singular_QH.sum(dim=1, keepdim=True)
    rank = (-torch.special.xlogy(share_QH, share_QH).sum(dim=1)).exp().mean()
    n_heads = gram_QHH.shape[1]
    if n_heads == 1:
        return float(rank), float("nan")
    norm_QH = gram_QHH.diagonal(dim1=1, dim2=2).sqrt()
    cosine_QHH = gram_QHH / (norm_QH[:, :, None] * norm_QH[:, None, :])
    off = cosine_QHH.sum(dim=(1, 2)) - cosine_QHH.diagonal(dim1=1, dim2=2).sum(dim=1)
    return float(rank), float((off / (n_heads * (n_heads - 1))).mean())
