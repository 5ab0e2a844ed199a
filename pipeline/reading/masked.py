"""A document's text as anybody may see it: what tokens are made of, without the values that privacy found.

What was redacted has its placeholder; what a policy reports or drops stands in the data, and is hidden here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.privacy.policies import Policy, policy_of
from pipeline.reading.ids import places_of
from pipeline.reading.texts import runs_of
from pipeline.reading.work import Work
from pipeline.schema import DOCUMENTS, REDACTED

if TYPE_CHECKING:
    from pipeline.privacy.replace import Edit


class Find(NamedTuple):
    """Bytes start:end of a masked document's text are a placeholder, or a value that is not to be shown."""

    start: int
    end: int
    kind: str
    policy: Policy
    is_hidden: bool


class MaskedText(NamedTuple):
    """The bytes that tokens are made of, and where in them finds stand. `safe` is what may be shown or compared."""

    text: bytes
    finds: tuple[Find, ...]

    @property
    def hidden(self) -> tuple[Find, ...]:
        return tuple(find for find in self.finds if find.is_hidden)

    @property
    def safe(self) -> bytes:
        """The text with a name in the place of each hidden value."""
        out, at = bytearray(), 0
        for find in self.hidden:
            if find.end > at:
                out += self.text[at : max(at, find.start)] + f"[{find.kind} hidden]".encode()
                at = find.end
        return bytes(out + self.text[at:])


def masked(
    content: bytes, findings: Sequence[Mapping[str, Any]], *, redacted: bytes | None, policies: Mapping[str, Policy]
) -> MaskedText:
    """`content` is a document's row of `documents`; `findings` and `redacted` are its row of `redacted`.

    Where the finds do not tell which bytes of the redacted text are whose (a second look had found more, and the key of
    the placeholders is that of the first), the text is the content, and each find in it is hidden.
    """
    inside = [(f["start"], min(f["end"], len(content)), f["kind"]) for f in findings if f["start"] < len(content)]
    replaced = [one for one in inside if policy_of(one[2], policies) == "redact"]
    text, edits = (content, list["Edit"]()) if redacted is None else _written(content, replaced)
    is_told = redacted is None or text == redacted
    if not is_told:
        text, edits = content, []
    finds = []
    for start, end, kind in inside:
        policy = policy_of(kind, policies)
        is_hidden = policy != "redact" or redacted is None or not is_told
        finds.append(Find(*_moved(start, end, edits), kind, policy, is_hidden))
    return MaskedText(text, tuple(sorted(finds)))


def _written(content: bytes, replaced: list[tuple[int, int, str]]) -> tuple[bytes, list[Edit]]:
    from pipeline.privacy.replace import written  # kernels, which pages without texts need not load

    return written(content, replaced)


def _moved(start: int, end: int, edits: Sequence[Edit]) -> tuple[int, int]:
    """Bytes of the content as bytes of what was written; what touches a placeholder takes in all of it."""
    starts = [edit.start for edit in edits]

    def place(at: int, *, is_end: bool) -> int:
        k = bisect_right(starts, at - is_end) - 1
        if k < 0:
            return at
        edit = edits[k]
        if at - is_end < edit.end:
            return edit.new_end if is_end else edit.new_start
        return at + edit.new_end - edit.end

    return place(start, is_end=False), place(end, is_end=True)


def masked_rows(run: RunFiles, shard: int, rows: Sequence[int]) -> list[MaskedText]:
    """The texts of some rows of a shard. StoreError where the texts are gone."""
    return masked_of(run.tables, shard, rows, policies=run.mixture.privacy.policies)


def masked_by_id(run: RunFiles, ids: Sequence[str], work: Work) -> dict[str, MaskedText]:
    """The texts of some documents of this run or those in its `against`; what has no text any more is left out."""
    found: dict[str, MaskedText] = {}
    for place in runs_of(run):
        missing = [one for one in ids if one not in found]
        if missing and place.store.exists(place.tables.path(DOCUMENTS, 0)):
            for one, (shard, row) in places_of(place, missing, work).items():
                found[one] = masked_rows(place, shard, [row])[0]
    return found


def masked_of(tables: Tables, shard: int, rows: Sequence[int], *, policies: Mapping[str, Policy]) -> list[MaskedText]:
    """The same for a task that knows the tables alone."""
    wanted = pa.array(np.asarray(rows, np.int64))
    documents = tables.read(DOCUMENTS, shard, columns=["doc_id", "content"])
    found = tables.read(REDACTED, shard, columns=["doc_id", "findings", "content"]).take(wanted)
    content = one_chunk(documents["content"]).take(wanted)
    finds, texts = found["findings"].to_pylist(), found["content"].to_pylist()
    return [
        masked(one, mine, redacted=text, policies=policies)
        for one, mine, text in zip(content.to_pylist(), finds, texts, strict=True)
    ]
