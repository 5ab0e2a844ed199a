"""The encoder gives Hugging Face's ids, whatever the engine, the text or the file."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import tokenizer as package
from tokenizer import SPECIAL_TOKENS, Encoder, TokenizerError, load
from tokenizer.engines import DISPUTED, GigatokenEngine, HuggingFaceEngine, fastest, is_disputed
from tokenizer.tokens import byte_chars, token_bytes
from tokenizer.train import splitter

BUILTIN = Path(package.__file__).with_name("tokenizer.json")
ENCODERS = {"gigatoken": load("builtin"), "huggingface": load("builtin", fast=False)}
TRAPPED = Tokenizer.from_file(str(BUILTIN))  # as it comes: text can turn into special tokens
REFERENCE = Tokenizer.from_file(str(BUILTIN))
REFERENCE.encode_special_tokens = True  # special tokens are plain text

both_engines = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=list(ENCODERS))

CODE_PIECES = (
    *("def ", "return", "self.", "->", "=>", "::", "//", "/*", "*/", "#!", "{", "}", "(", ")", "[", "];", ",", "."),
    *("    ", "\t", "\n", "\r\n", "\n\n\n", "  \n", " ", "'s", "'LL", '"""', "\\n", "0x1F", "1_000", "3.14e-10"),
    *("camelCaseName", "snake_case", "SCREAMING_CASE", "<|endoftext|>", "<|fim_middle|>", "</s>", "----------"),
    *("é", "ß", "я", "中文", "👍🏽", "\u00a0", "\u2028", "\ufeff", "e\u0301", "\u0939\u093f"),
)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
code_text = st.lists(st.sampled_from(CODE_PIECES), max_size=60).map("".join)


def reference_ids(text: str) -> list[int]:
    return REFERENCE.encode(text, add_special_tokens=False).ids


def encode_one(encoder: Encoder, text: str) -> list[int]:
    return encoder.encode_batch([text.encode()])[1].tolist()


def byte_level(*, split: str | None = None, merges: tuple[tuple[str, str], ...] = (), end: str = "</s>") -> dict:
    """A small tokenizer file."""
    entries = [end, *byte_chars(), *(left + right for left, right in merges)]
    built = Tokenizer(models.BPE(vocab={entry: i for i, entry in enumerate(entries)}, merges=list(merges)))
    cut = splitter() if split is None else pre_tokenizers.Split(Regex(split), behavior="isolated")
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    built.add_special_tokens([end])
    return json.loads(built.to_str())


def written(path: Path, config: object) -> Path:
    path.write_text(json.dumps(config))
    return path


def test_engine_is_gigatoken_when_the_builtin_is_loaded() -> None:
    assert ENCODERS["gigatoken"].engine == "gigatoken", ENCODERS["gigatoken"].reason
    assert ENCODERS["huggingface"].engine == "huggingface"


@both_engines
@given(text=any_text)
@settings(max_examples=300, deadline=None)
def test_ids_equal_hugging_face_on_any_unicode(encoder: Encoder, text: str) -> None:
    assert encode_one(encoder, text) == [*reference_ids(text), encoder.eos_id]


@both_engines
@given(text=code_text)
@settings(max_examples=300, deadline=None)
def test_ids_equal_hugging_face_on_text_like_code(encoder: Encoder, text: str) -> None:
    assert encode_one(encoder, text) == [*reference_ids(text), encoder.eos_id]


def test_ids_equal_hugging_face_on_real_sources() -> None:
    texts = [path.read_bytes() for path in sorted(Path(json.__file__).parent.parent.glob("*.py"))[:20]]
    offsets, ids = ENCODERS["gigatoken"].encode_batch(texts)
    for i, text in enumerate(texts):
        assert ids[offsets[i] : offsets[i + 1] - 1].tolist() == reference_ids(text.decode())


@pytest.mark.parametrize("run", ["a", " ", "\n", "-", "'", "中", "\t ", "ab", "=\n"])
def test_ids_equal_hugging_face_on_long_runs(run: str) -> None:
    for text in (run * 50_000, run * 50_000 + "x"):
        assert encode_one(ENCODERS["gigatoken"], text)[:-1] == reference_ids(text)


@pytest.mark.parametrize("code", sorted({code for pair in DISPUTED for code in pair}))
def test_ids_equal_hugging_face_on_letters_newer_than_its_tables(code: int) -> None:
    text = f"a{chr(code)};b 1{chr(code)}{chr(code)} ;{chr(code)}"
    assert encode_one(ENCODERS["gigatoken"], text)[:-1] == reference_ids(text)


