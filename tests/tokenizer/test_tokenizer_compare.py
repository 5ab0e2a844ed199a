"""Tokens by group under several vocabularies, checked by hand."""

from tokenizer import load
from tokenizer.compare import OURS, LabelledText, compare


def test_compare_counts_by_group_origin_and_vocabulary() -> None:
    encoder = load("builtin")
    documents = [
        LabelledText("C", "one", b"int x;"),
        LabelledText("Text", "one", b"hello"),
        LabelledText("C", "two", b"int y;"),
    ]
    found = compare(documents, encoder=encoder, peers={"characters": len})
    c, text = found.groups
    assert (c.group, c.n_docs, c.n_bytes, text.group, text.n_bytes) == ("C", 2, 12, "Text", 5)
    n = encoder.encode_batch([b"int x;", b"int y;"])[1].size - 2
    assert (c.n_tokens, found.vocabularies) == ({OURS: n, "characters": 12}, (OURS, "characters"))
    assert (c.bytes_per_token("characters"), c.bytes_per_token(OURS)) == (1.0, 12 / n)
    assert found.n_origins == 2
    word, shared = (encoder.encode_batch([text])[1][0] for text in (b"hello", b"int"))
    assert (found.uses.is_shared[word], found.uses.is_shared[shared]) == (False, True)


def test_mean_counts_each_large_group_once() -> None:
    documents = [
        LabelledText("C", "one", b"ab" * 50),
        LabelledText("D", "one", b"ab" * 100),
        LabelledText("E", "one", b"x"),
    ]
    found = compare(documents, encoder=load("builtin"), peers={"pairs": lambda text: 50})
    assert found.mean("pairs", min_bytes=100) == (100 / 50 + 200 / 50) / 2
    assert found.mean("pairs", min_bytes=101) == 4
    assert found.mean("pairs", min_bytes=1_000) == 0
