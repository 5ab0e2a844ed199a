"""How much of a source file its grammar cannot read, with tree-sitter and the grammars of `semble-grammars`.

Deterministic: the work is bounded by counting (bytes, brackets, parser steps), never by a clock, so that a busy machine
gives the same answer. None says that the file was not parsed: no grammar in GRAMMARS, longer than the caller allows,
not UTF-8 (some grammars crash on that), nested deeper than MAX_DEPTH, a few bytes over and over, or given up after the
allowed steps. The last three are for garbage: the time and memory that grammars take on it can grow with the square of
its length, up to minutes and gigabytes for 64 kB. What no count sees ends with the process that parses, see
`parse_process.py`.

Characters above ASCII are parsed as the letter x. Many grammars ask the C library what class a character has, and the
answer depends on the locale; the one for Shell reads past the library's tables there and may crash.

Parsing is native code and costs more than all other measurements together: 1 CPU second for 5 to 8 MB.
"""

import atexit
import os
import re
import shutil
import tempfile
from functools import cache
from typing import Any

from semble_grammars import GrammarLoadError, UnsupportedPlatformError, get_language
from tree_sitter import Language, Node, Parser

from pipeline.errors import StageError

# Linguist's name -> grammar. Chosen by measurement: at most two in a hundred real files of the language come above
# an error share of 0.2, and prose or another language mostly does. Left out on that ground: grammars that read
# anything (PHP, HTML, Markdown, TeX, YAML, Lisps), that fail on sound files (SQL, Perl, R, OCaml, Fortran, Kotlin,
# WebAssembly, Protocol Buffer of version 2, Vim Script, INI, Batchfile), and languages with too few files to tell.
_CALLED_ALIKE = (  # the grammar has the language's name, in small letters
    "C CSS Dart Elixir Erlang Go Haskell JSON Java JavaScript Julia Lua PowerShell Python Ruby Rust Scala Starlark "
    "Swift TSX TypeScript XML"
)
GRAMMARS = {name: name.lower() for name in _CALLED_ALIKE.split()} | {
    "C#": "csharp",
    "C++": "cpp",
    "Cuda": "cpp",
    "Makefile": "make",
    "Objective-C": "objc",
    "Shell": "bash",
}

# Open brackets of one kind. Real files stay below 100, but for "<", which is also a comparison; ten times that is a
# plain bound against garbage.
MAX_DEPTH = 1_000
_CHUNK_BYTES = 1_024  # handed to the parser at a time
# Of code as people write it, more places have bytes of their own: in the worst of 2,934 files one of 7. Below some two
# kilobytes no grammar takes a second.
_GRAM, _STRIDE, _MIN_PLACES, _MIN_PLACES_PER_GRAM = 8, 17, 128, 32

_ABOVE_ASCII = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")  # one character, in content that is UTF-8
_OPERATORS_ABOVE_ASCII = frozenset({"Julia"})  # "x in y" written with a sign; its grammar has tables of its own
_CACHE_VARIABLE = "SEMBLE_GRAMMARS_CACHE_DIR"


def parse_error_frac(content: bytes, language: str) -> float | None:
    """Share of the file's visible bytes that stand in syntax errors; None: not parsed.

    A token counts if it lies under an ERROR node and not in a sound construct below that: one unclosed bracket can put
    a whole file under an ERROR node, and its functions are none the worse for it.
    """
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return None
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            return None
        if language not in _OPERATORS_ABOVE_ASCII:
            content = _ABOVE_ASCII.sub(b"x", content)
    n_visible = len(content.translate(None, b" \t\r\n\f"))
    if n_visible == 0:
        return 0.0
    root = None if _is_deep(content) or is_repetitive(content) else _parse(content, _load(grammar))
    if root is None:
        return None
    # White space inside a token, as in a string, is counted among the errors but not as visible: hence the bound.
    return min(_count_error_bytes(root) / n_visible, 1.0) if root.has_error else 0.0


def node_span(content: bytes, language: str, drawn: int) -> tuple[int, int] | None:
    """Where a random node of the syntax tree lies: its first byte and the one behind its last; None: not parsed.

    A place in the text and then one of the nodes around it, an expression, a statement or a function as it comes, are
    taken by `drawn`, 64 random bits; never the whole text.
    """
    grammar = GRAMMARS.get(language)
    if grammar is None or not content or _is_deep(content) or is_repetitive(content):
        return None
    if not content.isascii() and language not in _OPERATORS_ABOVE_ASCII:
        content = _ABOVE_ASCII.sub(lambda found: b"x" * len(found[0]), content)  # as long, so that places stay
    root = _parse(content, _load(grammar))
    place, level = drawn >> 32, drawn & 0xFFFFFFFF
    place = place * len(content) >> 32
    spans: list[tuple[int, int]] = []
    node = root
    while node is not None:
        span = (node.start_byte, node.end_byte)
        if node.is_named and span[1] - span[0] < len(content) and span[1] > span[0] and span not in spans[-1:]:
            spans.append(span)
        node = next((child for child in node.children if child.end_byte > place), None)  # in a gap, that behind it
    return spans[level * len(spans) >> 32] if spans else None


