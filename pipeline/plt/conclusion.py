"""From finished trainings to a verdict on the mixture: scores, checks, comparisons, and the line of each document."""

from dataclasses import dataclass, replace

from pipeline.plt.checks import groups_check, loader_check, order_check, spikes_check, stream_check
from pipeline.plt.compare import Compared, compare_settings
from pipeline.plt.data_checks import data_checks
from pipeline.plt.draw import Pieces
from pipeline.plt.plausible import losses_plausible
from pipeline.plt.validation import find_spikes, group_scores, pool_scores
from pipeline.plt.verdict import conclude
from pipeline.results import (
    Comparison,
    DocumentLoss,
    Inspection,
    Speed,
    TrainResult,
    Unjudged,
    Validation,
    Variant,
    to_json,
)


@dataclass(frozen=True)
class TrainedVariant:
    """One finished training and its losses on the documents of each tail."""

    variant: Variant
    result: TrainResult
    losses: dict[str, tuple[DocumentLoss, ...]]
    read_frac: float  # part of its run that it read


def conclude_validation(
    done: list[TrainedVariant], *, pieces: Pieces, speed: Speed, inspection: Inspection | None
) -> Validation:
    """The verdict on the first mixture, whose pieces and `inspection` these are.

    It rests on its first training with two loops, the paper's choice, or on its first.
    """
    name = done[0].variant.mixture
    own = [of for of in done if of.variant.mixture == name]
    main = next((of for of in own if of.variant.n_loops == 2), own[0])
    record, documents = main.result.record, main.result.documents
    pools, groups = pool_scores(record), group_scores(record, documents)
    not_judged = _not_judged(main, pieces=pieces)
    spikes = find_spikes(record.steps)
    checks = (
        *data_checks(inspection),
        *main.result.verdict.checks,
        groups_check(groups, not_judged=not_judged),
        losses_plausible(record),
        order_check(groups, documents),
        stream_check(pieces, parts=record.parts),
        spikes_check(spikes),
        loader_check(speed),
    )
    verdict = conclude(checks)
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
        not_judged=not_judged,
        steps=record.steps,
        spikes=spikes,
        diagnostics={str(of.variant.n_loops): of.result.record.diagnostics for of in own if of.variant.seed == 0},
        variants=tuple(of.variant for of in done),
        comparisons=_comparisons(done, min_tokens=record.min_group_tokens),
        speed=speed,
        inspection=inspection,
    )


def _not_judged(main: TrainedVariant, *, pieces: Pieces) -> tuple[Unjudged, ...]:
    """Groups of the run with too few held-out tokens, largest first: those are too small for that many."""
    record = main.result.record
    held_out = {(g.pool, g.group): g.n_tokens for g in record.evaluations[-1].groups}
    totals = pieces.group_tokens()
    found = [
        Unjudged(pool, group, n_tokens=held_out.get((pool, group), 0), n_run_tokens=n)
        for (pool, group), n in totals.items()
        if held_out.get((pool, group), 0) < record.min_group_tokens
    ]
    return tuple(sorted(found, key=lambda g: (-g.n_run_tokens, g.pool, g.group)))


def _comparisons(done: list[TrainedVariant], *, min_tokens: int) -> tuple[Comparison, ...]:
    """Loops of the first mixture against its fewest; other mixtures against the first, loops being equal."""
    settings: dict[tuple[str, int], Compared] = {}
    for of in done:
        v = of.variant
        key = (v.mixture, v.n_loops)
        before = settings.get(key) or Compared(f"{v.mixture} R={v.n_loops}", v.mixture, {}, of.read_frac)
        settings[key] = replace(before, losses=before.losses | {v.seed: of.losses})
    first = next(iter(settings))
    pairs = [(settings[first], of) for key, of in settings.items() if key[0] == first[0] and key != first]
    pairs += [(settings[first[0], n], of) for (mixture, n), of in settings.items() if mixture != first[0]]
    return compare_settings(pairs, min_tokens=min_tokens)


def documents_lines(done: list[TrainedVariant]) -> str:
    """V/documents.jsonl: a line for each tail and document, with its loss under each training."""
    lines: dict[tuple[str, str], dict[str, object]] = {}
    nats: dict[tuple[str, str], dict[str, float]] = {}
    permuted: dict[tuple[str, str], dict[str, float]] = {}
    for of in done:
        for tail, documents in of.losses.items():
            for d in documents:
                key = (tail, d.doc_id)
                size = {"n_tokens": d.n_tokens, "n_bytes": d.n_bytes}
                lines.setdefault(key, {"tail": tail, "doc_id": d.doc_id, "pool": d.pool, "group": d.group, **size})
                nats.setdefault(key, {})[of.variant.name] = d.nats
                if tail == of.variant.mixture:
                    permuted.setdefault(key, {})[of.variant.name] = d.permuted_nats
    return "".join(
        to_json(line | {"nats": nats[key], "permuted_nats": permuted.get(key, {})}) + "\n"
        for key, line in lines.items()
    )
