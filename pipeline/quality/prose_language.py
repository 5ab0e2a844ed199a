"""The natural language of a text, by Google's Compact Language Detector 2 on the prose it begins with.

Nothing is said where the detector is unsure. A page in two languages has the one that more of it is in.
"""

import re

import numpy as np
import pycld2

# The detector's cost grows with what it reads, and the first 4 kB decide as well as all.
HEAD_BYTES = 4_096
# Code points that are controls or no characters at all: the detector refuses a text that has one.
_REFUSED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)


def measure(heads: np.ndarray, offsets: np.ndarray) -> tuple[list[str | None], np.ndarray]:
    """The language of each text heads[offsets[k]:offsets[k + 1]] (uint8) and its share there, float64 in [0, 1].

    A language is a code as "en", "pt" or "zh-Hant" (ISO 639, where needed a script); None and NaN where unsure.
    """
    found = [
        language_of(heads[a:b].tobytes()) for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]
    return [one[0] if one else None for one in found], np.array([one[1] if one else np.nan for one in found])


def language_of(text: bytes) -> tuple[str, float] | None:
    """The language of a text in UTF-8 and its share in [0, 1]; None where the detector is unsure."""
    text = text.decode("utf-8", "ignore").encode()  # its last character may be cut
    try:
        is_reliable, _, (best, *_) = pycld2.detect(text, isPlainText=True)
    except pycld2.error:  # a character that it refuses, which few texts have
        clean = _REFUSED.sub(" ", text.decode()).encode()
        is_reliable, _, (best, *_) = pycld2.detect(clean, isPlainText=True)
    _, code, percent, _ = best
    return (code, percent / 100) if is_reliable and code != "un" else None
