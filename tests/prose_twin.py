"""What `prose_scan`, `repetition` and `prose_lines` count, said plainly: words, sentences, n-grams and lines of a text.

The words and sentences are also what the benchmark gives to datatrove's filters.
"""

import re
from collections import Counter

import regex

from pipeline.quality import scan

SENTENCE_END = re.compile(r"""[.!?][.!?"')\]]*(?=[ \t]+[^a-z \t]|[ \t]*$)|[。\uff01\uff1f]""")
CITATION_AT_END = re.compile(r"(?:\[[0-9]*\]|\[edit\]|\[citation needed\])+$")
STOPPED = regex.compile(r"\p{Sentence_Terminal}\Z")
UNSPACED = regex.compile("[" + "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in scan.UNSPACED_BLOCKS) + "]")


def is_unspaced(char: str) -> bool:
    return char.isalpha() and UNSPACED.match(char) is not None


def words_of(text: str, _language: str = "") -> list[str]:
    """Runs without spaces, cut at unspaced letters; punctuation beside such a letter is no word."""
    words: list[str] = []
    for run in text.split():
        if not UNSPACED.search(run):
            words.append(run)
            continue
        parts = [""]
        for char in run:
            if is_unspaced(char):
                parts += [char, ""]
            else:
                parts[-1] += char
        words += [p for p in parts if p and (len(parts) == 1 or any(c.isalpha() or c.isdecimal() for c in p))]
    return words


def sentences_of(line: str, _language: str = "") -> list[str]:
    """The sentences of a line, cut where `prose_lines` counts one."""
    line, at, found = line.strip(" \t"), 0, []
    for match in SENTENCE_END.finditer(line):
        found.append(line[at : match.end()].strip(" \t"))
        at = match.end()
    return [sentence for sentence in (*found, line[at:].strip(" \t")) if sentence]


def lines_of(text: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def seen_before(parts: list[str]) -> list[str]:
    return [part for k, part in enumerate(parts) if part in parts[:k]]


def repetition(text: str) -> dict[str, float]:
    """The shares of `repetition.NAMES`."""
    words = words_of(text)
    plain = "\n".join(re.split(r"\r\n|\r|\n", text))
    result = {}
    for n in (2, 3, 4):
        grams = Counter(tuple(words[k : k + n]) for k in range(len(words) - n + 1))
        top, count = grams.most_common(1)[0] if grams else ((), 0)
        result[f"top_{n}_gram_frac"] = ratio(len(" ".join(top)) * count, len(text))
    for n in range(5, 11):
        result[f"duplicate_{n}_gram_frac"] = ratio(_duplicate_chars(words, n), len(text))
    for name, parts in (("line", re.split("\n+", plain)), ("paragraph", re.split("\n{2,}", plain.strip()))):
        again = seen_before(parts) if plain else []
        result[f"repeated_{name}_frac"] = ratio(len(again), len(parts))
        result[f"repeated_{name}_char_frac"] = ratio(sum(map(len, again)), len(text))
    return result


def _duplicate_chars(words: list[str], n: int) -> int:
    seen, n_chars, k = set(), 0, 0
    while k + n <= len(words):
        gram = tuple(words[k : k + n])
        if gram in seen:
            n_chars += len("".join(gram))
            k += n
        else:
            seen.add(gram)
            k += 1
    return n_chars


def prose_lines(text: str) -> dict[str, float]:
    """The numbers of `prose_lines.measure`."""
    words, lines = words_of(text), lines_of(text)
    filled = [line for line in lines if line.strip()]
    ends = len(re.findall(r"\r\n|\r|\n", text))
    ellipses = text.count("...") + text.count("…")
    named = [word for word in words if any(c.isalpha() or c.isdecimal() for c in word)]
    plain = [word for word in named if "://" not in word and "](" not in word]
    return {
        "lettered_word_frac": ratio(sum(any(c.isalpha() for c in word) for word in named), len(named)),
        "plain_word_chars": ratio(sum(map(len, plain)), len(plain)),
        "hash_sign_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(ellipses, len(words)),
        "n_stop_word_kinds": len(set(words) & set(scan.STOP_WORDS)),
        "dash_line_frac": ratio(sum(line.lstrip()[:1] in ("-", "•") for line in filled), len(lines)),
        "stopped_line_frac": ratio(sum(STOPPED.search(line) is not None for line in filled), len(filled)),
        "short_line_frac": ratio(sum(len(line) <= 30 for line in filled), len(filled)),
        "line_word_ratio": ratio(ends, len(words)),
        "repeated_prose_frac": ratio(sum(map(len, seen_before(_prose_of(lines)))), sum(map(len, filled))),
        **_c4(lines, n_filled=len(filled)),
    }


def _c4(lines: list[str], *, n_filled: int) -> dict[str, float]:
    kept, lorem, curly = [], 0, 0
    for raw in lines:
        words = raw.split()
        line = CITATION_AT_END.sub("", raw.strip())
        if len(words) < 3 or any(len(word) > 1000 for word in words):
            continue
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        small = line.lower()
        policies = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
        if "lorem ipsum" in small:
            lorem += 1
        elif "javascript" in small:
            continue
        elif "{" in line:
            curly += 1
        elif not any(policy in small for policy in policies):
            kept.append(line)
    return {
        "c4_line_frac": ratio(len(kept), n_filled),
        "c4_sentences": sum(len(sentences_of(line)) for line in kept),
        "c4_lorem_lines": lorem,
        "c4_curly_lines": curly,
    }


def _fence_of(line: str) -> str:
    mark = re.match(r"\s*(`{3}|~{3})", line)
    return mark[1][0] if mark else ""


def _prose_of(lines: list[str]) -> list[str]:
    """Lines that are no program, no row of a table and no banner."""
    prose, fence, is_code, after_blank, closes = [], "", True, True, True
    for k, line in enumerate(lines):
        if not line.strip():
            after_blank = True
            continue
        sign = _fence_of(line)
        if sign and fence in ("", sign):
            if not fence:
                closes = closes and any(_fence_of(other) == sign for other in lines[k + 1 :])
                fence = sign if closes else ""
            else:
                fence = ""
            continue
        indent = len(line.encode()) - len(line.lstrip().encode())
        is_code = (indent >= 4 or line.startswith("\t")) and (is_code or after_blank)
        after_blank = False
        has_alnum = any(c.isalpha() or c.isdecimal() for c in line)
        if not fence and not is_code and has_alnum and line.lstrip()[0] not in "|+":
            prose.append(line)
    return prose
