"""Fill in the middle: nothing is lost, nothing is cut, and what is undone is the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.forms.fim import Filler, Sentinels, bounds_of, parts_of, sentinels_of, slices_of, undo
from pipeline.forms.splits import Draw, split
from pipeline.mix.encoder import load_encoder
from pipeline.mix.settings import Filling
from pipeline.targets import Splits

MARK = Sentinels(prefix=1, suffix=2, middle=3, end=0)
PYTHON = b"import os\n\n\ndef twice(n):\n    total = n + n\n    return total\n\n\nprint(twice(21))\n"
KINDS = {kind: Splits(**{"random": 0, "line": 0, "syntax": 0} | {kind: 1}) for kind in ("random", "line", "syntax")}
TEXTS = st.text(alphabet="ab é漢😀\n\t{}", min_size=32, max_size=400)


def bytes_as_ids(texts: Sequence[bytes]) -> list[np.ndarray]:
    return [np.frombuffer(text, np.uint8).astype(np.uint32) + 64 for text in texts]


def filler(max_tokens: int, splits: Splits | None = None, *, at_lines: bool = False, key: int = 7) -> Filler:
    sizes = np.ones(320, np.int64)
    return Filler(bytes_as_ids, sizes, MARK, splits or Splits(), max_tokens, at_lines, key)


def text_of(ids: np.ndarray) -> bytes:
    return (undo(ids, MARK) - 64).astype(np.uint8).tobytes()


@given(TEXTS, st.integers(64, 600), st.booleans(), st.booleans(), st.integers(0, 2**64 - 1))
@example("a" * 31 + "😀" * 30, 64, True, True, 3)
def test_undone_it_is_the_text_and_every_piece_fits(text: str, most: int, spm: bool, at_lines: bool, key: int) -> None:
    raw = text.encode()
    ids = filler(most, at_lines=at_lines, key=key).fill(raw, doc_id="0" * 32, language="Python", spm=spm)
    assert text_of(ids) == raw
    pieces = [ids[a:b] for a, b in bounds_of(ids, MARK)]
    assert sum(piece.size for piece in pieces) == ids.size
    for piece in pieces:
        assert piece.size <= most
        assert len(parts_of(piece, MARK)[0]) == 3
        text_of(piece).decode()  # no character is torn
        assert (piece[1] == MARK.suffix) or not spm
    if len(pieces) > 1 and not at_lines:
        assert min(piece.size for piece in pieces[:-2]) > most - 16 if len(pieces) > 2 else True


@given(TEXTS, st.integers(64, 200), st.booleans())
def test_a_truncated_copy_of_any_length_is_made_of_slices_that_ask_nothing(text: str, most: int, spm: bool) -> None:
    ids = filler(most).fill(text.encode(), doc_id="1" * 32, language="Text", spm=spm)
    whole = set(bounds_of(ids, MARK))
    for n_tokens in range(1, ids.size + 1):
        slices = list(slices_of(ids, n_tokens, MARK))
        assert sum(b - a for a, b in slices) == n_tokens
        assert len({place for a, b in slices for place in range(a, b)}) == n_tokens  # none twice
        for a, b in slices:
            assert b > a
            if (a, b) not in whole:  # then a question without its answer must not stand there
                assert not np.isin(ids[a + 1 : b], (MARK.prefix, MARK.suffix, MARK.middle)).any()


@pytest.mark.parametrize("spm", [False, True])
def test_the_parts_stand_in_the_order_of_the_paper(spm: bool) -> None:
    one = filler(10_000, KINDS["line"])
    start, stop = split(PYTHON, language="Python", splits=KINDS["line"], draw=Draw(7, "2" * 32), turn=0)
    before, within, behind = (
        part.tolist() for part in bytes_as_ids([PYTHON[:start], PYTHON[start:stop], PYTHON[stop:]])
    )
    psm = [1, *before, 2, *behind, 3, *within, 0]
    assert one.fill(PYTHON, doc_id="2" * 32, language="Python", spm=spm).tolist() == (
        [1, 2, *behind, 3, *before, *within, 0] if spm else psm
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_split_is_at_its_bounds(kind: str) -> None:
    lines = {0, *(i + 1 for i, byte in enumerate(PYTHON) if byte == ord("\n"))}
    spans = {
        split(PYTHON, language="Python", splits=KINDS[kind], draw=Draw(key, "3" * 32), turn=0) for key in range(400)
    }
    middles = {PYTHON[a:b] for a, b in spans}
    assert all(0 <= a < b <= len(PYTHON) and b - a < len(PYTHON) for a, b in spans)
    at_lines = all(a in lines and b in lines for a, b in spans)
    assert at_lines == (kind == "line")
    if kind == "random":
        assert len(spans) > 300
    if kind == "syntax":
        assert {b"def twice(n):\n    total = n + n\n    return total", b"return total", b"n + n", b"total"} <= middles
        assert len(spans) < 40


def test_what_no_grammar_reads_is_split_at_lines_and_one_line_at_characters() -> None:
    prose = b"One line here.\nAnd another there.\nA third one.\n"
    lines = {0, 15, 34, len(prose)}
    for key in range(50):
        draw = Draw(key, "4" * 32)
        assert set(split(prose, language="Text", splits=KINDS["syntax"], draw=draw, turn=0)) <= lines
        a, b = split(b"x" * 40, language="Text", splits=KINDS["line"], draw=draw, turn=0)
        assert 0 <= a < b <= 40
        assert (a, b) != (0, 40)


def test_characters_are_never_torn_by_a_node_either() -> None:
    text = 'name = "héllo wörld 漢字 😀"\nprint(name + "é")\n'.encode()
    for key in range(200):
        a, b = split(text, language="Python", splits=KINDS["syntax"], draw=Draw(key, "5" * 32), turn=0)
        text[:a].decode(), text[a:b].decode(), text[b:].decode()


def test_documents_and_keys_draw_apart_and_a_document_draws_the_same() -> None:
    fill = filler(1_000).fill
    one = fill(PYTHON, doc_id="6" * 32, language="Python", spm=False).tolist()
    assert one == fill(PYTHON, doc_id="6" * 32, language="Python", spm=False).tolist()
    others = [fill(PYTHON, doc_id=f"{i:032x}", language="Python", spm=False).tolist() for i in range(20)]
    assert len({tuple(ids) for ids in others}) > 10
    assert filler(1_000, key=8).fill(PYTHON, doc_id="6" * 32, language="Python", spm=False).tolist() != one


@pytest.mark.parametrize(
    "ids",
    [[1, 70, 2, 71, 3, 72], [1, 70, 3, 71, 2, 72, 0], [1, 70, 2, 71, 0], [70, 1, 2, 71, 3, 0], [1, 2, 3, 1, 2, 3, 0]],
)
def test_torn_pieces_are_told(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="piece"):
        parts_of(np.array(ids, np.uint32), MARK)


def test_a_long_document_ends_its_pieces_with_lines_where_it_shall() -> None:
    text = b"".join(b"line number %d of many\n" % i for i in range(200))
    ids = filler(256, at_lines=True).fill(text, doc_id="7" * 32, language="Text", spm=True)
    pieces = [text_of(ids[a:b]) for a, b in bounds_of(ids, MARK)]
    assert len(pieces) > 10
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_sentinels_are_found_by_the_names_of_three_families() -> None:
    assert sentinels_of({"<|fim_prefix|>": 5, "<|fim_suffix|>": 6, "<|fim_middle|>": 7}, end=9) == Sentinels(5, 6, 7, 9)
    assert sentinels_of({"<fim_prefix>": 5, "<fim_suffix>": 6, "<fim_middle>": 7}, end=9) is not None
    assert sentinels_of({"<|fim_prefix|>": 5, "<fim_suffix>": 6, "<fim_middle>": 7}, end=9) is None


def test_the_shipped_tokenizer_fills_in_and_reads_back() -> None:
    encoder = load_encoder("builtin")
    mark = Filling.sentinels(encoder)
    assert encoder.decode([mark.prefix, mark.suffix, mark.middle]) == b"<|fim_prefix|><|fim_suffix|><|fim_middle|>"

    def encode(texts: Sequence[bytes]) -> list[np.ndarray]:
        offsets, ids = encoder.encode_batch(texts)
        return [ids[a : b - 1] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]

    sizes = np.array([len(token) for token in encoder.vocabulary])
    text = PYTHON * 40 + "# <|fim_middle|> größer 漢字\n".encode()
    ids = Filler(encode, sizes, mark, Splits(), 128, False, 3).fill(text, doc_id="8" * 32, language="Python", spm=False)
    assert encoder.decode(undo(ids, mark)) == text
    assert max(b - a for a, b in bounds_of(ids, mark)) <= 128


def test_a_vocabulary_without_sentinels_is_refused() -> None:
    from dataclasses import replace

    encoder = replace(load_encoder("builtin"), special={"<|endoftext|>": 0})
    with pytest.raises(ConfigError, match=r"forms\.fim: the tokenizer has no tokens"):
        Filling.sentinels(encoder)
