"""Next-token loss per token, without ever holding the logits of a whole batch.

The product with the head and the cross-entropy behind it are one function. It goes through the tokens in chunks and
makes the gradients of a chunk while its logits are there, in the forward pass: neither logits nor probabilities are
kept, with or without activation checkpointing, and nothing is computed twice. What is kept is a gradient of the size
of the hidden states and one of the size of the head's weight.

On CUDA the passes over a chunk's logits are one compiled function, which reads them as the product gave them and writes
their gradients: run one by one in float32 they took a fifth of a step of the 350M shape on an H200.

That needs the gradient of every loss to be the same number, as it is for a sum or a mean. For any other, and for
a second backward pass, the chunks are computed again.

Shapes: N tokens, D hidden, V vocab.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

NO_TARGET = -100  # what cross-entropy ignores

# Logits of one chunk. On CPU 16 MiB stays below the size at which the allocator returns memory to the system after
# each use (40 % of the head's time went into page faults); on CUDA larger chunks mean fewer launches.
_CHUNK_LOGITS = {"cpu": 2**22, "cuda": 2**28}


def chunk_logits(device_type: str) -> int:
    """Logits that are held at once, in float32."""
    return _CHUNK_LOGITS[device_type]


def chunk_tokens(device: torch.device, *, vocab_size: int) -> int:
    """Tokens whose logits are held at once."""
    return max(1, chunk_logits(device.type) // vocab_size)


def head_losses(lm_head: nn.Linear, hidden_BTD: Tensor, *, targets_BT: Tensor) -> Tensor:
    """Cross-entropy in nats of each target, float32 (float64 where the model is); zero where there is none."""
    weight_VD = lm_head.weight
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
    size = chunk_tokens(hidden_ND.device, vocab_size=weight_VD.shape[0])
    if torch.is_grad_enabled() and (hidden_ND.requires_grad or weight_VD.requires_grad):
        losses_N: Tensor = _LinearCrossEntropy.apply(hidden_ND, weight_VD, targets_N, size)  # type: ignore[no-untyped-call]
    else:
        losses_N = _run(hidden_ND, weight_VD, targets_N, size=size, dtype=_product_dtype(hidden_ND))
    return losses_N.view_as(targets_BT)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, size: int) -> Tensor:
        ctx.size, ctx.dtype = size, _product_dtype(hidden_ND)
        gradients = _Gradients(hidden_ND, weight_VD, each=None)
        losses_N = _run(hidden_ND, weight_VD, targets_N, size=size, dtype=ctx.dtype, gradients=gradients)
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N)
        ctx.gradients = gradients
        return losses_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_losses_N: Tensor) -> tuple[Tensor, Tensor, None, None]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is not None and _is_one_number(of_losses_N):
            # In place, because each may be as large as the head.
            return gradients.hidden_ND.mul_(of_losses_N[0]), gradients.weight_VD.mul_(of_losses_N[0]), None, None
        hidden_ND, weight_VD, targets_N = ctx.saved_tensors
        gradients = _Gradients(hidden_ND, weight_VD, each=of_losses_N)
        _run(hidden_ND, weight_VD, targets_N, size=ctx.size, dtype=ctx.dtype, gradients=gradients)
        return gradients.hidden_ND, gradients.weight_VD, None, None


def _is_one_number(of_losses_N: Tensor) -> bool:
    # The gradient of a sum arrives as one number repeated without being written out. Only of others, such as a mean's,
    # are the numbers looked at, because that waits for the device.
    return of_losses_N.stride(0) == 0 or bool((of_losses_N == of_losses_N[:1]).all())


class _Gradients:
    """Gradients of the losses' sum, or of their sum weighed by `each`, as chunks come by."""

    def __init__(self, hidden_ND: Tensor, weight_VD: Tensor, *, each: Tensor | None) -> None:
        self.each_N = each
        self.hidden_ND = torch.empty_like(hidden_ND)
        # Chunks are added in float32 whatever the products are made in.
        wide = torch.promote_types(weight_VD.dtype, torch.float32)
        self.weight_VD = torch.zeros_like(weight_VD, dtype=wide)

    def add(self, at: slice, of_logits_NV: Tensor, *, hidden_ND: Tensor, weight_VD: Tensor) -> None:
        """Take the gradient of the logits of the tokens `at`."""
        if self.each_N is not None:
            of_logits_NV *= self.each_N[at, None]
        narrow_NV = of_logits_NV.to(weight_VD.dtype)
        self.hidden_ND[at] = narrow_NV @ weight_VD
        if narrow_NV.dtype == self.weight_VD.dtype:
            torch.addmm(self.weight_VD, narrow_NV.T, hidden_ND, out=self.weight_VD)
        else:
            self.weight_VD += narrow_NV.T @ hidden_ND


