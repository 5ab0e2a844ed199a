"""What the data say before and beside training: documents looked at, read by the reference model, held out and met.

The cheapest comes first: signs of documents take seconds, the reference model some more, training minutes.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.plt import reference
from pipeline.plt.data import PackedRun, Split, open_packed, read_rows
from pipeline.results import NO_ORDER, GroupSigns, Inspection, RuinFinding
from pipeline.ruin.inspect import inspect, measure_run
from pipeline.ruin.kinds import Measured
from pipeline.ruin.overlap import Hashes, Ints, Seen, grams
from pipeline.ruin.pairs import read_table
from pipeline.ruin.sample import SampledDocument, read_spellings
from pipeline.schema import TOKENIZER_FILE
from pipeline.sequences import Rows

_BATCH = 4_096  # sequences whose runs of tokens are held at once
# A group whose order is worth less than this part of the healthy gap, by more than chance, has lost its order.
_MIN_GAP_PART = 0.35
_GAP_SIGMAS = 4.0
_MIN_JUDGED = 8
_HEALTHY_DOCS = 40  # of a group: their mean is known to a sixth of the spread between documents


def inspect_run(run: PackedRun, split: Split, *, tokenizer: Path | None, n_read: int, seed: int) -> Inspection | None:
    """All that is found in the data of `run`. None without its `tokenizer`: then there is no text to look at.

    `split` says what is held out and which `n_read` sequences are trained on.
    """
    if tokenizer is None:
        return None
    looked = inspect(run.folder.parent, run.blocks, tokenizer=tokenizer, seed=seed)
    found = reference.judge_groups(looked.inspection, looked.documents, seed=seed)
    seen = _seen(run, split, n_read=n_read)
    groups = tuple(replace(g, seen=seen.get((g.pool, g.group), float("nan"))) for g in found.groups)
    lost = tuple(_without_order(g) for g in groups if _lost_order(g))
    return replace(found, groups=groups, findings=(*found.findings, *lost))


def measure_healthy(
    run: Path, made: Path, *, seed: int
) -> tuple[list[SampledDocument], list[Measured], list[float | None]]:
    """Documents of a healthy run, their signs and the reference model's gaps, by a reference that lies in `made`."""
    packed, table = open_packed(run), read_table(made)
    spellings = read_spellings(run / TOKENIZER_FILE)
    _, documents, measured = measure_run(packed.blocks, spellings=spellings, seed=seed, table=table)
    gaps: list[float | None] = [None] * len(documents)
    places = reference.first_of_groups(documents, per_group=_HEALTHY_DOCS)
    texts = [documents[i].clean for i in places]
    scored = reference.score(texts, seed=seed, model=reference.read_small(made), encoder=table.encoder)
    for i, one in zip(places, scored, strict=True):
        gaps[i] = None if one is None else one.gap
    return documents, measured, gaps


def _lost_order(g: GroupSigns) -> bool:
    if g.n_judged < _MIN_JUDGED or not g.reference_gap < _MIN_GAP_PART * g.gap_healthy:
        return False
    return bool(g.gap_healthy - g.reference_gap > _GAP_SIGMAS * g.gap_spread / np.sqrt(g.n_judged))


def _without_order(g: GroupSigns) -> RuinFinding:
    message = (
        f"order is worth {g.reference_gap:.2f} nats a token to the reference model, {g.gap_healthy:.2f} in healthy text"
    )
    return RuinFinding(g.pool, g.group, NO_ORDER, "fail", message, g.n_judged, g.n_judged, 0.0, 0.0, ())


def _seen(run: PackedRun, split: Split, *, n_read: int) -> dict[tuple[str, str], float]:
    """For each group the share of its held-out runs of tokens that the trained sequences hold too."""
    hashes, groups = [], []
    for start, stop in _stretches(np.asarray(split.held_out)):
        for rows in read_rows(run, start, stop=stop):
            of_rows, owners = _grams(rows)
            hashes.append(of_rows)
            groups += [rows.groups[i] for i in owners.tolist()] if len(owners) else []
    seen = Seen(np.concatenate(hashes))
    for start, stop in _stretches(np.unique(np.asarray(split.train)[:n_read])):
        for first in range(start, stop, _BATCH):
            for rows in read_rows(run, first, stop=min(stop, first + _BATCH)):
                seen.show(_grams(rows)[0])
    names = sorted(set(groups))
    number = {name: i for i, name in enumerate(names)}
    owner = np.array([number[g] for g in groups], dtype=np.int64)
    n, met = np.bincount(owner, minlength=len(names)), np.bincount(owner, weights=seen.met, minlength=len(names))
    return {name: float(m / max(1, k)) for name, m, k in zip(names, met, n, strict=True)}


def _grams(rows: Rows) -> tuple[Hashes, Ints]:
    base = np.repeat(np.arange(len(rows.n_pieces)) * rows.token_ids.shape[1], rows.n_pieces)
    return grams(rows.token_ids.reshape(-1), base + rows.starts, rows.ends - rows.starts)


def _stretches(numbers: np.ndarray) -> list[tuple[int, int]]:
    """Ascending sequence numbers as stretches start .. stop - 1."""
    if not len(numbers):
        return []
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(numbers, cuts)]
