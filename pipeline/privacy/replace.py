"""Put placeholders in the place of finds, until a second look finds nothing that the policies would replace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from pipeline.privacy.find import Finds, find
from pipeline.privacy.placeholders import placeholder
from pipeline.privacy.policies import Policy, policy_of

Span = tuple[int, int, str]  # start, end, kind


@dataclass(frozen=True)
class Edit:
    """Bytes start:end of the document became new_start:new_end of what is written."""

    start: int
    end: int
    new_start: int
    new_end: int


def spans_of(finds: Finds) -> dict[int, list[Span]]:
    """The finds of each document that has any."""
    found: dict[int, list[Span]] = {}
    rows = zip(finds.document.tolist(), finds.start.tolist(), finds.end.tolist(), finds.kind, strict=True)
    for document, start, end, kind in rows:
        found.setdefault(document, []).append((start, end, kind))
    return found


@dataclass
class Rewriting:
    """One document on its way: its bytes, what is to be replaced, and what stands there now."""

    content: bytes
    unquoted: bool
    spans: list[Span]  # to be replaced, by their bytes in `content`
    left: list[Span]  # to be reported only
    key: int
    text: bytes = b""


def replaced(
    contents: Sequence[bytes], spans: Sequence[list[Span]], *, unquoted: Sequence[bool], policies: Mapping[str, Policy]
) -> list[tuple[bytes | None, list[Span]]]:
    """Of each document its content with placeholders, or None where nothing is replaced, and all finds by their bytes
    in the content.

    A placeholder may change how its neighbourhood reads (`version` before four numbers), so what is written is looked
    at again, until nothing more is found. Each round takes in bytes that none before did, so there is a last one.
    """
    drafts = [_draft(*one, policies) for one in zip(contents, spans, unquoted, strict=True)]
    todo = [draft for draft in drafts if draft.spans]
    while todo:
        todo = _round(todo, policies)
    return [(draft.text if draft.spans else None, sorted([*draft.left, *draft.spans])) for draft in drafts]


def _draft(content: bytes, spans: list[Span], unquoted: bool, policies: Mapping[str, Policy]) -> Rewriting:
    todo = [span for span in spans if policy_of(span[2], policies) == "redact"]
    left = [span for span in spans if policy_of(span[2], policies) != "redact"]
    return Rewriting(content, unquoted, todo, left, key=_key(content, todo))


def _round(drafts: list[Rewriting], policies: Mapping[str, Policy]) -> list[Rewriting]:
    """Write each draft, look at all again, and return those that have more to replace."""
    edits = []
    for draft in drafts:
        draft.text, made = _written(draft.content, draft.spans, key=draft.key)
        edits.append(made)
    offsets = np.cumsum([0, *(len(draft.text) for draft in drafts)])
    data = np.frombuffer(b"".join(draft.text for draft in drafts), np.uint8)
    again = spans_of(find(data, offsets, unquoted=np.array([draft.unquoted for draft in drafts])))
    more = []
    for number, found in again.items():
        draft = drafts[number]
        new = [_back(span, edits[number]) for span in found if policy_of(span[2], policies) == "redact"]
        joined = _joined([*draft.spans, *new])
        if _size(joined) > _size(draft.spans):
            draft.spans = joined
            more.append(draft)
    return more


def written(content: bytes, spans: list[Span]) -> tuple[bytes, list[Edit]]:
    """A content with a placeholder for each of the finds that were replaced, which say what `replaced` made of it."""
    return _written(content, spans, key=_key(content, spans))


def _size(spans: list[Span]) -> int:
    return sum(end - start for start, end, _ in spans)


def _key(content: bytes, spans: list[Span]) -> int:
    """64 bits of what stays of the document. So equal documents are redacted alike, and the key says nothing about what
    was taken out: documents that differ in nothing else have the same."""
    digest, at = xxhash.xxh3_64(), 0
    for start, end, _ in spans:
        digest.update(content[at:start])
        digest.update(b"\0")
        at = end
    digest.update(content[at:])
    return digest.intdigest()


def _written(content: bytes, spans: list[Span], *, key: int) -> tuple[bytes, list[Edit]]:
    """The content with a placeholder for each span, equal ones for equal values, and where they stand."""
    ordinals: dict[tuple[str, bytes], int] = {}
    out, at, edits = bytearray(), 0, []
    for start, end, kind in spans:
        value = content[start:end]
        ordinal = ordinals.setdefault((kind, value), len(ordinals))
        out += content[at:start]
        new = placeholder(value, kind, key=key, ordinal=ordinal)
        edits.append(Edit(start, end, len(out), len(out) + len(new)))
        out += new
        at = end
    return bytes(out + content[at:]), edits


def _joined(spans: list[Span]) -> list[Span]:
    """In the order of the bytes; those that overlap are one, of the first's kind."""
    joined: list[Span] = []
    for start, end, kind in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), joined[-1][2])
        else:
            joined.append((start, end, kind))
    return joined


def _back(span: Span, edits: list[Edit]) -> Span:
    """A span of what was written as one of the content; where it touches a placeholder, with all that it stands for."""
    start, end, kind = span
    before = [edit for edit in edits if edit.new_end <= start]
    within = [edit for edit in edits if edit.new_start < end and edit.new_end > start]
    shift = before[-1].end - before[-1].new_end if before else 0
    first, last = start + shift, end + shift
    if within:
        first = min(first, within[0].start) if start < within[0].new_start else within[0].start
        last = max(within[-1].end, end + within[-1].end - within[-1].new_end)
    return first, last, kind
