"""What documents share with items of benchmarks: what tells an item is found, what everybody writes is not."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import doc_id, documents, unredacted

from pipeline.arrays.columns import bytes_of
from pipeline.config import Against, Mixture, Source
from pipeline.dedup.against import open_benchmarks
from pipeline.dedup.benchmark_index import index_runs, search
from pipeline.dedup.benchmark_items import Benchmarks
from pipeline.dedup.overlaps import find_overlaps
from pipeline.dedup.passages import find_words
from pipeline.dedup.shingles import shingle
from pipeline.dedup.telling import telling_words
from pipeline.errors import ConfigError
from pipeline.select.contaminated import is_contaminated
from pipeline.select.settings import BenchmarkLimits

NAMES = [f"{a}_{b}" for a in ("read", "write", "open", "count") for b in ("line", "file", "word", "page", "row")]
STATEMENT = (
    "Return the shortest suffix that turns a given string into a palindrome, in lower case letters and no spaces"
)


def program(seed: int) -> str:
    rng = random.Random(seed)
    lines = [f"def {rng.choice(NAMES)}_{seed}(x):"]
    lines += [
        f"    {rng.choice(NAMES)} = {rng.choice(NAMES)}({rng.choice(NAMES)}, {rng.choice(NAMES)})" for _ in range(60)
    ]
    return "\n".join(lines) + "\n"


def benchmarks_of(*entries: Against) -> Benchmarks:
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    return open_benchmarks(Mixture(name="new", sources=sources, against=entries))


def items_in(folder: Path, items: list[str], *, name: str = "tasks", **settings: Any) -> Against:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in items), encoding="utf-8")
    return Against(name=name, kind="jsonl", path=str(file), content="text", **settings)


def found_in(contents: list[str], config: Benchmarks) -> pa.Table:
    made = documents(0, contents)
    return find_overlaps(made, unredacted(made), config=config)


def matches_of(entry: Against, contents: list[str]) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = found_in(contents, benchmarks_of(entry))["matches"].to_pylist()
    return found


def flagged(entry: Against, contents: list[str]) -> list[bool]:
    """Which documents the limits of the entry drop."""
    table = found_in(contents, benchmarks_of(entry))
    names = BenchmarkLimits.model_fields
    limits = (BenchmarkLimits(**{name: getattr(entry, name) for name in names}),)
    dropped: list[bool] = is_contaminated(table["matches"].combine_chunks(), limits=limits).tolist()
    return dropped


def test_documents_that_hold_items_are_found_with_the_place_in_both(tmp_path: Path) -> None:
    entry = items_in(tmp_path, [STATEMENT, program(9)])
    every_tenth = program(9).splitlines()
    for line in range(0, 60, 10):
        every_tenth[line] = f"    edited_{line} = 1"
    contents = [
        "one two = 1\n# RETURN the shortest -- suffix, that turns a given string into a palindrome; in LOWER\ny = 2\n",
        "# the shortest suffix that turns a given string into\n",  # 9 words: stored, and no leak
        "\n".join(every_tenth),
        program(10),
        "",
    ]
    table = found_in(contents, benchmarks_of(entry))
    assert table["doc_id"].to_pylist() == [doc_id(0, i) for i in range(5)]
    found = table["matches"].to_pylist()
    assert [[match["item"] for match in matches] for matches in found] == [[0], [0], [1], [], []]
    (match,) = found[0]
    assert match == {
        "benchmark": "tasks",
        "item": 0,
        "n_ngrams": 2,
        "n_telling_words": 6,  # shortest suffix that turns given palindrome
        "contained_frac": match["contained_frac"],
        "first_word": 3,
        "last_word": 17,
        "first_item_word": 0,
        "last_item_word": 14,
    }
    assert found[2][0]["contained_frac"] > 0.6
    assert flagged(entry, contents) == [True, False, True, False, False]


EVERYWHERE = {
    "numbers": ", ".join(str(n) for n in range(40)),
    "zeros": "0, " * 40,
    "the alphabet": " ".join("abcdefghijklmnopqrstuvwxyz"),
    "powers of two": ", ".join(str(2**n) for n in range(30)),
    "loops": "for i in range(0, n): for j in range(i + 1, n): if arr[i] == arr[j]: return arr[i][j] " * 2,
    "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec January February March April",
    "filler": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed eiusmod tempor incididunt labore",
    "imports": "from collections import Counter, OrderedDict, defaultdict, deque, namedtuple, ChainMap, UserDict, abc\n"
    * 2,
    "uses": "use std::collections::BTreeMap;\nuse serde::{Deserialize, Serialize};\nusing System.Collections.Generic;\n"
    * 2,
    "includes": "".join(f"#include <{name}.h>\n" for name in ("stdio", "stdlib", "string", "assert", "signal") * 3),
    "a rights comment": "# Copyright (c) 2019 The Authors. Licensed under the Apache License, Version 2.0 (the X);\n"
    "# you may not use this file except in compliance with the License.\n\n",
}


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_what_everybody_writes_is_no_leak_though_an_item_holds_it(tmp_path: Path, kind: str) -> None:
    text = EVERYWHERE[kind]
    entry = items_in(tmp_path, [text + "\n" + STATEMENT, text])
    assert flagged(entry, [text + "\nvoid other() {}\n", text + "\n" + STATEMENT]) == [False, True]


def test_a_sentence_that_begins_like_an_import_tells(tmp_path: Path) -> None:
    item = "use recursion whenever balanced brackets enclose nested palindromes within alternating vowels and more"
    assert flagged(items_in(tmp_path, [item]), [item]) == [True]


def test_what_stands_in_many_items_tells_none_of_them(tmp_path: Path) -> None:
    harness = (
        "Verify the candidate by comparing observed outcomes with recorded expectations, printing every mismatch found"
    )
    few = [program(k) + (harness if k < 4 else "") for k in range(8)]
    assert flagged(items_in(tmp_path, few), [harness]) == [True]
    many = [program(k) + (harness if k < 5 else "") for k in range(8)]
    assert flagged(items_in(tmp_path, many), [harness, program(3) + harness]) == [False, True]


def test_a_problem_in_many_languages_is_found_though_it_stands_in_as_many_items(tmp_path: Path) -> None:
    items = [f"{STATEMENT} {k} language{k}" if k < 9 else f"item{k} says thing{k} only" for k in range(1000)]
    assert flagged(items_in(tmp_path, items), [STATEMENT]) == [True]


def test_words_that_are_strewn_over_a_long_document_are_no_leak(tmp_path: Path) -> None:
    entry = items_in(tmp_path, [program(9)], min_contained_frac=0.5)
    lines = program(9).splitlines()
    filler = "    x = 1\n" * 100
    assert flagged(entry, ["\n".join(lines), (filler + "\n").join(lines)]) == [True, False]


def test_of_equal_items_the_first_is_named_and_of_two_measures_each_has_its_item(tmp_path: Path) -> None:
    entry = items_in(tmp_path, [program(1) + STATEMENT, STATEMENT, STATEMENT])
    one, two = matches_of(entry, [STATEMENT, "".join(program(1).splitlines()[-3:]) + STATEMENT])
    assert [(match["item"], match["contained_frac"]) for match in one] == [(1, 1.0)]
    assert [(match["item"], match["contained_frac"]) for match in two] == [(0, 0.0), (1, 1.0)]
    assert two[0]["n_telling_words"] > two[1]["n_telling_words"] == one[0]["n_telling_words"]


def test_each_benchmark_is_judged_by_its_own_limits_and_runs(tmp_path: Path) -> None:
    entries = (
        items_in(tmp_path, [STATEMENT], name="short", ngram_words=6),
        items_in(tmp_path, [program(3), STATEMENT], name="long"),
    )
    text = "the shortest suffix that turns a given string"
    column = found_in([text], benchmarks_of(*entries))["matches"].combine_chunks()
    (matches,) = column.to_pylist()
    assert [(match["benchmark"], match["item"], match["n_ngrams"]) for match in matches] == [("short", 0, 3)]
    n = matches[0]["n_telling_words"]
    for short, long, dropped in ((n, n + 1, True), (n + 1, n, False)):
        limits = [
            BenchmarkLimits(name=name, min_telling_words=words, min_contained_frac=1.0)
            for name, words in (("short", short), ("long", long))
        ]
        assert is_contaminated(column, limits=limits).tolist() == [dropped]


@pytest.mark.parametrize(("share", "found"), [(0.25, True), (0.25 + 1e-9, False)])
def test_an_item_of_which_just_enough_is_contained_is_found(tmp_path: Path, share: float, found: bool) -> None:
    """Eight words make four shingles; the document holds one of them."""
    item = "peculiar violet walruses juggle marble teapots beneath chandeliers"
    entry = items_in(tmp_path, [item], min_contained_frac=share)
    assert flagged(entry, [item.rpartition("teapots")[0] + "lamps"]) == [found]


def test_a_short_item_that_says_nothing_of_its_own_is_contained_in_nothing(tmp_path: Path) -> None:
    entry = items_in(tmp_path, ["write a function to reverse the list", "peculiar violet walruses juggle teapots"])
    texts = ["# write a function to reverse the list", "peculiar violet walruses juggle teapots here"]
    assert flagged(entry, texts) == [False, True]


def reference(items: list[list[str]], document: list[str], n: int) -> dict[int, int]:
    """For each item the most distinct words of shared runs within three times its length, slowly."""
    found: dict[int, int] = {}
    for number, item in enumerate(items):
        runs = {tuple(item[k : k + n]) for k in range(len(item) - n + 1)}
        hits = [k for k in range(len(document) - n + 1) if tuple(document[k : k + n]) in runs]
        for first in hits:
            near = [k for k in hits if first <= k <= first + 3 * len(item) + n]
            words = {word for k in near for word in document[k : k + n]}
            found[number] = max(found.get(number, 0), len(words))
    return found


def test_the_densest_place_is_what_a_slow_search_finds() -> None:
    rng = random.Random(5)
    vocabulary = [f"word{chr(97 + k)}x" for k in range(4)]
    items = [[rng.choice(vocabulary) for _ in range(rng.randrange(3, 9))] for _ in range(4)]
    data, offsets = bytes_of(pa.array([" ".join(item).encode() for item in items], pa.large_binary()))
    runs = index_runs(data, offsets, telling_words(data, offsets), np.zeros(4, np.int64), n_words=3, counts="words")
    for _ in range(60):
        document = [rng.choice([*vocabulary, "no", "0"]) for _ in range(rng.randrange(120))]
        text = np.frombuffer(" ".join(document).encode(), np.uint8)
        bounds = np.zeros(1, np.int64), np.array([text.size])
        found = search(runs, *shingle(text, *bounds, n_words=3, kind="unicode", fold_case=True))
        assert dict(zip(found.items.tolist(), found.n_units.tolist(), strict=True)) == reference(items, document, 3)


TEXTS = {
    "ASCII": "def  f(x):\n    return (x+1)  # add_one;\n",
    "accents": "Où est — l'été ? Là-bas, être naïve\n",
    "marks": "cafe\u0301 noir e\u0301te\u0301\n",
    "Chinese": "这是一个关于共享训练数据的句子 with words 和更多的字\n",
    "signs": "∑ x ≤ y → «z»\n",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_passage_is_cut_where_the_words_that_are_counted_begin_and_end(kind: str) -> None:
    text = TEXTS[kind].encode()
    n = _n_words(text)
    assert n > 2
    pieces = [find_words(text, k, k + 1) for k in range(n)]
    assert all(_n_words(text[a:b]) >= 1 for a, b in pieces)
    assert all(b <= c for (_, b), (c, _) in pairwise(pieces))
    assert find_words(text, 1, n) == (pieces[1][0], len(text.rstrip()))
    text[pieces[0][0] : pieces[-1][1]].decode()


def test_a_passage_of_plain_words_is_just_those() -> None:
    text = b"  one, two_2 (three)  four\n"
    assert [text[slice(*find_words(text, k, k + 1))] for k in range(4)] == [b"one,", b"two_2 (", b"three)", b"four"]
    assert text[slice(*find_words(text, 1, 3))] == b"two_2 (three)"
    assert find_words(text, 9, 12) == (len(text), len(text))


def _n_words(text: bytes) -> int:
    data = np.frombuffer(text, np.uint8)
    return int(shingle(data, np.zeros(1, np.int64), np.array([data.size]), n_words=1, kind="unicode")[1][-1])


UNREAD = {
    "a key that is not there": ({"text": "a b"}, "against.tasks.content: items.jsonl has no key 'content'"),
    "a row without text": ({"content": 7}, "against.tasks: 1 of 2 items cannot be read, the first in items.jsonl#"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_an_item_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    """Nobody would look for it, and the run would say that its benchmark is not in the data."""
    row, message = UNREAD[kind]
    first = row if "not there" in kind else {"content": program(9)}
    (tmp_path / "items.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(row)}\n", encoding="utf-8")
    entry = Against(name="tasks", kind="jsonl", path=str(tmp_path / "items.jsonl"))
    with pytest.raises(ConfigError) as caught:
        found_in([program(9)], benchmarks_of(entry))
    assert message in str(caught.value)


def test_an_item_without_text_is_nothing_to_look_for(tmp_path: Path) -> None:
    rows = [{"content": ""}, {"content": program(9)}]
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    config = benchmarks_of(Against(name="tasks", kind="jsonl", path=str(tmp_path / "items.jsonl")))
    (matches,) = found_in([program(9)], config)["matches"].to_pylist()
    assert [match["item"] for match in matches] == [1]


def test_a_benchmark_that_is_not_there_is_named_as_the_mixture_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^against\.tasks\.path: .*gone\.jsonl does not exist"):
        benchmarks_of(Against(name="tasks", kind="jsonl", path=str(tmp_path / "gone.jsonl")))
