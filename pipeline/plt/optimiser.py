"""AdamW with the report's constants, the learning rate by step, and the optimiser's state as named tensors."""

import math

import torch
from torch import Tensor, nn

from pipeline.errors import CheckpointError
from pipeline.plt.config import OptimiserConfig
from pipeline.plt.distributed import like

MOMENTS = ("exp_avg", "exp_avg_sq")


def build_optimiser(model: nn.Module, *, config: OptimiserConfig) -> torch.optim.AdamW:
    """Decay falls on matrices (embedding, head, projections, gate weights), not on norm scales and gate biases."""
    parameters = list(model.parameters())
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.peak_lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def learning_rate(step: int, *, config: OptimiserConfig) -> float:
    """Rate of update `step` (from 0): a line up to the peak, then half a cosine that ends at the last step."""
    # At least one step, or the first division would be by zero where the run is short.
    n_warmup = min(config.n_steps, max(1, round(config.warmup_frac * config.n_steps)))
    if step < n_warmup:
        return config.peak_lr * (step + 1) / n_warmup
    done_frac = (step + 1 - n_warmup) / (config.n_steps - n_warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done_frac)))
    return config.peak_lr * (config.min_lr_frac + (1 - config.min_lr_frac) * cosine)


def pack_state(optimiser: torch.optim.AdamW, *, model: nn.Module) -> dict[str, Tensor]:
    """Both moments of every parameter under `exp_avg.NAME` and `exp_avg_sq.NAME`, divided among processes as they are.

    The checkpoint knows the step.
    """
    return {
        f"{moment}.{name}": optimiser.state[parameter][moment]
        for name, parameter in model.named_parameters()
        for moment in MOMENTS
    }


def empty_state(optimiser: torch.optim.AdamW, *, model: nn.Module, step: int) -> None:
    """Moments of zero after `step` updates, to be filled from a checkpoint."""
    for parameter in model.parameters():
        optimiser.state[parameter] = {
            "step": torch.tensor(float(step), device=parameter.device),
            **{moment: torch.zeros_like(parameter) for moment in MOMENTS},
        }


def unpack_state(tensors: dict[str, Tensor], *, optimiser: torch.optim.AdamW, model: nn.Module, step: int) -> None:
    """Restore what `pack_state` gave after `step` updates."""
    parameters = dict(model.named_parameters())
    expected = {f"{moment}.{name}": p.shape for name, p in parameters.items() for moment in MOMENTS}
    found = {key: t.shape for key, t in tensors.items()}
    if found != expected:
        wrong = sorted(set(found.items()) ^ set(expected.items()))[:4]
        raise CheckpointError(f"optimiser state does not fit the model: {wrong}; delete the checkpoint")
    for name, parameter in parameters.items():
        optimiser.state[parameter] = {
            "step": torch.tensor(float(step), device=parameter.device),
            **{moment: like(tensors[f"{moment}.{name}"], parameter) for moment in MOMENTS},
        }
