"""What an expression cannot say: checks that count, each for the few documents whose language or path asks for it.

A check gets the first `MAX_CHARS` of a document as text. The bounds are plain choices, set by what hands read of what
they mark.
"""

import re
from collections import Counter
from collections.abc import Callable

from pipeline.quality.marks.comments import syntax_of
from pipeline.quality.marks.wordings import folded

MAX_CHARS = 16_384  # what a file is shows by then, and a check costs some 100 µs

_PARAGRAPH_LINES = 8  # a table without blank lines is no single paragraph below its header
# In small letters: what makes a paragraph speak of rights. Searched one by one, which is some twenty times faster than
# as alternatives of one expression.
_RIGHTS = (
    "licenc", "licens", "copyright", "copyleft", "©", "(c)", "warrant", "permission", "redistribut", "liab",
    "sublicens", "derivative", "patent", "trademark", "free software", "public domain", "all rights", "hereby", "grant",
    "damages", "terms and conditions", "gnu general", "notice", "author",
)  # fmt: skip
_AS_IS = re.compile(r"as is\b")
_WORD = re.compile(r"\w")
# What only a licence or a notice of rights says of itself, not a README that names its licence.
_LEGAL = re.compile(
    r"permission\s+is\s+hereby\s+granted|redistribution\s+and\s+use\s+in\s+source|without\s+warrant(?:y|ies)|licensed\s+under\s+the"
    r"|terms\s+and\s+conditions|permission\s+to\s+use,?\s+copy|free\s+software"
    r"|gnu\s+(?:lesser\s+|affero\s+|library\s+)?general\s+public"
    r"|all\s+rights\s+reserved|public\s+domain|creative\s+commons|(?:this|the)\s+licen[cs]e|under\s+the\s+terms|spdx-license|warranty"
    r"|copyright\s+(?:\(c\)|©|holder|\d{4}|notice)|\(c\)\s+(?:copyright\s+)?\d{4}|files:\s+\*"
    r"|machine-readable debian/copyright"
)
# What an empty module declares.
_EMPTY = re.compile(r"(?:package|namespace|module)\b[\w\s.:\\]*;?|<\?php|\?>|['\"]use strict['\"];?|-{3}|export \{\};?")
# A key, a sign between and a value: quoted, or all that follows.
_ENTRY = re.compile(
    r"""\s*(?:"[^"]{1,200}"|'[^']{1,200}'|`[^`]{1,200}`|[\w.$/\\()\[\] -]{1,80}?)\s*(?:=>|:=|[:=])\s*"""
    r"""(?:[uUrR]?(?P<quote>["'`])(?P<quoted>.*)(?P=quote)\s*[,;)\]}]*|(?P<plain>[^\s{(\[].*))\s*$"""
)
_OPENS = re.compile(r".*[{(\[]\s*$|\W*$")  # a line that opens or closes a bracket
_COMMENT = ("#", "//", "*", "/*", "!", ";", "<!--", "|", "- ", "<?", "import ", "from ")
# Two words, or letters of a script that no program is written in.
_WORDS = re.compile(r"[^\W\d_]{2,}[\s'\u2019,-]+[^\W\d_]{2,}|[^\x00-\u024f\W]")


def licence_text(text: str, language: str) -> bool:
    """A text that is about rights from end to end: three quarters of it in paragraphs that speak of them."""
    text = folded(text)
    return bool(_LEGAL.search(text)) and _rights_frac(text) >= 0.75


def licence_named(text: str, language: str) -> bool:
    """A file called LICENSE, COPYING or copyright: it says something of rights, and is no program."""
    text = folded(text)
    return bool(_LEGAL.search(text)) and _rights_frac(text) >= 0.3


def _speaks_of_rights(text: str) -> bool:
    return any(word in text for word in _RIGHTS) or ("as is" in text and _AS_IS.search(text) is not None)


def _rights_frac(text: str) -> float:
    """The share of a folded text in paragraphs, of eight lines at most, that speak of rights."""
    parts: list[str] = []
    part: list[str] = []
    for line in text.split("\n"):
        is_blank = not _WORD.search(line)
        if part and (is_blank or len(part) == _PARAGRAPH_LINES):
            parts.append(" ".join(part))
            part = []
        if not is_blank:
            part.append(line)
    parts.append(" ".join(part))
    return sum(len(p) for p in parts if _speaks_of_rights(p)) / max(1, sum(map(len, parts)))


def _without_blocks(text: str, opening: str, close: str) -> str:
    """The text without its blocks of comments; one that never closes stays."""
    kept, place = [], 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(close, start + len(opening))) >= 0:
        kept.append(text[place:start])
        place = end + len(close)
    return "\n".join([*kept, text[place:]])


def licence_header(text: str, language: str) -> bool:
    """A source of nothing but its notice of rights, and a package line at most."""
    if len(text) >= MAX_CHARS:
        return False
    syntax = syntax_of(language)
    rest = text.removeprefix("\ufeff")
    for opening, close in syntax.blocks:
        rest = _without_blocks(rest, opening, close)
    for line in map(str.strip, rest.split("\n")):  # most end at their first line of code
        if line and not line.startswith(syntax.lines) and not _EMPTY.fullmatch(line):
            return False
    return licence_text(text, language)


def catalogue(text: str, language: str) -> bool:
    """Keys with quoted texts, or all of a format that has no quotes: seven in ten lines that are neither
    brackets nor comments."""
    n_lines, entries = _entries(text)
    quoted = language not in ("Java Properties", "YAML", "INI", "Fluent", "Text", "Unknown", "Other code")
    n_entries = sum(1 for match in entries if match["quoted"] is not None or not quoted)
    return n_lines >= 1 and n_entries >= 0.7 * n_lines


