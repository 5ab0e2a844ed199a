"""Fill in the middle: a text as prefix, suffix and middle between sentinels, and back.

    PSM   <prefix> P <suffix> S <middle> M <end>
    SPM   <prefix> <suffix> S <middle> P M <end>       (variant 2 of Bavarian et al. 2022, arXiv 2207.14255)

The parts are encoded apart, as they will be where the model is used: a token never crosses a bound between them. No
text makes a sentinel, so a row of tokens says by itself where its pieces begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.forms.splits import LEAST_BYTES, Draw, character, split
from pipeline.targets import Splits

Ids = np.ndarray  # uint32 [n]
Encode = Callable[[Sequence[bytes]], list[Ids]]  # ids of each text, without an end

# Names by family of vocabularies: ours and Qwen's, StarCoder's, DeepSeek's.
_NAMES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
)
N_SENTINELS = 4  # tokens that a piece has beside its text: three sentinels and the end


@dataclass(frozen=True)
class Sentinels:
    """The ids around the parts of a piece."""

    prefix: int
    suffix: int
    middle: int
    end: int


def sentinels_of(special: dict[str, int], *, end: int) -> Sentinels | None:
    """Those of a vocabulary with these special tokens; None if it has none."""
    for names in _NAMES:
        if all(name in special for name in names):
            prefix, suffix, middle = (special[name] for name in names)
            return Sentinels(prefix, suffix, middle, end)
    return None


@dataclass(frozen=True)
class Filler:
    """Writes documents as pieces of at most `max_tokens`."""

    encode: Encode
    sizes: np.ndarray  # bytes of each id, int64 [vocabulary]
    sentinels: Sentinels
    splits: Splits
    max_tokens: int
    at_lines: bool  # whether a document that is too long for one piece is cut behind a line where it can be
    key: int

    def fill(self, text: bytes, *, doc_id: str, language: str, spm: bool) -> Ids:
        """The ids of a document of 2 or more characters, piece after piece; their texts, one after another, are it."""
        draw = Draw(self.key, doc_id)
        whole = self._piece(text, language, draw, 0, spm=spm)
        if whole.size <= self.max_tokens:
            return whole
        (ids,) = self.encode([text])
        ends = np.cumsum(self.sizes[ids])  # of each token, in bytes
        written: list[Ids] = []
        start = 0
        while start < len(text):
            room = self.max_tokens - N_SENTINELS
            while True:
                stop = self._end(text, start, ends, n_tokens=room)
                piece = self._piece(text[start:stop], language, draw, len(written), spm=spm)
                if piece.size <= self.max_tokens:
                    break
                room -= piece.size - self.max_tokens  # parts that are encoded apart may take a token or two more
            written.append(piece)
            start = stop
        return np.concatenate(written)

    def _piece(self, text: bytes, language: str, draw: Draw, turn: int, *, spm: bool) -> Ids:
        start, stop = split(text, language=language, splits=self.splits, draw=draw, turn=turn)
        before, within, behind = self.encode([text[:start], text[start:stop], text[stop:]])
        mark = self.sentinels
        prefix, suffix, middle, end = (
            np.array([i], np.uint32) for i in (mark.prefix, mark.suffix, mark.middle, mark.end)
        )
        if spm:
            return np.concatenate([prefix, suffix, behind, middle, before, within, end])
        return np.concatenate([prefix, before, suffix, behind, middle, within, end])

    def _end(self, text: bytes, start: int, ends: np.ndarray, *, n_tokens: int) -> int:
        """Where a piece ends that begins at byte `start` and shall have some `n_tokens` of the whole text's."""
        last = int(np.searchsorted(ends, start, side="right")) + n_tokens - 1
        if last >= ends.size - 1:
            return len(text)
        # What is left must be enough to be taken apart too; and each piece must have some text.
        stop = max(character(text, min(int(ends[last]), len(text) - LEAST_BYTES)), character(text, start + LEAST_BYTES))
        line = text.rfind(b"\n", start + (stop - start) * 3 // 4, stop) + 1 if self.at_lines else 0
        return line or stop


# --- and back --------------------------------------------------------------------------------------------------------


def bounds_of(ids: Ids, sentinels: Sentinels) -> list[tuple[int, int]]:
    """Where the pieces of a row of filled-in tokens lie: first token, and the one behind the last."""
    starts = np.flatnonzero(ids == sentinels.prefix).tolist()
    return list(zip(starts, [*starts[1:], ids.size], strict=True))


def parts_of(ids: Ids, sentinels: Sentinels) -> tuple[list[tuple[int, int]], int]:
    """The slices of one whole piece that hold its text, in the order of the text, and where its middle sentinel stands.

    ValueError if it is none.
    """
    where = [np.flatnonzero(ids == mark).tolist() for mark in (sentinels.prefix, sentinels.suffix, sentinels.middle)]
    if [len(found) for found in where] != [1, 1, 1] or ids[-1] != sentinels.end:
        raise ValueError("no whole piece: it needs one of each sentinel and the end")
    (prefix,), (suffix,), (middle,) = where
    if not prefix == 0 < suffix < middle:
        raise ValueError("the sentinels of a piece stand in another order")
    # In SPM the prefix stands before the middle, and its slice is empty here: the same three slices serve both.
    return [(1, suffix), (middle + 1, ids.size - 1), (suffix + 1, middle)], middle


def undo(ids: Ids, sentinels: Sentinels) -> Ids:
    """The ids of the text of one or more whole pieces, as it reads: without sentinels, the middle in its place.

    A piece that begins with no sentinel is plain: it stays as it is but for the end. ValueError for torn pieces.
    """
    if not ids.size or ids[0] != sentinels.prefix:
        return ids[:-1] if ids.size and ids[-1] == sentinels.end else ids
    found = [ids[:0]]
    for start, stop in bounds_of(ids, sentinels):
        piece = ids[start:stop]
        found += [piece[a:b] for a, b in parts_of(piece, sentinels)[0]]
    return np.concatenate(found)


def slices_of(ids: Ids, n_tokens: int, sentinels: Sentinels) -> Iterator[tuple[int, int]]:
    """Slices (first, behind the last) of a row that hold its first `n_tokens`, for a document that enters truncated.

    Whole pieces first. Of the piece that the budget cuts no part may hide what another fills in, so it gives its text
    in plain slices: prefix, middle, suffix. Where almost all of it is wanted, sentinels make up the number: they stand
    at a slice's bounds.
    """
    for start, stop in bounds_of(ids, sentinels):
        if stop - start <= n_tokens:
            yield start, stop
            n_tokens -= stop - start
            continue
        texts, middle = parts_of(ids[start:stop], sentinels)
        spare = n_tokens - sum(b - a for a, b in texts)
        (p, q), (m, n), (s, t) = texts
        n += spare > 0  # the end
        p -= spare > 1  # the prefix's sentinel
        m = middle if spare > 2 else m
        for a, b in ((p, q), (m, n), (s, t)):
            taken = min(b - a, n_tokens)
            if taken > 0:
                yield start + a, start + a + taken
                n_tokens -= taken
        return
