"""How numbers and foreign names are written, the same in the terminal and on the page."""

import math
import re

from pipeline.config import said_sample
from pipeline.engine.progress import printable

plain = printable  # of foreign names: what could steer a terminal or hide text is shown as an escape
NOTHING = "\N{EN DASH}"
FLOW_WORDS = {
    "read": "read",
    "ingest": "readable text",
    "rules": "passed the rules",
    "exact": "equals removed",
    "near": "near duplicates removed",
    "balance": "in the mixture",
}
_COUNTS = ("", "k", "M", "B", "T")  # short scale, as papers count tokens
_BYTES = ("", "k", "M", "G", "T", "P")


def exact(n: int) -> str:
    """Every digit: 1,234,567."""
    return f"{n:,}"


def short(n: float) -> str:
    """Three digits and a unit (thousand, million, billion): 1.23M; whole numbers below 10,000 in full."""
    if abs(n) < 10_000 and n == int(n):
        return f"{int(n):,}"
    return _scaled(n, _COUNTS).replace(" ", "")


def tick(n: float) -> str:
    """A round number on an axis: 20k, 2.5M."""
    return re.sub(r"\.0+(?=\D|$)|(?<=\.\d)0+(?=\D|$)", "", short(n))


def size(n_bytes: float) -> str:
    """Bytes in decimal units: 1.23 GB."""
    text = _scaled(n_bytes, _BYTES)
    return f"{text}B" if " " in text else f"{text} B"


def _scaled(n: float, units: tuple[str, ...]) -> str:
    unit = 0  # limits are where rounding to three digits would give one more: 999.5 is 1.00 k, 99.95 is 100
    while abs(n) >= 999.5 and unit < len(units) - 1:
        n, unit = n / 1000, unit + 1
    digits = 0 if (unit == 0 and n == int(n)) or abs(n) >= 99.95 else 1 if abs(n) >= 9.995 else 2
    return f"{n:.{digits}f} {units[unit]}" if unit else f"{n:.{digits}f}"


def percent(frac: float | None) -> str:
    """One decimal; what is there but would round to zero is told apart from nothing."""
    if frac is None or math.isnan(frac):
        return NOTHING
    if 0 < frac < 0.0005:
        return "<0.1%"
    return f"{frac:.1%}"


def points(frac: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "0.0" if abs(frac) < 0.0005 else f"{frac * 100:+.1f}"


def number(value: float | None, *, digits: int = 3) -> str:
    """A measured number, or a dash."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def measured(value: float) -> str:
    """A rule's value, as a person writes it: 12,345, 0.1235; what would round to zero is told apart from it."""
    if 0 < abs(value) < 0.00005:
        return "<0.0001"
    digits = 0 if abs(value) >= 1_000 or value == int(value) else 4
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def seconds(value: float) -> str:
    """Seconds, from 100 on with minutes or hours."""
    if value < 99.95:
        return f"{value:.1f} s"
    if value < 5_999.5:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def sample_of(rate: float, n_docs: int, n_bytes: int) -> str:
    """What a run over a part of its input was drawn from."""
    return f"{said_sample(rate)} of {exact(n_docs)} documents, {size(n_bytes)}; equal documents are in or out together"


def between(low: int, high: int) -> str:
    """A bin of whole numbers: 3 or 3-4."""
    return exact(low) if low == high else f"{exact(low)}\N{EN DASH}{exact(high)}"


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what it is of: "1 source", "2 sources"."""
    return f"{exact(n)} {one if n == 1 else many or f'{one}s'}"


def license_name(name: str) -> str:
    """A licence as the documents give it, or words for none."""
    return plain(name) or "(none given)"


# Values of `decided_by` that do not come from the document's content but from its name or a declaration.
NAMED_RULES = ("hint", "override", "label", "filename", "extension")
# What decided a language, to follow "decided by".
DECIDED_WORDS = {
    "hint": "its source, which holds prose only",
    "override": "an override of the mixture",
    "label": "the language that its source states",
    "filename": "its full file name",
    "extension": "its extension",
    "heuristic": "a pattern in it that settles what its extension leaves open",
    "shebang": "the interpreter that its first line names",
    "modeline": "a line in it that sets an editor's mode",
    "signature": "an opening that only one language has",
    "prose": "its content, which reads as a natural language",
    "classifier": "the content classifier",
    "structure": "the form of its lines, which only code has, in a language that is not known here",
    "popularity": "its extension's commonest language, since nothing in it settled the choice",
    "none": "nothing: no rule fits and the classifier is unsure",
}
CLAIM_WORDS = {"code": "code", "text": "plain text", "format": "markup or data"}


def decided(rule: str) -> str:
    """What decided the language, in words; a rule without words stands for itself."""
    return DECIDED_WORDS.get(rule, plain(rule))
