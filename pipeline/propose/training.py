"""One training of the search: its stream is written, trained on, scored on held-out documents, and removed again.

Only DIR/trainings/NAME/scores.json stays. A training that was cut short goes on from its checkpoint, because the stream
that it is given again has the same bytes.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt import checkpoint
from pipeline.plt.config import DataConfig, EvalConfig, ModelConfig, OptimiserConfig, RunConfig, TrainConfig
from pipeline.plt.data import PackedRun, Split, open_packed
from pipeline.plt.durable import write_file
from pipeline.plt.evaluate import build_held_out, evaluate
from pipeline.plt.machine import choose_machine
from pipeline.plt.train import train
from pipeline.plt.vocabulary import read_token_bytes
from pipeline.plt.weights import read_model
from pipeline.propose.groups import Groups, choose_groups
from pipeline.propose.held_out import HeldOutSets, hold_out
from pipeline.propose.pieces import Floats, PieceTable, read_pieces
from pipeline.propose.stream import RowLayout, compose, lay_out, write
from pipeline.results import read_file, to_json

_STEP_TOKENS = 1_024  # small steps, so that few tokens still make a hundred updates
_TAIL_ROWS = 8  # the trainer wants a held-out tail of its own; the scores are taken elsewhere
# Of each group in each set: with eight groups and some 200,000 tokens to train on, scoring takes a tenth of the time.
_HELD_OUT_TOKENS = 8_192
_SCORES_NAME = "scores.json"


@dataclass(frozen=True)
class SourceKey:
    """What decides groups and held-out documents."""

    data: Path
    n_groups: int
    n_sets: int
    seed: int


@dataclass(frozen=True)
class MixSource:
    """The run that mixtures are made of."""

    run: PackedRun
    pieces: PieceTable
    groups: Groups
    held_out: HeldOutSets


@dataclass(frozen=True)
class SearchPlan:
    """What all trainings of a search share; small, because it travels to every worker."""

    source: SourceKey
    out: Path
    tokenizer: Path
    config: TrainConfig


@dataclass(frozen=True)
class MixtureSpec:
    """One training: `shares` of all groups, and the set of held-out documents that scores it."""

    name: str
    shares: tuple[float, ...]
    seed: int
    held_out: int


@dataclass(frozen=True)
class MixtureScores:
    """What a training leaves: its spec, the shares of the tokens that it read, and bits per byte of each group."""

    spec: MixtureSpec
    read_shares: tuple[float, ...]
    bits_per_byte: tuple[float, ...]
    n_parameters: int


@lru_cache(maxsize=1)
def open_source(key: SourceKey) -> MixSource:
    """Read the run once in each process. Raises what `open_packed` raises, and ConfigError for too few documents."""
    run = open_packed(key.data)
    pieces = read_pieces(run)
    groups = choose_groups(pieces, key.n_groups)
    sizes = {"n_sets": key.n_sets, "n_tokens": _HELD_OUT_TOKENS, "seq_len": run.seq_len, "seed": key.seed}
    return MixSource(run, pieces, groups, hold_out(pieces, groups, **sizes))


def proxy_config(run: PackedRun, *, vocab_size: int) -> TrainConfig:
    """The model of every training: small and plain, because mixtures keep their order from model to model.

    One loop: a second costs twice the time, which more trainings use better. One thread: trainings run side by side.
    """
    return TrainConfig(
        model=ModelConfig(
            vocab_size=vocab_size,
            n_layers=2,
            hidden_size=64,
            n_heads=2,
            n_kv_heads=1,
            intermediate_size=192,
            n_loops=1,
            init_std=0.08,
        ),
        optimiser=OptimiserConfig(n_steps=1, peak_lr=0.006, beta2=0.99),
        data=DataConfig(sequences_per_step=max(1, _STEP_TOKENS // run.seq_len)),
        run=RunConfig(n_threads=1),
    )


def with_steps(config: TrainConfig, n_steps: int) -> TrainConfig:
    """The same with a budget, and looked at and saved no more than needed."""
    changes = {
        "optimiser": config.optimiser.model_copy(update={"n_steps": n_steps}),
        "data": config.data.model_copy(update={"n_held_out_sequences": _TAIL_ROWS}),
        "eval": EvalConfig(every_steps=n_steps, n_diagnose_sequences=1),
        "run": config.run.model_copy(update={"checkpoint_every_steps": max(1, n_steps // 4), "tensorboard": False}),
    }
    return config.model_copy(update=changes)


def write_held_out(plan: SearchPlan) -> None:
    """Write the held-out sets, each a packed run of its own, to DIR/held_out."""
    source = open_source(plan.source)
    for number in range(plan.source.n_sets):
        layout = _layout_of_set(source, number, seed=plan.source.seed)
        write(_set_folder(plan, number), layout, run=source.run, pieces=source.pieces, groups=source.groups)


def _set_folder(plan: SearchPlan, number: int) -> Path:
    return plan.out / "held_out" / f"set-{number}"


def _layout_of_set(source: MixSource, number: int, *, seed: int) -> RowLayout:
    piece = source.held_out.sets[number]
    length = source.pieces.length[piece]
    return lay_out(source.pieces, source.groups, piece, length, seq_len=source.run.seq_len, seed=seed)


def run_training(plan: SearchPlan, item: tuple[int, MixtureSpec]) -> MixtureScores:
    """Train and score one mixture, or read what an earlier call left. Raises what `train` raises."""
    _, spec = item
    folder = plan.out / "trainings" / spec.name
    done = folder / _SCORES_NAME
    if not done.is_file():
        write_file(done, to_json(_train(plan, spec, folder=folder), indent=1) + "\n")
    for leftover in ("stream", "model"):
        if (folder / leftover).is_dir():
            shutil.rmtree(folder / leftover)
    found = read_file(MixtureScores, done, remedy=f"delete {folder} and run `loopmix propose` again")
    if found.spec != spec:
        raise CheckpointError(f"{done}: is of another mixture than this search asks for; delete {folder} and run again")
    return found


def _train(plan: SearchPlan, spec: MixtureSpec, *, folder: Path) -> MixtureScores:
    source, config = open_source(plan.source), plan.config
    layout = layout_of(plan, spec)
    tail = _layout_of_set(source, 0, seed=plan.source.seed).first(_TAIL_ROWS)
    stream = folder / "stream"
    write(stream, layout.then(tail), run=source.run, pieces=source.pieces, groups=source.groups)
    config = config.model_copy(update={"run": config.run.model_copy(update={"seed": spec.seed})})
    result = train(config, data=stream, out=folder / "model", tokenizer=plan.tokenizer)
    scores = _score(plan, folder / "model", number=spec.held_out)
    if result.record.n_steps < config.optimiser.n_steps or not all(map(math.isfinite, scores)):
        raise ConfigError(f"training {spec.name}: its loss stopped being a number; lower optimiser.peak_lr in --config")
    return MixtureScores(spec, tuple(read_shares(source, layout).tolist()), scores, result.record.n_parameters)


def layout_of(plan: SearchPlan, spec: MixtureSpec) -> RowLayout:
    """The rows that a training reads, each once."""
    source, data = open_source(plan.source), plan.config.data
    n_rows = plan.config.optimiser.n_steps * data.sequences_per_step
    piece, length = compose(
        source.pieces,
        source.groups,
        free=source.held_out.free,
        shares=np.array(spec.shares),
        n_tokens=n_rows * source.run.seq_len,
        seed=spec.seed,
    )
    layout = lay_out(source.pieces, source.groups, piece, length, seq_len=source.run.seq_len, seed=spec.seed)
    # Padding makes it a few rows longer than it would be without; what lies beyond the budget is not read.
    return layout.first(n_rows)


def read_shares(source: MixSource, layout: RowLayout) -> Floats:
    """Shares of the tokens in a layout, per pool, [n_groups]."""
    groups = source.groups
    counts = np.bincount(groups.of_piece[layout.piece], weights=layout.length, minlength=len(groups.each))
    totals = np.bincount(groups.pool, weights=counts)
    found: Floats = counts / totals[groups.pool]
    return found


def _score(plan: SearchPlan, model: Path, *, number: int) -> tuple[float, ...]:
    """Bits per byte of each group's held-out documents in one set."""
    groups = open_source(plan.source).groups
    held = open_packed(_set_folder(plan, number))
    newest = checkpoint.newest_checkpoint(model)
    assert newest is not None, "training saves its last step"
    machine = choose_machine(plan.config.run)
    token_bytes = read_token_bytes(plan.tokenizer, vocab_size=plan.config.model.vocab_size)
    everything = Split(run=held, train=range(0), held_out=range(held.n_sequences), seen=frozenset())
    batches = build_held_out(everything, batch_size=plan.config.data.sequences_per_step, token_bytes=token_bytes)
    found = evaluate(read_model(newest).to(machine.device), batches, step=0, machine=machine)
    losses = {(g.pool, g.group): g.bits_per_byte for g in found.groups}
    scores = [losses.get((group.pool, group.name)) for group in groups.each]
    return tuple(math.nan if score is None else score for score in scores)
