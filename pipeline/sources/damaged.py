"""Unicode with damaged places: what can be read as what it is stays or is repaired, the rest becomes U+FFFD, counted.

UTF-8 is damaged where a file was cut, joined with one of another encoding, or written by a program that encodes halves
of pairs one by one (CESU-8, Java's modified UTF-8). UTF-16 and UTF-32 are damaged by an odd last byte, a NUL and half
a surrogate pair. None of this makes a text binary, and none of it is a reason to read the sound places as another
encoding. Mojibake that is valid UTF-8 is what the file says, and stays.
"""

import re
from typing import NamedTuple

REPLACEMENT = "\ufffd"
_BAD = re.compile("[\udc80-\udcff]+")  # what Python's surrogateescape makes of bytes that are no UTF-8
# ED A0..AF xx ED B0..BF xx: both halves of a pair, each encoded as if it were a character.
_PAIR = re.compile("\udced[\udca0-\udcaf][\udc80-\udcbf]\udced[\udcb0-\udcbf][\udc80-\udcbf]")
_JAVA_NUL = "\udcc0\udc80"  # modified UTF-8 writes U+0000 so
_WIDE = re.compile("[\x80-\U0010ffff]")
_HIGH = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")  # sound characters that took several bytes
_MIXED = re.compile(f"{_HIGH.pattern}{_BAD.pattern}|{_BAD.pattern}{_HIGH.pattern}")
_BAD_BYTES_A_PLACE = 3  # longer runs are several: three is half a pair, and the most that a cut character leaves
_CERTAIN_GOOD = 4  # good places for each bad one; Chinese and Russian in their old encodings have at most about one
_SAMPLE_CHARS = 4_096
_SAMPLE_BYTES = 4 * (_SAMPLE_CHARS + 2)  # a character has four at most; a mark and half a pair lie beside the sample
_MAX_ODD = 20  # one character in so many that is a control, unassigned or lost; chance pairs of bytes have one in four


class Repaired(NamedTuple):
    """Text, the characters U+FFFD put into it, and the places that were read as what they are."""

    text: str
    n_replaced: int
    n_repaired: int


class Places(NamedTuple):
    """UTF-8 whose bad bytes are still there, as surrogate escapes; pairs are put together already."""

    text: str
    n_good: int  # characters of several bytes
    n_bad: int
    n_pairs: int

    @property
    def is_utf8(self) -> bool:
        """No more bad places than good ones. In other encodings sound sequences are accidents, rarer than bad ones."""
        return self.n_good > 0 and self.n_bad <= self.n_good


def look(raw: bytes) -> Places:
    """Good and bad places of `raw` read as UTF-8."""
    text, n_pairs = _PAIR.subn(_joined, raw.decode("utf-8", errors="surrogateescape"))
    n_nuls = text.count(_JAVA_NUL)
    if n_nuls:
        text = text.replace(_JAVA_NUL, "\0")
    bad = _BAD.findall(text)
    n_good = n_wide(text) - sum(map(len, bad)) + n_nuls
    n_bad = sum(-(-len(run) // _BAD_BYTES_A_PLACE) for run in bad)
    return Places(text, n_good, n_bad, n_pairs + n_nuls)


def n_wide(text: str) -> int:
    """How many characters are not ASCII, escapes included; many times faster than a search for each."""
    return len(text) - len(text.encode("ascii", errors="ignore"))


def may_be_chance(places: Places) -> bool:
    """Whether the good places can be accidents in another encoding: its words are runs of bytes both good and bad.

    A single bad byte or a cut character apart from good ones, or many good places for a bad one, are damage.
    """
    if places.n_good >= _CERTAIN_GOOD * places.n_bad:
        return False
    if _MIXED.search(places.text):
        return True
    runs = [_bytes_of(run) for run in _BAD.findall(places.text)]
    return any(len(run) > 1 and not _is_cut(run, at_the_end=False) for run in runs)


def _joined(match: re.Match[str]) -> str:
    halves = _bytes_of(match[0]).decode("utf-8", errors="surrogatepass")
    return halves.encode("utf-16", errors="surrogatepass").decode("utf-16")


def _bytes_of(escaped: str) -> bytes:
    return escaped.encode("utf-8", errors="surrogateescape")


def foreign_lines(places: Places) -> list[bytes]:
    """The bytes of each line all of whose non-ASCII bytes are bad: lines of another encoding, pasted in."""
    lines = places.text.split("\n")
    return [_bytes_of(line) for i, line in enumerate(lines) if _is_foreign(line, last=i == len(lines) - 1)]


def _is_foreign(line: str, *, last: bool) -> bool:
    """Not so a line whose bad places are characters that were cut short: that is UTF-8, damaged."""
    bad = _BAD.findall(line)
    if not bad or len(_WIDE.findall(line)) != sum(map(len, bad)):
        return False
    at_the_end = last and len(bad) == 1 and line.endswith(bad[0])
    return not all(_is_cut(_bytes_of(run), at_the_end=at_the_end) for run in bad)


def _is_cut(place: bytes, *, at_the_end: bool) -> bool:
    """The start of a character that lacks its last bytes. A lead byte alone says so only at the end of the file."""
    n_wanted = 2 + (place[0] >= 0xE0) + (place[0] >= 0xF0)
    return place[0] in range(0xC2, 0xF5) and (1 if at_the_end else 2) <= len(place) < n_wanted


def sound_lines(places: Places) -> tuple[bytes, str]:
    """The lines with good places, each once: their bytes, and as text with U+FFFD for what is bad."""
    lines = "\n".join(dict.fromkeys(line for line in places.text.split("\n") if _HIGH.search(line)))
    return _bytes_of(lines), _BAD.sub(REPLACEMENT, lines)


def mend(places: Places, *, lines_in: str | None) -> Repaired:
    """Put U+FFFD where bytes are bad; foreign lines are read as `lines_in`, where that is given and all can be."""
    n_replaced, n_repaired = 0, places.n_pairs
    lines = places.text.split("\n")
    for i, line in enumerate(lines):
        if not _BAD.search(line):
            continue
        if lines_in is not None and _is_foreign(line, last=i == len(lines) - 1):
            lines[i] = _bytes_of(line).decode(lines_in)
            n_repaired += 1
        else:
            lines[i] = _BAD.sub(lambda run: _bytes_of(run[0]).decode("utf-8", errors="replace"), line)
            n_replaced += lines[i].count(REPLACEMENT) - line.count(REPLACEMENT)
    return Repaired("\n".join(lines), n_replaced, n_repaired)


def wide(raw: bytes, *, encoding: str) -> Repaired | None:
    """UTF-16 or UTF-32 with its damage replaced, NUL included; None where too little of it reads as text."""
    # A NUL would make the document binary to every tool that comes after.
    head = raw[:_SAMPLE_BYTES].decode(encoding, errors="replace").replace("\0", REPLACEMENT)
    sample = head[:_SAMPLE_CHARS]
    n_odd = sum(not (c.isprintable() or c.isspace()) or c == REPLACEMENT for c in sample)
    if n_odd * 2 > len(sample) or n_odd * _MAX_ODD > len(sample) + _MAX_ODD:  # one odd character is always allowed
        return None
    text, strict = (raw.decode(encoding, errors=errors) for errors in ("replace", "ignore"))
    n_before = text.count(REPLACEMENT)
    return Repaired(text.replace("\0", REPLACEMENT), n_before - strict.count(REPLACEMENT) + strict.count("\0"), 0)
