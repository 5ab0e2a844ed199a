"""FlexAttention: the same two masks as `attention.py`, as block lists that a CUDA kernel skips through.

Documents are contiguous, so the block lists follow from the first and last segment of each block of 128 tokens and no
mask of T x T is ever formed: a key block is needed where it reaches into the query block's first segment, and needs no
inner mask where both blocks lie in one segment and the key block is to the left. The local branch needs the blocks
that its window touches. Cost grows with the tokens that may see each other, which is what FLOPs are counted for.

On the CPU the kernel has a forward pass only (torch 2.13) and is used by tests alone, against the masked reference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK = 128  # the block size that torch's kernel is tuned for and takes by default
MIN_HEAD_DIM = 16  # of the CUDA kernel


@dataclass(frozen=True)
class FlexMasks:
    """Block lists of one batch, shared by all layers and loops."""

    causal: BlockMask
    local: BlockMask


def build_flex_masks(segment_BT: Tensor, *, window: int) -> FlexMasks:
    """`segment_BT` rises by one at every document start and every pad."""
    n_tokens = segment_BT.shape[1]
    first_BN, last_BN = _block_ends(segment_BT)
    index_N = torch.arange(first_BN.shape[1], device=segment_BT.device)
    left_NN = index_N[:, None] > index_N[None, :]
    reach_BNN = (last_BN[:, None, :] >= first_BN[:, :, None]) & (index_N[:, None] >= index_N[None, :])
    one_BN = first_BN == last_BN
    same_BNN = first_BN[:, :, None] == first_BN[:, None, :]
    full_BNN = left_NN & same_BNN & one_BN[:, :, None] & one_BN[:, None, :]
    near_NN = index_N[:, None] * BLOCK - window <= index_N[None, :] * BLOCK + BLOCK - 1

    def causal(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (segment_BT[b, q] == segment_BT[b, k]) & (q >= k)

    def local(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (segment_BT[b, q] == segment_BT[b, k]) & (q >= k) & (q - k <= window)

    return FlexMasks(
        causal=_block_mask(reach_BNN & ~full_BNN, full_BNN, mask_mod=causal, n_tokens=n_tokens),
        local=_block_mask(reach_BNN & near_NN, torch.zeros_like(full_BNN), mask_mod=local, n_tokens=n_tokens),
    )


def _block_ends(segment_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Segment of the first and of the last token of each block; a tail repeats the row's last segment."""
    n_rows, n_tokens = segment_BT.shape
    tail = -n_tokens % BLOCK
    padded_BT = torch.cat((segment_BT, segment_BT[:, -1:].expand(n_rows, tail)), dim=1)
    blocks_BNW = padded_BT.view(n_rows, -1, BLOCK)
    return blocks_BNW[:, :, 0], blocks_BNW[:, :, -1]


def _block_mask(partial_BNN: Tensor, full_BNN: Tensor, *, mask_mod: Any, n_tokens: int) -> BlockMask:
    return BlockMask.from_kv_blocks(
        *_listed(partial_BNN),
        *_listed(full_BNN),
        BLOCK_SIZE=BLOCK,
        mask_mod=mask_mod,
        seq_lengths=(n_tokens, n_tokens),
    )


def _listed(wanted_BNN: Tensor) -> tuple[Tensor, Tensor]:
    """Counts and, in front, the numbers of the wanted key blocks of each query block; one mask for all heads."""
    counts_B1N = wanted_BNN.sum(dim=-1, dtype=torch.int32)[:, None]
    order_B1NN = wanted_BNN.to(torch.int32).argsort(dim=-1, descending=True, stable=True).to(torch.int32)[:, None]
    return counts_B1N.contiguous(), order_B1NN.contiguous()


# Two functions, one for each branch, because torch keeps what it compiled by function and stops compiling after eight
# shapes: in each branch a run meets its own rows with and without gradients, a shorter last batch, single sequences.
def attend_causal_flex(q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, *, mask: BlockMask) -> Tensor:
    """Grouped-query attention under the causal mask; compiled on CUDA, where the eager form would hold all scores."""
    return _choose(_causal, q_BHTC)(q_BHTC, k_BKTC, v_BKTC, mask)


def attend_local_flex(q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, *, mask: BlockMask) -> Tensor:
    """The same under the mask of the window."""
    return _choose(_local, q_BHTC)(q_BHTC, k_BKTC, v_BKTC, mask)


def _causal(q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, mask: BlockMask) -> Tensor:
    return flex_attention(q_BHTC, k_BKTC, v_BKTC, block_mask=mask, enable_gqa=q_BHTC.shape[1] != k_BKTC.shape[1])


def _local(q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, mask: BlockMask) -> Tensor:
    return flex_attention(q_BHTC, k_BKTC, v_BKTC, block_mask=mask, enable_gqa=q_BHTC.shape[1] != k_BKTC.shape[1])


def _choose(branch: Callable[..., Tensor], q_BHTC: Tensor) -> Callable[..., Tensor]:
    # Inside a compiled layer the kernel is part of its graph.
    alone = _compiles_alone(q_BHTC) and not torch.compiler.is_compiling()
    return _compiled(branch) if alone else branch


def _compiles_alone(q_BHTC: Tensor) -> bool:
    return q_BHTC.is_cuda


@cache
def _compiled(branch: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.compile(branch, dynamic=False)
