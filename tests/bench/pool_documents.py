"""Four hundred documents of twenty kinds in up to sixteen languages, made by keyed choice: the same on every machine.

Each kind says which pool its documents belong in. Text: letters, novels, poems, licences, changelogs, plain READMEs
and word lists by their names. Code: all that a machine reads, also where people wrote whole sentences into it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from pool_i18n import i18n_module
from pool_texts import KEYS, LABELS, LETTERS, SENTENCES

PER_KIND = 20


class Document(NamedTuple):
    """`pool` is the one that it belongs in; `nameless` the same without a name, None where either would do. `kind` is
    one of the twenty; `prose` marks text in markup."""

    kind: str
    name: str
    content: bytes
    pool: str
    nameless: str | None
    prose: bool = False


def number(*parts: object) -> int:
    return int.from_bytes(blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "little")


def sentences(language: str, n: int, *seed: object) -> list[str]:
    """`n` sentences in a keyed order."""
    known = SENTENCES[language]
    order = sorted(range(len(known)), key=lambda i: number(language, i, *seed))
    return [known[order[i % len(known)]] for i in range(n)]


def paragraphs(language: str, n: int, *seed: object) -> list[str]:
    glue = "" if language in ("zh", "ja", "th") else " "
    return [glue.join(sentences(language, 3 + number(i, *seed) % 4, i, *seed)) for i in range(n)]


def person(i: int) -> str:
    names = (
        "Ada Kirk",
        "Олег Ким",
        "李 明",
        "Zoë Müller",
        "José Peña",
        "山田 太郎",
        "İpek Ün",
        "박 서준",
        "Σία Ρω",
        "علي",
    )
    return names[i % len(names)]


def novel(i: int, language: str) -> tuple[str, str]:
    title = sentences(language, 1, "title", i)[0]
    return f"chapter-{i}.txt", title + "\n\n" + "\n\n".join(paragraphs(language, 8, "novel", i)) + "\n"


def letter(i: int, language: str) -> tuple[str, str]:
    hello, bye = LETTERS[language]
    body = "\n\n".join(paragraphs(language, 3, "letter", i))
    return f"letter-{i}.txt", f"{hello}\n\n{body}\n\n{bye}\n"


def poem(i: int, language: str) -> tuple[str, str]:
    lines = [line.rstrip(".。।") for line in sentences(language, 16, "poem", i)]
    verses = ["\n".join(lines[at : at + 4]) for at in range(0, 16, 4)]
    return f"poem-{i}.txt", "\n\n".join(verses) + "\n"


def readme(i: int, language: str) -> tuple[str, str]:
    head, *rest = paragraphs(language, 5, "readme", i)
    steps = "\n".join(f"  {n}. {line}" for n, line in enumerate(sentences(language, 3, "step", i), 1))
    return ("README", "README.txt", "INSTALL.txt", "ABOUT.txt")[i % 4], "\n\n".join([head, *rest[:2], steps, rest[3]])


def licence(i: int, language: str) -> tuple[str, str]:
    terms = [f"{n}. {text}" for n, text in enumerate(paragraphs(language, 6, "licence", i), 1)]
    head = f"Copyright (c) {2000 + i} {person(i)}. All rights reserved."
    return ("LICENSE", "COPYING", "NOTICE", "COPYRIGHT")[i % 4], head + "\n\n" + "\n\n".join(terms) + "\n"


def changelog(i: int, language: str) -> tuple[str, str]:
    entries = []
    for n in range(8):
        lines = "\n".join(f"  * {line}" for line in sentences(language, 4, "change", i, n))
        entries.append(f"Version 1.{8 - n} ({2024 - n}-0{n + 1}-12)\n\n{lines}\n")
    return ("CHANGELOG", "CHANGES", "HISTORY", "NEWS.txt")[i % 4], "\n".join(entries)


def word_list(i: int, language: str) -> tuple[str, str]:
    text = " ".join(sentences(language, 8, "words", i))
    words = sorted({word.strip(".,:;!?") for word in text.split()}) if " " in text else sorted(set(text))
    return f"words-{i}.txt", "\n".join(words) + "\n"


def reflog(i: int, language: str) -> tuple[str, str]:
    lines, last = [], "0" * 40
    for n, line in enumerate(sentences(language, 24, "commit", i)):
        now = blake2b(f"{i}{n}".encode(), digest_size=20).hexdigest()
        who = f"{person(i + n % 2)} <{('ada', 'oleg')[n % 2]}@example.org>"
        lines.append(f"{last} {now} {who} {1_600_000_000 + 977 * n} +0{i % 10}00\tcommit: {line}")
        last = now
    return ("logs/HEAD", "logs/refs/heads/main", "logs/refs/heads/master", "logs/refs/stash")[i % 4], "\n".join(lines)


def mailmap(i: int, language: str) -> tuple[str, str]:
    lines = [f"# {SENTENCES[language][0]}"] if i % 3 == 0 else []
    for n in range(12 + i):
        mail = f"<{'abcdefgh'[n % 8]}{n}@{('example.org', 'mail.example.net')[n % 2]}>"
        lines.append(f"{person(i + n)} {mail}" + (f" {person(n)} <old{n}@example.com>" if n % 3 == 0 else ""))
    return ".mailmap", "\n".join(lines) + "\n"


def listing(i: int, language: str) -> tuple[str, str]:
    """Addresses of authors, or a Kotlin library's public names: both are lists of lines that tools write and read."""
    return mailmap(i, language) if i % 2 else api_dump(i)


