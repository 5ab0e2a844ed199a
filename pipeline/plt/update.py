"""One update: forward and backward over a step's batches, the gradient's norm, AdamW; the same on 1 or N processes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.plt.config import TrainConfig
from pipeline.plt.data import Batch
from pipeline.plt.distributed import add_up_gradients, whole
from pipeline.plt.loader import StepBatch
from pipeline.plt.optimiser import learning_rate
from pipeline.plt.prepare import Place
from pipeline.schema import POOLS


@dataclass(frozen=True)
class Updated:
    """What an update found. `applied` is false where loss or gradient was no finite number; weights are as before."""

    loss: float
    pool_losses: dict[str, float]
    grad_norm: float
    lr: float
    applied: bool


def update(place: Place, batch: StepBatch, *, optimiser: torch.optim.AdamW, step: int, config: TrainConfig) -> Updated:
    """Compute update `step` (from 0) and apply it if it is sound. The device is asked once, after the backward pass."""
    model, machine, ranks = place.model, place.machine, place.ranks
    optimiser.zero_grad()
    sharded = ranks.size > 1 and config.run.sharding == "full"
    # FSDP averages gradients over processes; the loss is already a mean over all targets, so their sum is wanted.
    scale = (ranks.size if sharded else 1) / batch.n_targets
    sums = torch.zeros(len(POOLS), dtype=torch.float64, device=machine.device)
    for part in batch.parts:
        there = part.to(machine.device)
        with machine.autocast():
            losses_BT = model(there.tokens_BT, there.doc_index_BT, there.targets_BT)
        (losses_BT.sum() * scale).backward()
        sums += _per_pool(losses_BT.detach(), part)
    if not sharded:
        add_up_gradients(model, ranks=ranks)
    norm = whole(nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip_norm))
    *of_pools, grad_norm = torch.cat((ranks.add_up(sums), norm.double()[None].to(sums.device))).tolist()
    loss = sum(of_pools) / batch.n_targets
    lr = learning_rate(step, config=config.optimiser)
    applied = math.isfinite(loss) and math.isfinite(grad_norm)
    if applied:
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.step()
    targets = (batch.n_pool_targets[pool] for pool in POOLS)
    losses = {pool: total / n if n else math.nan for pool, total, n in zip(POOLS, of_pools, targets, strict=True)}
    return Updated(loss, losses, grad_norm, lr, applied)


def _per_pool(losses_BT: Tensor, part: Batch) -> Tensor:
    """Sum of the losses of each pool's rows, in the order of POOLS."""
    rows_B = losses_BT.double().sum(dim=1)
    belongs = torch.tensor([[pool == of_row for of_row in part.pools] for pool in POOLS], device=rows_B.device)
    return (torch.where(belongs, rows_B, 0.0)).sum(dim=1)
