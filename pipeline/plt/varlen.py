"""Variable-length attention: torch's fused kernel over all rows laid end to end, told where documents begin.

It needs no mask and no block lists, and takes the window as a number. CUDA and bfloat16 only; not in every torch that
runs this package, so it is looked for. Its backward pass adds up in no fixed order, so two lives of a run may differ in
their last digits: `auto` never takes it.
"""

# ruff: noqa: N815 (shape suffixes)

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MAX_HEAD_DIM = 256  # of the kernel, which also wants a multiple of 8
_NEEDED = {"window_size", "enable_gqa"}  # parameters that older versions of torch's function lack


@dataclass(frozen=True)
class DocumentBounds:
    """Where documents begin in the rows of a batch laid end to end."""

    bounds_N: Tensor  # int32: each document's first token, then the number of tokens, repeated
    max_length: int  # of a document: the length of a row, which needs no question to the device

    def each(self, change: Callable[[Tensor], Tensor]) -> "DocumentBounds":
        """The same with its tensor changed."""
        return replace(self, bounds_N=change(self.bounds_N))


@cache
def find_kernel() -> Any | None:
    """torch's function, or None where this version has none that knows windows and shared key heads."""
    try:
        found = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):
        return None
    return found if inspect.signature(found).parameters.keys() >= _NEEDED else None


def build_bounds(doc_index_BT: Tensor) -> DocumentBounds:
    """Bounds of all runs of equal indexes; a run of padding is one document, which nothing reads.

    Their number is padded to a power of two with empty documents, so that kernels and compiled layers meet few shapes.
    On CUDA this waits for the device; on the CPU, before the batch is copied, it does not.
    """
    n_rows, n_tokens = doc_index_BT.shape
    starts_BT = functional.pad(doc_index_BT[:, 1:] != doc_index_BT[:, :-1], (1, 0), value=True)
    first_N = starts_BT.flatten().nonzero()[:, 0].to(torch.int32)
    room = 1 << (len(first_N) - 1).bit_length()
    bounds_N = functional.pad(first_N, (0, room + 1 - len(first_N)), value=n_rows * n_tokens)
    return DocumentBounds(bounds_N, n_tokens)


def attend_varlen(
    q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, *, bounds: DocumentBounds, window: int | None
) -> Tensor:
    """Causal attention inside each document, `window` tokens back or to its start."""
    n_rows, n_heads, n_tokens, _ = q_BHTC.shape
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q_BHTC, k_BKTC, v_BKTC))
    kernel = find_kernel()
    assert kernel is not None  # `choose_backend` looked
    y_NHC = kernel(
        q,
        k,
        v,
        bounds.bounds_N,
        bounds.bounds_N,
        bounds.max_length,
        bounds.max_length,
        window_size=(-1 if window is None else window, 0),
        enable_gqa=k_BKTC.shape[1] != n_heads,
    )
    y_BHTC: Tensor = y_NHC.view(n_rows, n_tokens, n_heads, -1).transpose(1, 2)
    return y_BHTC
