"""What a training run costs before it is started: parameters, FLOPs, memory, hours. Plain arithmetic.

A multiply-add is two FLOPs; the backward pass costs twice the forward. Attention is counted as masked: a query sees
half of its document on average, or its window. Recomputed activations are not counted, as is usual for MFU. Each loop
counts in full: R = 2 does about twice the work of R = 1 per token, except for the head, which reads the last loop only.
"""

from dataclasses import dataclass

from pipeline.plt.config import ModelConfig, TrainConfig
from pipeline.plt.memory import Memory, memory

_PEAK_FLOPS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}  # dense bfloat16, from the vendors' data sheets; the first name that the device's name contains


@dataclass(frozen=True)
class Cost:
    """What a training file asks of a machine."""

    n_parameters: int
    n_tokens: int  # of all steps
    forward_flops: float  # per token
    train_flops: float  # per token, backward included
    memory: Memory  # of one process


def count_parameters(config: ModelConfig) -> int:
    """All trainable numbers, embedding and head included."""
    return config.n_parameters


def flops_per_token(config: ModelConfig, *, mean_context: float) -> float:
    """Forward FLOPs per token; a query of loop 1 or of a global branch sees `mean_context` keys on average."""
    wide, kv = config.hidden_size, config.n_kv_heads * config.head_dim
    dense = 2 * (2 * wide * wide + 2 * wide * kv + 3 * wide * config.intermediate_size)
    attention = 4 * wide * mean_context
    near = 4 * wide * min(mean_context, config.window + 1)
    gate = 2 * config.n_heads * (wide if config.gate == "hidden" else config.head_dim)
    first = config.n_layers * (dense + attention)
    later = config.n_layers * (dense + attention + near + gate)
    return first + (config.n_loops - 1) * later + 2 * config.vocab_size * wide


def peak_flops(device_name: str) -> float | None:
    """Dense bfloat16 peak of a known device, else None: then there is no MFU."""
    return next((peak for name, peak in _PEAK_FLOPS.items() if name in device_name), None)


def cost(config: TrainConfig, *, seq_len: int, mean_context: float | None = None, n_processes: int = 1) -> Cost:
    """The cost of a training file on sequences of `seq_len`, without documents half of which a query sees."""
    model = config.model
    forward = flops_per_token(model, mean_context=mean_context or (seq_len + 1) / 2)
    n_parameters = count_parameters(model)
    return Cost(
        n_parameters=n_parameters,
        n_tokens=config.n_read_sequences * seq_len,
        forward_flops=forward,
        train_flops=3 * forward,
        memory=memory(config, seq_len=seq_len, n_processes=n_processes),
    )


def cost_lines(config: TrainConfig, *, seq_len: int, device_name: str, n_processes: int = 1) -> list[str]:
    """The cost as a person reads it; hours for the given device where its peak is known, at the MFU aimed at."""
    found = cost(config, seq_len=seq_len, n_processes=n_processes)
    total, held = found.train_flops * found.n_tokens, found.memory
    lines = [
        f"{found.n_parameters:,} parameters, R = {config.model.n_loops}",
        f"{found.n_tokens:,} tokens in {config.optimiser.n_steps:,} steps of "
        f"{config.data.sequences_per_step * seq_len:,} tokens, sequences of {seq_len:,}",
        f"{found.train_flops / 1e9:,.2f} GFLOP per token ({found.forward_flops / 1e9:,.2f} forward), "
        f"{total:.3g} FLOP in all; attention as if each sequence were one document",
        f"memory per process: {_gib(held.state)} weights, gradients and moments (float32), about "
        f"{_gib(held.copies)} weights as products take them, {_gib(held.activations)} activations"
        + (" (recomputed)" if config.run.activation_checkpointing else "")
        + f", {_gib(held.head)} for the head on CUDA",
    ]
    aimed = 0.5 if config.model.n_loops == 1 else 0.45  # the aims that docs/training.md names
    names = [device_name] if peak_flops(device_name) else ["H100", "H200"]
    for name in names:
        peak = peak_flops(name) or 1.0
        hours = total / (aimed * peak * n_processes) / 3600
        on = f"{n_processes} x {name} at an MFU of {aimed:.0%}"
        lines.append(f"{hours:,.2f} hours on {on} (aimed at, not measured here)")
    return lines


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:,.2f} GiB"
