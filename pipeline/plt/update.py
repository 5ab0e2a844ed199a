"""One update: forward and backward over a step's batches, the gradient's norm, the step; the same on 1 or N ranks."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.plt.attention import Backend
from pipeline.plt.config import TrainConfig
from pipeline.plt.data import Batch
from pipeline.plt.distributed import add_up_gradients, whole
from pipeline.plt.loader import StepBatch
from pipeline.plt.optimiser import Optimiser, learning_rate
from pipeline.plt.prepare import Place
from pipeline.plt.varlen import DocumentBounds, build_bounds
from pipeline.schema import POOLS


@dataclass(frozen=True)
class Updated:
    """What an update found. `applied` is false where loss or gradient was no finite number; weights are as before."""

    loss: float
    pool_losses: dict[str, float]
    grad_norm: float
    lr: float
    applied: bool


def update(place: Place, batch: StepBatch, *, optimiser: Optimiser, step: int, config: TrainConfig) -> Updated:
    """Compute update `step` (from 0) and apply it if it is sound. The device is asked once, after the backward pass."""
    model, machine, ranks = place.model, place.machine, place.ranks
    optimiser.zero_grad()
    sharded = ranks.size > 1 and config.run.sharding == "full"
    # FSDP averages gradients over processes; the loss is already a mean over all targets, so their sum is wanted.
    scale = (ranks.size if sharded else 1) / batch.n_targets
    sums = torch.zeros(len(POOLS), dtype=torch.float64, device=machine.device)
    for number, part in enumerate(batch.parts, start=1):
        if sharded:  # gradients of all passes are added up here before they are sent
            model.set_requires_gradient_sync(number == len(batch.parts))  # type: ignore[operator]
        there, belongs, bounds = _sent(part, backend=model.model.backend, device=machine.device)
        with machine.autocast():
            losses_BT = model(there.tokens_BT, there.doc_index_BT, there.targets_BT, bounds)
        (losses_BT.sum() * scale).backward()
        sums += torch.where(belongs, losses_BT.detach().double().sum(dim=1), 0.0).sum(dim=1)
    if not sharded:
        add_up_gradients(model, ranks=ranks)
    norm = whole(nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip_norm))
    *of_pools, grad_norm = torch.cat((ranks.add_up(sums), norm.double()[None].to(sums.device))).tolist()
    loss = sum(of_pools) / batch.n_targets
    lr = learning_rate(step, config=config.optimiser)
    applied = math.isfinite(loss) and math.isfinite(grad_norm)
    if applied:
        optimiser.step(lr=lr)
    targets = (batch.n_pool_targets[pool] for pool in POOLS)
    losses = {pool: total / n if n else math.nan for pool, total, n in zip(POOLS, of_pools, targets, strict=True)}
    return Updated(loss, losses, grad_norm, lr, applied)


def _sent(part: Batch, *, backend: Backend, device: torch.device) -> tuple[Batch, Tensor, DocumentBounds | None]:
    """The batch, each pool's rows (in the order of POOLS) and where documents begin, on the device without waiting."""
    belongs = torch.tensor([[pool == of_row for of_row in part.pools] for pool in POOLS])
    # Counted here, where no question to the device is needed.
    bounds = build_bounds(part.doc_index_BT) if backend == "varlen" else None
    if device.type == "cuda":  # only from page-locked memory does a copy not wait
        belongs = belongs.pin_memory()
        bounds = bounds and bounds.each(Tensor.pin_memory)
    bounds = bounds and bounds.each(lambda x: x.to(device, non_blocking=True))
    return part.to(device), belongs.to(device, non_blocking=True), bounds
