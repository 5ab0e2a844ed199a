"""Where a model runs and in which arithmetic."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from pipeline.errors import ConfigError
from pipeline.plt.attention import Backend
from pipeline.plt.config import ModelConfig, RunConfig
from pipeline.plt.distributed import local_rank
from pipeline.plt.flex import MIN_HEAD_DIM
from pipeline.plt.varlen import MAX_HEAD_DIM, find_kernel


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

    def name(self) -> str:
        """The device's name, as its vendor spells it; `cpu` for a CPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    def memory(self) -> dict[str, int]:
        """Bytes of the CUDA device by its name; empty on a CPU."""
        if self.device.type != "cuda":
            return {}
        return {self.name(): torch.cuda.get_device_properties(self.device).total_memory}

    def total_bytes(self) -> int:
        """Memory of the CUDA device, or of this machine."""
        if self.device.type == "cuda":
            return sum(self.memory().values())
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def describe(self) -> dict[str, str]:
        """What rounding depends on besides the configuration: a checkpoint resumed elsewhere gives other bytes."""
        n_threads = str(torch.get_num_threads()) if self.device.type == "cpu" else "any"
        dtype = str(self.dtype).removeprefix("torch.")
        return {"torch": torch.__version__, "device": self.name(), "dtype": dtype, "n_threads": n_threads}


def choose_machine(config: RunConfig) -> Machine:
    """Resolve `auto`. Sets the process's thread count where the file names one. Raises ConfigError without CUDA."""
    found = torch.cuda.is_available()
    if config.device == "cuda" and not found:
        raise ConfigError("run.device is 'cuda' but torch sees no CUDA device; use 'auto' or 'cpu'")
    device = torch.device("cuda", local_rank()) if found and config.device != "cpu" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if config.n_threads is not None:
        torch.set_num_threads(config.n_threads)
    wanted = config.dtype if config.dtype != "auto" else ("bfloat16" if device.type == "cuda" else "float32")
    return Machine(device=device, dtype=torch.bfloat16 if wanted == "bfloat16" else torch.float32)


def choose_backend(config: RunConfig, *, model: ModelConfig, machine: Machine) -> Backend:
    """The attention kernel: FlexAttention on CUDA where its kernel takes the head's width, else the reference."""
    width = model.head_dim
    fits = width >= MIN_HEAD_DIM and width & (width - 1) == 0
    if config.attention == "varlen":
        _check_varlen(width, machine=machine)
        return "varlen"
    if config.attention != "flex":
        return "flex" if config.attention == "auto" and machine.device.type == "cuda" and fits else "sdpa"
    if machine.device.type != "cuda" or not fits:
        raise ConfigError(
            f"run.attention is 'flex', which needs CUDA and a head width that is a power of two of at least "
            f"{MIN_HEAD_DIM}; here it is {width} on {machine.device.type}; use 'auto'"
        )
    return "flex"


def _check_varlen(width: int, *, machine: Machine) -> None:
    """Raise ConfigError where the variable-length kernel cannot run."""
    if machine.device.type != "cuda" or machine.dtype != torch.bfloat16 or width % 8 or width > MAX_HEAD_DIM:
        raise ConfigError(
            f"run.attention is 'varlen', which needs CUDA, bfloat16 and a head width of at most {MAX_HEAD_DIM} that "
            f"is a multiple of 8; here it is {width}, {machine.dtype} on {machine.device.type}; use 'auto'"
        )
    if find_kernel() is None:
        raise ConfigError(
            f"run.attention is 'varlen', but torch {torch.__version__} has no varlen_attn with a window and shared key "
            "heads; use 'auto' or a newer torch"
        )
