"""Take phrases in many languages out of translations: what `train_spelling` learns from.

    python -m jobs.spelling_phrases OUT ARCHIVE.whl ... [--texts FOLDER]

Archives hold `translations/LANGUAGE.json` or gettext files under `locale/LANGUAGE/`; the folder of texts is the
development corpus, whose documentation and books are used up to a bound. OUT gets LANGUAGE.txt, a phrase a line.
"""

import argparse
import html
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.sources.spelling import LANGUAGES

_SAME = {
    "zh_Hant": "zht",
    "zh_Hans": "zhs",
    "zh_TW": "zht",
    "zh_CN": "zhs",
    "zh": "zhs",
    "no": "nb",
    "nn": "nb",
    "sr_Latn": "-",
}
_REPOSITORIES = {
    "reactjs/ja.react.dev": "ja",
    "reactjs/ko.react.dev": "ko",
    "reactjs/ru.react.dev": "ru",
    "rust-lang-ja/book-ja": "ja",
    "bundestag/gesetze": "de",
    "COST-ELTeC/ELTeC-fra": "fr",
    "COST-ELTeC/ELTeC-spa": "es",
    "COST-ELTeC/ELTeC-por": "pt",
    "COST-ELTeC/ELTeC-hun": "hu",
    "COST-ELTeC/ELTeC-ukr": "uk",
}
_BOOKS = ("ELTeC", "gesetze")
_MAX_CHARS, _MAX_BOOK_CHARS, _MAX_DOCUMENT_CHARS = 3_000_000, 400_000, 60_000  # books are far from comments
_MARKUP = re.compile(r"\{[^}]*\}|%\(?\w*\)?[sd]|<[^>]+>|https?://\S+|\*\*|`[^`]*`|\[|\]")
_FENCED = re.compile(r"```.*?```", re.DOTALL)
_MESSAGE = re.compile(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PLACE = re.compile(r"translations/(?:[\w.]+\.)?([\w-]+)\.json$|locale/([\w@]+)/.*\.po$")


def phrases_of(archive: Path) -> Iterator[tuple[str, str]]:
    """(language, phrase) of all translations in a wheel."""
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            found = _PLACE.search(name)
            if found is None:
                continue
            text = opened.read(name).decode("utf-8")
            language = _language(found[1] or found[2])
            for phrase in _strings(json.loads(text)) if found[1] else _messages(text):
                yield language, phrase


def _language(code: str) -> str:
    code = code.replace("-", "_")
    return _SAME.get(code) or _SAME.get(code.partition("_")[0]) or code.partition("_")[0]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _messages(text: str) -> Iterator[str]:
    for found in _MESSAGE.finditer(text):
        message = "".join(_QUOTED.findall(found[1])).replace("\\n", " ").replace('\\"', '"')
        if "Content-Type" not in message:
            yield message


def prose_of(folder: Path) -> Iterator[tuple[str, str]]:
    """(language, line) of the development corpus, up to a bound for each repository."""
    n_chars: defaultdict[tuple[str, str], int] = defaultdict(int)
    for path in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(path, columns=["repo", "path", "content", "source"]).to_pylist():
            pages = re.match(r"pages(?:\.(\w+))?/", row["path"]) if row["repo"] == "tldr-pages/tldr" else None
            language = _language(pages[1] or "en") if pages else _REPOSITORIES.get(row["repo"])
            if language is None or row["source"].startswith("derived"):
                continue
            key = row["repo"], language
            if n_chars[key] > (_MAX_BOOK_CHARS if any(b in row["repo"] for b in _BOOKS) else _MAX_CHARS):
                continue
            text = row["content"].decode("utf-8", errors="replace")
            text = (text if pages else _FENCED.sub(" ", text))[:_MAX_DOCUMENT_CHARS]
            n_chars[key] += len(text)
            yield from ((language, line.strip("#>- ")) for line in text.splitlines() if not line.startswith("`"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--texts", type=Path)
    arguments = parser.parse_args()
    phrases: dict[str, dict[str, None]] = {language: {} for language in LANGUAGES}
    found = [pair for archive in arguments.archives for pair in phrases_of(archive)]
    found += prose_of(arguments.texts) if arguments.texts else []
    for language, phrase in found:
        plain = html.unescape(_MARKUP.sub(" ", phrase)).strip()
        if language in phrases and len(plain) > 1:
            phrases[language][plain] = None
    arguments.out.mkdir(parents=True, exist_ok=True)
    for language, lines in phrases.items():
        (arguments.out / f"{language}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
