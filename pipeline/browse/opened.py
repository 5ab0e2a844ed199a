"""One document of a run, with what every table says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.mix.encoder import held_encoder
from pipeline.reading.findings import findings_of
from pipeline.reading.ids import is_id, places_of
from pipeline.reading.limits import Limit, limits_of
from pipeline.reading.masked import MaskedText, masked_by_id, masked_rows
from pipeline.reading.samples import Shown, has_texts, rows_of, show
from pipeline.reading.texts import runs_of
from pipeline.reading.work import Work
from pipeline.rules.meanings import meanings
from pipeline.schema import EXACT_DUPS, LANGUAGES, LEDGER, NEAR_DUPS, QUALITY, TOKENIZER_FILE, TOKENS

MAX_TEXT_BYTES = 300_000  # shown of a text: more is slow in a browser
MAX_COMPARED_BYTES = 200_000  # of each of two texts: comparing longer ones line by line takes too long
N_TOKENS = 3_000  # of a page
N_PAIRS = 50  # verified pairs that are listed
_NO_FEATURES = ("doc_id", "marks", "extra", "prose_language")


class ShownToken(NamedTuple):
    """One token: its id, its bytes as text, and whether it is of a hidden value, or special."""

    id: int
    text: str
    is_hidden: bool
    is_special: bool


@dataclass(frozen=True)
class TokenPage:
    """Some tokens of a document, in order. `refused`: why there are none to see."""

    n_tokens: int
    first: int
    tokens: tuple[ShownToken, ...]
    refused: str = ""


@dataclass(frozen=True)
class OpenedDocument:
    """All of it. `keeper`: path, id and text without hidden values of the document it was dropped for."""

    row: dict[str, Any]
    language: dict[str, Any]
    features: dict[str, Any]
    marks: tuple[str, ...]
    meanings: dict[str, str]
    limits: tuple[Limit, ...]
    findings: tuple[dict[str, Any], ...]
    shown: Shown | None  # None: the run's texts are gone
    text: bytes  # without hidden values, its beginning
    keeper: tuple[str, str, bytes] | None
    pairs: tuple[tuple[str, float], ...]  # verified near duplicates and their similarity, the nearest first
    n_equal: int  # documents with its bytes, itself aside
    tokens: TokenPage

    @property
    def family(self) -> str | None:
        """The id of the kept document among its duplicates; None where it has none, or all were dropped otherwise."""
        is_kept = self.row["keep"] and (self.n_equal or self.pairs)
        return self.row["keeper_id"] or (self.row["doc_id"] if is_kept else None)


def open_document(run: RunFiles, doc_id: str, work: Work, *, first_token: int = 0) -> OpenedDocument:
    """Read it. LoopmixError if the run has no such document."""
    place = places_of(run, [doc_id], work).get(doc_id) if is_id(doc_id) else None
    if place is None:
        raise LoopmixError("no document of this run has that id")
    shard, row = place
    (document,) = rows_of(run.tables, shard, [row])
    quality = run.tables.read(QUALITY, shard).slice(row, 1).to_pylist()[0]
    language = run.tables.read(LANGUAGES, shard).slice(row, 1).to_pylist()[0]
    group_size = run.tables.read(EXACT_DUPS, shard, columns=["doc_id", "group_size"])["group_size"]
    texts = masked_rows(run, shard, [row]) if has_texts(run) else []
    document["findings"] = findings_of(run, shard, row) if texts else []
    document["prose_language"] = quality["prose_language"]
    found = meanings(run.mixture.quality)
    n_bytes = None if not texts or len(texts[0].text) <= MAX_TEXT_BYTES else MAX_TEXT_BYTES
    return OpenedDocument(
        row=document,
        language=language,
        features={k: v for k, v in quality.items() if k not in _NO_FEATURES and v is not None},
        marks=tuple(quality["marks"]),
        meanings={reason: found[reason] for reason in document["reasons"]},
        limits=tuple(limits_of(run.mixture, document)),
        findings=tuple(document["findings"]),
        shown=show(run.mixture, document, texts[0], n_bytes=n_bytes) if texts else None,
        text=texts[0].safe[:MAX_COMPARED_BYTES] if texts else b"",
        keeper=_keeper(run, document["keeper_id"], work) if document["keeper_id"] else None,
        pairs=_pairs(run, doc_id),
        n_equal=group_size[row].as_py() - 1,
        tokens=_tokens(run, document, place, texts, first_token),
    )


def _keeper(run: RunFiles, doc_id: str, work: Work) -> tuple[str, str, bytes] | None:
    """Of this run or one of `against`, whose own policies say what is hidden; None where it is found no longer."""
    text = masked_by_id(run, [doc_id], work).get(doc_id)
    for place in runs_of(run):
        for shard, row in places_of(place, [doc_id], work).values():
            path = place.tables.read(LEDGER, shard, columns=["path"])["path"][row].as_py()
            return path, doc_id, text.safe[:MAX_COMPARED_BYTES] if text else b""
    return None


def _pairs(run: RunFiles, doc_id: str) -> tuple[tuple[str, float], ...]:
    """Its verified pairs: two columns of ids, file by file."""
    found: list[tuple[str, float]] = []
    for file in run.files(NEAR_DUPS.name):
        names = ["doc_id", "other_id", "similarity"]
        pairs = run.store.read_parquet(file.path, schema=NEAR_DUPS.schema, columns=names)
        for own, other in (names[:2], names[1::-1]):
            mine = pairs.filter(pc.equal(pairs[own], doc_id))
            found += zip(mine[other].to_pylist(), mine["similarity"].to_pylist(), strict=True)
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0]))[:N_PAIRS])


def _tokens(
    run: RunFiles, document: dict[str, Any], place: tuple[int, int], texts: Sequence[MaskedText], first: int
) -> TokenPage:
    n_tokens = document["n_tokens"]
    if not document["keep"]:
        return TokenPage(0, 0, (), "it was dropped, so there are none")
    shard, row = place
    ids = run.tables.map(TOKENS, shard, columns=["doc_id", "token_ids"])["token_ids"][row].values
    if ids is None:
        return TokenPage(0, 0, (), "the run has none")
    encoder = held_encoder(run.tokenizer(), where=run.store.full(TOKENIZER_FILE))
    numbers = np.asarray(ids, np.int64)
    pieces = [encoder.vocabulary[number] for number in numbers.tolist()]
    special = np.isin(numbers, np.array(sorted(encoder.special_ids), np.int64))
    hidden = texts[0].hidden if texts else ()
    covered = _covered(pieces, special, texts[0]) if hidden else np.zeros(numbers.size, bool)
    if covered is None:
        return TokenPage(
            n_tokens, 0, (), "values are hidden in it, and its tokens stand in another order than the text"
        )
    first = min(max(first, 0), max(numbers.size - 1, 0))
    mine = range(first, min(numbers.size, first + N_TOKENS))
    tokens = (ShownToken(int(numbers[k]), _token_text(pieces[k]), bool(covered[k]), bool(special[k])) for k in mine)
    return TokenPage(n_tokens, first, tuple(tokens))


def _covered(pieces: Sequence[bytes], special: np.ndarray, text: MaskedText) -> np.ndarray | None:
    """Which tokens hold a part of a hidden value; None where tokens are not the text from left to right."""
    sizes = np.where(special, 0, [len(piece) for piece in pieces])
    plain = (piece for piece, is_special in zip(pieces, special.tolist(), strict=True) if not is_special)
    if b"".join(plain) != text.text:
        return None
    ends = np.cumsum(sizes)
    starts, found = ends - sizes, np.zeros(len(pieces), bool)
    for find in text.hidden:
        found |= (starts < find.end) & (ends > find.start)
    return np.asarray(found & ~special)


def _token_text(piece: bytes) -> str:
    """A token may be a part of a character."""
    return piece.decode("utf-8", errors="backslashreplace")
