"""The sample that a tokenizer learns from: pools in their parts, groups by shares, no repository above its cap."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Mixture, Source
from pipeline.errors import ConfigError
from pipeline.mix.settings import encoding_of
from pipeline.targets import SamplePool, TokenizerSample
from pipeline.tokenizer_sample import MAX_TEXT_CHARS, GroupTaken, sample
from pipeline.tokenizer_sample.candidates import SampleCandidates, joined
from pipeline.tokenizer_sample.choose import Wanted, choose

BIG, SMALL = 40, 4  # documents
SIZE = 1_000
ALL = SamplePool()


def candidates(rows: list[tuple[str, str, str, int]]) -> SampleCandidates:
    """Documents (pool, group, repository, bytes) with keys in this order."""
    pools, groups, repos, sizes = zip(*rows, strict=True)
    keys = np.arange(len(rows), dtype=np.uint64)
    columns = (np.array(pools), np.array(groups), np.array(repos))
    return SampleCandidates(keys, keys + np.uint64(7), np.array(sizes, dtype=np.int64), *columns)


def two_languages() -> SampleCandidates:
    code = [("code", "C", f"c{i % 2}", SIZE) for i in range(BIG)] + [("code", "Nim", "nim", SIZE)] * SMALL
    return candidates([*code, *[("text", "books", "books", SIZE)] * BIG])


def sizes(taken: tuple[GroupTaken, ...]) -> dict[str, int]:
    return {one.group: one.n_taken for one in taken}


def chosen_sizes(code: SamplePool, text: SamplePool = ALL, *, n_bytes: int) -> dict[str, int]:
    return sizes(choose(two_languages(), wanted=Wanted(code=code, text=text, n_bytes=n_bytes))[1])


def test_languages_share_in_proportion_to_their_bytes_unless_the_mixture_says_more() -> None:
    assert chosen_sizes(SamplePool(), n_bytes=44 * SIZE) == {"C": 20_000, "Nim": 2_000, "books": 22_000}


def test_a_temperature_lifts_small_languages() -> None:
    """40 ** .5 : 4 ** .5 is 3.1623 : 1; the last document that enters is cut."""
    assert chosen_sizes(SamplePool(temperature=0.5), n_bytes=20 * SIZE) == {"C": 7_597, "Nim": 2_403, "books": 10_000}
    assert chosen_sizes(SamplePool(temperature=0.0), n_bytes=8 * SIZE) == {"C": 2_000, "Nim": 2_000, "books": 4_000}


def test_what_a_small_language_lacks_others_give() -> None:
    assert chosen_sizes(SamplePool(temperature=0.0), n_bytes=40 * SIZE) == {"C": 16_000, "Nim": 4_000, "books": 20_000}


def test_shares_name_languages() -> None:
    found = chosen_sizes(SamplePool(shares={"Nim": 3.0, "others": 1.0}), n_bytes=8 * SIZE)
    assert found == {"C": 1_000, "Nim": 3_000, "books": 4_000}
    with pytest.raises(ConfigError, match="hold 0 bytes of code and 40,000 of text; name groups"):
        chosen_sizes(SamplePool(shares={"Zig": 1.0}), n_bytes=8 * SIZE)


def test_pools_keep_their_parts_where_one_holds_too_little() -> None:
    found = chosen_sizes(SamplePool(parts=1), SamplePool(parts=4), n_bytes=10**9)
    assert (found["C"] + found["Nim"], found["books"]) == (10_000, 40_000)


def test_no_repository_gives_more_than_its_cap() -> None:
    capped = SamplePool(max_repo_frac=0.25)  # of 20,000 bytes of code
    wanted = Wanted(code=capped, text=SamplePool(), n_bytes=40 * SIZE)
    keys, taken = choose(two_languages(), wanted=wanted)
    given_by = dict.fromkeys(("c0", "c1", "nim"), 0)
    found = two_languages()
    for key in keys:
        if found.pools[key] == "code":
            given_by[found.repos[key]] += SIZE
    assert given_by == {"c0": 5_000, "c1": 5_000, "nim": 4_000}
    assert {one.group: one.n_available for one in taken} == {"C": 10_000, "Nim": 4_000, "books": 40_000}


def test_absurd_caps_and_parts_leave_a_sample_or_say_why_not() -> None:
    found = chosen_sizes(SamplePool(max_repo_frac=1e-9), n_bytes=40 * SIZE)
    assert found == {"C": 2_000, "Nim": 1_000, "books": 3_000}, "a document of each repository"
    with pytest.raises(ConfigError, match="1000000:1 cannot be met in 40,000 bytes"):
        chosen_sizes(SamplePool(parts=10**6), n_bytes=40 * SIZE)


def test_a_capped_group_gives_the_first_of_all_its_repositories() -> None:
    wanted = Wanted(code=SamplePool(max_repo_frac=1.0, shares={"C": 1.0}), text=SamplePool(), n_bytes=12 * SIZE)
    keys, _ = choose(two_languages(), wanted=wanted)
    assert sorted(key for key in keys if key < BIG) == [0, 1, 2, 3, 4, 5], "c0 and c1 take turns"


def test_equal_contents_enter_once_with_the_first_key() -> None:
    one = two_languages()
    same = SampleCandidates(one.keys + np.uint64(1_000), one.hashes, one.n_bytes, one.pools, one.groups, one.repos)
    whole = joined([same, one])
    assert whole.keys.tolist() == one.keys.tolist()


groups = st.tuples(st.sampled_from(["C", "Nim", "D"]), st.sampled_from(["r", "s"]), st.integers(1, 3_000))


@given(st.lists(groups, min_size=1, max_size=40), st.integers(100, 50_000), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_sample_is_met_to_the_byte(rows: list[tuple[str, str, int]], n_bytes: int, exponent: float) -> None:
    found = candidates([("code", *row) for row in rows] + [("text", "books", "b", 3_000)] * 40)
    wanted = Wanted(code=SamplePool(temperature=exponent), text=SamplePool(), n_bytes=n_bytes)
    chosen, taken = choose(found, wanted=wanted)
    half = min(n_bytes // 2, sum(row[2] for row in rows), 120_000)
    for pool in ("code", "text"):
        assert sum(one.n_taken for one in taken if one.pool == pool) == half
        assert sum(n for key, n in chosen.items() if found.pools[key] == pool) == half
    assert all(0 < n <= found.n_bytes[key] for key, n in chosen.items())
    assert sum(one.n_docs for one in taken) == len(chosen)


def mixture_in(folder: Path, **wanted: SamplePool) -> Mixture:
    code = [
        {"content": f"def f_{i}(rows):\n    return len(rows) + {i}  # of all\n" * 9, "path": f"a{i}.py"}
        for i in range(30)
    ]
    book = "The old house stood by the river, and nobody in the town could say who had built it or when. " * 2_000
    text = [{"content": f"Chapter {i}. {book}", "path": f"book{i}.txt"} for i in range(2)]
    for name, rows in (("code", code), ("books", text)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code_file, text_file = (str(folder / f"{name}.jsonl") for name in ("code", "books"))
    sources = (
        Source(name="code", kind="jsonl", path=code_file, pool="code"),
        Source(name="books", kind="jsonl", path=text_file, pool="text"),
    )
    mixture = Mixture(name="m", sources=sources)
    held = mixture.tokenizer.model_copy(update={"sample": TokenizerSample(**wanted)})
    quality = mixture.quality.model_copy(update={"sets": ()})
    return mixture.model_copy(update={"tokenizer": held, "quality": quality})


def test_a_long_document_gives_its_beginning_and_several_texts(tmp_path: Path) -> None:
    short = sample(mixture_in(tmp_path), n_bytes=10**6, on_slice=lambda *_: None)[0]
    (book,) = (text for text in short if text.startswith("Chapter"))
    code = sum(len(text) for text in short if text.startswith("def"))
    assert len(book) == code < MAX_TEXT_CHARS, "one is enough for as many bytes as the code has"
    many = SamplePool(max_document_bytes=120_000, parts=20)
    long, taken = sample(mixture_in(tmp_path, text=many), n_bytes=10**6, on_slice=lambda *_: None)
    books = [text for text in long if "house" in text]
    assert sorted(map(len, books)) == [20_000, 20_000, 50_000, 50_000, 50_000, 50_000]
    assert sizes(taken)["books"] == sum(map(len, books))


def test_the_sample_is_the_same_however_the_input_is_cut(tmp_path: Path) -> None:
    mixture = mixture_in(tmp_path)
    calls: list[tuple[int, int]] = []
    one = sample(mixture, n_bytes=4_000, on_slice=lambda done, total: calls.append((done, total)))
    cut = mixture.model_copy(update={"ingest": mixture.ingest.model_copy(update={"shard_bytes": 3_000})})
    assert sample(cut, n_bytes=4_000, on_slice=lambda *_: None) == one
    turned = mixture.model_copy(update={"sources": mixture.sources[::-1]})
    assert sample(turned, n_bytes=4_000, on_slice=lambda *_: None) == one
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_source_without_repositories_is_one_under_a_cap(tmp_path: Path) -> None:
    mixture = mixture_in(tmp_path, code=SamplePool(max_repo_frac=0.1))
    other = [
        {"content": f"def g_{i}(names):\n    return sorted(names)[{i}:]\n" * 9, "path": f"b{i}.py"} for i in range(30)
    ]
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in other), encoding="utf-8")
    second = Source(name="other", kind="jsonl", path=str(tmp_path / "other.jsonl"), pool="code")
    mixture = mixture.model_copy(update={"sources": (*mixture.sources, second)})
    texts, _ = sample(mixture, n_bytes=20_000, on_slice=lambda *_: None)
    one, two = (sum(len(text) for text in texts if name in text) for name in ("def f_", "def g_"))
    assert 1_000 <= one <= 1_600
    assert 1_000 <= two <= 1_600, "a tenth of ten thousand bytes; the last document under the cap is whole"


def test_what_a_tokenizer_would_learn_from_changes_no_run(tmp_path: Path) -> None:
    plain, other = mixture_in(tmp_path), mixture_in(tmp_path, code=SamplePool(temperature=0.3))
    assert plain.tokenizer != other.tokenizer
    assert encoding_of(plain.tokenizer) == encoding_of(other.tokenizer)
    assert list(encoding_of(other.tokenizer).model_dump()) == ["path", "file_hash"]
