"""Which legacy encoding a document is in: a guess with a probability.

Each encoding is a hypothesis about the bytes, P(encoding) P(bytes | encoding), where the bytes are as likely as
the text that they spell is in the languages written in it (`spelling.py`). Encodings that spell the same text share its
probability: whether `é` was cp1252 or ISO 8859-15 is nobody's loss. What the first lines declare is evidence, not
proof. `votes.py` lets the documents of a folder share what they know; `docs/encodings.md` has the measured errors.
"""

import codecs
import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.sources.damaged import REPLACEMENT, n_wide
from pipeline.sources.spelling import LANGUAGES, costs_of, nothing_known

_WEST = "en fr de es pt it nl sv da nb fi is ca"
_CENTER = "cs sk pl hu hr sl ro sq de en"
_EAST = "ru uk be bg sr mk"
# How common each is among files that are no UTF-8, in nats below the commonest, and the languages written in it.
_ENCODINGS: dict[str, tuple[float, str]] = {
    # One of each kind first: what is far behind the best so far is read no further.
    "cp1252": (0.0, _WEST), "cp1251": (1.0, _EAST), "gb18030": (1.0, "zhs zht ja"), "cp932": (1.0, "ja"),
    "cp949": (1.5, "ko"), "big5": (2.0, "zht"), "euc_jp": (1.5, "ja"), "cp1250": (2.0, _CENTER),
    "koi8_r": (2.0, "ru bg"), "cp866": (2.5, "ru uk be bg"), "cp850": (3.0, _WEST), "mac_roman": (3.5, _WEST),
    "cp1254": (2.0, "tr en"), "cp1253": (2.5, "el"), "cp1255": (2.5, "he"), "cp1256": (2.5, "ar fa"),
    "cp874": (2.5, "th"), "latin_1": (3.0, _WEST), "iso8859_15": (2.5, _WEST),
    "cp437": (3.5, "en fr de es it sv nl"), "cp865": (6.0, "nb da"), "iso8859_2": (2.0, _CENTER),
    "cp852": (4.0, _CENTER), "mac_latin2": (6.0, "cs sk pl hu"), "iso8859_9": (3.0, "tr en"), "cp857": (6.0, "tr"),
    "cp1257": (3.0, "lt lv et en"), "iso8859_13": (4.0, "lt lv et en"), "cp1258": (5.0, "vi"),
    "koi8_u": (2.5, "uk ru be"), "iso8859_5": (3.5, _EAST), "mac_cyrillic": (5.0, "ru uk bg"),
    "cp855": (7.0, "ru bg sr"), "iso8859_7": (2.5, "el"), "cp737": (5.0, "el"), "iso8859_8": (4.0, "he"),
    "cp862": (4.0, "he"), "iso8859_6": (4.0, "ar"), "tis_620": (3.0, "th"), "cp950": (2.0, "zht"),
    "big5hkscs": (4.0, "zht"), "johab": (7.0, "ko"),
}  # fmt: skip
ENCODINGS = tuple(_ENCODINGS)
_NOISE_PRIOR = 5.0
_PRIORS = -np.array([*(cost for cost, _ in _ENCODINGS.values()), _NOISE_PRIOR])
_INDICES = tuple([LANGUAGES.index(name) for name in names.split()] for _, names in _ENCODINGS.values())
# Letters depend on each other more than trigrams know, and comments differ from what the model learned.
_TEMPER = 0.6
_DECLARED = re.compile(rb"(?:coding|charset)\s*[:=]\s*[\"']?([A-Za-z0-9][\w-]{2,19})")  # PEP 263, XML, HTML, vim
_DECLARED_BYTES = 1_024
_DECLARED_NATS, _DEFAULT_NATS = 6.0, 2.0  # for latin-1, which templates declare unasked
_FIRST_BYTES, _SAMPLE_BYTES, _LINE_BYTES, _CONTEXT_BYTES = 160, 1_200, 200, 40
_HIGH = re.compile(rb"[\x80-\xff]")
_BEHIND_NATS = 48.0  # an encoding so far behind the best is given up; the priors differ by 7
_CLOSE_NATS = 12.0  # so near, two encodings are compared on the lines that they read differently
_MAX_LOST_FRAC = 0.05  # of the sample's characters that an encoding may fail to read
_CHARS_A_LOSS = 50  # non-ASCII ones of the document, for each that is lost, beside one
_MIN_SHARE = 1e-4  # of the likeliest; below it, a reading is not compared with others
_NOISE_COST = 6.5  # nats for a byte; by how many of 128 it is chance, and by what readings of random bytes cost
_HIGH_BYTES = bytes(range(0x80, 0x100))
_HIGH_WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_NOISE_SINGLE_COST = 10.0  # one such byte between ASCII is nearly always a letter of a name, or a sign
_NOISE_LETTER_COST = 4.5  # of an ASCII letter beside such a byte: a little more than in names


