"""Attention that never leaves its document: the layout of a batch, rotary positions, the global and the local branch.

Shapes: B batch, T tokens, H query heads, K key/value heads, C head width; N window blocks of W tokens each.

Three backends. `sdpa` is the reference and runs everywhere: torch's fused attention with boolean masks, which are built
once per batch and shared by all layers and loops. On the CPU queries go in blocks that see keys from their earliest
document's start only, so that cost follows the documents' lengths and not T*T; elsewhere in one block, whose mask costs
B*T*T bytes. The local branch would waste all but W keys of each row, so it is cut into blocks of W queries that see 2W
keys: linear in T, and exactly the keys i - W .. i.
`flex` (see `flex.py`) is for CUDA: it skips what documents hide and never forms a mask of T x T. `varlen` (see
`varlen.py`) too: it is told where documents begin and needs no mask at all.
"""

# ruff: noqa: N815 (shape suffixes)

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.plt.flex import FlexMasks, attend_causal_flex, attend_local_flex, build_flex_masks
from pipeline.plt.varlen import DocumentBounds, attend_varlen, build_bounds

PADDING = -1  # no document has this number, since they count from 0
Backend = Literal["sdpa", "flex", "varlen"]
KeyValues = tuple[Tensor, Tensor]  # one layer's keys, rotated, and values; both BKTC


@dataclass(frozen=True)
class QueryBlock:
    """Queries start .. stop - 1 of every row and the mask of the keys first_key .. stop - 1 that they may see."""

    start: int
    stop: int
    first_key: int
    allowed_B1QS: Tensor


@dataclass(frozen=True)
class BatchLayout:
    """All that document boundaries decide for one batch."""

    window: int
    cos_B1TC: Tensor
    sin_B1TC: Tensor
    linked_BT1: Tensor  # True where token i - 1 belongs to the same document: only there may the shift carry a state
    segment_BT: Tensor  # rises by one at every document start and every pad: equal means same document
    causal: tuple[QueryBlock, ...]  # sdpa: what loop 1 and the global branch may see; empty for flex
    local_M1WS: Tensor | None  # sdpa: the same for the local branch; M = B*N blocks, S = 2W keys
    flex: FlexMasks | None
    varlen: DocumentBounds | None


def build_layout(
    doc_index_BT: Tensor,
    *,
    window: int,
    head_dim: int,
    rope_theta: float,
    dtype: torch.dtype,
    backend: Backend = "sdpa",
    query_block: int | None = None,
    bounds: DocumentBounds | None = None,
) -> BatchLayout:
    """Lay out a batch. A document is a run of equal indexes; runs of -1 are padding, and each pad sees itself only.

    `query_block`: queries of a block in the sdpa backend; None: all at once. `bounds`: of the varlen backend, where the
    batch brings them.
    """
    linked_BT = torch.zeros_like(doc_index_BT, dtype=torch.bool)
    linked_BT[:, 1:] = (doc_index_BT[:, 1:] == doc_index_BT[:, :-1]) & (doc_index_BT[:, 1:] != PADDING)
    segment_BT = (~linked_BT).cumsum(dim=1)  # a pad is never linked, so it is a segment of its own
    cos_B1TC, sin_B1TC = _rotary_tables(_positions(linked_BT), head_dim=head_dim, theta=rope_theta, dtype=dtype)
    masked = backend == "sdpa"
    return BatchLayout(
        window=window,
        cos_B1TC=cos_B1TC,
        sin_B1TC=sin_B1TC,
        linked_BT1=linked_BT[:, :, None],
        segment_BT=segment_BT,
        causal=tuple(_query_blocks(segment_BT, size=query_block or segment_BT.shape[1])) if masked else (),
        local_M1WS=_local_mask(segment_BT, window=window) if masked else None,
        flex=build_flex_masks(segment_BT, window=window) if backend == "flex" else None,
        varlen=(bounds or build_bounds(doc_index_BT)) if backend == "varlen" else None,
    )


def _query_blocks(segment_BT: Tensor, *, size: int) -> Iterator[QueryBlock]:
    """Cut the rows into blocks of queries. The first key is the start of the earliest document that a block holds."""
    n_tokens = segment_BT.shape[1]
    place_T = torch.arange(n_tokens, device=segment_BT.device)
    for start in range(0, n_tokens, size):
        stop = min(start + size, n_tokens)
        first_key = 0
        if size < n_tokens:
            before_BT = segment_BT[:, :stop] < segment_BT[:, start : start + 1]
            first_key = int(before_BT.sum(dim=1).min())
        same_BQS = segment_BT[:, start:stop, None] == segment_BT[:, None, first_key:stop]
        causal_QS = place_T[start:stop, None] >= place_T[None, first_key:stop]
        yield QueryBlock(start, stop, first_key, (same_BQS & causal_QS)[:, None])


def _positions(linked_BT: Tensor) -> Tensor:
    """Each token's place in its document."""
    index_T = torch.arange(linked_BT.shape[1], device=linked_BT.device)
    start_BT = torch.where(linked_BT, 0, index_T).cummax(dim=1).values
    return index_T - start_BT


