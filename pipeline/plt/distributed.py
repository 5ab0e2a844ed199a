"""The processes that train one model together: none but this one, or what `torchrun` and Ray Train start.

Both name rank and size in the environment. Rank 0 writes the model folder; all ranks read it, so it must lie on a disk
that they share. Two ways to divide the work, both over sequences: `none` keeps a whole model in each process and adds
the gradients up after the backward pass, `full` shards weights, gradients and optimiser with FSDP2.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from pipeline.plt.model import PLT

_CPU = torch.device("cpu")
# The others wait while the first process measures what the loops do, which may take a large model longer than the ten
# minutes that NCCL gives it.
_TIMEOUT = timedelta(hours=1)


@dataclass(frozen=True)
class Ranks:
    """This process among `size`."""

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU  # where tensors must lie to be sent: NCCL takes none on the CPU
    group: dist.ProcessGroup | None = None  # on the CPU, for checkpoints, which are written while training sends too

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def add_up_numbers(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The same for counts on the CPU."""
        if self.size == 1:
            return values
        summed: npt.NDArray[np.int64] = self.add_up(torch.from_numpy(values).to(self.device)).cpu().numpy()
        return summed

    def wait(self) -> None:
        """Return when every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = Ranks()


def leads() -> bool:
    """Whether this process is the first one, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def local_rank() -> int:
    """The process's number on its machine: which CUDA device is its own."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def join_ranks(device: torch.device) -> Iterator[Ranks]:
    """Join the process group that the environment names; alone where it names none."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(device=device)
        return
    own = not dist.is_initialized()
    if own:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device, dist.new_group(backend="gloo"))
    finally:
        if own:
            dist.destroy_process_group()


def shard(model: PLT, *, ranks: Ranks, device: torch.device, dtype: torch.dtype) -> None:
    """Divide every parameter over the processes: one unit a layer, and one for embedding, norm and head.

    Layers are gathered again for each loop. Matrix products and gathers run in `dtype`, gradients are added in float32.
    """
    mesh = init_device_mesh(device.type, (ranks.size,))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    if dtype == torch.float32:
        policy = MixedPrecisionPolicy()
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def add_up_gradients(model: nn.Module, *, ranks: Ranks) -> None:
    """Sum whole gradients over the processes in few messages (sharding `none`)."""
    if ranks.size == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    for group in _buckets(gradients):
        flat = ranks.add_up(torch.cat([g.flatten() for g in group]))
        for gradient, part in zip(group, torch.split(flat, [g.numel() for g in group]), strict=True):
            gradient.copy_(part.view_as(gradient))


# 128 MiB of float32 a message, a plain choice: few messages, and the flat copy costs little memory.
def _buckets(tensors: list[Tensor], *, n_values: int = 2**25) -> Iterator[list[Tensor]]:
    """Runs of tensors of about `n_values` numbers each."""
    group: list[Tensor] = []
    for tensor in tensors:
        group.append(tensor)
        if sum(t.numel() for t in group) >= n_values:
            yield group
            group = []
    if group:
        yield group


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together on every process (a collective call), any other as it is."""
    if isinstance(tensor, DTensor):
        return tensor.full_tensor()
    return tensor


def like(value: Tensor, target: Tensor) -> Tensor:
    """`value` divided as `target` is, on its device."""
    if isinstance(target, DTensor):
        return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    return value.to(target.device, copy=True)
