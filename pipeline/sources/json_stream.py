"""How JSON rows lie in a file: a line each, the elements of an array, records behind RFC 7464's separator, or objects
written over several lines; in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

A row's number is the byte at which it starts in the uncompressed file, counted in UTF-8.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from pipeline.errors import StoreError

MARK = b"\xef\xbb\xbf"
_RECORD = b"\x1e"
_MARKS = {  # longest first: the UTF-32 mark begins with the UTF-16 one
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
# Without a mark: where the NULs are among the first four bytes, since JSON begins with two ASCII characters (RFC 4627).
_NULS: dict[tuple[bool, ...], str] = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_SIGN = re.compile(rb'["{}\[\],]')
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OUTSIDE = re.compile(_STRING + rb'"|([{}\[\]])', re.DOTALL)
_ARRAY = re.compile(rb"\[\s*(?:[\[{\]]|\Z)")

Lines = Iterator[tuple[int, bytes | None]]  # each row with its offset; None: longer than the cap


class Shape(NamedTuple):
    """How rows lie in a file."""

    rows: Literal["lines", "records", "values"] = "lines"
    encoding: str = "utf-8"

    @property
    def may_be_cut(self) -> bool:
        """Whether one can start reading anywhere: rows end with a byte that stands nowhere else."""
        return self.rows != "values" and self.encoding == "utf-8"


def shape_of(head: bytes) -> Shape:
    """The shape of a file that begins with `head`, which holds the file's first `HEAD_BYTES` or all of it."""
    mark = next((m for m in _MARKS if head.startswith(m)), None)
    encoding = _MARKS[mark] if mark else _NULS.get(tuple(byte == 0 for byte in head[:4]), "utf-8")
    if encoding != "utf-8":
        head = head.decode(encoding, errors="ignore").encode("utf-8", errors="ignore")
    head = head.removeprefix(MARK).lstrip()
    if head.startswith(_RECORD):
        return Shape("records", encoding)
    return Shape("values" if _ARRAY.match(head) or _goes_on(head) else "lines", encoding)


def _goes_on(head: bytes) -> bool:
    """Whether the first line leaves an object open and the second goes on with a key or ends it."""
    first, _, rest = head.partition(b"\n")
    if not first.startswith(b"{") or rest.lstrip()[:1] not in (b'"', b"}"):
        return False
    depth = 0
    for match in _OUTSIDE.finditer(first):
        if match[1]:
            depth += 1 if match[1] in b"{[" else -1
    return depth > 0 and first.rstrip()[-1:] in (b"{", b"[", b",", b":")


def rows_of(blocks: Iterable[bytes], *, shape: Shape, offset: int, cap: int, where: str) -> Lines:
    """The rows of a stream that begins at byte `offset`, each with its own. One longer than `cap` bytes is None."""
    blocks = as_utf8(blocks, encoding=shape.encoding)
    if shape.rows == "values":
        return split_values(blocks, cap=cap, where=where)
    return split_lines(blocks, offset=offset, cap=cap, end=_RECORD if shape.rows == "records" else b"\n")


def as_utf8(blocks: Iterable[bytes], *, encoding: str) -> Iterator[bytes]:
    """Half a surrogate pair stays half a pair, which the row that holds it answers for; a cut last unit is U+FFFD."""
    if encoding == "utf-8":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    is_first = True
    for block in blocks:
        text = decoder.decode(block)
        yield (text.removeprefix("\ufeff") if is_first else text).encode("utf-8", errors="surrogatepass")
        is_first = is_first and not text
    if decoder.getstate()[0]:
        yield "\ufffd".encode()


def split_lines(blocks: Iterable[bytes], *, offset: int, cap: int, end: bytes = b"\n") -> Lines:
    """Cut a stream of bytes at line feeds. A line longer than `cap` is passed over without being gathered."""
    held: list[bytes] = []  # of the line that has begun and not ended
    n_held = 0
    for block in blocks:
        *ended, rest = block.split(end)
        for piece in ended:
            n = n_held + len(piece)
            yield offset, (b"".join((*held, piece)) if held else piece) if n <= cap else None
            offset += n + 1
            held, n_held = [], 0
        n_held += len(rest)
        held.append(rest)
        if n_held > cap:
            held = []
    if n_held:
        yield offset, b"".join(held) if n_held <= cap else None


def split_values(blocks: Iterable[bytes], *, cap: int, where: str) -> Lines:
    """Cut a stream into its objects; an array gives its elements. StoreError if it ends inside one."""
    cutter = _Cutter(cap=cap, where=where)
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


class _Cutter:
    """Cuts JSON text where a value ends, outside strings, however its bytes come in blocks."""

    def __init__(self, *, cap: int, where: str) -> None:
        self._cap, self._where = cap, where
        self._held: list[bytes] = []  # of the value that has begun
        self._n_held = 0
        self._offset = 0  # of the first byte that is held
        self._depth = 0
        self._base = 0  # 1 inside the array whose elements are rows
        self._in_string = self._is_escaped = False

    def feed(self, block: bytes) -> Lines:
        """The rows that end in `block`."""
        place = start = 0
        while place < len(block):
            if self._in_string:
                place = self._through_string(block, place)
                continue
            match = _SIGN.search(block, place)
            if match is None:
                break
            place = match.end()
            if match[0] == b'"':
                self._in_string = True
            elif self._ends_row(match[0]):
                # A closing bracket of an object belongs to it; a comma and the array's own brackets to nothing.
                yield from self._row(block[start : place if match[0] == b"}" else place - 1])
                self._offset += match[0] != b"}"
                start = place
        self._hold(block[start:])

    def finish(self) -> Lines:
        """What stands behind the last value."""
        if self._depth or self._in_string:
            raise StoreError(
                f"{self._where}: ends inside {'its array' if self._base else 'an object'}: is cut short; "
                "fetch it again or exclude it"
            )
        yield from self._row(b"")

    def _ends_row(self, sign: bytes) -> bool:
        if sign == b",":
            return self._depth == self._base
        if sign in b"{[":
            is_array = self._depth == 0 and sign == b"["
            self._base = 1 if is_array else self._base
            self._depth += 1
            return is_array
        self._depth -= 1
        if self._depth < 0:
            raise StoreError(f"{self._where}: a bracket closes what none opened; repair it or exclude it")
        closes_array = self._base == 1 and self._depth == 0
        self._base = 0 if closes_array else self._base
        return closes_array or (self._depth == self._base and sign == b"}")

    def _through_string(self, block: bytes, place: int) -> int:
        """Behind the end of the string, or the block's end with what the next block has to know."""
        if self._is_escaped:
            place, self._is_escaped = place + 1, False
        match = _STRING_REST.match(block, place)
        place = match.end() if match else place
        if place == len(block):
            return place
        self._in_string, self._is_escaped = block[place] != 0x22, block[place] == 0x5C
        return place + 1

    def _hold(self, piece: bytes) -> None:
        self._n_held += len(piece)
        self._held.append(piece)
        if self._n_held > self._cap:
            self._held = []

    def _row(self, piece: bytes) -> Lines:
        self._hold(piece)
        # What is too long is not held; it is a row, since white space of that length is none either.
        if self._n_held > self._cap:
            yield self._offset, None
        else:
            row = b"".join(self._held)
            first = row.removeprefix(MARK).lstrip() if self._offset == 0 else row.lstrip()
            if first:
                yield self._offset + len(row) - len(first), first.rstrip()
        self._offset += self._n_held
        self._held, self._n_held = [], 0
