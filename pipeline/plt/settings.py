"""The training files of a validation: a small model of its own or the given one, a budget, loops and seeds."""

from pipeline.errors import ConfigError
from pipeline.plt.config import (
    LOOP_OPTIONS,
    DataConfig,
    EvalConfig,
    ModelConfig,
    OptimiserConfig,
    RunConfig,
    TrainConfig,
)
from pipeline.plt.data import PackedRun

_SMALL_VOCAB = 16_384  # above it the head is nearly all of a small model's work
# Plain choices for two cores: small steps, so that 1.5 M tokens make hundreds of them; four evaluations after that of
# step 0, because each reads all that is held out; checkpoints twice as often, which cost little.
_STEP_TOKENS = 2_048
_EVALUATIONS = 4
_CHECKPOINTS = 8
MIN_GROUP_TOKENS = 500  # scored ones; below that a group's loss is that of one or two documents


def default_config(run: PackedRun, *, vocab_size: int) -> TrainConfig:
    """The model that fits two cores: some 2 M parameters, or a narrower one where the vocabulary is large."""
    small = vocab_size <= _SMALL_VOCAB
    return TrainConfig(
        model=ModelConfig(
            vocab_size=vocab_size,
            n_layers=3 if small else 2,
            hidden_size=96 if small else 64,
            n_heads=3 if small else 2,
            n_kv_heads=1,
            intermediate_size=288 if small else 192,
            init_std=0.07 if small else 0.08,
        ),
        optimiser=OptimiserConfig(n_steps=1, peak_lr=0.005, beta2=0.99),
        data=DataConfig(sequences_per_step=max(2, _STEP_TOKENS // run.seq_len)),
        eval=EvalConfig(min_group_tokens=MIN_GROUP_TOKENS, n_diagnose_sequences=32),
        run=RunConfig(),
    )


def fit(config: TrainConfig, *, run: PackedRun, n_tokens: int) -> TrainConfig:
    """Put the budget into the training file: steps and evaluations."""
    n_steps = n_tokens // (config.data.sequences_per_step * run.seq_len)
    if n_steps < _CHECKPOINTS:
        raise ConfigError(f"--tokens {n_tokens} makes {n_steps} steps; at least {_CHECKPOINTS} are needed")
    return _with_budget(config, n_steps=n_steps)


def _with_budget(config: TrainConfig, *, n_steps: int, **data: int) -> TrainConfig:
    """The config with so many steps, evaluations and checkpoints spread over them, and changes of its data."""
    changes = {"optimiser": {"n_steps": n_steps}, "data": data}
    changes["eval"] = {"every_steps": -(-n_steps // _EVALUATIONS)}
    changes["run"] = {"checkpoint_every_steps": -(-n_steps // _CHECKPOINTS)}
    return config.model_copy(
        update={part: getattr(config, part).model_copy(update=values) for part, values in changes.items()}
    )


def fit_length(config: TrainConfig, *, run: PackedRun, base: PackedRun) -> TrainConfig:
    """The same number of tokens, in steps of about as many, from sequences of another length."""
    per_step = config.data.sequences_per_step * base.seq_len
    parts = config.data.grad_accumulation
    n_rows = max(1, round(per_step / (run.seq_len * parts))) * parts
    n_steps = max(1, config.optimiser.n_steps * per_step // (n_rows * run.seq_len))
    return _with_budget(config, n_steps=n_steps, sequences_per_step=n_rows)


def variant_config(config: TrainConfig, *, n_loops: int, seed: int) -> TrainConfig:
    """The same training with other loops or another seed. Settings of loops are no setting of a plain model."""
    keep = set(ModelConfig.model_fields) - LOOP_OPTIONS
    shape = config.model.model_dump(include=keep if n_loops == 1 else None, exclude_unset=True)
    model = ModelConfig.model_validate(shape | {"n_loops": n_loops})
    run = config.run.model_copy(update={"seed": config.run.seed + seed})
    return config.model_copy(update={"model": model, "run": run})
