"""The second definition of likeness: characters, not words."""

import unicodedata

import pytest

from pipeline.reading.agreement import agreement, visible

CODE = "\n".join(f"total_{i} = first_{i} + second[{i}] * {i * 7}" for i in range(40))
OTHER = "\n".join(f"while queue.pop() != sentinel_{i}: yield handler({i}, 'x{i}')" for i in range(40))
RIGHTS = "Copyright 2019 The Authors. Licensed under the Apache License, Version 2.0; you may not use this file except"


def agreed(one: str, two: str) -> float:
    return agreement(one.encode(), two.encode())


def test_equal_texts_agree_and_unrelated_ones_do_not() -> None:
    assert agreed(CODE, CODE) == 1
    assert agreed(CODE, OTHER) < 0.05
    assert agreed("", "") == agreed("a", "a") == 1
    assert agreed("a", "b") == agreed("", "x") == 0


def test_what_cannot_be_seen_does_not_count() -> None:
    assert agreed(CODE, CODE.replace("\n", "\r\n\t").replace(" ", "\u00a0\u200b")) == 1
    assert agreed("\ufeff" + CODE, CODE) == 1
    assert agreed("ÉCOLE DES FEMMES À PARIS " * 9, unicodedata.normalize("NFD", "école des femmes à paris " * 9)) == 1
    assert agreed("كتاب جديد في المدينة" * 5, "كتـــاب جديد في المديـنة" * 5) == 1


def test_an_edit_costs_a_little() -> None:
    edited = CODE.replace("total_7 =", "sum_7 =")
    assert 0.95 < agreed(CODE, edited) < 1


def test_operators_count() -> None:
    assert agreed("a + b - c * d", "a / b ** c // d") < 0.5


def test_translations_of_one_file_agree_little() -> None:
    keys = [f"menu.entry_{i}" for i in range(30)]
    one = "\n".join(f'"{k}": "Открыть последний документ из списка {i}",' for i, k in enumerate(keys))
    two = "\n".join(f'"{k}": "打开列表中最近使用过的文档并继续编辑第{i}页内容",' for i, k in enumerate(keys))
    assert agreed(one, two) < 0.5


STYLES = {
    "c": ["/*", " * %s", " */"],
    "lines": ["// %s", "//"],
    "hash": ["#!/bin/sh", "# %s"],
    "ml": ["(*", "  %s", "*)"],
    "xml": ['<?xml version="1.0"?>', "<!--", "  %s", "-->"],
    "m4": ["dnl %s"],
    "sql": ["-- %s"],
    "lisp": [";;; %s"],
    "tex": ["% %s"],
    "doc": ['"""%s', 'and more"""'],
    "jsp": ["<%--", " %s", "--%>"],
    "lua": ["--[[", "%s", "]]"],
}


@pytest.mark.parametrize("style", STYLES)
def test_a_leading_comment_that_speaks_of_rights_is_set_aside(style: str) -> None:
    header = "\n".join(line.replace("%s", RIGHTS) for line in STYLES[style])
    assert visible(f"{header}\n\n{CODE}".encode()) == visible(CODE.encode())
    silent = "\n".join(line.replace("%s", "what this file is about, in some more words") for line in STYLES[style])
    assert "whatthisfile" in visible(f"{silent}\n{CODE}".encode())


def test_a_comment_that_does_not_end_is_no_header() -> None:
    assert visible(f"/* {RIGHTS}\n{CODE}".encode()) == visible(f"/* {RIGHTS}".encode()) + visible(CODE.encode())


def test_a_commented_configuration_is_no_rights_comment() -> None:
    """It speaks of rights in its first lines, and goes on as a comment to its end."""
    settings = "".join(f"# option_{i}: what it does, and its default {i * 3}\n" for i in range(250))
    one = f"# {RIGHTS}\n#\n{settings}# option_9 = on\n"
    assert agreed(one, one.replace("option_7:", "choice_7:")) > 0.9
    assert agreed(one, one.replace("# ", "")) > 0.4  # the same, of which nothing is a comment; was 0
    assert agreed(f"# {RIGHTS}\n" + CODE, f"# {RIGHTS}\n" + OTHER) < 0.05  # a rights comment still does not count
