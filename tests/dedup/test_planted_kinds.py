"""Planted truth by script, header, operator and translation: what is the same is joined, what differs is kept.

    pytest tests/dedup/test_planted_kinds.py -s

prints the table of docs/dedup.md: pairs that are the same and how many were joined (recall), pairs that differ and how
many stayed apart (precision).
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from handmade import doc_id
from planted import decisions_of, dedup

from pipeline.config import NearDups

# First and last letters to make words of; how many make one. Vowel signs stand among those of Hindi and Thai.
SCRIPTS = {
    "Latin": ("az", 6), "Russian": ("ая", 7), "Greek": ("αω", 6), "Arabic": ("بي", 5), "Hebrew": ("את", 5),
    "Hindi": ("कृ", 4), "Bengali": ("কৃ", 4), "Thai": ("กๅ", 30), "Khmer": ("កួ", 30), "Chinese": ("一鿋", 30),
    "Japanese": ("ぁん", 30), "Korean": ("가힣", 3), "Armenian": ("աֆ", 6), "Amharic": ("ሀፐ", 4),
}  # fmt: skip
UNSPACED = ("Thai", "Khmer", "Chinese", "Japanese")
CONFIG = NearDups(n_partitions=2)
N = 12  # documents of each kind
Edit = Callable[[list[str], random.Random], str]


def words_in(script: str, rng: random.Random, *, n: int = 90) -> list[str]:
    (first, last), size = SCRIPTS[script]
    letters = [c for c in map(chr, range(ord(first), ord(last) + 1)) if unicodedata.category(c)[0] in "LM"]
    letters = [c for c in letters if c != "\u0640"]
    return ["".join(rng.choice(letters) for _ in range(size)) for _ in range(n if script not in UNSPACED else 30)]


def prose(words: list[str]) -> str:
    return "".join(f"{' '.join(words[i : i + 8])}.\n" for i in range(0, len(words), 8))


def one_word_changed(words: list[str], rng: random.Random) -> str:
    changed = list(words)
    place = rng.randrange(len(words))
    changed[place] = changed[place][::-1] if len(changed[place]) < 30 else changed[place][:28] + changed[0][:2]
    return prose(changed)


def same_texts() -> dict[str, Edit]:
    """Changes after which a text is still the same."""
    return {
        "one word changed": one_word_changed,
        "NFD": lambda words, _: unicodedata.normalize("NFD", prose(words)),
        "joiners and marks": lambda words, _: prose(["\u200e" + w[:1] + "\u200d" + w[1:] + "\ufe0f" for w in words]),
        "other layout": lambda words, _: "\r\n\r\n".join(prose(words).split("\n")),
    }


def joined(folder: Path, pairs: list[tuple[str, str]], *, pool: str = "code") -> int:
    """How many pairs lose one of their two."""
    texts = [t for pair in pairs for t in pair]
    columns = {"pool_hint": [pool] * len(texts)}
    got = decisions_of(dedup(folder, [texts], config=CONFIG, **columns), n_shards=1)
    return sum(not (got[doc_id(0, 2 * i)]["keep"] and got[doc_id(0, 2 * i + 1)]["keep"]) for i in range(len(pairs)))


@pytest.mark.parametrize("script", SCRIPTS)
def test_texts_of_a_script_are_joined_where_they_are_the_same_and_only_there(tmp_path: Path, script: str) -> None:
    rng = random.Random(script)
    texts = [words_in(script, rng) for _ in range(N)]
    same = [(prose(t), edit(t, rng)) for i, t in enumerate(texts) for edit in [list(same_texts().values())[i % 4]]]
    shell = "\n    make all\n    make install prefix=/usr\n    make test verbose=1 jobs=4\n    make clean\n"
    other = [(prose(words_in(script, rng)) + shell, prose(words_in(script, rng)) + shell) for _ in range(N)]
    n_same, n_other = joined(tmp_path / "same", same), joined(tmp_path / "other", other)
    print(f"| {script} | {n_same} of {len(same)} | {len(other) - n_other} of {len(other)} |")
    assert n_same == len(same)
    assert n_other == 0


def program(rng: random.Random, *, names: list[str] | None = None, signs: str = "+-*", n: int = 24) -> str:
    """Lines of arithmetic."""
    names = names or [f"{a}{b}" for a in ("rate", "size", "next", "last") for b in range(20)]
    lines = []
    for _ in range(n):
        a, b, c, d = rng.sample(names, 4)
        lines.append(f"{a} = {b} {rng.choice(signs)} ({c} {rng.choice(signs)} {d});")
    return "\n".join(lines)


HEADER = "".join(f"# Copyright line {i} of a licence which grants some rights to all who read it\n" for i in range(12))


def code_pairs(rng: random.Random) -> dict[str, tuple[bool, tuple[str, str]]]:
    """A kind, whether its two are the same, and the two."""
    seed, body, other = rng.random(), program(rng), program(rng)
    strings = [(f"key_{rng.randrange(10**6)}", words_in("Latin", rng, n=4)) for _ in range(30)]

    def translation(script: str) -> str:
        return (
            "{\n" + ",\n".join(f'  "{k}": "{" ".join(words_in(script, rng, n=6)[:6])}"' for k, _ in strings) + "\n}\n"
        )

    def written(form: str) -> str:
        return "{\n" + ",\n".join(form.format(k=k, v=" ".join(v)) for k, v in strings) + "\n}\n"

    spaced = body.replace("(", "( ").replace(" = ", "=").replace(";", " ;\n")
    return {
        "formatting": (True, (body, spaced)),
        "brackets, commas, quotes": (True, (written('  "{k}": "{v}"'), written("  '{k}' : ['{v}']"))),
        "one operator changed": (True, (body, body.replace("+", "-", 1))),
        "another header": (True, (HEADER + body, HEADER.replace("some", "no").replace("#", "//") + body)),
        "no header": (True, (HEADER + "\n" + body, body)),
        "other operators": (False, (program(random.Random(seed)), program(random.Random(seed), signs="/%&"))),
        "one long header": (False, (HEADER + body[:400], HEADER + other[:400])),
        "translations": (False, (translation("Russian"), translation("Chinese"))),
        "translations, one script": (False, (translation("Arabic"), translation("Arabic"))),
    }


def test_code_is_joined_where_it_is_the_same_and_only_there(tmp_path: Path) -> None:
    rng = random.Random(11)
    made = [code_pairs(rng) for _ in range(N)]
    for kind, (is_same, _) in made[0].items():
        n = joined(tmp_path / kind, [m[kind][1] for m in made])
        print(f"| {kind} | {f'{n} of {N}' if is_same else ''} | {'' if is_same else f'{N - n} of {N}'} |")
        assert n == (N if is_same else 0), kind


@pytest.mark.parametrize("n_topic_words", [6, 24, 60])
def test_texts_under_one_template_part_where_their_topic_fills_enough_of_them(
    tmp_path: Path, n_topic_words: int
) -> None:
    """240 words of frame, a topic in three places. Jaccard sees a share of words, not what they are about."""
    rng = random.Random(n_topic_words)
    frame = words_in("Latin", rng, n=240)

    def page() -> str:
        topic, third = words_in("Latin", rng, n=n_topic_words), n_topic_words // 3
        return prose([w for i in range(3) for w in frame[80 * i : 80 * i + 80] + topic[third * i : third * i + third]])

    n = joined(tmp_path, [(page(), page())])
    print(f"| one template, {n_topic_words} of {240 + n_topic_words} words differ | | {1 - n} of 1 |")
    assert n == (n_topic_words < 60)
