"""Unicode with damaged places: what is sound stays, what can be told is repaired, the rest is U+FFFD and counted."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.damaged import REPLACEMENT, Repaired, look, n_wide, wide
from pipeline.sources.decode import decode

CODE = "int main(void) { return 0; }\n" * 3
SMILE = b"\xed\xa0\xbd\xed\xb8\x80"  # U+1F600 as two halves of three bytes
CSHARP = "using System;\r\n// Größe\r\nclass Store { int Load() { return 1; } }\r\n"


@pytest.mark.parametrize(
    ("raw", "text", "n_replaced", "n_repaired"),
    [
        ("// © Müller".encode() + b" \xff\n", "// © Müller \ufffd\n", 1, 0),
        ("// ──── ✓\n".encode() + b"x = '\xe2\x80'\n", "// ──── ✓\nx = '\ufffd'\n", 1, 0),
        ("// 读取文件名称".encode()[:-1], "// 读取文件名\ufffd", 1, 0),
        ("// né\n".encode() + b"// caf\xc3", "// né\n// caf\ufffd", 1, 0),  # cut: no line of another encoding
        ("// né".encode() + b" \xc0\xaf\n", "// né \ufffd\ufffd\n", 2, 0),  # an overlong slash is none
        (b"// ok " + SMILE + b"\n", "// ok \U0001f600\n", 0, 1),
        ("// né ".encode() + SMILE + b" \xed\xa0\xbd.\n", "// né \U0001f600 \ufffd\ufffd\ufffd.\n", 3, 1),
        ("// né ".encode() + b"a\xc0\x80b\n", "// né a\0b\n", 0, 1),  # Java's NUL
        (b"\xef\xbb\xbf" + "// né ".encode() + b"\xe9\n", "// né \ufffd\n", 1, 0),
        ("// a\ufeffb".encode() + b"\xff\n", "// a\ufeffb\ufffd\n", 1, 0),  # a mark in the middle is a character
        ("// für später, größer\n".encode() + b"// f\xfcr fr\xfcher\n", "// für später, größer\n// für früher\n", 0, 1),
    ],
)  # fmt: skip
def test_utf8_stays_utf8_when_places_are_damaged(raw: bytes, text: str, n_replaced: int, n_repaired: int) -> None:
    code = CODE.encode()
    found = decode(raw.replace(b"\xef\xbb\xbf", b"\xef\xbb\xbf" + code) if raw[:1] == b"\xef" else code + raw)
    assert found.content.decode() == CODE + text
    assert found[1:] == ("utf-8-damaged", 1.0, n_replaced, n_repaired)


def test_mojibake_stays_as_it_is_when_it_is_valid() -> None:
    raw = "Größe".encode().decode("cp1252").encode()
    assert decode(raw)[:2] == (raw, "utf-8")


def test_more_bad_places_than_good_are_no_utf8() -> None:
    good, bad = "// é\n".encode(), "// Prüfung der größten Länge\n".encode("cp1252")
    assert decode(CODE.encode() + good + bad).encoding != "utf-8-damaged"
    assert decode(CODE.encode() + good * 3 + bad).encoding == "utf-8-damaged"


@pytest.mark.parametrize(
    ("name", "mark"),
    [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-16-le", b""), ("utf-16-be", b""),
     ("utf-32-le", b"\xff\xfe\0\0"), ("utf-32-be", b"\0\0\xfe\xff"), ("utf-32-le", b""), ("utf-32-be", b"")],
)  # fmt: skip
def test_wide_text_is_text_when_a_place_is_damaged(name: str, mark: bytes) -> None:
    raw = mark + CSHARP.encode(name)
    said = f"{name[:6] if mark else name}-damaged"
    half = "\ud83d".encode(name, "surrogatepass")
    nul = "\0".encode(name)
    where = len(mark) + len(CSHARP[:20].encode(name))
    assert decode(raw + b"\n") == ((CSHARP + "\ufffd").encode(), said, 1.0, 1, 0)
    for damage in (half, nul):
        found = decode(raw[:where] + damage + raw[where:])
        assert found == ((CSHARP[:20] + "\ufffd" + CSHARP[20:]).encode(), said, 1.0, 1, 0)


@pytest.mark.parametrize("mark", [b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"])
def test_random_bytes_are_binary_with_any_mark(mark: bytes) -> None:
    source = random.Random(3)
    for n in (301, 4_000, 20_000):
        assert decode(mark + source.randbytes(n)).encoding == "binary"
        assert decode(mark + bytes(b or 1 for b in source.randbytes(n))).encoding == "binary"


def test_chance_sequences_in_another_encoding_are_no_utf8() -> None:
    """Words whose bytes hold as many sound sequences of UTF-8 as bad places."""
    words = (("ปรับปรุงแคช", "cp874"), ("缓存模式", "gb18030"), ("초기화", "cp949"), ("проверка прав", "cp866"))
    for text, encoding in words:
        raw = f"# {text}\n".encode(encoding)
        assert look(raw).is_utf8
        assert decode(CODE.encode() + raw).content.decode() == f"{CODE}# {text}\n"


@pytest.mark.parametrize("damage", [b"\xff", b"\xe8\xaf", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("text", ["don\u2019t stop ", "── x ── ", "x² + y² ", "привет мир "])
def test_bad_bytes_and_cut_characters_never_make_utf8_another_encoding(text: str, damage: bytes) -> None:
    """However well its sound places would read as another encoding, and though a third of all are bad."""
    n_good = sum(not c.isascii() for c in text)
    found = decode(CODE.encode() + b"# " + (text.encode() * 2 + (damage + b" ") * n_good) * 20 + b"\n")
    assert (found.encoding, found.n_replaced) == ("utf-8-damaged", 20 * n_good)


def test_many_good_places_are_no_chance_whatever_is_bad() -> None:
    found = decode(CODE.encode() + b"# " + "don\u2019t stop ".encode() * 40 + b"\xff\xfe\n")
    assert (found.encoding, found.n_replaced) == ("utf-8-damaged", 2)


def wide_by_all_of_it(raw: bytes, *, encoding: str) -> Repaired | None:
    """`wide` as it is meant: all of the text is made before its beginning is looked at."""
    text = raw.decode(encoding, errors="replace")
    n_before = text.count(REPLACEMENT)
    text = text.replace("\0", REPLACEMENT)
    sample = text[:4_096]
    n_odd = sum(not (c.isprintable() or c.isspace()) or c == REPLACEMENT for c in sample)
    if n_odd * 2 > len(sample) or n_odd * 20 > len(sample) + 20:
        return None
    strict = raw.decode(encoding, errors="ignore")
    return Repaired(text, n_before - strict.count(REPLACEMENT) + strict.count("\0"), 0)


WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("n_odd", [205, 206])  # of 4,096, where the bound lies
@pytest.mark.parametrize("last", ["\0", "\U0001f600", "a"])
def test_wide_text_is_judged_by_its_beginning_as_by_all_of_it(encoding: str, n_odd: int, last: str) -> None:
    """The last character of the sample decides; a mark before it and the halves of a pair shift where it ends."""
    n_odd -= last == "\0"
    raw = ("\0" * n_odd + "\U0001f600" * (4_095 - n_odd) + last + "a" * 9).encode(encoding)
    assert wide(raw, encoding=encoding) == wide_by_all_of_it(raw, encoding=encoding)
    assert (wide(raw, encoding=encoding) is None) == (n_odd + (last == "\0") > 205)


@given(st.sampled_from(WIDE), st.text(max_size=20), st.integers(0, 12), st.binary(max_size=9))
def test_damaged_wide_text_is_judged_by_its_beginning_too(encoding: str, text: str, shift: int, damage: bytes) -> None:
    raw = (text * 4_000).encode(encoding, errors="replace")[:20_000]
    for one in (raw, damage + raw[shift:], raw[shift:-1] + damage, raw + damage * 2_000):
        assert wide(one, encoding=encoding) == wide_by_all_of_it(one, encoding=encoding)


@given(st.text(st.characters(codec=None)))
def test_wide_characters_are_counted_like_one_by_one(text: str) -> None:
    assert n_wide(text) == sum(ord(c) > 0x7F for c in text)


@given(st.lists(st.sampled_from([b"a", b"\xff", b"\xe8\xaf", "é".encode(), "字".encode(), SMILE, b"\xc0\x80"])))
def test_sound_places_are_counted_like_one_by_one(parts: list[bytes]) -> None:
    places = look(b"".join(parts))
    nuls = places.text.count("\0")
    assert places.n_good == len(re.findall("[\x80-\ud7ff\ue000-\U0010ffff]", places.text)) + nuls