def api_dump(i: int) -> tuple[str, str]:
    lines = []
    for n in range(3 + i % 4):
        name = f"org/example/lamp{i}/{KEYS[n].title().replace('_', '')}"
        kind = ("final class", "abstract interface class", "final enum class", "abstract class")[n % 4]
        lines.append(f"public {kind} {name} {{")
        lines += [f"\tpublic fun <init> (Ljava/lang/String;{'I' * n})V", f"\tpublic final fun get{KEYS[n]} ()I"]
        lines += ["\tpublic fun toString ()Ljava/lang/String;", "}", ""]
    return f"lamp{i}.api", "\n".join(lines) + "\n"


def man_page(i: int, language: str) -> tuple[str, str]:
    body = "\n.PP\n".join(paragraphs(language, 4, "man", i))
    head = f'.TH LAMP{i} 1 "2024-0{i % 9 + 1}-01"\n.SH NAME\nlamp{i} \\- light a lamp\n.SH DESCRIPTION\n'
    return f"lamp{i}.1", head + body + "\n"


def tei(i: int, language: str) -> tuple[str, str]:
    body = "\n".join(f'<p n="{n}">{text}</p>' for n, text in enumerate(paragraphs(language, 8, "tei", i)))
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<TEI xmlns="http://www.tei-c.org/ns/1.0" xml:lang="{language}">\n'
    return f"novel-{i}.xml", f"{head}<text><body><div type='chapter'>\n{body}\n</div></body></text>\n</TEI>\n"


def html(i: int, language: str) -> tuple[str, str]:
    style = "<style>\nbody { margin: 0; color: #222 }\n.note { float: right }\n</style>\n" if i % 2 else ""
    body = "\n".join(f"<p>{text}</p>" for text in paragraphs(language, 8, "html", i))
    title = SENTENCES[language][i % 8]
    head = f"<!DOCTYPE html>\n<html lang={language!r}>\n<head><title>{title}</title>\n{style}</head>\n"
    return f"page-{i}.html", f"{head}<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"


def table(i: int, language: str) -> tuple[str, str]:
    mark = (",", ";", "\t")[i % 3]
    rows = [mark.join(("id", "label", "note", "price"))]
    for n, line in enumerate(sentences(language, 40, "csv", i)):
        label = LABELS.get(language, LABELS["en"])[n % 5]
        note = f'"{line}"' if i % 2 else line.replace(",", "").replace(";", "")
        rows.append(mark.join((str(n), label, note, f"{number(i, n) % 900}.50")))
    return (f"table-{i}.tsv" if mark == "\t" else f"table-{i}.csv"), "\n".join(rows) + "\n"


def log(i: int, language: str) -> tuple[str, str]:
    lines = []
    for n, line in enumerate(sentences(language, 40, "log", i)):
        clock, level = f"{n % 24:02}:{n % 60:02}:07", ("INFO", "WARN", "ERROR")[number(i, n) % 3]
        forms = (
            f"2026-01-{n % 28 + 1:02} {clock},123 {level} [main] {line}",
            f"[{clock}] {level}: {line}",
            f"Jan {n % 28 + 1:2} {clock} host app[{400 + n}]: {line}",
        )
        lines.append(forms[i % 3])
    return f"server-{i}.log", "\n".join(lines) + "\n"


def subtitles(i: int, language: str) -> tuple[str, str]:
    blocks = []
    dot = ".,"[i % 2]
    for n, line in enumerate(sentences(language, 30, "film", i), 1):
        blocks.append(
            f"{n}\n00:{n // 12:02}:{n * 5 % 60:02}{dot}000 --> 00:{n // 12:02}:{n * 5 % 60 + 3:02}{dot}500\n{line}\n"
        )
    return (f"film-{i}.srt", "\n".join(blocks)) if i % 2 else (f"film-{i}.vtt", "WEBVTT\n\n" + "\n".join(blocks))


