from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_snippets import SAVED_MODEL

from pipeline.language.guesslang import MAX_PAIRS, linguist_labels, load_network, pair_buckets, scores
from pipeline.language.table import languages


@pytest.mark.parametrize(("content", "label", "probability"), SAVED_MODEL, ids=[row[1] for row in SAVED_MODEL])
def test_scores_equal_the_saved_model(content: bytes, label: str, probability: float) -> None:
    row = scores([content])[0]
    assert load_network().labels[int(row.argmax())] == label
    assert float(row.max()) == pytest.approx(probability, abs=2e-5)


def test_pair_buckets_equal_tensorflow_on_known_pairs() -> None:
    # tf.strings.to_hash_bucket_fast of b"\0 \0", b"a b", b"i f", b"} \n", b"\xff \xff", modulo 5000
    pairs = [(0, 0), (97, 98), (105, 102), (125, 10), (255, 255)]
    assert [int(pair_buckets()[256 * a + b]) for a, b in pairs] == [871, 2877, 4052, 2849, 3521]


def test_scores_read_no_further_than_the_network_was_trained() -> None:
    head = bytes(range(256)) * 60
    assert len(head) > MAX_PAIRS + 1
    assert np.array_equal(scores([head]), scores([head[: MAX_PAIRS + 1] + b"SELECT * FROM lamps;\n" * 50]))
    assert not np.array_equal(scores([head[:MAX_PAIRS]]), scores([head[: MAX_PAIRS + 1]]))


def test_network_is_refused_when_a_pickle_hides_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "guesslang.npz", labels=np.array([{"a": 1}], object))
    monkeypatch.setattr("pipeline.language.guesslang.files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        load_network.__wrapped__()


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_scores_of_a_batch_equal_those_of_each_alone(contents: list[bytes]) -> None:
    together = scores(contents)
    assert together.shape == (len(contents), 54)
    assert np.allclose(together.sum(axis=1), 1, atol=1e-5)
    for content, row in zip(contents, together, strict=True):
        assert np.array_equal(scores([content])[0], row)


def test_every_label_stands_for_languages_that_linguist_knows() -> None:
    labels = linguist_labels()
    assert len(labels) == 54
    assert not [name for names in labels for name in names if name not in languages()]
    assert len({name for names in labels for name in names}) == sum(map(len, labels))
