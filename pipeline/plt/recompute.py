"""Selective recomputation: results of products and attention are kept, cheap steps are computed again.

So norms, SwiGLU, rotary turns and gates cost no memory, and the backward pass no further product.
"""

from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

# By name, since not every build of torch has every kernel. Products, and the attention kernels of all devices.
_EXPENSIVE = {"aten::mm", "aten::addmm", "aten::bmm", "aten::linear", "torch_attn::_varlen_attn"}
_EXPENSIVE_PREFIX = "aten::_scaled_dot_product_"


def keep_expensive() -> Any:
    """Contexts of the forward pass and of its repetition, as `torch.utils.checkpoint` wants them."""
    return create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]


def _policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    name = operator._schema.name if isinstance(operator, torch._ops.OpOverload) else str(operator)
    kept = name in _EXPENSIVE or name.startswith(_EXPENSIVE_PREFIX)
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
