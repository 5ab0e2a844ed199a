"""Wrong text by language, encoding and number of comment lines: the table of docs/encodings.md.

Run: python tests/bench/bench_encodings.py [--detector loopmix|charset-normalizer|chardet] [--limit .75] [LANGUAGE ...]

A document is forty lines of ASCII code of this project with 1, 2, 4, 8 or 16 comment lines among them, taken from
`comment_lines.txt`, which was written for this table and is not what the detector learned from. A cell is 40 documents:
`wrong/flagged` in percent. Wrong: another text than was written, and the confidence is not below the limit. Flagged:
below it, whether right or not; such a document is dropped as `undecidable_encoding`. charset-normalizer and chardet
(to be installed beside) are asked for the whole document and have no usable confidence, so theirs flags what fails.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.sources.decode import decode

HERE = Path(__file__).resolve().parent
N_LINES = (1, 2, 4, 8, 16)
N_DOCUMENTS = 40
ENCODINGS = {
    "zhs": "gbk gb18030",
    "zht": "big5",
    "ja": "cp932 euc_jp iso2022_jp",
    "ko": "cp949",
    "ru": "cp1251 koi8_r cp866 iso8859_5",
    "uk": "cp1251 koi8_u",
    "bg": "cp1251",
    "he": "cp1255",
    "ar": "cp1256",
    "th": "cp874",
    "el": "cp1253 iso8859_7",
    "tr": "cp1254 iso8859_9",
    "cs": "cp1250 iso8859_2",
    "pl": "cp1250 iso8859_2",
    "hu": "cp1250 iso8859_2",
    "ro": "cp1250 iso8859_2",
    "lt": "cp1257",
    "fr": "cp1252 cp850 mac_roman",
    "de": "cp1252 cp850 mac_roman",
    "es": "cp1252 cp850",
    "sv": "cp1252 cp850",
}
OLD_LETTERS = str.maketrans({"Ș": "Ş", "ș": "ş", "Ț": "Ţ", "ț": "ţ", "œ": "oe"})  # as they were written before Unicode
Reading = tuple[str | None, float]  # the text and how sure it is
Detector = Callable[[bytes], Reading]


def comment_lines(path: Path = HERE / "comment_lines.txt") -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            found = lines.setdefault(line[1 : line.index("]")], [])
        else:
            found.append(line)
    return lines


def documents(lines: list[str], *, n_lines: int, seed: str) -> Iterator[str]:
    """Every line stands once in a document of one line; longer ones take lines by chance."""
    code = [x for x in (HERE / "bench_rules.py").read_text(encoding="utf-8").splitlines() if x.isascii()][20:60]
    source = random.Random(seed)
    for i in range(len(lines) if n_lines == 1 else N_DOCUMENTS):
        chosen = [lines[i % len(lines)]] if n_lines == 1 else source.sample(lines, n_lines)
        text = list(code)
        for at, line in enumerate(chosen):
            text.insert(1 + at * len(code) // n_lines, f"    # {line}")
        yield "\n".join(text) + "\n"


def by_loopmix(raw: bytes) -> Reading:
    found = decode(raw)
    return found.content.decode(), found.confidence or 0.0


def by_charset_normalizer(raw: bytes) -> Reading:
    from charset_normalizer import from_bytes

    best = from_bytes(raw).best()
    return (None, 0.0) if best is None else (str(best), 1.0)


def by_chardet(raw: bytes) -> Reading:
    import chardet

    found = chardet.detect(raw)
    try:
        return raw.decode(found["encoding"] or "ascii"), float(found["confidence"] or 0)
    except (LookupError, UnicodeDecodeError):
        return None, 0.0


DETECTORS: dict[str, Detector] = {
    "loopmix": by_loopmix,
    "charset-normalizer": by_charset_normalizer,
    "chardet": by_chardet,
}


def cell(lines: list[str], *, encoding: str, n_lines: int, detector: Detector, limit: float) -> tuple[float, float]:
    """Percent wrong and not flagged, percent flagged."""
    n_all = n_wrong = n_flagged = 0
    for written in documents(lines, n_lines=n_lines, seed=f"{lines[0]}{n_lines}"):
        text = written.translate(OLD_LETTERS)
        raw = text.encode(encoding)
        if raw.isascii() and encoding != "iso2022_jp":
            continue
        read, confidence = detector(raw)
        n_all += 1
        n_flagged += confidence < limit
        n_wrong += confidence >= limit and read != text
    return 100 * n_wrong / n_all, 100 * n_flagged / n_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", default=list(ENCODINGS))
    parser.add_argument("--detector", choices=DETECTORS, default="loopmix")
    parser.add_argument("--limit", type=float, default=0.75)
    parser.add_argument("--lines", type=Path, default=HERE / "comment_lines.txt")
    arguments = parser.parse_args()
    lines = comment_lines(arguments.lines)
    print("| language | encoding |" + "".join(f" {n} |" for n in N_LINES))
    print("|---|---|" + "---|" * len(N_LINES), flush=True)
    for language in (name for name in arguments.languages if name in lines):
        for encoding in ENCODINGS[language].split():
            cells = (
                cell(
                    lines[language],
                    encoding=encoding,
                    n_lines=n,
                    detector=DETECTORS[arguments.detector],
                    limit=arguments.limit,
                )
                for n in N_LINES
                if n <= len(lines[language])
            )
            print(f"| {language} | {encoding} |" + "".join(f" {w:.0f}/{f:.0f} |" for w, f in cells), flush=True)


if __name__ == "__main__":
    main()
