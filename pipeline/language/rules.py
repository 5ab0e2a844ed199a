"""Rules on the path and on what a document says of itself: a language and the rule's name, or what is left open."""

from functools import lru_cache
from typing import NamedTuple

from pipeline.language.heuristics import by_heuristics, generic_extensions, without_rule
from pipeline.language.lines import MAX_EDGE_BYTES, by_modeline, by_shebang, by_signature, is_markup
from pipeline.language.openings import belied, is_rare
from pipeline.language.own_rules import CONFIRMED_ONLY, CONTESTED
from pipeline.language.path import Candidates
from pipeline.language.table import EXTENSION_DEFAULTS, TEXT, UNKNOWN


class Open(NamedTuple):
    """A document that the rules leave to the classifier. Candidates, likeliest first; without any, every language is
    possible. `wordy` asks to look for prose once the classifier has spoken."""

    candidates: tuple[str, ...]
    head: bytes
    wordy: bool = False


@lru_cache(maxsize=4_096)
def by_name(path: Candidates) -> tuple[str, str] | None:
    """A language and the rule, where the path leaves no choice and no content could belie it."""
    candidates = path.languages
    if len(candidates) != 1 or candidates[0] == TEXT or path.extension in generic_extensions():
        return None
    if path.extension in CONTESTED or (path.rule == "extension" and is_rare(candidates[0])):
        return None
    return candidates[0], path.rule


def by_rules(
    path: Candidates, content: bytes | memoryview, *, wordy: bool, max_scan_bytes: int
) -> tuple[str, str] | Open:
    """A language and the rule that decided, or what is left to the classifier. `wordy` is False for a content with too
    many symbols to be prose."""
    if named := by_name(path):
        return named
    candidates, weak = path.languages, path.extension in generic_extensions()
    plain = candidates[:1] == (TEXT,)
    single = len(candidates) == 1 and not plain and not weak
    head = bytes(content[:max_scan_bytes])
    if b"\0" in head:  # binary: its bytes tell nothing to rules made for text
        if weak or not candidates:
            return UNKNOWN, "none"
        return candidates[0], path.rule if len(candidates) == 1 else "popularity"
    if not candidates:
        return _by_content(head, content, wordy=wordy)
    if single and path.extension in CONTESTED and (taken := by_heuristics(path.extension, head)[0]):
        return taken[0], "heuristic"
    if path.rule == "extension" and not plain and (other := belied(candidates, head, cut=len(content) > len(head))):
        return other
    if single:
        return candidates[0], path.rule
    return _among_candidates(path, head, content, wordy=wordy)


def _among_candidates(
    path: Candidates, head: bytes, content: bytes | memoryview, *, wordy: bool
) -> tuple[str, str] | Open:
    """As `by_rules` for a path that leaves a choice, or plain text, or a name too common to be believed."""
    candidates, weak = path.languages, path.extension in generic_extensions()
    plain = candidates[:1] == (TEXT,)
    if interpreters := by_shebang(head):
        return next((name for name in interpreters if name in candidates), interpreters[0]), "shebang"
    mode = by_modeline(head, bytes(content[-MAX_EDGE_BYTES:]))
    if mode and (mode in candidates or plain):
        return mode, "modeline"
    found, confirmed = by_heuristics(path.extension, head)
    if len(found) == 1:
        return found[0], "heuristic" if confirmed else path.rule
    if mode:
        return mode, "modeline"
    if weak and not found:
        return _by_content(head, content, wordy=wordy)
    candidates = tuple(name for name in candidates if name in found) or candidates
    candidates = tuple(name for name in candidates if name not in CONFIRMED_ONLY) or candidates
    if len(candidates) == 1:
        return candidates[0], path.rule
    if "XML" in candidates and is_markup(head):
        return "XML", "signature"
    likely = () if found or path.extension in EXTENSION_DEFAULTS else without_rule(candidates, path.extension)
    left = likely + tuple(name for name in candidates if name not in (*likely, "XML"))
    return Open(left, head) if len(left) > 1 else (left[0], path.rule)


def _by_content(head: bytes, content: bytes | memoryview, *, wordy: bool) -> tuple[str, str] | Open:
    """As `by_rules` for a document whose path says nothing, or nothing to be believed."""
    if interpreters := by_shebang(head):
        return interpreters[0], "shebang"
    if language := by_modeline(head, bytes(content[-MAX_EDGE_BYTES:])):
        return language, "modeline"
    if language := by_signature(head, cut=len(content) > len(head)):
        return language, "signature"
    if not head.strip():
        return UNKNOWN, "none"
    return Open((), head, wordy)
