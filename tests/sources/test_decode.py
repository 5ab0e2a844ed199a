"""Raw bytes to UTF-8: every Unicode form, legacy encodings, what is binary, and promises that hold for any bytes."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.decode import decode

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"

RUSSIAN = "Функция возвращает длину строки, если она не пуста.\nИначе возвращает ноль и печатает предупреждение.\n"  # noqa: RUF001
GERMAN = "Die Prüfung schlägt fehl, wenn die Größe der Datei größer als das Maß ist.\n"
JAPANESE = "この関数は文字列の長さを返します。空の場合はゼロを返し、警告を表示します。設定ファイルを読み込みます。\n"
CHINESE = "这个函数返回字符串的长度。如果字符串为空，则返回零并打印警告。请先读取配置文件，然后再运行程序。\n"  # noqa: RUF001
KOREAN = "이 함수는 문자열의 길이를 반환합니다. 비어 있으면 영을 반환하고 경고를 출력합니다.\n"


def test_decode_returns_the_same_object_when_plain_utf8() -> None:
    raw = "größer — 東京\r\n".encode()
    content, encoding = decode(raw)[:2]
    assert content is raw
    assert encoding == "utf-8"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b"\xef\xbb\xbfint x;\r\n", "utf-8-sig"),
        ("int x;\r\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "int x;\r\n".encode("utf-16-be"), "utf-16"),
        ("int x;\r\n".encode("utf-32"), "utf-32"),
        (b"\x00\x00\xfe\xff" + "int x;\r\n".encode("utf-32-be"), "utf-32"),
        ("int x;\r\n".encode("utf-16-le"), "utf-16-le"),
        ("int x;\r\n".encode("utf-16-be"), "utf-16-be"),
        ("int x;\r\n".encode("utf-32-le"), "utf-32-le"),
        ("int x;\r\n".encode("utf-32-be"), "utf-32-be"),
    ],
)
def test_decode_strips_marks_and_keeps_line_ends_when_unicode(raw: bytes, encoding: str) -> None:
    assert decode(raw)[:2] == (b"int x;\r\n", encoding)


@pytest.mark.parametrize("text", [RUSSIAN, GERMAN, JAPANESE, KOREAN])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_decode_finds_utf16_without_mark_when_not_english(text: str, encoding: str) -> None:
    assert decode((text * 4).encode(encoding))[:2] == ((text * 4).encode(), encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (GERMAN, "cp1252"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
    ],
)
def test_decode_finds_the_legacy_encoding_when_text_is_plain(text: str, encoding: str) -> None:
    code = "int main(void) { return 0; }\n" + "/* " + text.replace("\n", " */\n")
    content, found = decode(code.encode(encoding))[:2]
    assert content.decode() == code
    assert found == encoding


def test_decode_trusts_the_declared_encoding_when_it_fits() -> None:
    text = "# -*- coding: iso-8859-2 -*-\nname = 'zażółć'\n"
    assert decode(text.encode("iso8859_2"))[:2] == (text.encode(), "iso8859_2")


def test_decode_ignores_the_declared_encoding_when_it_cannot_be() -> None:
    text = "# coding: ascii\nname = 'Prüfung'\n"
    assert decode(text.encode("cp1252"))[:2] == (text.encode(), "cp1252")
    assert decode(b"# coding: no-such-codec\nx = 'f\xfcr'\n").encoding == "cp1252"


def test_decode_keeps_good_characters_when_utf8_is_cut() -> None:
    raw = (RUSSIAN * 3 + "я").encode()[:-1]
    assert decode(raw)[:2] == ((RUSSIAN * 3 + "\ufffd").encode(), "utf-8-damaged")


def test_decode_keeps_good_characters_when_one_line_is_in_another_encoding() -> None:
    raw = (RUSSIAN * 3).encode() + "Prüfung\n".encode("cp1252")
    assert decode(raw)[:2] == ((RUSSIAN * 3 + "Prüfung\n").encode(), "utf-8-damaged")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nstream\n",
        gzip.compress(b"text" * 100, mtime=0),
        zlib.compress(bytes(range(256)) * 9),
        struct.pack("<500h", *range(-250, 250)),
        b"line one\x00line two\x00" * 50,
        bytes(range(1, 32)) * 8,
        b"\xef\xbb\xbf\xff\xfe\xff\xfe",
        b"\xef\xbb\xbfa\x00b",
        b"\xff\xfe\x00",
    ],
)
def test_decode_says_binary_when_no_text_can_be_meant(raw: bytes) -> None:
    assert decode(raw)[:2] == (b"", "binary")


def test_decode_says_binary_when_bytes_are_random_and_hold_no_nul() -> None:
    raw = bytes(b or 1 for b in random.Random(7).randbytes(5_000))
    assert decode(raw)[:2] == (b"", "binary")


def test_decode_keeps_text_when_a_nul_comes_late() -> None:
    raw = b"x = 1\n" * 2_000 + b"\0\n"
    assert decode(raw)[:2] == (raw, "utf-8")


def test_decode_is_text_when_terminal_codes_occur() -> None:
    raw = b"\x1b[31mred\x1b[0m\n" * 3
    assert decode(raw)[:2] == (raw, "utf-8")


@given(st.binary(max_size=300))
def test_decode_gives_utf8_and_never_raises_when_bytes_are_any(raw: bytes) -> None:
    content, encoding = decode(raw)[:2]
    content.decode("utf-8")
    assert decode(raw)[:2] == (content, encoding)
    assert encoding != "binary" or content == b""


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200))
def test_decode_keeps_text_as_it_is_when_it_is_utf8(text: str) -> None:
    expected = ("utf-8-sig", text[1:]) if text.startswith("\ufeff") else ("utf-8", text)
    assert decode(text.encode())[:2] == (expected[1].encode(), expected[0])


@given(st.binary(max_size=200))
def test_decode_says_what_the_codec_reads_when_the_verdict_is_legacy(raw: bytes) -> None:
    content, encoding, _, n_replaced, _ = decode(raw)
    if not encoding.startswith(("utf", "binary")):
        assert content.decode() == raw.decode(encoding.removesuffix("-damaged"), errors="replace")
        assert n_replaced == content.decode().count("\ufffd")


def test_decode_keeps_the_bytes_when_a_codec_would_read_two_spellings_as_one() -> None:
    twice = b"\x1b$B\x1b(Bint x;\n"  # ISO 2022: an empty switch to kanji and back, which no encoder writes
    assert twice.decode("iso2022_jp") == "int x;\n"
    assert decode(twice)[:2] == (twice, "utf-8")
    nec = JAPANESE.encode("cp932") + b"\xfa\x54\n"  # IBM's second spelling of a sign that encodes as 81 ca
    assert nec.decode("cp932").encode("cp932") != nec
    assert decode(nec)[:2] == (nec.decode("cp932").encode(), "cp932")


def test_decode_meets_its_accuracy_when_prose_was_encoded_again() -> None:
    """The pieces that a reader could tell apart: those with at least 100 letters that are not ASCII."""
    folder = SHARED / "data" / "text"
    if not folder.is_dir():
        pytest.skip(f"needs the development corpus in {folder}")
    pq = pytest.importorskip("pyarrow.parquet")
    n_right = n_all = 0
    for path in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(path, columns=["source", "content"]).to_pylist():
            kind, _, codec = row["source"].rpartition(":")
            if kind != "derived:reencoded":
                continue
            truth = row["content"].decode(codec)
            if sum(c.isalpha() and not c.isascii() for c in truth) < 100:
                continue
            n_all += 1
            n_right += decode(row["content"]).content.decode() == truth
    assert n_all >= 10
    assert n_right == n_all


def test_letters_far_behind_the_first_lines_decide_between_relatives() -> None:
    """cp1253 and ISO 8859-7 differ in a capital with an accent."""
    lines = [f"# διαβάζει το αρχείο ρυθμίσεων και επιστρέφει το αποτέλεσμα {n}" for n in range(40)]
    text = "\n".join([*lines, "# Άλλη μία γραμμή, Άρα τέλος", ""])
    for encoding in ("cp1253", "iso8859_7"):
        assert decode(text.encode(encoding)).content.decode() == text


def test_a_first_line_that_reads_badly_gives_no_encoding_up() -> None:
    """Where it should be ASCII, a sign of another encoding may stand in the header."""
    head = b"# " + b"Some words of a header that somebody has pasted. " * 3 + b"\xa9 2010 Somebody and others\n"
    text = "\n".join(f"# читает файл настроек и возвращает результат {n}" for n in range(30)) + "\n"
    found = decode(head + text.encode("koi8_r"))
    assert found.encoding == "koi8_r"
    assert found.content.decode().endswith(text)
