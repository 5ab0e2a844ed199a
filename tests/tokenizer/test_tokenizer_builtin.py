"""The shipped vocabulary: its shape, its card, and the libraries that must open it."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import tokenizer as package
from tokenizer import END_OF_TEXT, SPECIAL_TOKENS, VOCAB_SIZE, load
from tokenizer.tokens import token_bytes

FILE = Path(package.__file__).with_name("tokenizer.json")
CARD = Path(package.__file__).with_name("tokenizer_card.md")
TEXT = "def f(x):\n    return x + 1  # größer als null, 中文 👍\n"


def test_vocabulary_has_exactly_the_promised_ids() -> None:
    config = json.loads(FILE.read_bytes())
    assert sorted(config["model"]["vocab"].values()) == list(range(VOCAB_SIZE))
    encoder = load("builtin")
    assert (encoder.vocab_size, encoder.eos_id) == (VOCAB_SIZE, 0)
    assert encoder.special_ids == set(range(64)), "the sample was too small: reserved tokens fill the end"
    assert max(encoder.encode_batch([TEXT.encode()])[1]) < VOCAB_SIZE


def test_file_is_compact_and_as_hugging_face_writes_it() -> None:
    assert Tokenizer.from_file(str(FILE)).to_str() == FILE.read_text(encoding="utf-8")


def test_hugging_face_finds_special_tokens_by_name() -> None:
    opened = Tokenizer.from_file(str(FILE))
    assert [opened.token_to_id(name) for name in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert opened.decode(opened.encode(TEXT).ids) == TEXT


def test_transformers_gives_the_same_ids() -> None:
    transformers = pytest.importorskip("transformers")
    opened = transformers.PreTrainedTokenizerFast(tokenizer_file=str(FILE), eos_token=END_OF_TEXT)
    ids = load("builtin").encode_batch([TEXT.encode()])[1].tolist()
    assert [*opened(TEXT)["input_ids"], opened.eos_token_id] == ids
    assert opened.decode(ids[:-1]) == TEXT
    assert len(opened) == VOCAB_SIZE


def test_vocabulary_holds_no_address_and_no_banner() -> None:
    config = json.loads(FILE.read_bytes())
    special = {token["content"] for token in config["added_tokens"]}
    tokens = [token_bytes(entry) for entry in config["model"]["vocab"] if entry not in special]
    assert max(map(len, tokens)) <= 32
    assert not [token for token in tokens if re.search(rb"[\w.]@[\w]+\.|https?://\w|[0-9]{4}|([A-Za-z])\1{4}", token)]


def test_card_names_the_file_that_is_shipped() -> None:
    data = FILE.read_bytes()
    card = CARD.read_text(encoding="utf-8")
    assert hashlib.sha256(data).hexdigest() in card
    assert f"{len(data):,} bytes" in card
