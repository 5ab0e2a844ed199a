"""What a process holds on its device while it trains, and what to change where that is too much. Plain arithmetic.

Rough by some tenths: it knows sizes, not what the allocator makes of them. The parts:

    state        weights, gradients and both moments in float32, divided with `run.sharding: full`
    copies       weights as matrix products take them: all in bfloat16, or what FSDP2 has gathered at a time
    activations  what the backward pass finds of one forward pass
    head         logits of one chunk, and the head's gradient, which is made in the forward pass
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.plt.config import TrainConfig
from pipeline.plt.distributed import Ranks
from pipeline.plt.head import chunk_logits
from pipeline.plt.prepare import rows_of

GIB = 2**30
# What the driver leaves of the memory on the data sheet.
DEVICES = {"H100": 79 * GIB, "H200": 139 * GIB}
# Of the device's memory, a plain choice: the rest is for CUDA's context, buffers of messages, holes between tensors.
_USABLE_FRAC = 0.9
_MOST_PROCESSES = 4096  # where the search for enough of them ends: more than any run of a 7B


@dataclass(frozen=True)
class Memory:
    """Bytes of one process."""

    state: int
    copies: int
    activations: int
    head: int

    @property
    def total(self) -> int:
        return self.state + self.copies + self.activations + self.head


def memory(config: TrainConfig, *, seq_len: int, n_processes: int = 1) -> Memory:
    """What each of `n_processes` CUDA devices holds at the widest place of an update."""
    model = config.model
    layer, root = model.layer_parameters, model.hidden_size * (2 * model.vocab_size + 1)
    n_parameters = model.n_parameters
    divided = config.run.sharding == "full" and n_processes > 1
    # Gathered in bfloat16: embedding, norm and head all the time, a layer at work and the next one; and the gradients
    # of one of these units in float32 before they are divided. Whole models: autocast's copy of every weight.
    copies = 2 * (root + 2 * layer) + 4 * max(root, layer) if divided else 2 * n_parameters
    n_tokens = rows_of(config, ranks=Ranks(size=n_processes)) * seq_len
    return Memory(
        state=16 * n_parameters // (n_processes if divided else 1),
        copies=copies,
        activations=n_tokens * _activation_bytes(config),
        head=4 * chunk_logits("cuda") + 4 * model.vocab_size * model.hidden_size,
    )


def _activation_bytes(config: TrainConfig) -> int:
    """Per token: what the backward pass finds in memory. Matrix inputs count 2 bytes, the residual stream 4."""
    model = config.model
    wide, kv = model.hidden_size, model.n_kv_heads * model.head_dim
    kept = 2 * 2 * kv  # loop-1 keys and values live through all loops
    if config.run.activation_checkpointing:
        layer = 4 * wide
        if config.run.activation_checkpointing == "selective":  # what products and attention gave
            layer += 2 * (5 * wide + 2 * kv + 2 * model.intermediate_size)
        working = 4 * 4 * wide + 2 * (4 * wide + 2 * kv + 3 * model.intermediate_size)
    else:
        layer = 4 * 4 * wide + 2 * (5 * wide + 2 * kv + 3 * model.intermediate_size)
        working = 0
    return model.n_layers * (model.n_loops * layer + kept) + working + 8 * wide


def memory_lines(config: TrainConfig, *, seq_len: int, n_processes: int, devices: dict[str, int]) -> Iterator[str]:
    """For each device (name -> bytes) whether the training fits, or what to change so that it does."""
    found = memory(config, seq_len=seq_len, n_processes=n_processes)
    for name, n_bytes in devices.items():
        usable = int(_USABLE_FRAC * n_bytes)
        asked = f"{name}: {_gib(found.total)} asked of {_gib(usable)} ({_USABLE_FRAC:.0%} of its {_gib(n_bytes)})"
        if found.total <= usable:
            yield f"{asked}: fits"
            continue
        fitting = propose(config, seq_len=seq_len, n_processes=n_processes, usable=usable)
        if fitting is None:
            yield f"{asked}: does not fit, {_what_would(config, seq_len=seq_len, n=n_processes, usable=usable)}"
            continue
        total = memory(fitting, seq_len=seq_len, n_processes=n_processes).total
        yield f"{asked}: does not fit; this does, with {_gib(total)}: {', '.join(_changes(config, fitting))}"


def propose(config: TrainConfig, *, seq_len: int, n_processes: int, usable: int) -> TrainConfig | None:
    """The training with the fewest changes that fits: more accumulation first, which costs least, then recomputation,
    then weights and moments divided; the same updates whichever it is. None where nothing fits."""
    for run in _runs(config, n_processes=n_processes):
        for n_parts in _divisors(config.data.sequences_per_step):
            if n_parts < config.data.grad_accumulation:
                continue
            data = config.data.model_copy(update={"grad_accumulation": n_parts})
            changed = config.model_copy(update={"data": data, "run": config.run.model_copy(update=run)})
            if memory(changed, seq_len=seq_len, n_processes=n_processes).total <= usable:
                return changed
    return None


def _runs(config: TrainConfig, *, n_processes: int) -> Iterator[dict[str, object]]:
    """Changes of `run`, none first."""
    shardings = [config.run.sharding]
    if n_processes > 1 and config.run.sharding == "none" and config.optimiser.kind != "muon":  # which takes no parts
        shardings.append("full")
    for sharding in shardings:
        for recompute in dict.fromkeys((config.run.activation_checkpointing, True)):
            yield {"sharding": sharding, "activation_checkpointing": recompute}


def _divisors(n: int) -> Iterator[int]:
    return (k for k in range(1, n + 1) if n % k == 0)


def _changes(old: TrainConfig, new: TrainConfig) -> Iterator[str]:
    """The settings to write, as the training file spells them."""
    for section in ("data", "run"):
        was, now = getattr(old, section).model_dump(), getattr(new, section).model_dump()
        for key, value in now.items():
            if was[key] != value:
                yield f"{section}.{key}: {str(value).lower()}"


def _what_would(config: TrainConfig, *, seq_len: int, n: int, usable: int) -> str:
    """Why no setting helps, and how many processes would."""
    whole = config.model_copy(update={"run": config.run.model_copy(update={"sharding": "full"})})
    enough = n
    while enough < _MOST_PROCESSES:
        enough *= 2
        if propose(whole, seq_len=seq_len, n_processes=enough, usable=usable) is not None:
            return f"whatever the accumulation; on {enough} processes with run.sharding: full it would"
    return "nor on any number of processes; take shorter sequences or fewer weights"


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / GIB:,.2f} GiB"
