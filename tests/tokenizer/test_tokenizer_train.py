"""Training gives the wanted size and the same bytes for the same texts."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import tokenizer as package
from tokenizer import SPECIAL_TOKENS, TokenizerError, load, train
from tokenizer.tokens import N_BYTES, N_SPECIAL, byte_chars, token_bytes

LIBRARY = Path(json.__file__).parent.parent
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("[a-d]*.py"))][:25]
VOCAB_SIZE = 2_000


@pytest.fixture(scope="module")
def trained() -> dict:
    return json.loads(train(TEXTS, vocab_size=VOCAB_SIZE).to_str())


def test_vocabulary_has_the_wanted_size_when_the_sample_is_large_enough(trained: dict) -> None:
    vocabulary = trained["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(VOCAB_SIZE))
    assert len(trained["added_tokens"]) == N_SPECIAL
    assert len(trained["model"]["merges"]) == VOCAB_SIZE - N_SPECIAL - N_BYTES


def test_ids_follow_the_documented_order(trained: dict) -> None:
    by_id = sorted(trained["model"]["vocab"], key=trained["model"]["vocab"].get)
    assert tuple(by_id[: len(SPECIAL_TOKENS)]) == SPECIAL_TOKENS
    assert tuple(by_id[N_SPECIAL : N_SPECIAL + N_BYTES]) == byte_chars()
    assert by_id[N_SPECIAL + N_BYTES :] == [left + right for left, right in trained["model"]["merges"]]
    assert [token["id"] for token in trained["added_tokens"]] == list(range(N_SPECIAL))
    assert all(token["special"] for token in trained["added_tokens"])


def test_vocabulary_is_filled_with_reserved_tokens_when_the_sample_is_small(tmp_path: Path) -> None:
    small = train(["hello hello world world"], vocab_size=1_000, max_reserved_frac=1)
    path = tmp_path / "tokenizer.json"
    path.write_text(small.to_str())
    encoder = load(path)
    assert small.get_vocab_size() == encoder.vocab_size == 1_000
    assert encoder.special_ids == {*range(N_SPECIAL), *range(min(encoder.special_ids - set(range(N_SPECIAL))), 1_000)}
    assert encoder.special_ids.isdisjoint(encoder.encode_batch([b"hello <|reserved_700|>"])[1][:-1].tolist())
    assert encoder.engine == "gigatoken"


def test_bytes_are_equal_when_the_texts_are_shuffled(trained: dict) -> None:
    shuffled = random.Random(0).sample(TEXTS, k=len(TEXTS))
    assert json.loads(train(shuffled, vocab_size=VOCAB_SIZE).to_str()) == trained


def test_bytes_are_equal_in_processes_with_one_and_two_threads() -> None:
    code = """
import sys, hashlib
from pathlib import Path
from tokenizer import train
texts = (Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
print(hashlib.sha256(train(texts, vocab_size=2_000).to_str().encode()).hexdigest())
"""
    names = [str(path) for path in sorted(LIBRARY.glob("[a-d]*.py"))][:25]
    hashes = [hashlib.sha256(train(TEXTS, vocab_size=VOCAB_SIZE).to_str().encode()).hexdigest()]
    for n_threads in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent)}
        environment |= {"RAYON_NUM_THREADS": n_threads, "PYTHONHASHSEED": n_threads}
        command = [sys.executable, "-c", code, *names]
        hashes.append(
            subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
        )
    assert len(set(hashes)) == 1


def test_many_documents_outvote_one_that_repeats_itself() -> None:
    texts = ["zqzqzq " * 1_000, *["vbvbvb "] * 20]
    merges = json.loads(train(texts, vocab_size=N_SPECIAL + N_BYTES + 1).to_str())["model"]["merges"]
    assert merges == [["v", "b"]]


def test_addresses_digests_and_blobs_teach_nothing() -> None:
    blob = "QWxhZGRpbjpvcGVuIHNlc2FtZQ" * 4
    digest = "deadbeefcafe" * 4
    texts = [f"plain words\nsomebody.known@mail.example.org {digest} {blob}==\n"] * 50
    trained = train(texts, vocab_size=1_000, max_reserved_frac=1)
    learnt = " ".join(json.loads(trained.to_str())["model"]["vocab"])
    assert "plain" in learnt
    for secret in ("somebody", "example", "deadbeef", "QWxh"):
        assert secret not in learnt


def test_filler_runs_get_no_token_and_no_token_is_long(trained: dict) -> None:
    texts = [*TEXTS, *["xxxxxxxxxxxx aaaaaaaa " + "=" * 100] * 50]
    config = json.loads(train(texts, vocab_size=VOCAB_SIZE).to_str())
    special = {token["content"] for token in config["added_tokens"]}
    ordinary = [token for token in config["model"]["vocab"] if token not in special]
    assert not [token for token in ordinary if "xxxxx" in token or "aaaaa" in token]
    assert max(len(token_bytes(token)) for token in ordinary) <= 32


def test_each_token_comes_from_one_merge(trained: dict) -> None:
    products = [left + right for left, right in trained["model"]["merges"]]
    assert len(products) == len(set(products))


@pytest.mark.parametrize("char", ["a", " ", "@", "=", "\n", "a.", "中"])
def test_training_survives_a_text_without_a_break(char: str) -> None:
    """A pattern that backtracks would never finish this."""
    assert train([char * 500_000, "some words"], vocab_size=400, max_reserved_frac=1).get_vocab_size() == 400


def test_progress_counts_texts_and_characters() -> None:
    calls = []
    train(["ab"] * 2_500, vocab_size=321, on_progress=lambda n_texts, n_chars: calls.append((n_texts, n_chars)))
    assert calls == [(1_000, 2_000), (2_000, 4_000), (2_500, 5_000)]


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_training_refuses_when_there_is_no_text(texts: list[str]) -> None:
    with pytest.raises(TokenizerError, match="holds no text"):
        train(texts, vocab_size=1_000)


def test_training_refuses_a_vocabulary_that_the_sample_cannot_fill() -> None:
    """The message names the largest size that works; a single reserved entry more than allowed does not."""
    with pytest.raises(TokenizerError, match=r"teaches only 323 entries: 677 of them \(67\.7%") as refused:
        train(["abcd abcd"], vocab_size=1_000)
    assert "ask for at most 323" in str(refused.value)
    assert train(["abcd abcd"], vocab_size=323).get_vocab_size() == 323
    assert train(["abcd abcd"], vocab_size=328).get_vocab_size() == 328, "five of 328 are less than a 64th"
    with pytest.raises(TokenizerError, match="7 of them"):
        train(["abcd abcd"], vocab_size=330)


def test_training_refuses_when_the_vocabulary_cannot_hold_the_bytes() -> None:
    with pytest.raises(TokenizerError, match="vocab_size is 319"):
        train(["text"], vocab_size=319)
    assert train(["text"], vocab_size=320).get_vocab_size() == 320