class Evidence(NamedTuple):
    """What the bytes say of each of ENCODINGS, and last of noise: that no encoding fits and bytes mean nothing."""

    likelihood: npt.NDArray[np.float64]  # log P(bytes | encoding), tempered; -inf: cannot be
    declared: npt.NDArray[np.float64]  # nats for what the first lines name


class Guess(NamedTuple):
    """The likeliest encoding and the probability that its text is the one that was written."""

    encoding: str
    confidence: float


def common() -> npt.NDArray[np.float64]:
    """How common each of ENCODINGS, and last noise, is among files that are no UTF-8; sums to 1."""
    shares: npt.NDArray[np.float64] = np.exp(_PRIORS) / np.exp(_PRIORS).sum()
    return shares


def weigh(raw: bytes) -> Evidence | None:
    """What the bytes say of each encoding; null where none can read them. `raw` is not valid UTF-8."""
    lines = [line for line in raw.split(b"\n") if not line.isascii()]  # ASCII says little and thins out the evidence
    first, sample = _pieces(lines, n_bytes=_FIRST_BYTES), _pieces(lines, n_bytes=_SAMPLE_BYTES)
    costs = _costs(first, wanted=np.ones(len(ENCODINGS), dtype=bool))
    if sample != first:
        costs = _costs(sample, wanted=costs <= np.min(costs) + _BEHIND_NATS)
    for i in np.flatnonzero(costs <= np.min(costs) + _BEHIND_NATS):
        text = raw.decode(ENCODINGS[i], errors="replace")
        n_lost = text.count(REPLACEMENT)
        if n_lost > 1 and n_lost > 1 + n_wide(text) // _CHARS_A_LOSS:
            costs[i] = np.inf
    if not np.isfinite(costs).any():
        return None
    # Relatives such as cp1253 and ISO 8859-7 differ in two letters, which may stand far behind the sample.
    close = costs <= np.min(costs) + _CLOSE_NATS
    decisive = _pieces(lines, n_bytes=_SAMPLE_BYTES, between=[ENCODINGS[i] for i in np.flatnonzero(close)])
    if decisive and decisive not in sample:
        sample, costs = sample + b"\n" + decisive, costs + _costs(decisive, wanted=close)
    return Evidence(-np.append(costs, _cost_of_noise(sample)) * _TEMPER, _declared(raw))


def settle(raw: bytes, evidence: Evidence, *, prior: npt.NDArray[np.float64] | None = None) -> Guess:
    """The likeliest text. `prior`: log-probabilities of ENCODINGS and noise, from the document's neighbours."""
    logits = evidence.likelihood + evidence.declared + (np.log(common()) if prior is None else prior)
    readable = logits[:-1]
    best_share = np.exp(readable.max() - logits.max())
    shares = np.exp(readable - readable.max())
    texts: dict[str, float] = {}
    names: dict[str, str] = {}
    for i in np.argsort(-shares, kind="stable"):
        if shares[i] >= _MIN_SHARE:
            text = raw.decode(ENCODINGS[i], errors="replace")
            names.setdefault(text, ENCODINGS[i])
            texts[text] = texts.get(text, 0.0) + float(shares[i])
    best = max(texts, key=lambda text: texts[text])
    return Guess(names[best], float(best_share * texts[best] / np.exp(logits - logits.max()).sum()))