def configuration(i: int, language: str) -> tuple[str, str]:
    labels, lines = LABELS.get(language, LABELS["en"]), sentences(language, 10, "conf", i)
    pairs = list(zip(KEYS, labels, lines, strict=True))
    forms = (
        (f"app-{i}.ini", "[labels]\n" + "".join(f"; {text}\n{key} = {label}\n" for key, label, text in pairs)),
        (f"app-{i}.yaml", "labels:\n" + "".join(f"  {key}: {label}  # {text}\n" for key, label, text in pairs)),
        (f"app-{i}.toml", "[labels]\n" + "".join(f'{key} = "{label}"\n# {text}\n' for key, label, text in pairs)),
        (f"app-{i}.conf", "".join(f"# {text}\n{key.upper()}={label}\n" for key, label, text in pairs)),
    )
    return forms[i % 4]


def sql_dump(i: int, language: str) -> tuple[str, str]:
    rows = [
        f"({n}, '{line.replace(chr(39), chr(39) * 2)}', NULL)"
        for n, line in enumerate(sentences(language, 30, "sql", i))
    ]
    if i % 2:
        body = "\n".join(f"INSERT INTO `notes` VALUES {row};" for row in rows)
    else:
        body = "INSERT INTO `notes` (id, body, seen) VALUES\n" + ",\n".join(rows) + ";"
    return f"dump-{i}.sql", f"CREATE TABLE `notes` (id INT PRIMARY KEY, body TEXT, seen DATE);\n{body}\n"


def notebook(i: int, language: str) -> tuple[str, str]:
    cells: list[dict[str, object]] = []
    for n, text in enumerate(paragraphs(language, 5, "book", i)):
        cells.append({"cell_type": "markdown", "metadata": {}, "source": [f"## {n}\n", text]})
        code = ["import csv\n", f"rows = list(csv.reader(open('table-{n}.csv')))\n", f"len(rows[{n}:])"]
        cells.append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": n, "source": code})
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return f"analysis-{i}.ipynb", json.dumps(whole, indent=1, ensure_ascii=i % 2 == 0)


def session(i: int, language: str) -> tuple[str, str]:
    prompt = ("$ ", "user@host:~$ ", "root@box:/srv# ")[i % 3]
    commands = (
        "ls -l data/",
        "git log --oneline | head -3",
        "cat notes.txt",
        "make -j4 all",
        "docker ps -a --no-trunc",
    )
    lines = []
    for n, line in enumerate(sentences(language, 15, "shell", i)):
        lines += [
            prompt + commands[(i + n) % 5],
            line if n % 3 == 0 else f"-rw-r--r-- 1 root root {n * 37} Jan  1 00:00 f{n}.txt",
        ]
    return f"session-{i}.sh-session", "\n".join(lines) + "\n"


Maker = Callable[[int, str], tuple[str, str]]
# kind: maker, pool, pool without a name (None: either), text in markup
KINDS: dict[str, tuple[Maker, str, str | None, bool]] = {
    "i18n module": (i18n_module, "code", "code", False),
    "reflog": (reflog, "code", "code", False),
    "mailmap, API list": (listing, "code", "code", False),
    "changelog": (changelog, "text", None, False),
    "licence": (licence, "text", "text", False),
    "letter": (letter, "text", "text", False),
    "novel": (novel, "text", "text", False),
    "poem": (poem, "text", "text", False),
    "plain README": (readme, "text", "text", False),
    "word list": (word_list, "text", None, False),
    "man page": (man_page, "code", "code", False),
    "TEI": (tei, "code", "code", True),
    "web page": (html, "code", "code", True),
    "CSV": (table, "code", "code", False),
    "log": (log, "code", "code", False),
    "subtitles": (subtitles, "code", "code", False),
    "configuration": (configuration, "code", "code", False),
    "SQL dump": (sql_dump, "code", "code", False),
    "notebook": (notebook, "code", "code", False),
    "shell session": (session, "code", "code", False),
}


def documents() -> Iterator[Document]:
    """All of them, kind by kind."""
    languages = list(SENTENCES)
    for kind, (make, pool, nameless, prose) in KINDS.items():
        known = list(LABELS) if kind == "i18n module" else languages
        for i in range(PER_KIND):
            name, content = make(i, known[i % len(known)])
            yield Document(kind, name, content.encode(), pool, nameless, prose)
