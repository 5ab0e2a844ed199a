"""What a name says is read once for each name: the same as when name and value are asked one after the other."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.privacy import assigned as rules
from pipeline.privacy.kinds import named
from pipeline.privacy.looks import entropy, is_example, looks_chosen, looks_random, nests

WORDS = [word for kind in named() for word in kind.names]
NAMES = st.lists(
    st.sampled_from([*WORDS, "password", "PASSWD", "token", "tokenizer", "secret", "api_key", "pub", "public", "hash",
                     "_id", "get", "is", "--", "my", ".", "-", "x", "user"]),
    min_size=1, max_size=3,
).map("".join) | st.sampled_from(["token", "secret", "password_hash", "secret_id", "pwd"])  # fmt: skip
VALUES = st.one_of(
    st.text("abcXYZ0123456789_-./+=", min_size=7, max_size=44),
    st.text("0123456789abcdef", min_size=32, max_size=40),
    st.sampled_from(
        [
            "q8Zr3kPz0WmX",
            "hunter2!A$x9#",
            "!x$wq&Zo(p",
            "EXAMPLEKEY1234",
            "aaaaaaaaaaaa",
            "f(x).y[0]=>1",
            "${TOKEN_VALUE}",
            "pa$$W0rd#12",
        ]
    ),
)


def plain(name: str) -> str:
    found = rules._SIGNS.sub("", name.lower())
    return "" if rules._PUBLIC.search(found) else found


def kind_of(name: str, value: bytes, *, quoted: bool, unquoted: bool, is_argument: bool) -> str | None:
    """By the rules, one after the other."""
    pattern, by_word = rules._by_word()
    for word in pattern.findall(plain(name)):
        for kind in by_word[word]:
            sound = kind.value.fullmatch(value) and not is_example(value, repeats=kind.repeats)
            if sound and plain_entropy(value) >= kind.min_entropy and rules._is_mixed(value):
                return kind.name
    if is_argument and (plain_entropy(value) < rules.MIN_ARGUMENT_ENTROPY or rules._ASKS.match(plain(name))):
        return None
    return drawn_as(name, value, quoted=quoted, unquoted=unquoted)


def drawn_as(name: str, value: bytes, *, quoted: bool, unquoted: bool) -> str | None:
    said = plain(name)
    if not rules._WORDS.search(said) or rules._ABOUT.search(said) or is_example(value):
        return None
    is_password = rules._PASSWORDS.search(said) is not None
    if quoted:
        sound = looks_random(value) or ((is_password or "token" not in said) and looks_chosen(value))
    else:
        chosen = looks_chosen(value) and not rules._NO_START.match(value) and (unquoted or not nests(value))
        sound = chosen or (unquoted and looks_random(value) and not rules._NO_VALUE.search(value))
    return ("assigned_password" if is_password else "assigned_secret") if sound else None


def plain_entropy(value: bytes) -> float:
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


@given(st.binary(min_size=1, max_size=300))
def test_entropy_is_the_same_to_the_last_bit(value: bytes) -> None:
    assert entropy(value) == plain_entropy(value)


@settings(max_examples=1_000)
@given(NAMES, VALUES, st.booleans(), st.booleans())
def test_a_value_is_what_its_name_says_by_each_rule(name: str, value: str, quoted: bool, unquoted: bool) -> None:
    text = f'{name}="{value}" ' if quoted else f"{name}={value} "
    sign = len(name)
    match = rules._VALUE.match(text.encode(), sign)
    low_name = rules._NAME.match(name.encode()[::-1])
    found = rules.assigned(memoryview(text.encode()), sign, 0, len(text), unquoted=unquoted)
    if match is None or low_name is None:
        assert found is None
        return
    group = "quoted" if match["quoted"] is not None else "bare"
    seen = low_name[1][::-1].decode()
    kind = kind_of(seen, match[group], quoted=group == "quoted", unquoted=unquoted, is_argument=False)
    assert found == ((*match.span(group), kind) if kind else None)


@settings(max_examples=1_000)
@given(NAMES, VALUES)
def test_an_argument_is_what_its_name_says_by_each_rule(name: str, value: str) -> None:
    text = f'{name} "{value}" '.encode()
    sign = len(name) + 1
    found = rules.argument(memoryview(text), sign, 0, len(text))
    match, before = rules._STRING.match(text, sign), rules._NAME_BEFORE_QUOTE.match(text[:sign][::-1])
    kind = None
    if match is not None and before is not None:
        kind = kind_of(before[1][::-1].decode(), match[2], quoted=True, unquoted=False, is_argument=True)
    assert found == ((sign + 1, sign + 1 + len(value), kind) if kind else None)


@given(NAMES, VALUES)
def test_what_is_compared_is_drawn_as_the_name_says(name: str, value: str) -> None:
    """No issuer's form is asked for here."""
    text = f'"{value}" == {name} '.encode()
    sign = len(value) + 3
    found, after = rules.compared(memoryview(text), sign, 0, len(text)), rules._NAME_AFTER.match(text, sign)
    kind = None
    if after is not None and len(value) >= 8:
        kind = drawn_as(after[1].decode(), value.encode(), quoted=True, unquoted=False)
    assert found == ((1, 1 + len(value), kind) if kind else None)


def found_in(line: bytes, *, unquoted: bool = False) -> str | None:
    span = rules.assigned(memoryview(line), line.index(b"="), 0, len(line), unquoted=unquoted)
    return span and span[2]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'linkedin_id = "configurat1ons"', "linkedin_client_id"),
        (b'linkedin_id = "configurations"', None),  # a word
        (b'linkedin_id = "EXAMPLEkey7Qw2"', None),  # an issuer's form, and it says that it is none
        (b'looker_id = "qwzxvkjhpmtrgdlfnbscyaeu"', "looker_client_secret"),  # too long to be a word
        (b'fbappsecret_id = "9f86d081884c7d659a2feaa0c55ad015"', "facebook_secret"),  # not the shorter word's, fbapp
        (b'my_secret = "q8Zr3kPz0WmXv5Lt"', "assigned_secret"),
        (b'my_secret = "q8Zr3EXAMPLEv5Lt"', None),
        (b'my_secret = "8__________0c7_0X$5a0--!9d!2&5Z!b"', None),  # a form that somebody filled
        (b"my_password = q/cffZ7#f#Z@!05$166", "assigned_password"),
        (b"my_password = @/cffZ7#f#Z@!05$166", None),  # begins as a path, a template or a variable does
    ],
)
def test_what_is_of_an_issuers_form_or_drawn_is_told_from_words_and_examples(line: bytes, kind: str | None) -> None:
    assert found_in(line, unquoted=True) == kind
