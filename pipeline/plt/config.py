"""The training file: one frozen model per section, read as strictly as the mixture (see `pipeline/config.py`).

Defaults are those of the LoopCoder-v2 report where it gives a number; what it leaves open (batch, steps, last learning
rate) has no default or a modest one. The sequence length is not here: the packed data decide it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.fields import Count, Frac, Frozen
from pipeline.yaml_file import build, read_yaml, refuse_other_kind

Positive = Annotated[float, Field(gt=0)]
TokenId = Annotated[int, Field(ge=0)]
# Keys of `model` that say what loops >= 2 do, so a plain model has no use for them.
LOOP_OPTIONS = {"embedding_scale", "hidden_scale", "normalize_per_loop", "gate", "window"}


class ModelConfig(Frozen):
    """Shape of the network. One loop is a plain Llama; more loops add the gates and nothing else."""

    vocab_size: Count = Field(description="rows of the embedding; at least the tokenizer's size")
    n_layers: Count = Field(description="layers of the block that every loop shares")
    hidden_size: Count = Field(description="width of the residual stream")
    n_heads: Count = Field(description="query heads; hidden_size / n_heads is the head's width and must be even")
    n_kv_heads: Count = Field(description="key and value heads; divides n_heads")
    intermediate_size: Count = Field(description="width of the SwiGLU")
    n_loops: Annotated[int, Field(ge=1, le=16)] = Field(2, description="passes through the block, R")
    embedding_scale: float = Field(0.707, description="a: weight of the token embedding in loops 2..R")
    hidden_scale: float = Field(0.053, description="b: weight of the shifted state of the loop before")
    normalize_per_loop: bool = Field(True, description="apply the final norm to a state before it is shifted")
    gate: Literal["hidden", "query"] = Field(
        "hidden", description="what the gate reads: the layer's input or the query"
    )
    window: Count = Field(64, description="keys to the left that the local branch sees, besides the token itself")
    rope_theta: Positive = Field(500_000.0, description="base of the rotary frequencies")
    norm_eps: Positive = Field(1.0e-5, description="added to the mean square in every norm")
    init_std: Positive = Field(0.02, description="standard deviation of all matrices at step 0; gates start at zero")
    max_positions: Count | None = Field(None, description="written to exports; null: the sequence length of the data")
    bos_token_id: TokenId | None = Field(None, description="written to exports; training does not use it")
    eos_token_id: TokenId | None = Field(None, description="written to exports; training does not use it")

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.n_heads

    @property
    def layer_parameters(self) -> int:
        """Of one layer, which all loops share."""
        wide, kv = self.hidden_size, self.n_kv_heads * self.head_dim
        n = 2 * wide * wide + 2 * wide * kv + 3 * wide * self.intermediate_size + 2 * wide
        if self.n_loops > 1:
            per_head = wide if self.gate == "hidden" else self.head_dim
            n += self.n_heads * (per_head + 1) + (wide if self.gate == "hidden" else 0)
        return n

    @property
    def n_parameters(self) -> int:
        """All trainable numbers, embedding and head included."""
        return self.n_layers * self.layer_parameters + self.hidden_size * (2 * self.vocab_size + 1)

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.hidden_size % (2 * self.n_heads):
            raise ValueError(f"hidden_size {self.hidden_size} / n_heads {self.n_heads} is not an even whole number")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        return self


class OptimiserConfig(Frozen):
    """AdamW or Muon with linear warmup and cosine decay. Decay falls on matrices only."""

    kind: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: for the layers' projections, with updates of AdamW's size; AdamW for all else"
    )

    n_steps: Count = Field(description="updates; the stream is read again from its start when they need more")
    peak_lr: Positive = Field(4.0e-4, description="learning rate after warmup")
    min_lr_frac: Frac = Field(0.1, description="learning rate of the last step, as a part of peak_lr")
    warmup_frac: Frac = Field(0.05, description="part of n_steps over which the rate rises from zero")
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="decay of the first moment")
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(0.95, description="decay of the second moment")
    # The report's; below the usual 1e-8, so a step hardly depends on the gradient's size even where that is tiny.
    eps: Positive = Field(1.0e-15, description="added to the root of the second moment")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.1, description="decoupled; matrices only")
    muon_momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.95, description="decay of Muon's one moment")
    clip_norm: Positive = Field(1.0, description="upper bound of the gradient's norm")


class DataConfig(Frozen):
    """How the packed stream is cut into steps and held-out sequences."""

    sequences_per_step: Count = Field(description="sequences of one update, in stream order")
    grad_accumulation: Count = Field(1, description="parts into which a step's sequences are divided to save memory")
    n_held_out_sequences: Count = Field(32, description="last sequences of the stream, never trained on")
    code_parts: Count = Field(1, description="what the mixture promises: code tokens for ...")
    text_parts: Count = Field(1, description="... so many text tokens; the verdict checks it on the tokens seen")

    @model_validator(mode="after")
    def _parts_divide(self) -> DataConfig:
        if self.sequences_per_step % self.grad_accumulation:
            raise ValueError(
                f"sequences_per_step {self.sequences_per_step} is not a multiple of "
                f"grad_accumulation {self.grad_accumulation}"
            )
        return self


class EvalConfig(Frozen):
    """When and how closely the model is looked at."""

    every_steps: Count = Field(50, description="updates between evaluations; step 0 and the last are always evaluated")
    min_group_tokens: Count = Field(256, description="held-out targets below which a group is not judged")
    n_diagnose_sequences: Count = Field(16, description="held-out sequences that the loop diagnostics read")


class RunConfig(Frozen):
    """Seed, arithmetic and safety."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="key of the first weights")
    checkpoint_every_steps: Count = Field(50, description="updates between checkpoints; the last is always saved")
    keep_checkpoints: Count = Field(2, description="newest checkpoints that stay; a damaged one falls back to the next")
    warm_start: str | None = Field(
        None, description="folder of the first weights: a model folder, a checkpoint or an export; null: random ones"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is one")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of matrix products; weights stay float32; auto: bfloat16 on CUDA"
    )
    n_threads: Count | None = Field(
        None, description="CPU threads; null: torch decides. Another count rounds differently"
    )
    activation_checkpointing: bool | Literal["selective"] = Field(
        False,
        description="recompute layers in the backward pass to save memory; selective: norms, SwiGLU and other cheap "
        "steps only, products and attention are kept",
    )
    residual: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="the residual stream between layers; bfloat16 halves it and rounds it, with dtype bfloat16",
    )
    compile: bool = Field(False, description="torch.compile each layer; needs a C++ compiler or Triton")
    attention: Literal["auto", "sdpa", "flex", "varlen"] = Field(
        "auto",
        description="sdpa: masked reference, anywhere; flex: FlexAttention, CUDA; varlen: torch's kernel for documents "
        "of many lengths, CUDA and bfloat16; auto: flex where it can run",
    )
    tensorboard: bool | None = Field(
        None, description="event files in MODEL/tensorboard; null: where tensorboardX is installed"
    )
    sharding: Literal["none", "full"] = Field(
        "none", description="under torchrun: a whole model in each process, or weights and moments divided (FSDP2)"
    )


class TrainConfig(Frozen):
    """Everything that decides the bytes of a trained model, next to the packed data."""

    model: ModelConfig
    optimiser: OptimiserConfig
    data: DataConfig
    eval: EvalConfig = Field(default_factory=EvalConfig)
    run: RunConfig = Field(default_factory=RunConfig)

    @property
    def n_read_sequences(self) -> int:
        """Sequences that training reads from the start of the stream, repeats counted, if steps are never cut anew."""
        return self.optimiser.n_steps * self.data.sequences_per_step


def read_config(path: Path) -> TrainConfig:
    """Read a training file. Raises ConfigError that names the file and the dotted key."""
    file = read_yaml(path)
    refuse_other_kind(file, wanted="a training file")
    return build(TrainConfig, file)
