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

import pyarrow as pa

from pipeline.plt import checkpoint
from pipeline.plt.config import ModelConfig, TrainConfig
from pipeline.plt.data import Ints, PackedRun, Split, open_packed, split_run
from pipeline.plt.draw import Pieces, draw_held_out, draw_split, read_pieces
from pipeline.plt.durable import write_file
from pipeline.plt.evaluate import HeldOut, build_held_out, evaluate
from pipeline.plt.events import OnEvent, Stepped, TrainEvent, ignore
from pipeline.plt.flops import flops_per_token, peak_flops
from pipeline.plt.loader import read_step
from pipeline.plt.machine import choose_machine
from pipeline.plt.settings import MIN_GROUP_TOKENS, default_config, fit, fit_length, variant_config
from pipeline.plt.train import train
from pipeline.plt.validation import compare, find_spikes, group_scores, pool_scores
from pipeline.plt.verdict import check, conclude
from pipeline.plt.vocabulary import file_hash, read_token_bytes, run_tokenizer, vocabulary_size
from pipeline.plt.weights import read_model
from pipeline.results import (
    VALIDATION_NAME,
    Check,
    Comparison,
    GroupScore,
    Speed,
    Status,
    TrainResult,
    Validation,
    Variant,
    to_json,
)

# Scored tokens beside what each language needs: enough for the pools, and as cheap as a few hundred updates to read.
_HELD_OUT_TOKENS = 200_000
_MIN_HELD_OUT = 32  # sequences, where they are long
_PAPER_7B = ModelConfig(
    vocab_size=76_800, n_layers=14, hidden_size=5120, n_heads=40, n_kv_heads=8, intermediate_size=27_648
)
_AIMED_MFU = 0.45  # at R = 2 on an H200; an aim, not a measurement