def texts(text: str, language: str) -> bool:
    """The same with texts for people: two words, or letters of another script, in four of ten."""
    n_lines, entries = _entries(text)
    n_texts = sum(bool(_WORDS.search(match["quoted"] or match["plain"] or "")) for match in entries)
    return n_lines >= 1 and len(entries) >= 0.6 * n_lines and n_texts >= max(1, 0.4 * len(entries))


def _entries(text: str) -> tuple[int, list[re.Match[str]]]:
    """The lines of a table that are neither brackets nor comments, and those of them that are entries."""
    text = re.sub(r"/\*[\s\S]*?\*/", "", text)
    lines = [line for line in text.split("\n")[:400] if line.strip() and not line.lstrip().startswith(_COMMENT)]
    lines = [line[:400] for line in lines if not _OPENS.match(line)]
    return len(lines), [match for line in lines if (match := _ENTRY.match(line))]


def messages(text: str, language: str) -> bool:
    """A table of messages for people: at least eight entries, seven in ten of them with two words."""
    entries = [line.partition("=")[2] for line in text.split("\n")[:400] if re.match(r"\s*[\w.\-$]+\s*=", line)]
    texts = [value for value in entries if _WORDS.search(value) and " " in value.strip()]
    return len(entries) >= 8 and len(texts) >= 0.7 * len(entries)


_ROW = re.compile(
    r"(?:^|\n)[ \t]*(?:INSERT\s+(?:IGNORE\s+)?INTO\b[^;]*?VALUES?\b|\(|REPLACE\s+INTO\b|MERGE\s+INTO\b"
    r"|SELECT\s+'|UNION\s+ALL\s+SELECT)[^\n]*|(?:^|\n)(?:[^\t\n]*\t){2,}[^\n]*",
    re.I,
)


def sql_rows(text: str, language: str) -> bool:
    """Rows for a table, at least three quarters of the text; the lines between tabs are those of COPY."""
    if len(text) < 300:
        return False
    rows = _ROW.findall(text)
    return sum(map(len, rows)) >= 0.75 * len(text) and len(rows) >= 5


# Keys of settings, schemas and interfaces, which repeat others.
_SETTINGS = re.compile(r'"(?:\$schema|swagger|openapi|scripts|compilerOptions|\$id|definitions)"\s*:')


def json_records(text: str, language: str) -> bool:
    """Records with the same keys, numbers in lists, or one line of either."""
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] not in ("[", "{") or _SETTINGS.search(start[:3000]):
        return False
    solid = re.sub(r"\s", "", start[:4096])
    if len(start) > 400 and sum(map(str.isdigit, solid)) > 0.35 * len(solid):
        return True
    return _is_json_lines(start) or _has_equal_keys(start)


def _is_json_lines(start: str) -> bool:
    rows = [line for line in start.split("\n")[:50] if line.strip()]
    whole = (row.startswith(("{", "[")) and row.rstrip("\r, ").endswith(("}", "]")) for row in rows[:-1])
    return len(rows) >= 3 and all(whole)


def _has_equal_keys(start: str) -> bool:
    keys = Counter(re.findall(r'"([^"\\\n]{1,80})"\s*:', start))
    n_keys = sum(keys.values())
    if not n_keys:  # a list of words or of numbers
        return start[:1] == "[" and len(start) > 400
    most = keys.most_common(1)[0][1]
    if start[:1] == "[" and most >= 8 and len(keys) <= 0.35 * n_keys:
        return True
    return most >= 30 and len(keys) <= 0.2 * n_keys


# Programs, schemas, documents and interfaces in XML, whose elements repeat too.
_MEANT = re.compile(
    r"<(?:project|xsl:|html|book|article|chapter|sect|refentry|target|schema|xs:schema|xsd:schema|grammar|ui|interface"
    r"|layout|LinearLayout|mapper|beans|topic|concept|task|lexer|x:description|section"
    r"|fontconfig|configuration|config|settings|preferences)\b"
)
# Elements that decide and repeat: a program, whatever its language is called.
_CONTROL = re.compile(
    r"<(?:[\w-]+:)?(?:if|choose|when|otherwise|else|for-?each|while|switch|case|template|call-template|apply-templates"
    r"|macro|variable)\b"
)
_MIN_CONTROL = 5  # one may be a word of the data


def xml_records(text: str, language: str) -> bool:
    """The same few elements again and again, with little text in them."""
    tags = re.findall(r"<([A-Za-z_][\w:.-]*)", text)
    kinds = Counter(tags)
    if len(tags) < 60 or len(kinds) > 0.12 * len(tags):
        return False
    if _MEANT.search(text[:4000]) or len(_CONTROL.findall(text)) >= _MIN_CONTROL:
        return False
    words = re.sub(r"<[^>]*>", "", text)
    return len(words.split()) <= 6 * len(tags)


def svg_drawing(text: str, language: str) -> bool:
    """A drawing by coordinates; not a program, an animation or a page of text in SVG."""
    if "<svg" not in text:
        return False
    visible = re.sub(r"\s", "", text)
    digits = sum(map(str.isdigit, visible)) / max(1, len(visible))
    lively = re.search(r"<(?:script|animate\w*|set|foreignObject)\b|@keyframes", text)
    return digits >= (0.3 if lively else 0.1)


CHECKS: dict[str, Callable[[str, str], bool]] = {
    check.__name__: check
    for check in (
        licence_text,
        licence_named,
        licence_header,
        catalogue,
        texts,
        messages,
        sql_rows,
        json_records,
        xml_records,
        svg_drawing,
    )
}
