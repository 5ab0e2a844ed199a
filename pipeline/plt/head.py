"""Next-token loss per token, without ever holding the logits of a whole batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

NO_TARGET = -100  # what cross-entropy ignores

# Logits of one chunk. On CPU 16 MiB stays below the size at which the allocator returns memory to the system after
# each use (40 % of the head's time went into page faults); on CUDA larger chunks mean fewer launches.
_CHUNK_LOGITS = {"cpu": 2**22, "cuda": 2**27}


def chunk_tokens(device: torch.device, *, vocab_size: int) -> int:
    """Tokens whose logits are held at once."""
    return max(1, _CHUNK_LOGITS[device.type] // vocab_size)


def head_losses(lm_head: nn.Linear, hidden_BTD: Tensor, *, targets_BT: Tensor, recompute: bool) -> Tensor:
    """Cross-entropy in nats of each target, float32; zero where there is none. `recompute`: again in the backward."""
    size = chunk_tokens(hidden_BTD.device, vocab_size=lm_head.weight.shape[0])
    recompute = recompute and torch.is_grad_enabled()
    chunks = zip(torch.split(hidden_BTD.flatten(0, 1), size), torch.split(targets_BT.flatten(), size), strict=True)
    losses = [
        checkpoint(_chunk_losses, lm_head, chunk, use_reentrant=False) if recompute else _chunk_losses(lm_head, chunk)
        for chunk in chunks
    ]
    return torch.cat(losses).view_as(targets_BT)


def _chunk_losses(lm_head: nn.Linear, chunk: tuple[Tensor, Tensor]) -> Tensor:
    hidden_ND, targets_N = chunk
    logits_NV = lm_head(hidden_ND).float()
    return functional.cross_entropy(logits_NV, targets_N, ignore_index=NO_TARGET, reduction="none")
