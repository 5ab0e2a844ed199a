"""Files that stand for something else, or that nobody meant to be read: each has a reason of its own.

    lfs_pointer       Git LFS keeps the content elsewhere (its specification, version 1, and older spellings)
    merge_conflict    git wrote two versions and nobody chose
    pickle            Python's serialised objects; protocol 0 is ASCII and would pass for text
    bidi_controls     the order on screen is not the order in the file (Boucher and Anderson 2021, Trojan Source)

Nothing here is unpickled: the opcodes of a pickle are listed, as `pickletools` does, and never run.
"""

import pickletools
import re
import unicodedata
from itertools import islice

LFS_POINTER = "lfs_pointer"
MERGE_CONFLICT = "merge_conflict"
PICKLE = "pickle"
BIDI_CONTROLS = "bidi_controls"

# The specification asks for less than 1024 bytes, `version` first and the other keys in order, one line each.
_MAX_POINTER_BYTES = 1_024
_POINTER = re.compile(
    rb"version https?://(?:git-lfs|hawser|git-media)[\w./-]*\r?\n(?:[a-z0-9.-]+ [^\n]*\n)*?oid sha256:[0-9a-f]{64}\r?\n"
    rb"(?:[a-z0-9.-]+ [^\n]*\n)*?size \d+\s*\Z"
)
# Seven signs at the start of a line, as git writes them: ours, perhaps the base, a line of its own between, theirs.
_OURS = re.compile(rb"^<{7}(?: [^\n]*)?\r?$", re.MULTILINE)
_MIDDLE = re.compile(rb"^={7}\r?$", re.MULTILINE)
_THEIRS = re.compile(rb"^>{7}(?: [^\n]*)?\r?$", re.MULTILINE)
# Documents on git and tests of merge tools quote a conflict. The line before it opens a block, or it stands anywhere in
# a fence, a string of several lines or a here-doc that is open there and is closed behind it.
_OPENS_BLOCK = re.compile(rb"\s*(?:@(?:small)?(?:example|verbatim|lisp)\b|<pre|<code|-{4,}|\.{4,}|\\begin\{).*")
_FENCE = re.compile(rb"^[^\S\n]*(?:```|~~~)", re.MULTILINE)
_LONG_QUOTES = (b'"""', b"'''", b"`")
_QUOTES = (b'"', b"'", b"`")
_HERE_DOC = re.compile(rb"<<[-~]?[^\S\n]*['\"\\]?([A-Za-z_]\w*)")
# Embedding and isolate from right to left, where the text around has such letters, are how messages are written; the
# override is not. Those from left to right change nothing in code, and get into files with pasted Windows paths; marks
# (RLM, LRM) belong to prose. At the end of its line a control has nothing to turn.
_TURNS = re.compile("[\u202b\u2067][^\n]*\\w")
_OVERRIDES = re.compile("\u202e[^\n]*\\w")
_TURN_BYTES = re.compile(rb"\xe2(?:\x80[\xab\xae]|\x81\xa7)")
_RIGHT_TO_LEFT = ("R", "AL")
_BINARY_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_TEXT_PICKLES = (
    b"(dp",
    b"(lp",
    b"(i",
    b"(c",
    b"ccopy_reg\n",
    b"ccopyreg\n",
    b"c__builtin__\n",
    b"cnumpy",
    b"c__main__\n",
)
_GLOBAL = re.compile(rb"c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n[(p]")  # a class by module and name, which begins an object
_MAX_QUOTED = 100  # conflicts in quotes that are passed over; bounds the time
_LOOKED_AT_BYTES = 200  # of the line before a conflict; bounds the time
_HERE_DOC_BYTES = 4_000  # before a conflict, where the here-doc that quotes it begins; bounds the time
_PICKLES = (*_BINARY_PICKLES, *_TEXT_PICKLES)
_MAX_OPCODES = 10_000  # enough to be sure that it is no accident; bounds the time


def placeholder(raw: bytes) -> str | None:
    """The reason why raw bytes are no content, before they are decoded; None if they may be."""
    if raw.startswith(b"version http") and len(raw) < _MAX_POINTER_BYTES and _POINTER.match(raw):
        return LFS_POINTER
    looks_pickled = raw.startswith(_PICKLES) or (raw[:1] == b"c" and _GLOBAL.match(raw))
    if looks_pickled and raw.rstrip().endswith(b".") and _is_pickle(raw):
        return PICKLE
    return None


def unfit(content: bytes) -> str | None:
    """The reason why UTF-8 text cannot be what its author meant; None if it can."""
    if (content.startswith(b"<<<<<<<") or b"\n<<<<<<<" in content) and _has_conflict(content):
        return MERGE_CONFLICT
    if not content.isascii() and _TURN_BYTES.search(content) and _is_turned(content.decode("utf-8")):
        return BIDI_CONTROLS
    return None


def _is_pickle(raw: bytes) -> bool:
    """Whether the bytes are opcodes up to the last one, which stops."""
    try:
        for n, (opcode, _, _) in enumerate(pickletools.genops(raw)):
            if opcode.name == "STOP" or n == _MAX_OPCODES:
                return True
    except Exception:  # noqa: BLE001 (the module raises whatever the bytes make its readers raise)
        return False
    return False


def _has_conflict(content: bytes) -> bool:
    """The three signs in their order. A title underlined with `=` has not the others around it."""
    for ours in islice(_OURS.finditer(content), _MAX_QUOTED):
        middle = _MIDDLE.search(content, ours.end())
        theirs = middle and _THEIRS.search(content, middle.end())
        if theirs is None:
            return False
        if not _is_quoted(content[: ours.start()], content[theirs.end() :]):
            return True
    return False


def _is_quoted(before: bytes, after: bytes) -> bool:
    """Whether something is open between the two that makes what stands there an example."""
    if len(_FENCE.findall(before)) % 2 and _FENCE.search(after):
        return True
    if any(before.count(quote) % 2 and quote in after for quote in _LONG_QUOTES):
        return True
    last = before.rstrip(b"\r\n").rpartition(b"\n")[2][-_LOOKED_AT_BYTES:].rstrip()
    # An odd number: the quote at the end opens, where that of `import a from "a"` closes.
    if _OPENS_BLOCK.match(last) or any(last.endswith(quote) and last.count(quote) % 2 for quote in _QUOTES):
        return True
    here_docs = _HERE_DOC.finditer(before, max(0, len(before) - _HERE_DOC_BYTES))
    return any(_ends(one[1], after) and not _ends(one[1], before[one.end() :]) for one in here_docs)


def _ends(word: bytes, content: bytes) -> bool:
    """Whether the word that closes a here-doc stands alone on a line."""
    return re.search(rb"^[^\S\n]*" + word + rb"[^\w\n]*$", content, re.MULTILINE) is not None


def _is_turned(text: str) -> bool:
    """A control turns the direction though nothing around it is written from right to left."""
    if _TURNS.search(text) and not _goes_left(text):
        return True
    return any(_OVERRIDES.search(line) and not _goes_left(line) for line in text.split("\n"))


def _goes_left(text: str) -> bool:
    return any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in set(text))
