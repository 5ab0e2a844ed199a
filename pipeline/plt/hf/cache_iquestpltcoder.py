"""What a Parallel Loop Transformer keeps between decoding steps. Travels with every looped export.

Per sequence: loop 1's keys and values, a ring of `window` entries per later loop and layer, one saved state per loop
but the last, and where each token stands: its document and its position.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from .configuration_iquestpltcoder import IQuestPLTCoderConfig

KeyValues = tuple[Tensor, Tensor]


class PLTCache(Cache):
    """All that a batch needs to go on. Where its rows are computed one at a time, `rows` holds a cache for each."""

    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        n_layers, n_later = config.num_hidden_layers, config.plt_num_loops - 1
        super().__init__(layers=[DynamicLayer() for _ in range(n_layers)])
        # The last keys and values of each later loop (from 0) and layer.
        self.rings: list[list[KeyValues | None]] = [[None] * n_layers for _ in range(n_later)]
        self.states: list[Tensor | None] = [None] * n_later
        self.real: Tensor | None = None  # (B, S) of all columns so far: a token, not padding
        self.segment: Tensor | None = None  # (B, S): number of the document, -1 for padding
        self.position: Tensor | None = None  # (B, S): place in the document
        self.rows: list[PLTCache] | None = None

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Columns so far, padding included."""
        return 0 if self.real is None else self.real.shape[1]

    def keep(self, loop: int, layer: int, *, keys: Tensor, values: Tensor, size: int) -> None:
        """Keep the newest `size` entries."""
        first = max(0, keys.shape[2] - size)
        self.rings[loop][layer] = (keys[:, :, first:].contiguous(), values[:, :, first:].contiguous())

    def see(self, real: Tensor) -> None:
        """Count new columns."""
        self.real = real if self.real is None else torch.cat((self.real, real), dim=1)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._each(lambda x: x.index_select(0, beam_idx.to(x.device)))
        self._take(beam_idx.tolist())

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._each(lambda x: x.repeat_interleave(repeats, dim=0))
        self._take(row for row in range(len(self.rows or ())) for _ in range(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._each(lambda x: x[indices, ...])
        self._take(torch.arange(len(self.rows or ()))[indices.cpu()].tolist())

    def reset(self) -> None:
        super().reset()
        self.rings = [[None] * len(loop) for loop in self.rings]
        self.states = [None] * len(self.states)
        self.real = self.segment = self.position = self.rows = None

    @property
    def is_croppable(self) -> bool:
        return False

    def crop(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("a PLT cache cannot be cropped: states of earlier tokens are gone; prefill again")

    def _each(self, change: Any) -> None:
        self.rings = [[None if kv is None else (change(kv[0]), change(kv[1])) for kv in loop] for loop in self.rings]
        self.states = [None if state is None else change(state) for state in self.states]
        self.real, self.segment, self.position = (
            None if x is None else change(x) for x in (self.real, self.segment, self.position)
        )

    def _take(self, rows: Iterable[int]) -> None:
        if self.rows is not None:
            self.rows = [self.rows[row]._twin() for row in rows]

    def _twin(self) -> PLTCache:
        """A cache that goes its own way. Tensors are replaced and never written into, so both may hold the same."""
        twin = copy.copy(self)
        twin.layers = [copy.copy(layer) for layer in self.layers]
        twin.rings, twin.states = [list(loop) for loop in self.rings], list(self.states)
        return twin
