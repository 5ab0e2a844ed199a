"""Code or text, on documents that are easily taken for the other: by content alone, under their own name, and under a
name that misleads. All of them are made up here."""

import json

import pytest

from pipeline.language.decide import Declared, classify_batch

PROSE = b"""\
The ferry left an hour late because the mate had gone ashore to buy lamp oil, and nobody wanted to cross the strait
without a light. While we waited, the old woman beside me counted her eggs twice and told me where each hen had laid
them. She was sure that one was missing. I said that eggs were easily lost on the road, but she shook her head and said
that her road had no holes in it.

When the mate came back he carried two cans and a newspaper. The paper said that the bridge would be finished in the
spring, and that the ferry would then be sold. He read it to us aloud, slowly, as if it were about somebody else.
"""

GERMAN = """\
Der Müller hatte drei Söhne, aber nur ein Rad, und das stand still, seit der Bach im Sommer trocken lag. Am Abend saßen
sie vor dem Haus und hörten auf das Wasser, das nicht kam. Der Älteste sagte, man müsse einen Brunnen graben. Der
Jüngste meinte, es werde bald regnen, denn die Schwalben flögen so tief, dass die Katze sie beinahe fing.
""".encode()

JAPANESE = """\
港の朝はいつも早い。船が戻る前に、女たちは箱を並べ、氷を割り、湯を沸かしておく。今日は風が強く、誰も沖のことを口にしなかった。
やがて一番小さな船が堤防の向こうに見え、犬が吠えた。それを聞いて、みんなようやく笑った。
""".encode()

LICENCE = b"""\
Lantern Licence, version 2

Copyright (c) 2021 the lantern makers. All rights that this text does not name are reserved.

1. You may use, copy, change and hand on this program, in source or in binary form, provided that every copy carries
   this notice and this list of conditions.
2. The names of the makers shall not be used to praise a changed copy unless they have agreed to it in writing.
3. THE PROGRAM IS GIVEN AS IT STANDS, WITHOUT ANY WARRANTY, AND THE MAKERS ARE NOT LIABLE FOR ANY DAMAGE THAT ARISES
   FROM ITS USE, HOWEVER CAUSED.
"""

PYTHON = b'''\
"""Count the lamps of a street and say which of them are dark."""

import sys
from dataclasses import dataclass


@dataclass
class Lamp:
    number: int
    lit: bool = False


def dark(lamps: list[Lamp]) -> list[int]:
    # A lamp without a number is never dark: nobody could go and light it.
    return [lamp.number for lamp in lamps if not lamp.lit and lamp.number > 0]


if __name__ == "__main__":
    street = [Lamp(int(word), word.endswith("0")) for word in sys.argv[1:]]
    print(", ".join(str(number) for number in dark(street)) or "all lit")
'''

WORDY_C = b"""\
/*
 * The lamp lighter walks the street from the harbour to the mill. He never turns back, because the oil that he carries
 * is just enough for one walk, and he knows it. Each lamp is looked at once. If it burns, he goes on; if it does not,
 * he lights it and writes its number down, so that the clerk can pay him in the morning.
 */
static int walk(struct lamp *lamps, int n)
{
    int lit = 0;
    for (int i = 0; i < n; i++)
        if (!lamps[i].burns)
            lit += light(&lamps[i]);
    return lit;
}
"""

CSV = b"number,street,lit,note\n" + b"".join(
    b'%d,Mill Lane,%s,"The lamp is old, but it burns."\n' % (n, b"yes" if n % 3 else b"no") for n in range(40)
)
LOG = b"".join(
    b"2026-01-%02d 18:%02d:07 INFO lighter[%d]: lamp %d was dark and has been lit\n" % (n % 28 + 1, n, 400 + n, n)
    for n in range(40)
)
MAN_PAGE = b"""\
.TH LIGHTER 1 "May 2024" "lighter 2.1" "User Commands"
.SH NAME
lighter \\- walk along a street and light its lamps
.SH SYNOPSIS
.B lighter
[\\fB\\-q\\fR] [\\fIstreet\\fR ...]
.SH DESCRIPTION
Without a street, \\fBlighter\\fR reads their names from standard input, one on each line, and walks them in that order.
A lamp that burns already is left alone.
"""
HTML = b"""\
<!DOCTYPE html>
<html lang="en">
<head><title>The last ferry</title></head>
<body>
<h1>The last ferry</h1>
<p>The ferry left an hour late because the mate had gone ashore to buy lamp oil, and nobody wanted to cross the strait
without a light.</p>
<p>While we waited, the old woman beside me counted her eggs twice.</p>
</body>
</html>
"""
MARKDOWN = b"""\
# Lighter

Walks along a street and lights its lamps. See the [manual](docs/manual.md) for the oil that it needs.

## Install

```sh
make && make install
```

- `-q` says nothing
- `-n` lights nothing, and only **counts** the lamps
"""
NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": PROSE.decode().splitlines(True)},
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": PYTHON.decode().splitlines(True)},
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    },
    indent=1,
).encode()

OWN_NAMES = [
    # name, content, pool
    ("ferry.txt", PROSE, "text"),
    ("mueller.txt", GERMAN, "text"),
    ("minato.txt", JAPANESE, "text"),
    ("LICENSE", LICENCE, "text"),
    ("lamps.py", PYTHON, "code"),
    ("walk.c", WORDY_C, "code"),
    ("lamps.csv", CSV, "code"),
    ("lighter.log", LOG, "code"),
    ("lighter.1", MAN_PAGE, "code"),
    ("ferry.html", HTML, "code"),
    ("README.md", MARKDOWN, "code"),
    ("street.ipynb", NOTEBOOK, "code"),
]
MISLEADING_NAMES = [
    ("notes.py", PROSE, "text"),
    ("notes.js", GERMAN, "text"),
    ("notes.c", JAPANESE, "text"),
    ("lamps.txt", PYTHON, "code"),
    ("walk.txt", WORDY_C, "code"),
    ("page.txt", HTML, "code"),
    ("lamps.js", CSV, "code"),
    ("lamps.sql", LOG, "code"),
]


def pool_of(name: str, content: bytes) -> str:
    return classify_batch([name], [content])[0].pool


@pytest.mark.parametrize(("name", "content", "pool"), OWN_NAMES)
def test_content_alone_tells_the_pool(name: str, content: bytes, pool: str) -> None:
    assert pool_of("", content) == pool


@pytest.mark.parametrize(("name", "content", "pool"), OWN_NAMES)
def test_a_true_name_does_not_change_the_pool(name: str, content: bytes, pool: str) -> None:
    assert pool_of(name, content) == pool


@pytest.mark.parametrize(("name", "content", "pool"), MISLEADING_NAMES)
def test_a_misleading_name_does_not_change_the_pool(name: str, content: bytes, pool: str) -> None:
    assert pool_of(name, content) == pool


def test_the_source_has_the_last_word() -> None:
    found = classify_batch(
        ["lamps.py", "", ""], [PYTHON, PYTHON, PROSE], declared=[Declared("text"), Declared("text"), Declared("code")]
    )
    assert [verdict.pool for verdict in found] == ["text", "text", "code"]
