"""Raw bytes -> UTF-8, and what they were before. Never raises; the verdict is recorded with each document.

In order of trust: a byte order mark; valid UTF-8; a NUL pattern that only UTF-16 or UTF-32 makes; Unicode with damaged
places (`damaged.py`); a legacy encoding, guessed with a confidence (`encodings.py`); else `binary`. What such an
encoding cannot read becomes U+FFFD and is counted. Line ends stay.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.sources.damaged import (
    REPLACEMENT,
    Places,
    Repaired,
    foreign_lines,
    look,
    may_be_chance,
    mend,
    sound_lines,
    wide,
)
from pipeline.sources.encodings import Evidence, cost_of_text, settle, weigh

BINARY = "binary"
_DAMAGED = "-damaged"  # after the name of a Unicode encoding: some places were repaired or are U+FFFD now

_MARKS = {  # longest first: the UTF-32 mark begins with the UTF-16 one
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_MARK_STARTS = tuple(_MARKS)
_MAGIC = (  # formats whose first bytes may lack a NUL; looked at only where the bytes are not UTF-8
    b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8",  # documents and pictures
    b"RIFF", b"OggS", b"ID3",  # sound and film
    b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf",  # archives
    b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"MZ",  # programs
)  # fmt: skip
_TEXT_CONTROLS = b"\t\n\r\f\x08\x1b"  # backspace and escape: man pages and terminal logs
_NOT_TEXT = bytes(c for c in range(256) if (c < 0x20 and c not in _TEXT_CONTROLS) or c == 0x7F)
_HEAD_BYTES = 8_000  # git's rule: a NUL among the first 8,000 bytes makes a file binary
_PROBE_BYTES = 1_024  # at the start, in the middle and at the end; a plain choice
_MAX_CONTROL_FRAC = 0.1  # of a valid UTF-8 head; a plain choice
_MAX_DETECTED_CONTROL_FRAC = 0.01  # random bytes have 0.1; text in any 8-bit encoding has none
_SAMPLE_CHARS = 4_096
_MIN_LINE_CONFIDENCE = 0.9  # a wrong letter is worse than U+FFFD, which says that something is lost
_MIN_ACCIDENT_NATS = 3.0  # odds of 20 to 1 against UTF-8 that has a good place for each bad one
_MIN_WIDE_BYTES = 32  # of UTF-16 that has damage and no mark: `a`, NUL, `b` would be such a text


class Decoded(NamedTuple):
    """A document as UTF-8 and what it was before."""

    content: bytes
    encoding: str  # a Python codec name, one of Unicode with `-damaged` behind it, or `binary` with empty content
    confidence: float | None = 1.0  # 1: the bytes leave no doubt; null: binary
    n_replaced: int = 0  # characters U+FFFD that stand for what could not be read
    n_repaired: int = 0  # places read as what they are: halves of pairs, lines in another encoding


_NOT_A_TEXT = Decoded(b"", BINARY, None)


class Undecided(NamedTuple):
    """Bytes in a legacy encoding, and what they say of it by themselves."""

    raw: bytes
    evidence: Evidence


def decode(raw: bytes) -> Decoded:
    """`raw` as UTF-8 without a byte order mark, decided without neighbours."""
    found = examine(raw)
    return decide(found) if isinstance(found, Undecided) else found


def examine(raw: bytes) -> Decoded | Undecided:
    """What the bytes say by themselves. Plain UTF-8 is handed back as it is, without a copy."""
    if raw.startswith(_MARK_STARTS):
        return _marked(raw)
    if raw.isascii() or _strictly(raw, encoding="utf-8") is not None:
        return _plain(raw)
    if raw.startswith(_MAGIC):
        return _NOT_A_TEXT
    if b"\0" in raw:
        return _wide(raw) or _NOT_A_TEXT
    if _has_controls(raw):
        return _NOT_A_TEXT
    damaged = _damaged(raw)
    if damaged is not None:
        return damaged
    evidence = weigh(raw)
    return _NOT_A_TEXT if evidence is None else Undecided(raw, evidence)


def decide(found: Undecided, *, prior: npt.NDArray[np.float64] | None = None) -> Decoded:
    """The likeliest reading. `prior`: what neighbours say of encodings, as `votes.priors_of` gives it."""
    encoding, confidence = settle(found.raw, found.evidence, prior=prior)
    text = found.raw.decode(encoding, errors="replace")
    n_replaced = text.count(REPLACEMENT)
    return Decoded(text.encode("utf-8"), encoding + _DAMAGED * (n_replaced > 0), confidence, n_replaced)


def _marked(raw: bytes) -> Decoded:
    """Trust the mark if what follows keeps its word; a mark before anything else is just two odd bytes."""
    mark = next(m for m in _MARKS if raw.startswith(m))
    name = _MARKS[mark]
    text = _strictly(raw, encoding=name)
    if name == "utf-8-sig":
        if text is None:
            # The mark is a sound sequence, so it counts as one good place.
            return _NOT_A_TEXT if _has_controls(raw) else _damaged(raw, mark=mark) or _NOT_A_TEXT
        return _NOT_A_TEXT if "\0" in text[:_HEAD_BYTES] else Decoded(text.encode("utf-8"), name)
    repaired = wide(raw, encoding=name)
    if repaired is None:
        return _NOT_A_TEXT
    if text is not None and "\0" not in text:
        return Decoded(text.encode("utf-8"), name)
    return _as_damaged(repaired, encoding=name)


def _plain(raw: bytes) -> Decoded:
    """Valid UTF-8: text, unless NULs or control characters say otherwise. UTF-16 of ASCII ends up here too."""
    if b"\0" in raw:
        wide = _wide(raw)
        if wide is not None:
            return wide
        if b"\0" in raw[:_HEAD_BYTES]:
            return _NOT_A_TEXT
    if b"\x1b" in raw and (b"\x1b$B" in raw or b"\x1b$@" in raw):  # the one-byte search is much the faster
        decoded = _lossless(raw, encoding="iso2022_jp")
        if decoded is not None:
            return decoded
    return _NOT_A_TEXT if _control_frac(raw[:_PROBE_BYTES]) > _MAX_CONTROL_FRAC else Decoded(raw, "utf-8")


def _control_frac(probe: bytes) -> float:
    return 1 - len(probe.translate(None, _NOT_TEXT)) / len(probe) if probe else 0.0


def _wide(raw: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark: NULs fall on one side of each unit, and the result reads as text."""
    probe = raw[: 4 * _HEAD_BYTES]
    even, odd = probe[0::2].count(0), probe[1::2].count(0)
    if even + odd < len(probe) // 200:  # fewer than one unit in a hundred: a stray NUL, no encoding
        return None
    names = ("utf-16-le", "utf-16-be") if odd > even else ("utf-16-be", "utf-16-le")
    if min(even, odd) > len(probe) // 8:
        names = ("utf-32-le", "utf-32-be") if odd > even else ("utf-32-be", "utf-32-le")
    for name in names:
        text = _strictly(raw, encoding=name)
        if text is not None and "\0" not in text and _reads_as_text(text[:_SAMPLE_CHARS]):
            return Decoded(text.encode("utf-8"), name)
    # Damage is looked for last and on the likelier side only: shifted by a byte, much text is still characters.
    enough = len(raw) >= _MIN_WIDE_BYTES and even + odd > len(probe) // 8
    repaired = wide(raw, encoding=names[0]) if enough else None
    return None if repaired is None else _as_damaged(repaired, encoding=names[0])