def _run(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    size: int,
    dtype: torch.dtype,
    gradients: _Gradients | None = None,
) -> Tensor:
    """The losses, chunk by chunk, and where asked the gradients beside them. Products are made in `dtype`."""
    # Types are set by hand: autocast would narrow the weight again for every chunk.
    with torch.no_grad(), torch.autocast(hidden_ND.device.type, enabled=False):
        weight_VD = weight_VD.to(dtype)
        losses = []
        for start in range(0, len(hidden_ND), size):
            at = slice(start, start + size)
            part_ND = hidden_ND[at].to(dtype)
            logits_NV = functional.linear(part_ND, weight_VD)
            if gradients is not None and _fuses(logits_NV):
                found_N, of_logits_NV = _fused()(logits_NV, targets_N[at])
                gradients.add(at, of_logits_NV, hidden_ND=part_ND, weight_VD=weight_VD)
            else:
                logits_NV = logits_NV.to(torch.promote_types(dtype, torch.float32))
                total_N1, found_N = _losses(logits_NV, targets_N[at])
                if gradients is not None:
                    of_logits_NV = _of_logits(logits_NV, total_N1, targets_N=targets_N[at])
                    gradients.add(at, of_logits_NV, hidden_ND=part_ND, weight_VD=weight_VD)
            losses.append(found_N)
        return torch.cat(losses) if losses else hidden_ND.new_zeros(0, dtype=torch.float32)


def _fuses(logits_NV: Tensor) -> bool:
    # On the CPU writing over the logits in turn is as fast, and needs no compiler. torch's CUDA builds bring Triton.
    return logits_NV.is_cuda and find_spec("triton") is not None


@cache
def _fused() -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(_losses_and_gradients)


def _losses_and_gradients(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """What `_losses` and `_of_logits` give, with nothing written over; gradients in the type of the logits."""
    wide_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    total_N1 = wide_NV.logsumexp(dim=1, keepdim=True)
    own_N = wide_NV.gather(1, targets_N.clamp(min=0)[:, None])[:, 0]
    real_N = targets_N != NO_TARGET
    at_target_NV = torch.arange(wide_NV.shape[1], device=wide_NV.device) == targets_N[:, None]
    of_logits_NV = torch.where(real_N[:, None], (wide_NV - total_N1).exp() - at_target_NV.to(wide_NV.dtype), 0.0)
    return torch.where(real_N, total_N1[:, 0] - own_N, 0.0), of_logits_NV.to(logits_NV.dtype)


def _losses(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of each token's exponentials, which are written over the logits, and its loss."""
    top_N1 = logits_NV.amax(dim=1, keepdim=True)
    own_N = logits_NV.gather(1, targets_N.clamp(min=0)[:, None])[:, 0]
    total_N1 = logits_NV.sub_(top_N1).exp_().sum(dim=1, keepdim=True)
    losses_N = (total_N1.log() + top_N1)[:, 0] - own_N
    return total_N1, torch.where(targets_N == NO_TARGET, 0.0, losses_N)


def _of_logits(exponentials_NV: Tensor, total_N1: Tensor, *, targets_N: Tensor) -> Tensor:
    """Probabilities less one at the target, zero without a target; written over the exponentials."""
    real_N1 = targets_N[:, None] != NO_TARGET
    # Through infinity instead of times zero: one pass over the logits fewer.
    exponentials_NV.div_(torch.where(real_N1, total_N1, torch.inf))
    return exponentials_NV.scatter_add_(1, targets_N.clamp(min=0)[:, None], -real_N1.to(exponentials_NV.dtype))


def _product_dtype(x: Tensor) -> torch.dtype:
    """The type of matrix products: autocast's where it is on."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype
