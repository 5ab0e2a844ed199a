"""The reference model: a small PLT, trained on a good mixture, that reads any run's documents as they are and permuted.

What order is worth to it, the permutation gap, is its loss on a document's tokens in random order less that on the
document as it is. Healthy text of any language that it knows a little has a clear gap; noise and shuffled tokens have
none, reversed ones nearly none. Texts are encoded anew with the model's own tokenizer, so any run can be asked.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pipeline.errors import CheckpointError
from pipeline.plt.attention import PADDING
from pipeline.plt.checkpoint import newest_checkpoint
from pipeline.plt.head import NO_TARGET
from pipeline.plt.model import PLT
from pipeline.plt.weights import read_model, write_model
from pipeline.results import GroupSigns, Inspection
from pipeline.ruin import healthy, pairs
from pipeline.ruin.sample import SampledDocument
from tokenizer import Encoder

FOLDER = "reference_model"
MAX_TOKENS = 256  # of a document: a model this small gains little from a longer context
MIN_TOKENS = 32  # fewer have no order to speak of
MAX_DOCS = 32  # of a group
MAX_ALL_DOCS = 768  # of a run, which bounds the time to some fifteen seconds on two cores
_MIN_DOCS = 8  # of a group, however many groups there are
_ROWS = 32  # documents of a forward pass


class Scored(NamedTuple):
    """One document under the reference model; losses in nats, summed over its targets."""

    n_targets: int
    n_bytes: int  # that the targets spell
    nats: float
    nats_permuted: float

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / max(1, self.n_bytes)

    @property
    def gap(self) -> float:
        """Nats per token that order is worth."""
        return (self.nats_permuted - self.nats) / self.n_targets


@lru_cache(maxsize=1)
def packaged() -> PLT:
    """The model that ships, read once a process."""
    with as_file(files("pipeline.plt") / FOLDER) as folder:
        return read_small(folder)


def read_small(folder: Path) -> PLT:
    """A model that `write_small` wrote, computing in float32."""
    return read_model(folder).float()


def write_small(model: Path, out: Path) -> None:
    """The newest checkpoint of a model folder in half precision: half the size, and the same losses to four digits."""
    newest = newest_checkpoint(model)
    if newest is None:
        raise CheckpointError(f"{model}: holds no checkpoint; train it first")
    trained = read_model(newest)
    write_model(trained.config, out, tensors=dict(trained.state_dict()), dtype=torch.float16)


@torch.no_grad()
def score(
    texts: Sequence[bytes], *, seed: int, model: PLT | None = None, encoder: Encoder | None = None
) -> list[Scored | None]:
    """Each text, valid UTF-8, by the reference; None where it has fewer than MIN_TOKENS tokens."""
    model = model or packaged()
    encoder = encoder or pairs.packaged().encoder
    offsets, flat = encoder.encode_batch(list(texts))
    ids = [flat[a : min(b - 1, a + MAX_TOKENS)].astype(np.int64) for a, b in pairwise(offsets.tolist())]
    wanted = [i for i, of in enumerate(ids) if len(of) >= MIN_TOKENS]
    # Documents of like length share a pass, so little of it is padding.
    wanted.sort(key=lambda i: len(ids[i]))
    found: list[Scored | None] = [None] * len(texts)
    for start in range(0, len(wanted), _ROWS):
        batch = wanted[start : start + _ROWS]
        plain = _losses(model, [ids[i] for i in batch])
        mixed = _losses(model, [np.random.default_rng([seed, i]).permutation(ids[i]) for i in batch])
        for i, nats, nats_permuted in zip(batch, plain, mixed, strict=True):
            found[i] = Scored(len(ids[i]) - 1, len(encoder.decode(ids[i][1:])), nats, nats_permuted)
    return found


def _losses(model: PLT, ids: list[np.ndarray]) -> list[float]:
    """Summed loss of each document, a row each."""
    length = max(map(len, ids))
    tokens = torch.zeros(len(ids), length, dtype=torch.int64)
    targets = torch.full_like(tokens, NO_TARGET)
    index = torch.full_like(tokens, PADDING)
    for row, of in enumerate(ids):
        tokens[row, : len(of)] = torch.from_numpy(of)
        targets[row, : len(of) - 1] = tokens[row, 1 : len(of)]
        index[row, : len(of)] = 0
    losses: list[float] = model(tokens, index, targets).double().sum(dim=1).tolist()
    return losses


def first_of_groups(documents: Sequence[SampledDocument], *, per_group: int) -> list[int]:
    """Places of the first `per_group` documents of each group, in order."""
    taken: Counter[tuple[str, str]] = Counter()
    found = []
    for i, d in enumerate(documents):
        taken[d.pool, d.group] += 1
        if taken[d.pool, d.group] <= per_group:
            found.append(i)
    return found


def judge_groups(inspection: Inspection, documents: Sequence[SampledDocument], *, seed: int) -> Inspection:
    """The inspection with what the reference model says of each group. The first documents of a group are read."""
    n_groups = len({(d.pool, d.group) for d in documents})
    per_group = max(_MIN_DOCS, min(MAX_DOCS, MAX_ALL_DOCS // max(1, n_groups)))
    chosen = [documents[i] for i in first_of_groups(documents, per_group=per_group)]
    scored = score([d.clean for d in chosen], seed=seed)
    by_group = defaultdict(list)
    for d, one in zip(chosen, scored, strict=True):
        if one is not None:
            by_group[d.pool, d.group].append(one)
    return replace(inspection, groups=tuple(_with(g, by_group[g.pool, g.group]) for g in inspection.groups))


def _with(signs: GroupSigns, scored: list[Scored]) -> GroupSigns:
    gap, spread = healthy.packaged().gap(signs.pool, signs.group)
    signs = replace(signs, gap_healthy=gap, gap_spread=spread, n_judged=len(scored))
    if not scored:
        return signs
    n_bytes, n_targets = sum(s.n_bytes for s in scored), sum(s.n_targets for s in scored)
    bits = sum(s.nats for s in scored) / np.log(2) / max(1, n_bytes)
    gaps = sum(s.nats_permuted - s.nats for s in scored) / n_targets
    return replace(signs, reference=float(bits), reference_gap=float(gaps))
