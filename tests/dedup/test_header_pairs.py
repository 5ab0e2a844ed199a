"""How many pairs rights comments alone would have made, where the number is known."""

import itertools
import random
from pathlib import Path

import pytest
from planted import dedup, pairs_of

from pipeline.config import NearDups
from pipeline.dedup import header_pairs, settings
from pipeline.dedup.settings import sampled_bands
from pipeline.engine.manifest import read_manifest

CONFIG = NearDups(n_partitions=2)
LICENCE = "".join(f"# Copyright {i}: {'words of rights that all may read '}{i * i}\n" for i in range(40))
OTHER = "".join(f"// Licence {i}: {'other terms for whoever comes by '}{i * i}\n" for i in range(40))


def body(rng: random.Random, *, n: int) -> str:
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(n)) + "\n"


def counted(folder: Path, texts: list[str], *, config: NearDups = CONFIG) -> tuple[int, int, int]:
    """Documents with a comment, pairs that it would have made, and pairs that are."""
    half = len(texts) // 2
    run = dedup(folder, [texts[:half], texts[half:]], config=config)
    counts = read_manifest(run.store)["stages"]["near_dups"]["counts"]
    return counts["n_header_docs"], counts["n_header_pairs_seen"], len(pairs_of(run, n=config.n_partitions))


def planted() -> list[str]:
    """Six under one comment and four under another: 15 + 6 pairs; the rest are pairs anyway, or none either way."""
    rng = random.Random(3)
    same = body(rng, n=400)
    return [
        *(LICENCE + body(rng, n=16) for _ in range(6)),
        *(OTHER + body(rng, n=16) for _ in range(4)),
        *(LICENCE + body(rng, n=900) for _ in range(4)),  # too much of their own
        LICENCE + same + "one\n",  # near without the comment too, and to none of the six
        LICENCE + same + "two\n",
        *(body(rng, n=60) for _ in range(4)),  # no comment
    ]


def test_pairs_that_only_comments_make_are_counted(tmp_path: Path) -> None:
    assert counted(tmp_path / "left out", planted()) == (16, 15 + 6, 1)
    words = {"skip_header": False}
    everything = NearDups(n_partitions=2, code_words=words)
    assert counted(tmp_path / "counts", planted(), config=everything) == (0, 0, 15 + 6 + 1)


def test_documents_whose_own_words_say_too_little_count(tmp_path: Path) -> None:
    """Words alone would not speak for them; comment and words together would."""
    texts = [LICENCE + f"x{i} = {i}\n" for i in range(5)]
    symbols = [LICENCE + "[.]" * 9_000 + f"\n{i}\n" for i in range(5)]  # nor would they with the comment
    assert counted(tmp_path, texts + symbols) == (5, 10, 0)


def test_a_comment_that_says_too_little_makes_no_pair(tmp_path: Path) -> None:
    texts = [f"# Copyright me\nx{i} = {i}\n" for i in range(5)]
    assert counted(tmp_path, texts) == (0, 0, 0)


def test_a_crowd_is_counted_by_some_of_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [LICENCE + f"x{i} = {i}\n" for i in range(40)]
    monkeypatch.setattr(header_pairs, "_MAX_BUCKET", 8)
    n_docs, seen, n_pairs = counted(tmp_path, texts)
    assert (n_docs, n_pairs) == (40, 0)
    assert 0.9 < seen / (40 * 39 // 2) < 1.1


def test_a_sample_estimates_what_the_whole_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)
    texts = []
    for family in range(60):
        licence = "".join(f"# Copyright {family} {i}: rights of {rng.randrange(10**6)} and {i}\n" for i in range(30))
        texts += [licence + body(rng, n=16) for _ in range(5)]
    n_docs, exact, _ = counted(tmp_path / "all", texts)
    assert exact == 60 * len(list(itertools.combinations(range(5), 2)))
    monkeypatch.setattr(settings, "_MAX_HEADER_ROWS", n_docs * 5)
    n_docs, seen, _ = counted(tmp_path / "sample", texts)
    assert sampled_bands(n_docs, n_bands=CONFIG.n_bands) == 5
    assert 0.8 < seen * 5 / exact < 1.2
