"""What the self-test found is kept between processes, and believed only whole and for the very same things."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from tokenizer import encode, engines, load_bytes, remembered
from tokenizer.errors import TokenizerError
from tokenizer.train import train

VOCAB_SIZE = 1_000
TEXTS = [b"def f(x):\n    return x\n", "naïve 東京 \ua7cb \u0c5c".encode(), b"<|endoftext|>"]


@pytest.fixture
def n_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each self-test; the cache is empty at first."""
    monkeypatch.setenv(remembered.VARIABLE, str(tmp_path / "cache"))
    count: list[int] = []

    def counted(config: str, **given: object) -> object:
        count.append(1)
        return engines.fastest(config, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(encode, "fastest", counted)
    return count


@cache
def small() -> bytes:
    """A tokenizer file that is tested in a moment."""
    return (
        train(["def f(x):\n    return x\n" * 20, "naïve words, some words"], vocab_size=VOCAB_SIZE, max_reserved_frac=1)
        .to_str()
        .encode()
    )


def fresh() -> encode.Encoder:
    encode._build.cache_clear()
    return load_bytes(small(), where="x")


def entry(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "tokenizers").iterdir()
    return found


def test_a_second_process_does_not_test_again_and_gives_the_same(n_tests: list[int]) -> None:
    first, second = fresh(), fresh()
    assert len(n_tests) == 1
    assert first is not second
    assert (first.engine, first.reason, first.eos_id, first.vocab_size, first.file_hash, first.special_ids) == (
        second.engine, second.reason, second.eos_id, second.vocab_size, second.file_hash, second.special_ids,
    )  # fmt: skip
    for a, b in zip(first.encode_batch(TEXTS), second.encode_batch(TEXTS), strict=True):
        assert a.tolist() == b.tolist()
    assert second.decode(second.encode_batch(TEXTS)[1]) == first.decode(first.encode_batch(TEXTS)[1])


def test_a_remembered_file_builds_no_engine_before_its_first_text(
    n_tests: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()
    built: list[str] = []
    monkeypatch.setattr(engines.GigatokenEngine, "_renew", lambda self: built.append("gigatoken"))
    monkeypatch.setattr(engines.HuggingFaceEngine, "_build", lambda self: built.append("huggingface"))
    encoder = fresh()
    assert (encoder.eos_id, built) == (0, [])
    with pytest.raises(AttributeError):
        encoder.encode_batch([b"a"])  # the mended `_renew` makes none
    assert built == ["gigatoken"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"cut", b"other"])
def test_a_damaged_entry_is_not_believed(n_tests: list[int], tmp_path: Path, damage: bytes) -> None:
    fresh()
    whole = entry(tmp_path).read_bytes()
    said = json.loads(whole)
    other = json.dumps({**said, "equal": [said["equal"][0][::-1], *said["equal"][1:]]}).encode()
    entry(tmp_path).write_bytes({b"cut": whole[:-5], b"other": other}.get(damage, damage))
    fresh()
    assert len(n_tests) == 2
    assert entry(tmp_path).read_bytes() == whole


@pytest.mark.parametrize("part", ["version", "_self_test", "_processor"])
def test_another_library_self_test_or_processor_is_tested(
    n_tests: list[int], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    fresh()
    monkeypatch.setattr(remembered, part, lambda *_: "9.9.9")
    fresh()
    assert len(n_tests) == 2


def test_another_file_is_tested(n_tests: list[int]) -> None:
    data = fresh().data
    load_bytes(data + b"\n", where="x")
    assert len(n_tests) == 2


def test_engines_that_differ_are_not_remembered(
    n_tests: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.GigatokenEngine, "encode", lambda self, text: engines.np.zeros(1, engines.np.uint32))
    assert fresh().engine == fresh().engine == "huggingface"
    assert len(n_tests) == 2
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_costs_only_the_test(
    n_tests: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(remembered.VARIABLE, str(tmp_path / "file"))
    assert fresh().engine == fresh().engine == "gigatoken"
    assert len(n_tests) == 2


def test_a_bad_file_is_refused_before_its_first_text_where_nothing_is_remembered(n_tests: list[int]) -> None:
    data = json.loads(fresh().data)
    data["model"]["merges"][0] = ["q", "zz-unknown"]
    with pytest.raises(TokenizerError, match="refuses it"):
        load_bytes(json.dumps(data).encode(), where="x")


def test_a_remembered_file_is_parsed_when_a_text_comes(n_tests: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fresh().encode_batch(TEXTS)[1].tolist()
    parsed: list[int] = []
    parse = encode._parsed

    def counted(data: bytes) -> dict[str, object]:
        parsed.append(len(data))
        return parse(data)

    monkeypatch.setattr(encode, "_parsed", counted)
    encoder = fresh()
    assert (encoder.eos_id, encoder.vocab_size, sorted(encoder.special_ids)[:1], parsed) == (0, VOCAB_SIZE, [0], [])
    assert encoder.encode_batch(TEXTS)[1].tolist() == ids
    assert encoder.decode(ids[:1])
    assert len(parsed) == 1


def test_ids_of_a_damaged_entry_are_not_believed(n_tests: list[int], tmp_path: Path) -> None:
    right = fresh().vocab_size
    said = json.loads(entry(tmp_path).read_bytes())
    said["ids"]["vocab_size"] += 1
    entry(tmp_path).write_text(json.dumps(said))
    assert fresh().vocab_size == right
    assert len(n_tests) == 2