def _as_damaged(repaired: Repaired, *, encoding: str) -> Decoded:
    content = repaired.text.encode("utf-8")
    return Decoded(content, encoding + _DAMAGED, n_replaced=repaired.n_replaced, n_repaired=repaired.n_repaired)


def _reads_as_text(sample: str) -> bool:
    """At most one character in a hundred is a control, unassigned or private. Chance pairs of bytes fail this."""
    odd = sum(not (c.isprintable() or c.isspace()) for c in sample)
    return bool(sample) and odd * 100 <= len(sample)


def _has_controls(raw: bytes) -> bool:
    middle = len(raw) // 2
    probe = raw[:_PROBE_BYTES] + raw[middle : middle + _PROBE_BYTES] + raw[-_PROBE_BYTES:]
    return _control_frac(probe) > _MAX_DETECTED_CONTROL_FRAC


def _damaged(raw: bytes, *, mark: bytes = b"") -> Decoded | None:
    """UTF-8 with bad bytes: cut in a character, joined with lines of another encoding, or halves of pairs."""
    places = look(raw)
    if not places.is_utf8 or (not mark and _is_accident(places)):
        return None
    if mark:
        places = places._replace(text=places.text.removeprefix("\ufeff"))
    return _as_damaged(mend(places, lines_in=_line_encoding(foreign_lines(places))), encoding="utf-8")


def _is_accident(places: Places) -> bool:
    """The good places of a few East Asian letters may be chance: another encoding makes far better words of them."""
    if not may_be_chance(places):
        return False
    raw, text = sound_lines(places)
    evidence = weigh(raw)
    return evidence is not None and float(evidence.likelihood[:-1].max()) + cost_of_text(text) > _MIN_ACCIDENT_NATS


def _line_encoding(lines: list[bytes]) -> str | None:
    """What lines of another encoding are in, if that is sure and all of them can be read."""
    evidence = weigh(b"\n".join(lines)) if lines else None
    if evidence is None:
        return None
    encoding, confidence = settle(b"\n".join(lines), evidence)
    readable = all(_strictly(line, encoding=encoding) is not None for line in lines)
    return encoding if readable and confidence >= _MIN_LINE_CONFIDENCE else None


def _lossless(raw: bytes, *, encoding: str) -> Decoded | None:
    """`raw` read as `encoding`, if writing it again gives the same bytes: some codecs read two spellings as one."""
    text = _strictly(raw, encoding=encoding)
    try:
        same = text is not None and text.encode(encoding) == raw
    except UnicodeEncodeError:
        return None
    return Decoded(text.encode("utf-8"), encoding) if text is not None and same else None


def _strictly(raw: bytes, *, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None
