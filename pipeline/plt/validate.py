"""The mixture check: the same small PLT, a fixed budget of tokens, and a verdict (`loopmix validate`).

Every training is one folder under V/models and resumes like any other; a repeated call goes on where it stopped. With
several loops, mixtures or seeds all trainings see equally many tokens. What is held out is drawn once, and no training
reads a document of it; each seed draws its own first weights, order and so sample of documents. Every model is scored
on what is held out of every mixture that has the same tokenizer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.plt import checkpoint
from pipeline.plt.checks import AIMED_MFU
from pipeline.plt.conclusion import TrainedVariant, conclude_validation, documents_lines
from pipeline.plt.config import ModelConfig, TrainConfig
from pipeline.plt.data import PackedRun, Split, open_packed, split_run
from pipeline.plt.draw import Pieces, draw_held_out, draw_split, read_pieces
from pipeline.plt.durable import write_file
from pipeline.plt.evaluate import HeldOut, build_held_out, document_losses, piece_losses
from pipeline.plt.events import OnEvent, Stepped, TrainEvent, ignore
from pipeline.plt.flops import flops_per_token, peak_flops
from pipeline.plt.loader import read_step
from pipeline.plt.machine import choose_machine
from pipeline.plt.ratio import with_ratio
from pipeline.plt.settings import MIN_GROUP_TOKENS, default_config, fit, fit_length, variant_config
from pipeline.plt.train import train
from pipeline.plt.validation import document_scores
from pipeline.plt.vocabulary import file_hash, read_token_bytes, run_tokenizer, vocabulary_size
from pipeline.plt.weights import read_model
from pipeline.results import (
    DOCUMENTS_NAME,
    MODELS_NAME,
    VALIDATION_NAME,
    DocumentLoss,
    Inspection,
    Speed,
    TrainResult,
    Validation,
    Variant,
    model_name,
    to_json,
)
from pipeline.sequences import Ints

# Scored tokens beside what each language needs: enough for the pools, and as cheap as a few hundred updates to read.
_HELD_OUT_TOKENS = 120_000
_MIN_HELD_OUT = 32  # sequences, where they are long
_HELD_OUT_PART = 10  # a tenth of a small run at most, so that evaluating costs less than training
_PAPER_7B = ModelConfig(
    vocab_size=76_800, n_layers=14, hidden_size=5120, n_heads=40, n_kv_heads=8, intermediate_size=27_648
)


@dataclass(frozen=True)
class ValidateOptions:
    """What is trained. More than one loop count or mixture asks for comparisons, which want at least three seeds."""

    n_tokens: int = 600_000
    loops: tuple[int, ...] = (2,)
    n_seeds: int = 1
    against: tuple[Path, ...] = ()
    config: TrainConfig | None = None  # model, optimiser and run of its own; budget, loops and seeds stay ours
    tokenizer: Path | None = None


@dataclass(frozen=True)
class _Mixture:
    """One run to train on, and what is held out of it."""

    name: str
    data: Path
    run: PackedRun
    tokenizer: Path | None
    tokenizer_hash: str
    pieces: Pieces
    held_out: Ints


def validate_run(
    data: Path,
    *,
    out: Path,
    options: ValidateOptions | None = None,
    on_event: OnEvent = ignore,
    on_variant: Callable[[str, int, int], None] = lambda name, number, count: None,
) -> Validation:
    """Train, compare, judge. Writes `out`/validation.json and the model folders. Raises what `train` raises."""
    options = options or ValidateOptions()
    if options.n_seeds < 1:
        raise ConfigError(f"n_seeds is {options.n_seeds}, expected at least 1")
    mixtures = _open_all(data, options=options)
    run = mixtures[0].run
    config = options.config or default_config(run, vocab_size=_vocabulary(mixtures))
    config = fit(config, run=run, n_tokens=options.n_tokens)
    configs = {
        mixture.name: with_ratio(fit_length(config, run=mixture.run, base=run), data=mixture.data)[0]
        for mixture in mixtures
    }
    unread = pa.chunked_array([m.pieces.documents_of(m.held_out) for m in mixtures]).combine_chunks()
    tails = _tails(mixtures, configs=configs)
    wanted = list(product(mixtures, options.loops, range(options.n_seeds)))
    inspection = _inspect(mixtures[0], unread=unread, config=configs[mixtures[0].name], compared=len(mixtures) > 1)
    stepped: list[Stepped] = []
    done: list[TrainedVariant] = []

    def watch(event: TrainEvent) -> None:
        if isinstance(event, Stepped):
            stepped.append(event)
        on_event(event)

    for number, (mixture, n_loops, seed) in enumerate(wanted, start=1):
        name = f"{mixture.name} R={n_loops} seed {seed}"
        on_variant(name, number, len(wanted))
        of_variant = variant_config(configs[mixture.name], n_loops=n_loops, seed=seed)
        split = _split(mixture, unread=unread, config=of_variant, compared=len(mixtures) > 1)
        folder = out / MODELS_NAME / model_name(mixture.name, n_loops=n_loops, seed=seed)
        result = train(
            of_variant, data=mixture.data, out=folder, on_event=watch, tokenizer=mixture.tokenizer, split=split
        )
        losses = _losses(result, mixture=mixture, tails=tails, config=config)
        read_frac = min(of_variant.n_read_sequences, split.n_train) / mixture.run.n_sequences
        done.append(
            TrainedVariant(_variant(name, mixture, seed=seed, result=result, losses=losses), result, losses, read_frac)
        )
    speed = _speed(stepped, mixtures[0], config=config)
    return _concluded(done, out=out, mixture=mixtures[0], speed=speed, inspection=inspection)


def _concluded(
    done: list[TrainedVariant], *, out: Path, mixture: _Mixture, speed: Speed, inspection: Inspection | None
) -> Validation:
    """The verdict, written."""
    validation = conclude_validation(done, pieces=mixture.pieces, speed=speed, inspection=inspection)
    write_file(out / DOCUMENTS_NAME, documents_lines(done))
    write_file(out / VALIDATION_NAME, to_json(validation, indent=1) + "\n")
    return validation


def _inspect(mixture: _Mixture, *, unread: pa.Array, config: TrainConfig, compared: bool) -> Inspection | None:
    """What the data of the first mixture say, before anything is trained: the cheapest proof comes first."""
    # Late: it loads compiled kernels, classifier and tokenizers, which training alone does without.
    from pipeline.plt.inspect_run import inspect_run

    split = _split(mixture, unread=unread, config=config, compared=compared)
    n_read = config.n_read_sequences
    return inspect_run(mixture.run, split, tokenizer=mixture.tokenizer, n_read=n_read, seed=config.run.seed)


def _variant(
    name: str, mixture: _Mixture, *, seed: int, result: TrainResult, losses: dict[str, tuple[DocumentLoss, ...]]
) -> Variant:
    record = result.record
    scores = {tail: document_scores(documents) for tail, documents in losses.items()}
    n_tokens = sum(record.n_tokens.values())
    return Variant(
        name, mixture.name, record.n_loops, seed, record.n_parameters, n_tokens, scores, result.verdict.status
    )


def _open_all(data: Path, *, options: ValidateOptions) -> list[_Mixture]:
    mixtures: list[_Mixture] = []
    for path in (data, *options.against):
        tokenizer = run_tokenizer(path, given=options.tokenizer)
        digest = file_hash(tokenizer) if tokenizer else ""
        name = path.resolve().name
        while name in {m.name for m in mixtures}:
            name += "+"
        run = open_packed(path)
        pieces, n_wanted = read_pieces(run), max(_MIN_HELD_OUT, _HELD_OUT_TOKENS // run.seq_len)
        held_out = draw_held_out(
            pieces,
            n_sequences=min(n_wanted, run.n_sequences // _HELD_OUT_PART),
            min_tokens=options.config.eval.min_group_tokens if options.config else MIN_GROUP_TOKENS,
            # Every training of this validation is scored on the same sequences, whatever its own seed.
            seed=options.config.run.seed if options.config else 0,
        )
        mixtures.append(_Mixture(name, path, run, tokenizer, digest, pieces, held_out))
    return mixtures


def _split(mixture: _Mixture, *, unread: pa.Array, config: TrainConfig, compared: bool) -> Split:
    """What a training reads. Where mixtures are compared, each seed reads a half of its run at most.

    Otherwise all seeds would read the same documents, and nothing would tell how far chance in them moves a score.
    """
    data = config.data
    return draw_split(
        mixture.pieces,
        held_out=mixture.held_out,
        unread=unread,
        seed=config.run.seed,
        parts={"code": data.code_parts, "text": data.text_parts},
        at_most=max(1, mixture.run.n_sequences // 2) if compared else None,
    )


def _vocabulary(mixtures: list[_Mixture]) -> int:
    """Rows of the embedding: the largest tokenizer's, a multiple of 64 that all ids fit into."""
    sizes = [m.run.max_token_id + 1 for m in mixtures]
    sizes += [vocabulary_size(m.tokenizer) for m in mixtures if m.tokenizer is not None]
    return -(-max(sizes) // 64) * 64


def _tails(mixtures: list[_Mixture], *, configs: dict[str, TrainConfig]) -> dict[str, tuple[_Mixture, HeldOut]]:
    """What each mixture holds out, ready to be scored by the models of the others."""
    tails = {}
    for mixture in mixtures if len(mixtures) > 1 else ():
        config = configs[mixture.name]
        token_bytes = read_token_bytes(mixture.tokenizer, vocab_size=config.model.vocab_size)
        split = Split(mixture.run, train=range(0), held_out=mixture.held_out, seen=frozenset())
        rows = config.data.sequences_per_step // config.data.grad_accumulation
        tails[mixture.name] = (mixture, build_held_out(split, batch_size=rows, token_bytes=token_bytes))
    return tails


def _losses(
    result: TrainResult, *, mixture: _Mixture, tails: dict[str, tuple[_Mixture, HeldOut]], config: TrainConfig
) -> dict[str, tuple[DocumentLoss, ...]]:
    """Losses of a model on the documents of its own tail, and of that of each mixture with the same tokenizer."""
    found = {mixture.name: result.documents}
    newest = checkpoint.newest_checkpoint(result.folder)
    others = [
        (name, held_out)
        for name, (of_tail, held_out) in tails.items()
        if name != mixture.name and of_tail.tokenizer_hash == mixture.tokenizer_hash
    ]
    if others and newest is not None:
        machine = choose_machine(config.run)
        model = read_model(newest).to(machine.device)
        for name, held_out in others:
            losses = piece_losses(model, held_out, machine=machine)
            unknown = np.full(len(losses), np.nan)
            found[name] = document_losses(held_out, losses=losses, permuted=unknown, unigram=unknown)
    return {tail: found[tail] for tail in (*tails, mixture.name) if tail in found}


def _speed(stepped: list[Stepped], mixture: _Mixture, *, config: TrainConfig) -> Speed:
    """Training speed of this call, and the loader alone for half a second."""
    split = split_run(mixture.run, n_held_out=1, n_read=0)
    n_rows = max(1, 65_536 // mixture.run.seq_len)  # large steps: the loader alone is asked, not the cost of a call
    n_tokens, step, started = 0, 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < 0.5:
        n_tokens += sum(read_step(split, start=step * n_rows, n_sequences=n_rows, n_rows=n_rows).n_tokens.values())
        step += 1
    needed = AIMED_MFU * (peak_flops("H200") or 0.0) / (3 * flops_per_token(_PAPER_7B, mean_context=4096))
    trained = sum(s.seconds for s in stepped)
    return Speed(
        device=choose_machine(config.run).name(),
        tokens_per_second=sum(s.tokens_per_second * s.seconds for s in stepped) / trained if trained else 0.0,
        wait_frac=sum(s.wait_seconds for s in stepped) / trained if trained else 0.0,
        loader_tokens_per_second=n_tokens / seconds,
        needed_tokens_per_second=needed,
    )
