"""What follows from options and run before anything is trained: groups, limits, mixtures, and the budget of each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt.config import TrainConfig
from pipeline.plt.durable import write_file
from pipeline.plt.vocabulary import file_hash, run_tokenizer, vocabulary_size
from pipeline.propose.groups import own_shares, repetition_limits, target_weights
from pipeline.propose.pieces import Floats
from pipeline.propose.shares import draw
from pipeline.propose.training import MixSource, SearchPlan, SourceKey, open_source, proxy_config, with_steps
from pipeline.results import read_file, to_json

N_NOISY = 3  # mixtures whose noise is measured: it has been seen to differ many times between mixtures
NOISE_SEEDS = 4  # trainings of each, the one of the search included
_MIN_STEPS = 40  # of a training: below it all mixtures are as good as untrained
_PLAN_NAME = "plan.json"


@dataclass(frozen=True)
class ProposeOptions:
    """What is searched, and with how much."""

    n_groups: int
    budget: int  # tokens of all trainings together
    n_mixtures: int | None = None  # None: three for each group and three more
    target: tuple[str, ...] = ()  # GROUP=WEIGHT; empty: natural shares
    max_epochs: float = 4.0
    mixture_tokens: int | None = None  # None: as many as the run holds
    spread: float = 4.0  # factor by which a share is moved up or down at most
    n_confirm_seeds: int = 5
    seed: int = 0
    config: TrainConfig | None = None
    tokenizer: Path | None = None


@dataclass(frozen=True)
class Frame:
    """The search as it will be done; columns are [n_groups]."""

    options: ProposeOptions
    plan: SearchPlan
    source: MixSource
    weights: Floats  # of the target
    limits: Floats
    own_share: Floats
    mixtures: Floats  # of the search, the natural one first, [n_mixtures, n_groups]
    mixture_tokens: int

    @property
    def is_own_natural(self) -> bool:
        """Whether the trivial rule recommends what is there anyway, as it does for the natural target."""
        return is_same(self.own_share, self.mixtures[0])


def is_same(a: Floats, b: Floats) -> bool:
    """Shares that differ by less than a token in a million are the same mixture."""
    return bool(np.abs(a - b).max() < 1e-6)


def prepare(data: Path, *, out: Path, options: ProposeOptions) -> Frame:
    """Check the options against the run. Trains and writes nothing. Raises ConfigError for what cannot be searched."""
    tokenizer = run_tokenizer(data, given=options.tokenizer)
    if tokenizer is None:
        raise ConfigError(
            f"{data}: has no manifest that names its tokenizer, and scores are bits per byte; give --tokenizer"
        )
    source_key = SourceKey(data.resolve(), options.n_groups, 1 + options.n_confirm_seeds, seed=options.seed)
    source = open_source(source_key)
    groups, run = source.groups, source.run
    mixture_tokens = options.mixture_tokens or int(source.pieces.n_packed.sum())
    limits = repetition_limits(groups, max_epochs=options.max_epochs, mixture_tokens=mixture_tokens)
    weights = target_weights(groups, options.target)
    least = len(groups.each) + 2  # one for each slope, one for the mean, one to be wrong by
    n_mixtures = options.n_mixtures or 3 * (len(groups.each) + 1)
    if n_mixtures < least:
        raise ConfigError(f"--mixtures {n_mixtures}: {len(groups.each)} groups need at least {least}")
    mixtures = draw(
        groups.natural,
        limits=limits,
        pool=groups.pool,
        n_mixtures=n_mixtures,
        spread=options.spread,
        seed=options.seed,
    )
    own = own_shares(groups, weights=weights, limits=limits)
    vocab_size = -(-max(run.max_token_id + 1, vocabulary_size(tokenizer)) // 64) * 64
    config = options.config or proxy_config(run, vocab_size=vocab_size)
    frame = Frame(
        options, SearchPlan(source_key, out, tokenizer, config), source, weights, limits, own, mixtures, mixture_tokens
    )
    return _with_budget(frame)


def n_trainings(frame: Frame) -> int:
    """Trainings of the whole search, those of the confirmation included, whether or not it comes to it."""
    n_arms = 2 if frame.is_own_natural else 3
    return len(frame.mixtures) + N_NOISY * (NOISE_SEEDS - 1) + n_arms * frame.options.n_confirm_seeds


def _with_budget(frame: Frame) -> Frame:
    """Divide the budget evenly; all trainings make equally many steps."""
    plan, budget = frame.plan, frame.options.budget
    step_tokens = plan.config.data.sequences_per_step * frame.source.run.seq_len
    n_steps = budget // (n_trainings(frame) * step_tokens)
    if n_steps < _MIN_STEPS:
        least = n_trainings(frame) * step_tokens * _MIN_STEPS
        raise ConfigError(
            f"--budget {budget}: {n_trainings(frame)} trainings get {n_steps} steps of {step_tokens} tokens each, "
            f"{_MIN_STEPS} are needed; give at least {least}, or fewer --groups"
        )
    config = with_steps(plan.config, n_steps)
    return Frame(**{**frame.__dict__, "plan": SearchPlan(plan.source, plan.out, plan.tokenizer, config)})


@dataclass(frozen=True)
class _Identity:
    """What a search folder belongs to."""

    settings: dict[str, Any]


def claim_folder(frame: Frame) -> None:
    """Write DIR/plan.json, or hold the search against the one that stands there. Raises CheckpointError."""
    options = asdict(frame.options) | {"config": None, "tokenizer": file_hash(frame.plan.tokenizer)}
    options["target"] = list(frame.options.target)
    settings = options | {
        "mixture_tokens": frame.mixture_tokens,
        "config": frame.plan.config.model_dump(mode="json", exclude={"run": {"device", "n_threads"}}),
        "data": frame.source.run.hashes,
    }
    out = frame.plan.out
    path = out / _PLAN_NAME
    if not path.exists():
        if out.is_dir() and any(out.iterdir()):
            raise CheckpointError(
                f"{out}: holds something else than a search ({_PLAN_NAME} is missing); choose a new folder"
            )
        out.mkdir(parents=True, exist_ok=True)
        write_file(path, to_json(_Identity(settings), indent=1) + "\n")
        return
    found = read_file(_Identity, path, remedy="choose a new folder").settings
    changed = sorted(key for key in found.keys() | settings.keys() if found.get(key) != settings.get(key))
    if changed:
        shown = "; ".join(f"{key}: was {found.get(key)}, is {settings.get(key)}" for key in changed[:3])
        raise CheckpointError(f"{out}: holds another search ({shown[:300]}); choose a new folder, or repeat its line")
