"""The optimiser with the report's constants, the learning rate by step, and its state as named tensors.

AdamW for everything, or Muon for the layers' projections and AdamW for embedding, head, norms and gates. Muon is
torch's; its updates are scaled to the size of AdamW's, so one learning rate serves both.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import CheckpointError
from pipeline.plt.config import OptimiserConfig
from pipeline.plt.distributed import like

_ADAMW_MOMENTS = ("exp_avg", "exp_avg_sq")
_MUON_MOMENTS = ("momentum_buffer",)
MOMENTS = _ADAMW_MOMENTS + _MUON_MOMENTS  # first parts of the names in a checkpoint


class Optimiser:
    """One or two of torch's optimisers that together own every parameter of a model."""

    def __init__(self, model: nn.Module, *, config: OptimiserConfig) -> None:
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        projections = [p for p, name in self._names.items() if config.kind == "muon" and is_projection(name, p)]
        others = [p for p in self._names if all(p is not one for one in projections)]
        self._parts: list[tuple[torch.optim.Optimizer, tuple[str, ...]]] = [
            (_adamw(others, config=config), _ADAMW_MOMENTS)
        ]
        if projections:
            self._parts.append((_muon(projections, config=config), _MUON_MOMENTS))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of all parts."""
        return [group for part, _ in self._parts for group in part.param_groups]

    def zero_grad(self) -> None:
        for part, _ in self._parts:
            part.zero_grad()

    def step(self, *, lr: float) -> None:
        """Apply the gradients at this learning rate."""
        for part, _ in self._parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()

    def pack(self) -> dict[str, Tensor]:
        """Every moment of every parameter under `MOMENT.NAME`, divided among processes as they are."""
        return {key: part.state[parameter][moment] for key, (part, parameter, moment) in self._moments().items()}

    def clear(self, *, step: int) -> None:
        """Moments of zero after `step` updates."""
        for part, parameter, moment in self._moments().values():
            self._set(part, parameter, moment, value=torch.zeros_like(parameter), step=step)

    def unpack(self, tensors: dict[str, Tensor], *, step: int) -> None:
        """Restore what `pack` gave after `step` updates. Raises CheckpointError for another optimiser's or model's."""
        moments = self._moments()
        expected = {key: parameter.shape for key, (_, parameter, _) in moments.items()}
        found = {key: t.shape for key, t in tensors.items()}
        if found != expected:
            wrong = sorted(set(found.items()) ^ set(expected.items()))[:4]
            raise CheckpointError(f"optimiser state does not fit the model: {wrong}; delete the checkpoint")
        for key, (part, parameter, moment) in moments.items():
            self._set(part, parameter, moment, value=like(tensors[key], parameter), step=step)

    @staticmethod
    def _set(part: torch.optim.Optimizer, parameter: Tensor, moment: str, *, value: Tensor, step: int) -> None:
        part.state[parameter][moment] = value
        if isinstance(part, torch.optim.AdamW):
            part.state[parameter]["step"] = torch.tensor(float(step), device=parameter.device)

    def _moments(self) -> dict[str, tuple[torch.optim.Optimizer, Tensor, str]]:
        return {
            f"{moment}.{self._names[parameter]}": (part, parameter, moment)
            for part, moments in self._parts
            for group in part.param_groups
            for parameter in group["params"]
            for moment in moments
        }


def is_projection(name: str, parameter: Tensor) -> bool:
    """Whether Muon takes it: a matrix between hidden spaces. Rows of embedding and head stand for one token each."""
    return parameter.ndim == 2 and ".layers." in name and "plt_gate" not in name


def build_optimiser(model: nn.Module, *, config: OptimiserConfig) -> Optimiser:
    """Decay falls on matrices (embedding, head, projections, gate weights), not on norm scales and gate biases."""
    return Optimiser(model, config=config)


def _adamw(parameters: list[nn.Parameter], *, config: OptimiserConfig) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


def _muon(parameters: list[nn.Parameter], *, config: OptimiserConfig) -> torch.optim.Optimizer:
    return torch.optim.Muon(
        parameters,
        lr=config.peak_lr,
        weight_decay=config.weight_decay,
        momentum=config.muon_momentum,
        adjust_lr_fn="match_rms_adamw",
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


def pack_state(optimiser: Optimiser, *, model: nn.Module) -> dict[str, Tensor]:
    """Every moment of every parameter under `exp_avg.NAME` and so on, divided among processes as they are.

    The checkpoint knows the step.
    """
    return optimiser.pack()


def empty_state(optimiser: Optimiser, *, model: nn.Module, step: int) -> None:
    """Moments of zero after `step` updates, to be filled from a checkpoint."""
    optimiser.clear(step=step)


def unpack_state(tensors: dict[str, Tensor], *, optimiser: Optimiser, model: nn.Module, step: int) -> None:
    """Restore what `pack_state` gave after `step` updates."""
    optimiser.unpack(tensors, step=step)
