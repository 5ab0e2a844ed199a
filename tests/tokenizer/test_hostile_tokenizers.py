"""Tokenizer files that mean harm: each is refused in one line that names it, and none costs more than it is worth."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tokenizer import TokenizerError, load
from tokenizer.soundness import MAX_FILE_BYTES, costly
from tokenizer.tokens import byte_chars

END = {"id": 256, "content": "<|endoftext|>", "special": True, "normalized": False}
END |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def made(vocab: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **keys: Any) -> str:
    """A sound file of 256 bytes and an end, with other values for some keys."""
    spellings = {char: i for i, char in enumerate(byte_chars())} | (vocab or {})
    bpe = {"type": "BPE", "vocab": spellings, "merges": []} | (model or {})
    whole = {"version": "1.0", "added_tokens": [END], "pre_tokenizer": LEVEL, "decoder": LEVEL, "model": bpe}
    return json.dumps(whole | keys)


def cut_by(pattern: str) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, LEVEL | {"use_regex": False}]}


def replacing(pattern: dict[str, str], by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": by}


HOSTILE = {
    "nested arrays": ("[" * 200_000, "nested without end"),
    "nested objects": ('{"a":' * 200_000, "nested without end"),
    "nested behind the model": (made()[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested without end"),
    "cut": (made()[:-40], "not JSON"),
    "a list": ("[]", "no model.vocab"),
    "zeros": ("\0" * 100, "not JSON"),
    "an id of a billion": (made({"zz": 10**9}), "the largest id is 1,000,000,000 of 258 entries"),
    "an id of 2**24 - 1": (made({"zz": 2**24 - 1}), "the largest id is 16,777,215 of 258 entries"),
    "an id below zero": (made({"zz": -5}), "refuses it: invalid value"),
    **{f"an id that is {x!r}": (made({"zz": x}), "expected a whole number") for x in ("300", None, [1], True, 300.5)},
    "an id beyond numbers": (made().replace('"!": ', '"zz": 1e400, "!": ', 1), "expected a whole number"),
    "two tokens of one id": (made({"zz": 5}), "share the id 5"),
    "a token twice": (made().replace('"!": ', '"!": 300, "!": ', 1), "stands in it twice"),
    "an end that is a letter": (made(added_tokens=[END | {"id": 40}]), "share the id 40"),
    "an end with a fraction": (made(added_tokens=[END | {"id": 256.7}]), "expected a whole number"),
    "ends as a mapping": (made(added_tokens={"a": 1}), "damaged added_tokens"),
    "a merge of nothing": (made(model={"merges": [["q", "zzz"]]}), "out of vocabulary"),
    "a merge of one": (made(model={"merges": [["q"]]}), "refuses it"),
    "chance": (made(model={"dropout": 0.5}), "draws other ids each time"),
    "repeats in repeats": (made(pre_tokenizer=cut_by(r"(a+)+$")), "repeats a group that holds"),
    "alternatives in repeats": (made(pre_tokenizer=cut_by(r"(a|a)*b")), "repeats a group that holds"),
    "repeats in a row": (made(pre_tokenizer=cut_by(r"\s*\s*\s*\s*y")), "more than 3 repeats in a row"),
    "references": (made(pre_tokenizer=cut_by(r"(.+)\1z")), "refers to what was matched"),
    "a long pattern": (made(pre_tokenizer=cut_by("a?" * 50_000)), "has 100,000 characters"),
    "a broken pattern": (made(pre_tokenizer=cut_by("((")), "Oniguruma error"),
    "a pattern that is a number": (made(pre_tokenizer=replacing({"Regex": 5}, "x")), "refuses it"),  # type: ignore[dict-item]
    "another split": (made(pre_tokenizer={"type": "Zzz"}), "refuses it"),
    "no split": (made(pre_tokenizer=None), "do not give the text back"),
    "small letters": (made(normalizer={"type": "Lowercase"}), "the normalizer 'Lowercase' changes what text says"),
    "a thousandfold": (
        made(normalizer={"type": "Sequence", "normalizers": [replacing({"String": "a"}, "a" * 1_000)] * 4}),
        "the normalizer 'Replace' changes",
    ),
    "a normalizer for ever": (made(normalizer=replacing({"Regex": "(a+)+$"}, "x")), "the normalizer 'Replace' changes"),
    "a normalizer with a map": (
        made(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "the normalizer 'Precompiled' changes",
    ),
    "a normalizer that is a word": (made(normalizer="NFC"), "damaged normalizers"),
    "a space put in": (made(pre_tokenizer=LEVEL | {"add_prefix_space": True}), "do not give the text back"),
    "parts with marks": (made(model={"continuing_subword_prefix": "##"}), "do not give the text back"),
    "another kind": (made(model={"type": "WordPiece"}), "not a byte-level BPE"),
    "half a character": (made({"\ud800": 300}), "refuses it"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    content, why = HOSTILE[name]
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content.encode())
    with pytest.raises(TokenizerError) as found:
        load(path)
    said = str(found.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith("; give the tokenizer.json of a byte-level BPE")
    assert why in said
    assert said.isprintable()
    assert len(said) < 500 + len(str(path))
    assert capfd.readouterr().err == ""


def test_a_sound_file_is_taken_with_the_normal_form_of_public_vocabularies(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    for normalizer in (None, {"type": "NFC"}, {"type": "Sequence", "normalizers": []}):
        path.write_text(made(normalizer=normalizer))
        encoder = load(path)
        assert encoder.decode(encoder.encode_batch([b"x = 1\n"])[1]) == b"x = 1\n<|endoftext|>"


def test_what_is_too_large_or_no_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # a hole: reading it would take as much memory
    with pytest.raises(TokenizerError, match="has 256,000,001 bytes"):
        load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TokenizerError, match="is no file"):
        load(path)


PUBLIC = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
    r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))",
    r"[\p{Han}]+|[\p{Lu}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{M}&&[^\p{Han}]]+(?i:'s|'t)?",
    r"[^]a]+|[]]+b|(?:\r?\n)+|\s?\p{L}++|(?<=a)b|(?<name>x)y|a{2,4}|b{,3}|{x}",
)


@pytest.mark.parametrize("pattern", PUBLIC)
def test_patterns_of_public_vocabularies_are_cheap(pattern: str) -> None:
    assert costly(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [r"(?:(?:a?b|c))*", r"(?:a{2,9}){3,}", r"([a-z]+)*!", r"(?i:a|b)+", r"((a{1,9}){1,9}){1,9}", r"(?<x>a|b\g<x>)",
     r"(?=(a*)*)", r"x[^(]*(\(+)+", r"a*b*c*d*", r"\p{L}*\s*.*\p{N}*!"],
)  # fmt: skip
def test_patterns_that_match_one_text_in_many_ways_are_costly(pattern: str) -> None:
    assert costly(pattern) is not None
