"""Names of strangers in Markdown: shown letter by letter, in tables that nothing breaks out of."""

import html
import string
import unicodedata
from collections.abc import Iterable, Sequence

MAX_ROWS = 100  # of a table; the others are one row


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; cells are escaped already."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def tallied(names: Sequence[str], counts: dict[tuple[str | None, ...], tuple[int, int]], *, none: str) -> list[str]:
    """A table of documents, tokens and shares of all tokens; `none` stands for a name that is null."""
    total = max(1, sum(n for _, n in counts.values()))
    rows = [
        (*(escaped(none if part is None else part) for part in name), f"{docs:,}", f"{n:,}", f"{n / total:.2%}")
        for name, (docs, n) in counts.items()
    ]
    if rest := list(counts.values())[MAX_ROWS:]:
        docs, n = (sum(count[i] for count in rest) for i in (0, 1))
        blank = [""] * (len(names) - 1)
        rows[MAX_ROWS:] = [(f"{len(rest)} more", *blank, f"{docs:,}", f"{n:,}", f"{n / total:.2%}")]
    return table((*names, "documents", "tokens", "share"), rows)


def to_state(what: str) -> str:
    """What nobody has said, as it stands in a paper: found by whoever searches for brackets."""
    return f"\\[to be stated: {what}\\]"


def escaped(text: str) -> str:
    """A name as Markdown shows it letter by letter: no mark-up, link, HTML or cell of a table can come of it."""
    return " ".join("".join(_escape(letter) for letter in text).split()) or "(empty)"


def _escape(letter: str) -> str:
    if letter in "&<>\"'":
        return html.escape(letter)
    if letter in string.punctuation:
        return f"\\{letter}"
    return plain(letter)


def plain(text: str) -> str:
    """Text without control, direction and private characters, and surrogates, which no file could hold."""
    return "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c).startswith("C") else c for c in text)