def cost_of_text(text: str) -> float:
    """-log P(text) in the likeliest of all languages; nats, tempered like `Evidence.likelihood`."""
    return _TEMPER * float(costs_of(text[:_SAMPLE_BYTES], languages=list(range(len(LANGUAGES))), limit=np.inf).min())


def _cost_of_noise(sample: bytes) -> float:
    """-log P(sample) in nats if its non-ASCII bytes mean nothing, nor the letters around them."""
    blurred = b" ".join(_HIGH_WORD.findall(sample))
    runs = [len(run) for run in _HIGH_RUN.findall(blurred)]
    n_single = runs.count(1)
    n_letters = len(blurred.translate(None, _HIGH_BYTES + b" "))
    words = _HIGH_WORD.sub(b" ", sample).decode("ascii")
    known = float(costs_of(words, languages=_INDICES[0], limit=np.inf).min())
    unknown = n_single * _NOISE_SINGLE_COST + (sum(runs) - n_single) * _NOISE_COST + n_letters * _NOISE_LETTER_COST
    return unknown + known


def _pieces(lines: list[bytes], *, n_bytes: int, between: list[str] | None = None) -> bytes:
    """Of lines with non-ASCII bytes the pieces around the first of these, each once, up to a bound.

    `between`: only pieces that these encodings read differently.
    """
    pieces: dict[bytes, None] = {}
    n = 0
    for line in lines:
        high = _HIGH.search(line)
        assert high is not None
        start = line.rfind(b" ", 0, max(0, high.start() - _CONTEXT_BYTES)) + 1
        piece = line[start : start + _LINE_BYTES]
        if piece in pieces or (between is not None and len({piece.decode(e, errors="replace") for e in between}) < 2):
            continue
        pieces[piece] = None
        n += len(piece)
        if n >= n_bytes:
            break
    return b"\n".join(pieces)


def _costs(sample: bytes, *, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """-log P(sample | encoding) in nats, the languages of an encoding being equally likely; inf: it cannot be read."""
    found = np.full(len(ENCODINGS), np.inf)
    known: dict[tuple[str, str], float] = {}
    letters, best = nothing_known(), np.inf
    for i in np.flatnonzero(wanted):
        text = sample.decode(ENCODINGS[i], errors="replace")
        if text.count(REPLACEMENT) > max(1, _MAX_LOST_FRAC * len(text)):
            continue
        languages = _ENCODINGS[ENCODINGS[i]][1]
        if (text, languages) not in known:
            costs = costs_of(text, languages=_INDICES[i], limit=best + _BEHIND_NATS, known=letters)
            known[text, languages] = -float(np.logaddexp.reduce(-costs) - np.log(len(costs)))
        found[i] = known[text, languages]
        best = min(best, found[i])
    return found


def _declared(raw: bytes) -> npt.NDArray[np.float64]:
    """Nats for the encodings that the first lines name."""
    found = np.zeros(len(ENCODINGS) + 1)
    for match in _DECLARED.finditer(raw, 0, _DECLARED_BYTES):
        names, nats = _aliases(match[1].decode("ascii").lower())
        for name in names:
            found[ENCODINGS.index(name)] = nats
    return found


@cache
def _aliases(name: str) -> tuple[tuple[str, ...], float]:
    """Our encodings that a declared name may mean. Who writes latin-1 nearly always means cp1252."""
    try:
        name = codecs.lookup(name).name.replace("-", "_")
    except LookupError:
        return (), 0.0
    families = {
        "gb2312": ("gb18030",), "gbk": ("gb18030",), "shift_jis": ("cp932",), "euc_kr": ("cp949",),
        "big5": ("big5", "cp950", "big5hkscs"), "iso8859_9": ("iso8859_9", "cp1254"),
    }  # fmt: skip
    if name in ("iso8859_1", "ascii", "cp1252"):
        return ("cp1252", "latin_1"), _DEFAULT_NATS
    return families.get(name, (name,) if name in ENCODINGS else ()), _DECLARED_NATS