def _rotary_tables(positions_BT: Tensor, *, head_dim: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines in half-split order (the two halves of a head rotate against each other), as Llama does."""
    wide = torch.promote_types(dtype, torch.float32)  # bfloat16 positions would run together beyond 256
    exponent = torch.arange(0, head_dim, 2, device=positions_BT.device).to(wide) / head_dim
    angle_BTc = positions_BT[:, :, None].to(wide) * theta**-exponent
    angle_B1TC = torch.cat((angle_BTc, angle_BTc), dim=-1)[:, None]
    return angle_B1TC.cos(), angle_B1TC.sin()


def _local_mask(segment_BT: Tensor, *, window: int) -> Tensor:
    """Block n holds queries nW .. nW+W-1 and keys nW-W .. nW+W-1; allowed: same document, 0 <= i - j <= W."""
    n_rows, n_tokens = segment_BT.shape
    n_blocks = -(-n_tokens // window)
    tail = n_blocks * window - n_tokens
    # Places outside the row get segments that no token has; queries there see their own place, or softmax has no key.
    queries_BNW = functional.pad(segment_BT, (0, tail), value=-1).view(n_rows, n_blocks, window)
    keys_BS = functional.pad(segment_BT, (window, tail), value=-1)
    keys_BNS = keys_BS.unfold(1, 2 * window, window)
    place_W = torch.arange(window, device=segment_BT.device)
    place_S = torch.arange(2 * window, device=segment_BT.device) - window
    distance_WS = place_W[:, None] - place_S[None, :]
    seen_WS = (distance_WS >= 0) & (distance_WS <= window)
    allowed_BNWS = (queries_BNW[..., None] == keys_BNS[..., None, :]) & seen_WS
    return allowed_BNWS.reshape(n_rows * n_blocks, 1, window, 2 * window)


def rotate(x_BHTC: Tensor, *, layout: BatchLayout) -> Tensor:
    """Apply rotary positions. Tables stay wide, the result has the type of the input."""
    first, second = x_BHTC.chunk(2, dim=-1)
    turned_BHTC = torch.cat((-second, first), dim=-1)
    return (x_BHTC * layout.cos_B1TC + turned_BHTC * layout.sin_B1TC).to(x_BHTC.dtype)


def attend_global(q_BHTC: Tensor, key_values: KeyValues, *, layout: BatchLayout) -> Tensor:
    """Full causal attention inside each document."""
    if layout.flex is not None:
        return attend_causal_flex(q_BHTC, *key_values, mask=layout.flex.causal)
    if layout.varlen is not None:
        return attend_varlen(q_BHTC, *key_values, bounds=layout.varlen, window=None)
    keys, values = (_repeat(x_BKTC, n_heads=q_BHTC.shape[1]) for x_BKTC in key_values)
    parts = [
        functional.scaled_dot_product_attention(
            q_BHTC[:, :, b.start : b.stop],
            keys[:, :, b.first_key : b.stop],
            values[:, :, b.first_key : b.stop],
            attn_mask=b.allowed_B1QS,
        )
        for b in layout.causal
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def attend_local(q_BHTC: Tensor, key_values: KeyValues, *, layout: BatchLayout) -> Tensor:
    """Attention to the token itself and the `window` tokens before it, inside each document."""
    if layout.flex is not None:
        return attend_local_flex(q_BHTC, *key_values, mask=layout.flex.local)
    if layout.varlen is not None:
        return attend_varlen(q_BHTC, *key_values, bounds=layout.varlen, window=layout.window)
    n_rows, n_heads, n_tokens, head_dim = q_BHTC.shape
    window = layout.window
    tail = -n_tokens % window
    queries = (
        functional.pad(q_BHTC, (0, 0, 0, tail))
        .view(n_rows, n_heads, -1, window, head_dim)
        .transpose(1, 2)
        .flatten(0, 1)
    )
    keys, values = (_repeat(_blocks(x_BKTC, window=window), n_heads=n_heads) for x_BKTC in key_values)
    y_MHWC = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=layout.local_M1WS)
    y_BHNWC = y_MHWC.view(n_rows, -1, n_heads, window, head_dim).transpose(1, 2)
    return y_BHNWC.flatten(2, 3)[:, :, :n_tokens]


def _blocks(x_BKTC: Tensor, *, window: int) -> Tensor:
    """Each block of W tokens with the block before it, as rows of a batch: (B*N, K, 2W, C)."""
    n_rows, n_heads, n_tokens, head_dim = x_BKTC.shape
    padded_BKTC = functional.pad(x_BKTC, (0, 0, window, -n_tokens % window))
    x_BKNWC = padded_BKTC.view(n_rows, n_heads, -1, window, head_dim)
    x_BKNSC = torch.cat((x_BKNWC[:, :, :-1], x_BKNWC[:, :, 1:]), dim=3)
    return x_BKNSC.transpose(1, 2).flatten(0, 1)


def _repeat(x_BKSC: Tensor, *, n_heads: int) -> Tensor:
    """Key heads are repeated by hand: with a mask, torch's own grouping falls back to a slow kernel on CUDA."""
    return x_BKSC.repeat_interleave(n_heads // x_BKSC.shape[1], dim=1)
