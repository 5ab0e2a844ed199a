"""Next-token loss per token, without ever holding the logits of a whole batch; and the arithmetic it runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.errors import ConfigError
from pipeline.plt.config import RunConfig
from pipeline.plt.data import NO_TARGET
from pipeline.plt.model import PLT

# Logits of one chunk. On CPU 16 MiB stays below the size at which the allocator returns memory to the system after
# each use (40 % of the head's time went into page faults); on CUDA larger chunks mean fewer launches.
_CHUNK_LOGITS = {"cpu": 2**22, "cuda": 2**27}


@dataclass(frozen=True)
class Machine:
    """Where and in which arithmetic a model runs."""

    device: torch.device
    dtype: torch.dtype  # of matrix products; weights, sums and the residual stream stay float32

    def autocast(self) -> AbstractContextManager[None]:
        if self.dtype == torch.float32:
            return nullcontext()
        context: AbstractContextManager[None] = torch.autocast(self.device.type, dtype=self.dtype)
        return context

    def describe(self) -> dict[str, str]:
        """What rounding depends on besides the configuration: a checkpoint resumed elsewhere gives other bytes."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        n_threads = str(torch.get_num_threads()) if self.device.type == "cpu" else "any"
        dtype = str(self.dtype).removeprefix("torch.")
        return {"torch": torch.__version__, "device": name, "dtype": dtype, "n_threads": n_threads}


def choose_machine(config: RunConfig) -> Machine:
    """Resolve `auto`. Sets the process's thread count where the file names one. Raises ConfigError without CUDA."""
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise ConfigError("run.device is 'cuda' but torch sees no CUDA device; use 'auto' or 'cpu'")
    device = torch.device("cuda" if found and config.device != "cpu" else "cpu")
    if config.n_threads is not None:
        torch.set_num_threads(config.n_threads)
    wanted = config.dtype if config.dtype != "auto" else ("bfloat16" if device.type == "cuda" else "float32")
    return Machine(device=device, dtype=torch.bfloat16 if wanted == "bfloat16" else torch.float32)


def chunk_tokens(device: torch.device, *, vocab_size: int) -> int:
    """Tokens whose logits are held at once."""
    return max(1, _CHUNK_LOGITS[device.type] // vocab_size)


def token_losses(model: PLT, tokens_BT: Tensor, *, doc_index_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Cross-entropy in nats of each target, float32; zero where there is none."""
    hidden_BTD = model.model(tokens_BT, doc_index_BT)
    size = chunk_tokens(tokens_BT.device, vocab_size=model.config.vocab_size)
    recompute = model.model.recompute_layers and torch.is_grad_enabled()
    chunks = zip(torch.split(hidden_BTD.flatten(0, 1), size), torch.split(targets_BT.flatten(), size), strict=True)
    losses = [
        checkpoint(_chunk_losses, model, chunk, use_reentrant=False) if recompute else _chunk_losses(model, chunk)
        for chunk in chunks
    ]
    return torch.cat(losses).view_as(targets_BT)


def _chunk_losses(model: PLT, chunk: tuple[Tensor, Tensor]) -> Tensor:
    hidden_ND, targets_N = chunk
    logits_NV = model.lm_head(hidden_ND).float()
    return functional.cross_entropy(logits_NV, targets_N, ignore_index=NO_TARGET, reduction="none")
