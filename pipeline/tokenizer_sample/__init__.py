"""A keyed sample of a mixture's raw documents, from which a tokenizer is trained.

Two readings: the first looks at every document (is it good enough, which group and repository is it of, how large),
`choose` then decides by those few numbers, the second takes the texts of what was chosen. So memory holds a row of
numbers a document, and the sample's own texts.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pyarrow as pa

from pipeline.config import Mixture, Source
from pipeline.errors import ConfigError
from pipeline.quality.settings import measuring_with
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import Judging
from pipeline.sources import Slice, plan_slices, read_parts
from pipeline.sources.caps import caps_of
from pipeline.tokenizer_sample.candidates import candidates_of, joined, keys_of
from pipeline.tokenizer_sample.choose import GroupTaken, Wanted, choose

__all__ = ["GroupTaken", "sample"]

# A word has few votes in a text however often it stands there (`tokenizer.train`): a book has as many as its length
# gives it, and a file of data no more than a short one.
MAX_TEXT_CHARS = 50_000


def sample(
    mixture: Mixture, *, n_bytes: int, on_slice: Callable[[int, int], None]
) -> tuple[list[str], tuple[GroupTaken, ...]]:
    """Texts that pass the mixture's rules, in keyed order, about `n_bytes` in total, and what each group gave.

    `tokenizer.sample` says how they are shared. Equal documents count once; a long one gives several texts.
    Calls on_slice(done, total) over both readings. Raises ConfigError if a pool has nothing to give.
    """
    limits = mixture.ingest
    plan = [(s, piece) for s in mixture.sources for piece in plan_slices(s, shard_bytes=limits.shard_bytes)]
    measuring = measuring_with(mixture.quality.measuring()).model_copy(update={"parse": "off"})
    look = partial(
        candidates_of, mixture=mixture, measuring=measuring, judging=Judging(rules=rules_of(mixture.quality))
    )
    seen = []
    for number, tables in enumerate(_readings(plan, mixture)):
        seen += [look(documents) for documents in tables]
        on_slice(number + 1, 2 * len(plan))
    found = joined(seen)
    for pool in ("code", "text"):
        if not (found.pools == pool).any():
            raise ConfigError(f"sample: no {pool} document passes the rules; add a {pool} source to the mixture")
    wanted = mixture.tokenizer.sample
    chosen, taken = choose(found, wanted=Wanted(code=wanted.code, text=wanted.text, n_bytes=n_bytes))
    texts: dict[int, str] = {}
    for number, tables in enumerate(_readings(plan, mixture)):
        for documents in tables:
            texts |= _texts(documents, mixture=mixture, chosen=chosen)
        on_slice(len(plan) + number + 1, 2 * len(plan))
    return [piece for key in sorted(texts) for piece in _pieces(texts[key])], taken


def _readings(plan: list[tuple[Source, Slice]], mixture: Mixture) -> Iterator[Iterator[pa.Table]]:
    """The documents of each slice, a table a shard."""
    limits = mixture.ingest
    for source, piece in plan:
        parts = read_parts(
            source,
            piece,
            shard_bytes=limits.shard_bytes,
            max_document_bytes=limits.max_document_bytes,
            notebooks=limits.notebooks,
            caps=caps_of(limits),
        )
        yield (documents for _, documents in parts)


def _texts(documents: pa.Table, *, mixture: Mixture, chosen: Mapping[int, int]) -> dict[int, str]:
    """By key, what enters of those documents of a shard that were chosen; a character that is cut is left out."""
    keys = keys_of(documents, seed=mixture.seed).tolist()
    content = documents["content"]
    return {
        key: content[row].as_py()[: chosen[key]].decode("utf-8", errors="ignore")
        for row, key in enumerate(keys)
        if key in chosen
    }


def _pieces(text: str) -> list[str]:
    return [text[at : at + MAX_TEXT_CHARS] for at in range(0, len(text), MAX_TEXT_CHARS)]
