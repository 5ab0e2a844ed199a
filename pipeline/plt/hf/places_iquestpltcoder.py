"""Where the tokens of a batch stand: documents, positions, padding. Travels with every looped export."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .cache_iquestpltcoder import PLTCache
from .configuration_iquestpltcoder import IQuestPLTCoderConfig


@dataclass
class TokenPlaces:
    """What positions and padding decide for one forward pass. N new tokens, S tokens with those before."""

    cos: Tensor  # (B, 1, N, C)
    sin: Tensor
    linked: Tensor  # (B, N, 1): the token before belongs to the same document
    everything: Tensor  # (B, 1, N, S)
    near: Tensor  # (B, 1, N, S): the same within the window


def lay_out(
    config: IQuestPLTCoderConfig,
    *,
    real: Tensor,
    position_ids: Tensor | None,
    cache: PLTCache | None,
    dtype: torch.dtype,
) -> TokenPlaces:
    """Lay out N new columns; `real` (B, N) is False at padding. The cache learns where they stand."""
    before = (None, None, None) if cache is None else (cache.real, cache.position, cache.segment)
    was_real, position, segment = (
        real.new_empty((real.shape[0], 0), dtype=of) if x is None else x
        for x, of in zip(before, (torch.bool, torch.long, torch.long), strict=True)
    )
    last = functional.pad(position, (1, 0), value=-1)[:, -1:]
    new = last + real.long().cumsum(dim=1) if position_ids is None else position_ids.expand(real.shape)
    linked = linked_places(torch.cat((was_real[:, -1:], real), dim=1), torch.cat((position[:, -1:], new), dim=1))
    linked = linked[:, -real.shape[1] :]
    number = functional.pad(segment, (1, 0)).amax(dim=1, keepdim=True) + (real & ~linked).long().cumsum(dim=1)
    position = torch.cat((position, new), dim=1)
    segment = torch.cat((segment, torch.where(real, number, -1)), dim=1)
    if cache is not None:
        cache.see(real)
        cache.position, cache.segment = position, segment
    n_past = segment.shape[1] - real.shape[1]
    distance = position[:, n_past:, None] - position[:, None, :]
    # Pads see each other, or their softmax would have nothing to see; no token sees them.
    seen = (segment[:, n_past:, None] == segment[:, None, :]) & (distance >= 0)
    near = seen & (distance <= config.plt_window_size[0])
    cos, sin = _rotary_tables(new, config=config, dtype=dtype)
    return TokenPlaces(cos, sin, linked[:, :, None], seen[:, None], near[:, None])


def linked_places(real: Tensor, position: Tensor) -> Tensor:
    """(B, S): the token before exists and belongs to the same document."""
    goes_on = real[:, 1:] & real[:, :-1] & (position[:, 1:] == position[:, :-1] + 1)
    return functional.pad(goes_on, (1, 0))


def _rotary_tables(positions: Tensor, *, config: IQuestPLTCoderConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(dtype, torch.float32)
    exponent = torch.arange(0, config.head_dim, 2, device=positions.device, dtype=wide) / config.head_dim
    angle = positions[:, :, None].to(wide) * config.rope_theta**-exponent
    angle = torch.cat((angle, angle), dim=-1)[:, None]
    return angle.cos(), angle.sin()


def real_columns(attention_mask: Tensor | None, *, cache: PLTCache | None, x: Tensor) -> tuple[Tensor, bool]:
    """(B, N): which of the new columns hold tokens; and whether any column so far is padding."""
    n_rows, n_new = x.shape[:2]
    before = torch.ones((n_rows, 0), dtype=torch.bool, device=x.device)
    if cache is not None and cache.real is not None:
        before = cache.real
    if attention_mask is None:
        return torch.ones((n_rows, n_new), dtype=torch.bool, device=x.device), not bool(before.all())
    n_past = before.shape[1]
    if attention_mask.shape != (n_rows, n_past + n_new):
        raise ValueError(f"attention_mask has shape {tuple(attention_mask.shape)}, expected {(n_rows, n_past + n_new)}")
    real = attention_mask.to(x.device).bool()
    starts = real & ~functional.pad(real, (1, 0))[:, :-1]
    if bool((starts.sum(dim=1) > 1).any()) or not torch.equal(real[:, :n_past], before):
        raise ValueError("attention_mask has padding between tokens, or hides tokens that the cache holds")
    return real[:, n_past:], not bool(real.all())
