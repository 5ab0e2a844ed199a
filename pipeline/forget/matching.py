"""Which documents of a run a list names, and which others have their bytes or their words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.engine.forgotten import read_forgotten
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError, first_of
from pipeline.forget.listing import HASHED, Listed
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import DOCUMENTS, SIGNATURES

_MAX_NAMED = 5  # entries that an error names
_HASHES: dict[str, Callable[[bytes], str]] = {
    "sha256": lambda text: hashlib.sha256(text).hexdigest(),
    "sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest(),
    "blob": lambda text: hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest(),
}


@dataclass
class Matched:
    """Rows of `documents` by shard: what is to be forgotten, and why."""

    rows: dict[int, np.ndarray]  # ascending
    n_listed: int = 0
    n_equal_bytes: int = 0  # not listed, of the bytes of one that is
    n_equal_words: int = 0  # of its words, and of other bytes
    n_before: int = 0  # listed and forgotten already
    hashes: list[str] = field(default_factory=list)  # of texts, by which entries found documents: `sha256:...`
    missing: list[Listed] = field(default_factory=list)  # entries that match nothing
    of_entry: list[tuple[Listed, int]] = field(default_factory=list)  # each entry and how many documents it names

    @property
    def n_docs(self) -> int:
        return sum(rows.size for rows in self.rows.values())


@dataclass(frozen=True)
class _Compared:
    """What is compared of one shard; a row that was forgotten before has no text that equals anything."""

    content_hash: np.ndarray  # S16, empty where there is no text
    digest: np.ndarray  # S16, empty where it has no signature
    is_before: np.ndarray


def match(run: RunFiles, entries: Sequence[Listed]) -> Matched:
    """Find what the entries name, and all that equals it.

    Words are equal where `signatures` has the same digest of all shingles. ConfigError for an entry that may mean two
    things and does.
    """
    listed: dict[int, np.ndarray] = {}
    counts = np.zeros((len(entries), max((len(e.choices) for e in entries), default=1)), np.int64)
    finder = _Finder(entries)
    shards = []
    for shard in range(run.n_shards):
        found, facts = finder.rows(run, shard, counts)
        listed[shard] = found & ~facts.is_before
        shards.append(facts)
    _refuse_guesses(entries, counts)
    total = counts.sum(axis=1).tolist()
    known = read_forgotten(run.store).hashes  # a text that is gone has no hash any more
    n_known = 0
    for number, entry in enumerate(entries):
        if not total[number] and known & set(_hashes_of(entry)):
            total[number], n_known = 1, n_known + 1
    bytes_too, words_too = _closed(shards, [listed[s] for s in range(run.n_shards)])
    every = [a | b | c for a, b, c in zip(listed.values(), bytes_too, words_too, strict=True)]
    return Matched(
        rows={shard: np.flatnonzero(mask) for shard, mask in enumerate(every) if mask.any()},
        n_listed=sum(int(mask.sum()) for mask in listed.values()),
        n_equal_bytes=sum(int((b & ~a).sum()) for a, b in zip(listed.values(), bytes_too, strict=True)),
        n_equal_words=sum(int((m & ~a & ~b).sum()) for m, a, b in zip(every, listed.values(), bytes_too, strict=True)),
        n_before=finder.n_before + n_known,
        hashes=sorted({h for entry, n in zip(entries, total, strict=True) if n for h in _hashes_of(entry)}),
        missing=[entry for entry, n in zip(entries, total, strict=True) if not n],
        of_entry=list(zip(entries, total, strict=True)),
    )


def _hashes_of(entry: Listed) -> list[str]:
    return [f"{kind}:{value}" for choice in entry.choices for kind, value in choice if kind in HASHED]


def refuse_missing(matched: Matched) -> None:
    """ConfigError for entries that match nothing: whoever lists a document believes that it is there."""
    if matched.missing:
        named = first_of([str(entry) for entry in matched.missing], most=_MAX_NAMED)
        raise ConfigError(
            f"{len(matched.missing)} entries match no document of this run: {named}; correct them, or say "
            "--allow-missing to forget the others"
        )


class _Finder:
    """Looks entries up by their values, so that a list of a million costs what one of ten does."""

    def __init__(self, entries: Sequence[Listed]) -> None:
        self.n_before = 0
        # by kind: value -> places (entry, choice); a choice of several conditions is looked up by its first
        self._by: dict[str, dict[str, list[tuple[int, int, tuple[tuple[str, str], ...]]]]] = {}
        for number, entry in enumerate(entries):
            for choice, conditions in enumerate(entry.choices):
                (kind, value), rest = conditions[0], conditions[1:]
                self._by.setdefault(kind, {}).setdefault(value, []).append((number, choice, rest))
        kinds = {kind for entry in entries for choice in entry.choices for kind, _ in choice}
        self._hashed = sorted(kinds & HASHED)

    def rows(self, run: RunFiles, shard: int, counts: np.ndarray) -> tuple[np.ndarray, _Compared]:
        """Which rows any entry names, with what is compared of the shard; adds to counts[entry, choice]."""
        names = ["doc_id", "path", "repo", "content_hash", "n_bytes", "problem", *(["content"] if self._hashed else [])]
        documents = run.tables.read(DOCUMENTS, shard, columns=names)
        is_before = np.asarray(pc.fill_null(pc.equal(documents["problem"], TAKEN_BACK), False))
        values = _values(documents, self._hashed)
        found = np.zeros(documents.num_rows, bool)
        for kind, wanted in self._by.items():
            column = values[kind]
            for row in _hits(column, wanted):
                for number, choice, rest in wanted[str(column[row].as_py())]:
                    if all(values[k][row].as_py() == value for k, value in rest):
                        counts[number, choice] += 1
                        found[row] = True
        self.n_before += int((found & is_before).sum())
        return found, _facts(run, shard, documents, is_before)


def _hits(column: pa.Array, wanted: dict[str, Any]) -> Iterator[int]:
    return iter(np.flatnonzero(np.asarray(pc.is_in(column, value_set=pa.array(sorted(wanted), pa.string())))).tolist())


def _values(documents: pa.Table, hashed: Sequence[str]) -> dict[str, pa.Array]:
    """Columns of text by the kind of entry that asks for them."""
    found = {kind: one_chunk(documents[kind]) for kind in ("doc_id", "path", "repo")}
    found["content_hash"] = pa.array([h.hex() for h in documents["content_hash"].to_pylist()], pa.string())
    if hashed:
        texts = documents["content"].to_pylist()
        found |= {kind: pa.array([_HASHES[kind](text) for text in texts], pa.string()) for kind in hashed}
    return found


def _facts(run: RunFiles, shard: int, documents: pa.Table, is_before: np.ndarray) -> _Compared:
    signed = run.tables.read(SIGNATURES, shard, columns=["n_shingles", "digest_high", "digest_low"])
    n_shingles, high, low = columns(signed, "n_shingles", "digest_high", "digest_low")
    digest = np.stack([high, low], axis=1).astype("<u8").view("V16")[:, 0].copy() if high.size else np.zeros(0, "V16")
    # Bytes of numpy's kind S would end at a NUL.
    content = np.array([np.void(h) for h in documents["content_hash"].to_pylist()], "V16")
    none = np.void(b"\0" * 16)
    content[is_before | (documents["n_bytes"].to_numpy() == 0)] = none
    digest[is_before | (n_shingles == 0)] = none
    return _Compared(content, digest, is_before)


def _closed(shards: Sequence[_Compared], listed: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows that equal a listed one: by their bytes, and by their words or the bytes of such.

    Only the first of equal documents is signed, so bytes lead to it, its words to others, and these to their equals.
    """
    none = np.void(b"\0" * 16)
    of_bytes = _spread(shards, listed, "content_hash", none)
    of_words, before = [a | b for a, b in zip(listed, of_bytes, strict=True)], -1
    while (n := sum(int(mask.sum()) for mask in of_words)) != before:
        before = n
        same = _spread(shards, of_words, "digest", none)
        of_words = [a | b for a, b in zip(of_words, same, strict=True)]
        same = _spread(shards, of_words, "content_hash", none)
        of_words = [a | b for a, b in zip(of_words, same, strict=True)]
    return of_bytes, of_words


