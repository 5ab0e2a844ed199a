r"""Path patterns: gitignore's, as `pathspec` translates them. Include, exclude and overrides of a mixture all use them.

`*.py` and `vendor` match at any depth; a slash at the start or in the middle (`/setup.py`, `src/*.c`) anchors a pattern
at the root; one at the end (`vendor/`) asks for a folder. Who matches a folder matches all that is below it. `*`, `?`
and `[a-z]` stay inside one part of a path, `**` spans any number. `!` takes back what patterns before it matched.

Unlike git, which stops at an excluded folder, here the last pattern that matches a path decides, whatever folders say:
an include that names a folder can then be narrowed, and an exclude widened again below one.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice, pairwise

# Tokens of a translated pattern: what stays (an escaped character, all but a slash), another class, the end.
_TOKEN = re.compile(r"(\\.|\[\^/\])|(\[\^?\]?[^\]]*\])|(\$)", re.DOTALL)
# What a shell would make several patterns of, and gitignore takes for a name; and what is blanked out before the look.
BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MEANT = re.compile(r"\\.|\[[^]]+\]", re.DOTALL)
_MAX_WRITTEN = 8
_NAME_ESCAPE = re.compile(r"(?<!\\)\\(?=x[0-9a-f]{2})")


def is_text(name: str) -> bool:
    """False for the name of a file that is no UTF-8, as the system gives it: Python has lone surrogates for its bytes,
    and nothing that is written as UTF-8 can hold them."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def check_pattern(pattern: str) -> str:
    """`check_patterns` for one that stands alone."""
    return check_patterns((pattern,))[0]


def check_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """`patterns` as they are; ValueError if one can match nothing, or if the first takes back what none gave."""
    wanted = [_compiled(pattern)[0] for pattern in patterns]
    for pattern in patterns:
        _refuse_braces(pattern)
    if not all(wanted[:1]):
        raise ValueError(f"{patterns[0]!r} stands first and so takes nothing back; write what it takes back before it")
    return patterns


def _refuse_braces(pattern: str) -> None:
    """ValueError for `*.{py,js}`: gitignore knows no braces, so that it would silently match nothing."""
    written = list(islice(_without_braces(pattern), _MAX_WRITTEN + 1))  # there may be millions
    if written == [pattern]:
        return
    quoted = ", ".join("'" + one.replace("'", "''") + "'" for one in dict.fromkeys(written))
    meant = f"write {quoted}" if len(written) <= _MAX_WRITTEN else "write a pattern for each"
    said = f"has braces, which gitignore takes for a name: {meant} in its place, or \\{{ where a name has them"
    raise ValueError(f"{pattern!r} {said}")


def _without_braces(pattern: str) -> Iterator[str]:
    """The patterns that a shell would make of one; innermost braces first."""
    blanked = _MEANT.sub(lambda found: "\0" * len(found[0]), pattern)
    found = BRACES.search(blanked)
    if found is None:
        yield pattern
        return
    start, end = found.span(1)
    commas = (start + i for i, sign in enumerate(found[1]) if sign == ",")
    for before, after in pairwise([start - 1, *commas, end]):
        yield from _without_braces(pattern[: start - 1] + pattern[before + 1 : after] + pattern[end + 1 :])


def matches_none(pattern: str, paths: Iterable[str]) -> bool:
    """Whether one pattern, whatever it is there for, fits none of these paths; a folder's ends in a slash."""
    regex = _compiled(pattern)[1]
    return not any(regex.search(path) for path in paths)


@lru_cache(maxsize=256)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """A test for paths relative to the patterns' root: the last pattern that matches decides; without any, False."""
    if patterns == ("*",):
        return lambda path: True
    last_first = [_compiled(pattern) for pattern in reversed(patterns)]

    def matches(path: str) -> bool:
        path = path.removeprefix("/")  # documents may bear absolute paths; their root is the file system's
        return next((wanted for wanted, regex in last_first if regex.search(path)), False)

    return matches


def chooser(include: tuple[str, ...], exclude: tuple[str, ...]) -> Callable[[str], bool]:
    """A test for paths that `include` matches and `exclude` does not."""
    wanted, unwanted = matcher(include), matcher(exclude)
    return lambda path: wanted(path) and not unwanted(path)


def pruner(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """A test for folders: whether `patterns` match all that can lie below. Never where one of them takes back."""
    if not all(_compiled(pattern)[0] for pattern in patterns):
        return lambda folder: False
    matches = matcher(patterns)
    return lambda folder: matches(folder + "/")


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> tuple[bool, re.Pattern[str]]:
    """Whether a match is wanted or taken back, and the expression to search for in a path."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # late: who only trains need not have it

    # A name's byte that is no UTF-8 is written \xNN; in a pattern too, where a backslash otherwise escapes.
    spelt = _NAME_ESCAPE.sub(r"\\\\", pattern)
    try:
        expression, wanted = GitIgnoreSpecPattern.pattern_to_regex(spelt)
        if expression is None or wanted is None:
            raise ValueError("blank, a comment, the root alone, or a bracket that never closes")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of, such as [[:alpha:]], is not what was meant
            # The library lets a class match a slash, a dot no line feed, and the end stand before a last line feed.
            return wanted, re.compile(_TOKEN.sub(_held, expression), re.DOTALL)
    except (ValueError, re.error, FutureWarning) as error:
        raise ValueError(f"{pattern!r} is no pattern of gitignore: {error}; put \\ before a sign to mean it") from None


def _held(token: re.Match[str]) -> str:
    if token[2] and "[:" not in token[2]:  # `[[]` is a class of one bracket; `[[:alpha:]]` is left to be refused
        return "(?!/)[" + re.sub(r"(?<!\\)\[", r"\\[", token[2][1:])
    return token[1] or token[2] or r"\Z"