@dataclass(frozen=True)
class ValidateOptions:
    """What is trained. More than one loop count or mixture asks for comparisons, which want at least three seeds."""

    n_tokens: int = 1_500_000
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
    mixtures = _open_all(data, options=options)
    run = mixtures[0].run
    config = options.config or default_config(run, vocab_size=_vocabulary(mixtures))
    config = fit(config, run=run, n_tokens=options.n_tokens)
    configs = {mixture.name: fit_length(config, run=mixture.run, base=run) for mixture in mixtures}
    unread = pa.chunked_array([m.pieces.documents_of(m.held_out) for m in mixtures]).combine_chunks()
    tails = _tails(mixtures, configs=configs)
    wanted = list(product(mixtures, options.loops, range(options.n_seeds)))
    stepped: list[Stepped] = []
    done: list[tuple[Variant, TrainResult]] = []

    def watch(event: TrainEvent) -> None:
        if isinstance(event, Stepped):
            stepped.append(event)
        on_event(event)

    for number, (mixture, n_loops, seed) in enumerate(wanted, start=1):
        name = f"{mixture.name} R={n_loops} seed {seed}"
        on_variant(name, number, len(wanted))
        of_variant = variant_config(configs[mixture.name], n_loops=n_loops, seed=seed)
        split = _split(mixture, unread=unread, config=of_variant, compared=len(mixtures) > 1)
        folder = out / "models" / f"{mixture.name}-r{n_loops}-s{seed}"
        result = train(
            of_variant, data=mixture.data, out=folder, on_event=watch, tokenizer=mixture.tokenizer, split=split
        )
        record, scores = result.record, _scores(result, mixture=mixture, tails=tails, config=config)
        size = record.n_parameters, sum(record.n_tokens.values())
        done.append((Variant(name, mixture.name, n_loops, seed, *size, scores, result.verdict.status), result))
    speed = _speed(stepped, mixtures[0], config=config)
    validation = _judge(done, name=mixtures[0].name, speed=speed)
    write_file(out / VALIDATION_NAME, to_json(validation, indent=1) + "\n")
    return validation


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
            n_sequences=min(n_wanted, run.n_sequences // 5),
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


def _scores(
    result: TrainResult, *, mixture: _Mixture, tails: dict[str, tuple[_Mixture, HeldOut]], config: TrainConfig
) -> dict[str, dict[str, float]]:
    """Scores of a model on its own tail and on that of each mixture with the same tokenizer."""
    scores = {mixture.name: pool_scores(result.record.evaluations[-1])}
    newest = checkpoint.newest_checkpoint(result.folder)
    if tails and newest is not None:
        machine = choose_machine(config.run)
        model = read_model(newest).to(machine.device)
        for tail, (of_tail, held_out) in tails.items():
            if of_tail.tokenizer_hash == mixture.tokenizer_hash:
                found = evaluate(model, held_out, step=result.record.n_steps, machine=machine)
                scores[tail] = pool_scores(found)
    return scores


def _speed(stepped: list[Stepped], mixture: _Mixture, *, config: TrainConfig) -> Speed:
    """Training speed of this call, and the loader alone for half a second."""
    split = split_run(mixture.run, n_held_out=1, n_read=0)
    n_rows = max(1, 65_536 // mixture.run.seq_len)  # large steps: the loader alone is asked, not the cost of a call
    n_tokens, step, started = 0, 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < 0.5:
        n_tokens += sum(read_step(split, start=step * n_rows, n_sequences=n_rows, n_rows=n_rows).n_tokens.values())
        step += 1
    needed = _AIMED_MFU * (peak_flops("H200") or 0.0) / (3 * flops_per_token(_PAPER_7B, mean_context=4096))
    trained = sum(s.seconds for s in stepped)
    return Speed(
        device=choose_machine(config.run).name(),
        tokens_per_second=sum(s.tokens_per_second * s.seconds for s in stepped) / trained if trained else 0.0,
        wait_frac=sum(s.wait_seconds for s in stepped) / trained if trained else 0.0,
        loader_tokens_per_second=n_tokens / seconds,
        needed_tokens_per_second=needed,
    )


def _judge(done: list[tuple[Variant, TrainResult]], *, name: str, speed: Speed) -> Validation:
    """The verdict on mixture `name` rests on its first training with two loops, the paper's choice, or on the first."""
    own, variants = [(v, r) for v, r in done if v.mixture == name], tuple(v for v, _ in done)
    main = next((r for v, r in own if v.n_loops == 2), own[0][1])
    record = main.record
    pools, groups = group_scores(record, pools=True), group_scores(record, pools=False)
    spikes = find_spikes(record.steps)
    verdict = conclude((*main.verdict.checks, _languages(groups), _spikes(spikes), _loader(speed)))
    return Validation(
        mixture=name,
        unit="bits per byte" if pools and pools[0].n_bytes else "nats per token",
        n_tokens=sum(record.n_tokens.values()),
        seq_len=record.seq_len,
        n_parameters=record.n_parameters,
        n_loops=record.n_loops,
        status=verdict.status,
        message=verdict.message,
        checks=verdict.checks,
        pools=pools,
        groups=groups,
        steps=record.steps,
        spikes=spikes,
        diagnostics={str(v.n_loops): r.record.diagnostics for v, r in own if v.seed == 0},
        variants=variants,
        comparisons=_comparisons(variants),
        speed=speed,
    )


def _languages(groups: tuple[GroupScore, ...]) -> Check:
    name = "languages_learn"
    never, late = ([g.group for g in groups if g.status == status] for status in ("fail", "warn"))
    numbers = {"n_groups": len(groups), "n_not_learnt": len(never), "n_late": len(late)}
    if not groups:
        return check(name, "warn", message="No language has enough held-out tokens to judge.", **numbers)
    if never:
        return check(name, "fail", message=f"Not learnt at all: {', '.join(never[:8])}.", **numbers)
    if late:
        names = ", ".join(late[:8]) + (f" and {len(late) - 8} more" if len(late) > 8 else "")
        message = f"{len(late)} of {len(groups)} are not below their token frequencies, or rose again: {names}."
        # Of many languages some are always late; one in ten is a plain choice.
        return check(name, "pass" if len(late) <= len(groups) // 10 else "warn", message=message, **numbers)
    return check(name, "pass", message=f"All {len(groups)} fell below their token frequencies.", **numbers)


def _spikes(spikes: tuple[int, ...]) -> Check:
    message = f"Training loss jumped at steps {', '.join(map(str, spikes[:8]))}."
    if not spikes:
        message = "No step's loss stands out of the twenty before it."
    return check("no_spikes", "warn" if spikes else "pass", message=message, n_spikes=len(spikes))


def _loader(speed: Speed) -> Check:
    factor = speed.loader_tokens_per_second / speed.needed_tokens_per_second
    message = (
        f"One reading thread gives {speed.loader_tokens_per_second / 1e6:,.0f} M tokens/s here, {factor:,.0f} times "
        f"what an H200 at {_AIMED_MFU:.0%} MFU on the paper's 7B (R = 2) takes, {speed.needed_tokens_per_second:,.0f}."
    )
    # Ten times is a plain choice: room for the several GPUs that one host feeds.
    status: Status = "pass" if factor > 10 else "warn"
    return check("loader_keeps_up", status, message=message, factor=factor, wait_frac=speed.wait_frac)


def _comparisons(variants: tuple[Variant, ...]) -> tuple[Comparison, ...]:
    """Loops of the first mixture against its fewest; other mixtures against the first, loops being equal."""
    settings: dict[tuple[str, int], list[Variant]] = {}
    for variant in variants:
        settings.setdefault((variant.mixture, variant.n_loops), []).append(variant)
    keys = list(settings)
    first = keys[0]
    pairs = [(first, key) for key in keys[1:] if key[0] == first[0]]
    pairs += [((first[0], n), (mixture, n)) for mixture, n in keys if mixture != first[0]]
    found = []
    for a, b in pairs:
        tails = [t for t in settings[a][0].scores if t in settings[b][0].scores]
        for tail in tails or []:
            pools = settings[a][0].scores[tail].keys() & settings[b][0].scores[tail].keys()
            found += [compare(settings[a], settings[b], tail=tail, pool=pool) for pool in sorted(pools)]
    return tuple(found)
