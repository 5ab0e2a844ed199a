"""What a tokenizer file may hold: its ids are a function of the text, give it back, and cost bounded work.

A file comes from anywhere: a pattern of its split may need more steps than there are seconds, a normalizer may make a
gigabyte of a kilobyte, and drop-out draws other ids each time. What is refused here no public vocabulary of code
models has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tokenizer.errors import TokenizerError
from tokenizer.tokens import byte_chars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

MAX_FILE_BYTES: Final = 256_000_000  # ten times the largest public vocabulary
SOME_IDS: Final = 2**20  # of which holes cost little
MAX_HOLES: Final = 4  # as many ids as entries, times this: room for each id is made
_MAX_PATTERN_CHARS: Final = 10_000
_MAX_REPEATS: Final = 3  # in a row of one alternative: work may grow with the length to this power where they overlap
_NORMALIZERS: Final = ("NFC",)  # others say something else than the text did
# Texts that any split and any normal form leave as they are.
_ROUND_TRIPS: Final = (
    "def f(a: int = 3, *, b=None) -> str:\n    return f'{a!r:>10}'  # Done\n\n\tclass A_b(C): ...\n",
    "  x\r\n\r\n\t It's 1234567 o'clock; ABC_def... \u4e2d\u6587\u3002 \u00e9t\u00e9 \U0001f600\n",
)


def parse(data: bytes) -> Any:
    """The JSON of a file. TokenizerError for what is none, is nested without end, or says a key twice."""
    try:
        return json.loads(data, object_pairs_hook=_distinct)
    except ValueError as error:
        raise TokenizerError(f"not JSON ({error})") from error
    except RecursionError as error:
        raise TokenizerError("not JSON of a tokenizer (it is nested without end)") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!a:.80} stands in it twice")
    return found


def refuse_unsound(config: dict[str, Any]) -> None:
    """TokenizerError for ids that are none or that two texts share, chance, and split or normal form out of bounds."""
    _check_ids(config)
    if config["model"].get("dropout"):
        raise TokenizerError("model.dropout draws other ids each time; take it out")
    for kind in _kinds(config.get("normalizer"), inner="normalizers"):
        if kind not in _NORMALIZERS:
            raise TokenizerError(f"the normalizer {kind!a:.80} changes what text says, which no decoding brings back")
    for pattern in _patterns(config.get("pre_tokenizer")):
        if why := costly(pattern):
            raise TokenizerError(f"the pattern {pattern!a:.60} of pre_tokenizer {why}: some texts would take for ever")


def _check_ids(config: dict[str, Any]) -> None:
    vocabulary, added = config["model"]["vocab"], config.get("added_tokens") or []
    owner: dict[int, str] = {}
    for spelling, index in [*vocabulary.items(), *_added(added)]:
        if type(index) is not int:
            raise TokenizerError(f"the id of {spelling!a:.80} is {index!r:.40}, expected a whole number")
        if owner.setdefault(index, spelling) != spelling:
            # An added token may be another name of an entry that no text becomes, as of those that files hold spare.
            if spelling in vocabulary or owner[index] not in _spare(config["model"]):
                raise TokenizerError(f"{owner[index]!a:.80} and {spelling!a:.80} share the id {index}")
            owner[index] = spelling
    if owner and max(owner) > max(MAX_HOLES * (len(owner) + 256), SOME_IDS):
        raise TokenizerError(f"the largest id is {max(owner):,} of {len(owner):,} entries")


def _spare(model: dict[str, Any]) -> set[str]:
    """Entries of the vocabulary that no text becomes: no byte, and made by no merge."""
    if model.get("ignore_merges"):
        return set()
    merges = model.get("merges") or []
    made = {"".join(pair.split(" ") if isinstance(pair, str) else map(str, pair)) for pair in merges}
    return set(model["vocab"]) - made - set(byte_chars())


def _added(added: Any) -> Iterator[tuple[str, Any]]:
    try:
        yield from ((str(token["content"]), token["id"]) for token in added)
    except (KeyError, TypeError) as error:
        raise TokenizerError("damaged added_tokens (each needs content and an id)") from error


def refuse_loss(encode: Callable[[bytes], NDArray[Any]], vocabulary: tuple[bytes, ...]) -> None:
    """TokenizerError where ids do not give their text back: of another byte alphabet, or with something put in."""
    for text in _ROUND_TRIPS:
        data = text.encode()
        back = b"".join(vocabulary[index] for index in encode(data).tolist())
        if back != data:
            at = next(
                (i for i, (a, b) in enumerate(zip(data, back, strict=False)) if a != b), min(len(data), len(back))
            )
            raise TokenizerError(
                f"its ids do not give the text back: {data[at : at + 12]!r} becomes {back[at : at + 12]!r}"
            )


def _kinds(part: Any, *, inner: str) -> Iterator[str]:
    """The kinds of a part of the file, those within a Sequence one by one."""
    if part is None:
        return
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise TokenizerError(f"damaged {inner} ({part!r:.60})")
    if part["type"] != "Sequence":
        yield part["type"]
        return
    for one in part.get(inner) or []:
        yield from _kinds(one, inner=inner)


def _patterns(part: Any) -> Iterator[str]:
    """Every regular expression below a part of the file."""
    if isinstance(part, dict):
        if isinstance(part.get("Regex"), str):
            yield part["Regex"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _patterns(one)


# --- regular expressions ---------------------------------------------------------------------------------------------


def costly(pattern: str) -> str | None:
    """Why a pattern of Oniguruma's kind may take more than some power of the text's length; None if it may not.

    Counted is what lets one text be matched in many ways: repeats in a repeated group, alternatives in one, several
    repeats in a row, references to what was matched.
    """
    if len(pattern) > _MAX_PATTERN_CHARS:
        return f"has {len(pattern):,} characters"
    # Of each open group: whether it may match one text in several ways, and the repeats in a row of its alternative.
    groups: list[tuple[bool, int]] = []
    many, n_repeats, at = False, 0, 0
    last_many = False  # of what a repeat would repeat
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            if pattern[at + 1 : at + 2] in tuple("123456789gkX"):
                return "refers to what was matched before"
            at, last_many = _behind_escape(pattern, at), False
        elif char == "[":
            at, last_many = _behind_class(pattern, at), False
        elif char == "(":
            groups.append((many, n_repeats))
            many, n_repeats, at = False, 0, _behind_head(pattern, at)
        elif char == ")" and groups:
            last_many, (many, n_repeats) = many, groups.pop()
            many, at = many or last_many, at + 1
        elif char == "|":
            many, n_repeats, at = bool(groups) or many, 0, at + 1
        elif (found := _repeat(pattern, at)) is not None:
            end, is_open = found
            if is_open and last_many:
                return "repeats a group that holds repeats or alternatives"
            n_repeats += is_open
            if n_repeats > _MAX_REPEATS:
                return f"has more than {_MAX_REPEATS} repeats in a row"
            many, at = many or is_open, end
        else:
            at, last_many = at + 1, False
    return None


def _behind_escape(pattern: str, at: int) -> int:
    if pattern[at + 1 : at + 2] in ("p", "P", "x") and pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        return len(pattern) if end < 0 else end + 1
    return at + 2


def _behind_class(pattern: str, at: int) -> int:
    """Behind a class of characters, which may hold others."""
    depth, start = 0, at
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "[":
            depth, start = depth + 1, at
        elif pattern[at] == "]" and at - start > 1 + (pattern[start + 1 : start + 2] == "^"):
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return at


def _behind_head(pattern: str, at: int) -> int:
    """Behind what opens a group: its kind, or letters that switch options."""
    if pattern[at + 1 : at + 2] != "?":
        return at + 1
    at += 2
    while at < len(pattern) and pattern[at] in "imsx-":
        at += 1
    for head in ("<=", "<!", "=", "!", ":", ">", "~"):
        if pattern.startswith(head, at):
            return at + len(head)
    end = pattern.find(">", at)
    return end + 1 if pattern[at : at + 1] in ("<", "P") and end > 0 else at


def _repeat(pattern: str, at: int) -> tuple[int, bool] | None:
    """Behind a repeat that begins here, and whether its number is open: more than two ways; None where none begins."""
    char = pattern[at]
    if char in "*+?":
        end, is_open = at + 1, char != "?"
    elif char == "{" and (close := pattern.find("}", at)) > 0:
        low, comma, high = pattern[at + 1 : close].partition(",")
        if not (low + high).isdigit():
            return None
        end, is_open = close + 1, bool(comma) and (not high or int(high or 0) - int(low or 0) > 3)
    else:
        return None
    return end + (pattern[end : end + 1] in ("?", "+") and pattern[end : end + 1] != ""), is_open