def _spread(shards: Sequence[_Compared], masks: Sequence[np.ndarray], name: str, none: np.void) -> list[np.ndarray]:
    """Rows whose value is that of a row in `masks`, these included."""
    known = {v.tobytes() for shard, mask in zip(shards, masks, strict=True) for v in getattr(shard, name)[mask]}
    known.discard(none.tobytes())
    wanted = np.frombuffer(b"".join(sorted(known)), "V16")
    found = []
    for shard in shards:
        words = getattr(shard, name).view("<u8").reshape(-1, 2)
        found.append(_is_in(words, wanted.view("<u8").reshape(-1, 2)))
    return found


def _is_in(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which pairs of words are among others, bool [n]: sifted by the first word, then compared whole."""
    hit = np.isin(values[:, 0], wanted[:, 0])
    rows = np.flatnonzero(hit)
    pairs = {(int(a), int(b)) for a, b in wanted}
    hit[rows] = [(int(a), int(b)) in pairs for a, b in values[rows]]
    return hit


def _refuse_guesses(entries: Sequence[Listed], counts: np.ndarray) -> None:
    """ConfigError where an entry without a prefix means a path and a repository."""
    for number, entry in enumerate(entries):
        if entry.is_guessed and (counts[number] > 0).sum() > 1:
            raise ConfigError(
                f"{entry}: is the path of {counts[number, 0]:,} documents and the repository of {counts[number, 1]:,}; "
                "say path: or repo: in front of it"
            )
