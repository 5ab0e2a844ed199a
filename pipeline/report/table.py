"""One table of the report, as data: what its columns hold, not how they look. `markup.draw` draws it on the page,
`terminal_table.draw` in the width of a terminal, so that both show the same rows under the same headings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.report.formats import NOTHING, exact, percent, plain, points, seconds, short, size


@dataclass(frozen=True, eq=False)
class Kind:
    """What a column holds. Text stands on the left, numbers on the right."""

    write: Callable[[Any], str]
    brief: Callable[[Any], str] | None = None  # for a terminal that has no room for every digit
    is_text: bool = False


TEXT = Kind(plain, is_text=True)
PATH = Kind(plain, is_text=True)  # shortened at its beginning, because its end tells the most
ID = Kind(plain, is_text=True)  # of no use when shortened, so it never is
STATUS = Kind(plain, is_text=True)  # pass, warn or fail, in their colours
COUNT = Kind(exact, short)
SIZE = Kind(size)  # bytes
TIME = Kind(seconds)
PERCENT = Kind(percent)  # a share in [0, 1]
FINE_PERCENT = Kind("{:.3%}".format)  # padding is often less than a tenth of a percent
POINTS = Kind(points)  # a difference of shares
TIMES = Kind("{:.2f}x".format)
TEN_THOUSANDTHS = Kind("{:.4f}".format)
TENTHS = Kind("{:.1f}".format)
THOUSANDTHS = Kind("{:.3f}".format)
BAR = Kind(str)  # (share, colour of the style sheet); the page only: it repeats a number for the eye


@dataclass(frozen=True)
class Column:
    """A heading and what stands under it."""

    title: str
    kind: Kind = COUNT
    priority: int = 0  # 0 stays on every terminal that can hold it; of the others the largest is left out first
    pair: str = ""  # columns of one pair say something only side by side: they stay or leave together

    @property
    def heading(self) -> str:
        """The title, which may be a foreign name, safe to print."""
        return plain(self.title)

    def cell(self, value: Any, *, brief: bool = False) -> str:
        """The value as text. A string among numbers, such as "natural", stands for itself; None and NaN are a dash."""
        if value is None or value != value:  # only NaN is unlike itself
            return NOTHING
        if isinstance(value, str):
            return plain(value)
        return ((brief and self.kind.brief) or self.kind.write)(value)


@dataclass(frozen=True)
class ReportTable:
    """Rows hold a raw value for each column; the first column names the row."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[tuple[Any, ...]]
    note: str = ""
    every: Sequence[tuple[Any, ...]] = ()  # of a table that shows its first rows: all of them, for a file

    def head(self, n: int) -> ReportTable:
        """The first `n` rows, and a note that says how many there are beyond them."""
        more = len(self.rows) - n
        if more <= 0:
            return self
        every = self.every or self.rows
        return replace(
            self, rows=self.rows[:n], every=every, note="; ".join(filter(None, (self.note, f"rows left out: {more}")))
        )
