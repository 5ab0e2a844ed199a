"""The tables of kinds: each row fits together, and is found in what its issuer describes."""

from pathlib import Path

import numpy as np
import pytest
from privacy import documented

from pipeline.privacy.by_hyperscan import hyperscan_places
from pipeline.privacy.find import find
from pipeline.privacy.kinds import CLASSES, MAX_BYTES, MIN_LITERAL, kinds, named, tokens
from pipeline.privacy.page import page
from pipeline.privacy.places import literal_places
from pipeline.privacy.replace import replaced, spans_of

SEEDS = range(10)
# Kinds whose rarer values are words by their looks: two letters and twelve that happen to be all small.
MAY_MISS = {"sumologic_id"}


def found(text: str) -> list[tuple[str, str]]:
    raw = text.encode()
    finds = find(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]), unquoted=np.array([False]))
    return [(kind, raw[a:b].decode()) for a, b, kind in spans_of(finds).get(0, [])]


def test_kinds_have_one_name_a_class_and_literals_that_the_pass_can_step_by():
    names = {token.name for token in tokens()} | {kind.name for kind in named()}
    assert not {token.name for token in tokens()} & {kind.name for kind in named()}
    assert len(kinds()) >= len(names) >= 300 and not names & set(CLASSES)
    assert {kind.cls for kind in kinds().values()} == set(CLASSES)
    assert all(len(text) >= MIN_LITERAL for token in tokens() for text in token.literals)
    assert all("*" not in p and "+" not in p for p in (_unclassed(t.then.pattern.decode()) for t in tokens()))


def _unclassed(pattern: str) -> str:
    """A pattern without its character classes: what is left must bound each repeat."""
    import re

    return re.sub(r"\[[^\]]*\]|\\.", "", pattern)


def test_every_kind_is_described():
    assert {t.name for t in tokens() if not t.is_armour} == documented.TOKENS.keys()
    assert {n.name for n in named()} == documented.NAMED.keys()


@pytest.mark.parametrize(
    ("kind", "description"),
    [(kind, d) for kind, descriptions in documented.TOKENS.items() for d in descriptions],
)
def test_a_token_is_found_whole_when_it_is_made_as_its_issuer_says(kind, description):
    for seed in SEEDS:
        value = documented.drawn(description, seed=seed)
        assert len(value) < MAX_BYTES
        [(said, text)] = found(f'x = "{value}"\n')
        assert said == kind
        assert value.endswith(text) and len(value) - len(text) <= value.find(text)
        assert found(f"x = {value}\n") and found(value)


@pytest.mark.parametrize("kind", sorted(documented.NAMED.keys() - MAY_MISS))
def test_a_value_is_found_when_its_name_says_who_issued_it(kind):
    word, description = documented.NAMED[kind]
    for seed in SEEDS:
        value = documented.drawn(description, seed=seed)
        assert [text for _, text in found(documented.assigned(word, value) + "\n")] == [value]


def test_nearly_every_kind_is_found_by_its_own_name():
    """Issuers' forms overlap (32 letters and digits), so the name may be a neighbour's; the find may not be missing."""
    said = []
    for kind, (word, description) in documented.NAMED.items():
        names = [k for k, _ in found(documented.assigned(word, documented.drawn(description, seed=1)))]
        said.append(names == [kind])
    assert sum(said) >= 0.9 * len(said)


@pytest.mark.parametrize("kind", sorted(documented.TOKENS))
def test_a_placeholder_has_the_sign_and_shape_of_its_kind_and_is_no_find(kind):
    value = documented.drawn(documented.TOKENS[kind][0], seed=3)
    before = f'x = "{value}"\n'
    raw = before.encode()
    finds = find(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]), unquoted=np.array([False]))
    [(text, spans)] = replaced([raw], [spans_of(finds)[0]], unquoted=[False], policies={})
    assert text is not None and found(text.decode()) == []
    assert len(text) == len(raw) and b"EXAMPLE" in text
    [(start, end, _)] = spans
    assert text[:start] == raw[:start] and text[end:] == raw[end:] and text[start:end] != raw[start:end]
    mine = [token for token in tokens() if token.name == kind]
    if mine[0].lead is None:
        assert any(text[start:end].startswith(literal) for token in mine for literal in token.literals)
    assert not (set(text[start:end]) - set(raw[start:end])) & set(b"\"'\\ \n")


def test_both_passes_find_the_literals_of_every_description():
    hyperscan = hyperscan_places()
    raw = "\n".join(documented.drawn(d, seed=2) for ds in documented.TOKENS.values() for d in ds).encode()
    data = np.frombuffer(raw, np.uint8)
    places, rows = literal_places(data)
    assert places.size >= len(documented.TOKENS)
    if hyperscan is not None:
        assert [a.tolist() for a in hyperscan(data)] == [places.tolist(), rows.tolist()]


def test_the_page_lists_every_kind():
    text = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
    assert text.endswith("\n" + page()), "docs/privacy.md should end with:\n" + page()
