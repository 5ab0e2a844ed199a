"""All that is measured of texts and not of programs, in one go: words and lines are taken apart once for all of it."""

import numpy as np

from pipeline.quality import (
    mojibake,
    phrases,
    prose_language,
    prose_lines,
    prose_markup,
    prose_scan,
    prose_words,
    repetition,
    web_text,
)

LANGUAGE, CONFIDENCE = "prose_language", "prose_confidence"


def measure(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Every feature of the text pool for the documents data[offsets[k]:offsets[k + 1]] (uint8; int64).

    `prose_language` is an array of str or None, `prose_confidence` NaN where that is None; the others are int64 or
    float64.
    """
    parts = [_of_batch(data, offsets[part.start : part.stop + 1]) for part in prose_scan.batches(offsets)]
    if not parts:
        parts = [_of_batch(data, offsets)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_batch(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    words, lines = prose_words.words(data, offsets), prose_scan.lines(data, offsets)
    found, is_prose = phrases.of_lines(data, lines.rows), prose_markup.prose(data, lines)
    heads, ends = prose_markup.heads(data, lines, is_prose, max_bytes=prose_language.HEAD_BYTES)
    languages, confidence = prose_language.measure(heads, ends)
    shares = repetition.shares(data, offsets, words, lines)
    return {
        **dict(zip(repetition.NAMES, shares, strict=True)),
        **prose_lines.measure(data, offsets, words=words, lines=lines, found=found, is_prose=is_prose),
        **web_text.measure(data, lines, found),
        "mojibake_frac": mojibake.measure(data, lines),
        LANGUAGE: np.array(languages, object),
        CONFIDENCE: confidence,
    }