def test_every_letter_newer_than_its_tables_is_found_and_no_neighbour_of_them() -> None:
    for first, last in DISPUTED:
        assert all(is_disputed(f"a{chr(code)}".encode()) for code in range(first, last + 1))
        assert not any(is_disputed(f"a{chr(code)}".encode()) for code in (first - 1, last + 1))


@pytest.mark.slow
def test_engines_class_every_code_point_alike() -> None:
    """Merges across the borders of a split show how a character was classed: letter, number, space or sign."""
    letters = byte_chars()
    a, semicolon, space = (letters[ord(char)] for char in "a; ")
    merges = [(semicolon, a), (space, a)]
    merges += [(letters[byte], a) for byte in range(0x80, 0xC0)] + [(a, letters[byte]) for byte in range(0xC0, 0xF8)]
    config = json.dumps({**byte_level(merges=tuple(merges)), "added_tokens": []})
    reference = HuggingFaceEngine(config)
    engine = GigatokenEngine(config, reference=reference)
    for code in range(0x80, sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            char = chr(code)
            text = f"{char}a 0 {char};a 0 a{char} 0 1{char}{char};a 0  {char} {char}a 0 \n{char}a".encode()
            assert np.array_equal(engine.encode(text), reference.encode(text)), hex(code)


@both_engines
@given(texts=st.lists(any_text | code_text, max_size=5))
@settings(max_examples=100, deadline=None)
def test_decode_gives_the_input_back(encoder: Encoder, texts: list[str]) -> None:
    offsets, ids = encoder.encode_batch([text.encode() for text in texts])
    assert offsets.dtype == np.int64
    assert ids.dtype == np.uint32
    assert (offsets[0], offsets[-1], offsets.size) == (0, ids.size, len(texts) + 1)
    for text, start, stop in zip(texts, offsets, offsets[1:], strict=False):
        assert ids[stop - 1] == encoder.eos_id
        assert encoder.decode(ids[start : stop - 1]) == text.encode()


@both_engines
def test_documents_end_with_eos_when_they_are_empty(encoder: Encoder) -> None:
    offsets, ids = encoder.encode_batch([b"", b""])
    assert (offsets.tolist(), ids.tolist()) == ([0, 1, 2], [encoder.eos_id] * 2)
    offsets, ids = encoder.encode_batch([])
    assert (offsets.tolist(), ids.tolist()) == ([0], [])


@both_engines
@pytest.mark.parametrize("name", [*SPECIAL_TOKENS, "<|reserved_0|>", "<|reserved_54|>"])
def test_special_token_text_stays_text_when_a_document_holds_it(encoder: Encoder, name: str) -> None:
    text = f"{name}a{name} {name}\n{name}"
    ids = encode_one(encoder, text)
    assert encoder.special_ids.isdisjoint(ids[:-1])
    assert encoder.decode(ids[:-1]) == text.encode()
    assert ids[:-1] != TRAPPED.encode(text).ids, "the trap itself is gone from the reference"


def test_ids_do_not_change_when_the_cache_is_renewed() -> None:
    config = json.dumps({**byte_level(merges=(("o", "n"), ("on", "e"))), "added_tokens": []})
    reference = HuggingFaceEngine(config)
    engine = GigatokenEngine(config, reference=reference, tokens_per_cache=50)
    for text in (b"one two three " * 10, b"def f(): pass\n" * 10, b"one two three " * 10, b"") * 3:
        assert engine.encode(text).tolist() == reference.encode(text).tolist()


def test_engine_falls_back_when_gigatoken_does_not_know_the_split(tmp_path: Path) -> None:
    path = written(tmp_path / "tokenizer.json", byte_level(split=r"\w+|\W", merges=(("a", "b"),)))
    encoder = load(path)
    assert encoder.engine == "huggingface"
    assert "refuses" in encoder.reason
    assert encoder.decode(encoder.encode_batch([b"ab </s>"])[1]) == b"ab </s></s>"


def test_engine_falls_back_when_ids_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.dumps({**byte_level(merges=(("a", "b"),)), "added_tokens": []})
    reference = HuggingFaceEngine(config)
    honest, _ = fastest(config, reference=reference, vocabulary=[b"a", b"ab"])
    assert honest.name == "gigatoken"
    monkeypatch.setattr(GigatokenEngine, "encode", lambda self, text: reference.encode(text.replace(b"\r", b"\n")))
    engine, reason = fastest(config, reference=reference, vocabulary=[b"a", b"ab"])
    assert engine is reference
    assert "differ" in reason


def test_engine_falls_back_when_gigatoken_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    config = json.dumps({**byte_level(), "added_tokens": []})
    engine, reason = fastest(config, reference=HuggingFaceEngine(config), vocabulary=[])
    assert (engine.name, reason) == ("huggingface", "gigatoken is not installed")


def test_eos_is_found_when_a_foreign_vocabulary_names_it_otherwise(tmp_path: Path) -> None:
    encoder = load(written(tmp_path / "tokenizer.json", byte_level(end="<|end_of_text|>")))
    assert (encoder.eos_id, encoder.vocab_size, encoder.engine) == (0, 257, "gigatoken")


@both_engines
def test_encode_refuses_when_a_document_is_not_utf8(encoder: Encoder) -> None:
    with pytest.raises(TokenizerError, match="document 1 of the batch is not UTF-8 at byte 2"):
        encoder.encode_batch([b"fine", b"ab\xff"])


@pytest.mark.parametrize("ids", [[76_800], [-1], np.array([3, 2**32 - 1], dtype=np.uint32)])
def test_decode_refuses_when_ids_are_foreign(ids: list[int]) -> None:
    with pytest.raises(TokenizerError, match="another tokenizer"):
        ENCODERS["gigatoken"].decode(ids)


GOOD = byte_level(merges=(("a", "b"),))
BAD_FILES = {
    "not JSON": (b"{", "not JSON"),
    "binary": (b"\xff\x00", "not JSON"),
    "a list": (b"[]", "no model.vocab"),
    "no vocabulary": (b'{"model": {"type": "BPE"}}', "no model.vocab"),
    "another model": ({**GOOD, "model": {**GOOD["model"], "type": "WordPiece"}}, "not a byte-level BPE"),
    "a byte missing": (
        {**GOOD, "model": {**GOOD["model"], "vocab": {k: v for k, v in GOOD["model"]["vocab"].items() if k != "A"}}},
        "a byte has no token",
    ),
    "an unknown merge": ({**GOOD, "model": {**GOOD["model"], "merges": [["q", "zz"]]}}, "refuses it"),
    "no end": ({**GOOD, "added_tokens": []}, "no token to end a document"),
    "no added tokens": ({**GOOD, "added_tokens": None}, "no token to end a document"),
    "damaged added tokens": ({**GOOD, "added_tokens": [{"content": "</s>"}]}, "damaged added_tokens"),
    "an absurd id": (
        {**GOOD, "added_tokens": [{"content": "</s>", "id": 2**31}]},
        "the largest id is 2,147,483,648",
    ),
}


@pytest.mark.parametrize(("content", "why"), BAD_FILES.values(), ids=list(BAD_FILES))
def test_load_says_why_when_the_file_is_bad(tmp_path: Path, content: object, why: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(TokenizerError, match=why) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_load_says_where_when_the_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"absent\.json: cannot read the tokenizer"):
        load(tmp_path / "absent.json")


def test_load_remembers_when_the_file_is_the_same() -> None:
    assert load("builtin") is load("builtin")
    assert load("builtin").file_hash == load(BUILTIN).file_hash


def test_encoder_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ENCODERS["gigatoken"].eos_id = 5


def test_token_bytes_inverts_the_byte_alphabet() -> None:
    assert len(set(byte_chars())) == 256
    assert all(unicodedata.category(char)[0] not in "CZ" for char in byte_chars())
    assert token_bytes("".join(byte_chars())) == bytes(range(256))
    assert token_bytes("<\uff5cx\uff5c>") == "<\uff5cx\uff5c>".encode()


def in_a_fresh_process(code: str) -> str:
    root = str(Path(package.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_import_loads_no_native_library() -> None:
    code = "import sys, tokenizer; print({'tokenizers', 'gigatoken', 'awkward'} & set(sys.modules))"
    assert in_a_fresh_process(code) == "set()"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads the Linux way")
def test_encoding_starts_no_thread() -> None:
    code = """
import os, tokenizer
n_threads = lambda: len(os.listdir("/proc/self/task"))
fast, slow = tokenizer.load("builtin"), tokenizer.load("builtin", fast=False)
before = n_threads()
for encoder in (fast, slow):
    encoder.encode_batch([b"some words here " * 5_000] * 8)
print(n_threads() - before, fast.engine, slow.engine)
"""
    assert in_a_fresh_process(code) == "0 gigatoken huggingface"


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(package.__all__) == sorted(set(package.__all__))
    assert all(hasattr(package, name) for name in package.__all__)