def _is_deep(content: bytes) -> bool:
    """Whether more than MAX_DEPTH brackets of one kind are open at once; strings and comments are not told apart."""
    pairs = [pair for pair in (b"()", b"[]", b"{}", b"<>") if content.count(pair[:1]) > MAX_DEPTH]
    if not pairs:
        return False
    import numpy as np  # late: it takes longer to load than all else that parsing needs

    data = np.frombuffer(content, np.uint8)
    for opening, closing in pairs:
        level = np.cumsum((data == opening).astype(np.int32) - (data == closing))
        if np.max(level - np.minimum(np.minimum.accumulate(level), 0)) > MAX_DEPTH:
            return True
    return False


def _parse(content: bytes, grammar: Language) -> Node | None:
    """The root of the syntax tree, or None if the parser was stopped."""
    # Counted are its steps of 100 operations (real files need up to 0.04 a byte, so 0.1 is allowed) and its requests
    # for text, which it makes again whenever it has looked ahead beyond a chunk and comes back (ten a chunk in most
    # files, sixty in Scala's). Small chunks make looking ahead count. The constants are for files of a few bytes.
    max_steps, max_reads = 64 + len(content) // 10, 300 + 100 * len(content) // _CHUNK_BYTES
    n_steps = n_reads = 0
    view = memoryview(content)  # tree-sitter 0.26 never frees what it is given here

    def read(offset: int, _point: Any) -> memoryview:
        nonlocal n_reads
        n_reads += 1
        return view[offset : offset + _CHUNK_BYTES] if n_reads <= max_reads else view[:0]

    def stop(_offset: int, _has_error: bool) -> bool:
        nonlocal n_steps
        n_steps += 1
        return n_steps > max_steps or n_reads > max_reads

    try:  # a parser that was stopped would go on where it was, so each file gets its own
        tree = Parser(grammar).parse(read, progress_callback=stop)
    except ValueError:
        if n_steps > max_steps or n_reads > max_reads:
            return None
        raise
    return tree.root_node if n_reads <= max_reads else None


def is_repetitive(content: bytes) -> bool:
    """Whether a file of some kilobytes says next to nothing new: of many places in it few have bytes of their own.

    One that repeats a few bytes without end may cost a grammar the square of its length, in time and memory, where no
    step or request shows it: each is longer than the one before. For 64 kB it is looked at in 4,000 places.
    """
    places = range(0, len(content) - _GRAM + 1, _STRIDE)
    n_new = len({content[at : at + _GRAM] for at in places})
    return len(places) >= _MIN_PLACES and n_new * _MIN_PLACES_PER_GRAM < len(places)


def _count_error_bytes(root: Node) -> int:
    """Bytes of the tokens in errors. Keeps its own stack: a file may nest deeper than Python may call."""
    n_bytes = 0
    waiting = [(root, False)]
    while waiting:
        node, in_error = waiting.pop()
        in_error = in_error or node.is_error
        if node.child_count == 0:
            n_bytes += (node.end_byte - node.start_byte) * in_error
        elif node.has_error or (in_error and not node.is_named):
            waiting.extend((child, in_error) for child in node.children)
    return n_bytes


@cache
def _load(grammar: str) -> Language:
    """The grammar, unpacked on first use into the user's cache (or where SEMBLE_GRAMMARS_CACHE_DIR points).

    Unpacking is atomic, so processes may race. If that folder cannot be written, or holds a damaged file, this process
    unpacks into a folder of its own, which nobody else can write to and which goes away with it.
    """
    try:
        try:
            language: Language = get_language(grammar)
        except GrammarLoadError:
            os.environ[_CACHE_VARIABLE] = _private_folder()
            language = get_language(grammar)
    except (GrammarLoadError, UnsupportedPlatformError) as error:
        raise StageError(
            f"measure: the grammar {grammar!r} cannot be loaded: {error}; point {_CACHE_VARIABLE} to a folder that can "
            "be written and executed from, or set quality.parse to off"
        ) from error
    return language


@cache
def _private_folder() -> str:
    folder = tempfile.mkdtemp(prefix="loopmix-grammars-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
