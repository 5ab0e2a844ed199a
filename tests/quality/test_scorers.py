"""Scorers give the numbers of their models, whatever the batch, and say what is wrong with a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import (
    fasttext_by_hand,
    tokens_by_hand,
    write_broken,
    write_external,
    write_fasttext,
    write_strings,
    write_tokens,
)

from pipeline.errors import ConfigError, StageError
from pipeline.filters import Scorer
from pipeline.quality.fasttext_model import load_fasttext
from pipeline.quality.onnx_model import load_onnx
from pipeline.quality.scorers import check, hash_of, scores_of

TEXTS = ["good", "bad", "so good\nso bad", "unknown words only", "good " * 40, "so", "bad\tbad good"]


def scores(scorer: Scorer, texts: list[str]) -> list[float]:
    return scores_of(scorer, [t.encode() for t in texts], file_hash=hash_of(scorer)).tolist()


def fasttext(path: Path, **more: Any) -> Scorer:
    return Scorer(name="s", kind="fasttext", path=str(path), **({"label": "yes"} | more))


def onnx(path: Path, **more: Any) -> Scorer:
    return Scorer(name="s", kind="onnx", path=str(path), **more)


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("label", ["yes", "__label__yes"])
def test_fasttext_gives_the_probability_of_the_label(tmp_path: Path, batch: int, label: str) -> None:
    found = scores(fasttext(write_fasttext(tmp_path / "m.bin"), batch=batch, label=label), TEXTS)
    assert found == pytest.approx([fasttext_by_hand(t) for t in TEXTS], abs=2e-5)  # fastText adds 1e-5


def test_the_other_label_is_the_rest_and_none_is_above_one(tmp_path: Path) -> None:
    path = write_fasttext(tmp_path / "m.bin")
    yes, no = scores(fasttext(path), TEXTS), scores(fasttext(path, label="no"), TEXTS)
    assert np.add(yes, no) == pytest.approx(np.ones(len(TEXTS)), abs=1e-4)
    assert max(*scores(fasttext(path), ["good " * 3]), *yes, *no) <= 1.0


def test_batches_give_the_same_numbers_as_one_by_one(tmp_path: Path) -> None:
    for scorer in (fasttext(write_fasttext(tmp_path / "m.bin")), onnx(write_tokens(tmp_path / "tokens"))):
        whole = scores(scorer, TEXTS)
        assert whole == [scores(scorer, [text])[0] for text in TEXTS]
        assert whole == scores(scorer.model_copy(update={"batch": 2}), TEXTS)
        assert scores(scorer, []) == []


@pytest.mark.parametrize("dims", [1, 2])
def test_an_onnx_model_takes_strings(tmp_path: Path, dims: int) -> None:
    assert scores(onnx(write_strings(tmp_path / "m.onnx", dims=dims)), ["bad", "good", "x"]) == [-1.0, 1.0, 0.25]


def test_a_column_is_chosen_by_its_number(tmp_path: Path) -> None:
    path = write_strings(tmp_path / "m.onnx", columns=3)
    assert scores(onnx(path, label=2), ["bad", "good"]) == [-3.0, 3.0]
    with pytest.raises(ConfigError, match=r"scorers\.s: gives shape \[1, 3\] for 1 texts; name a column"):
        check(onnx(path), file_hash="0")
    with pytest.raises(ConfigError, match=r"gives 3 columns, and label 3 is none"):
        check(onnx(path, label=3), file_hash="0")


def test_an_onnx_model_takes_token_ids_and_a_mask(tmp_path: Path) -> None:
    scorer = onnx(write_tokens(tmp_path))
    assert scores(scorer, TEXTS) == pytest.approx([tokens_by_hand(t) for t in TEXTS])
    few = scorer.model_copy(update={"max_tokens": 1})
    assert scores(few, TEXTS) == pytest.approx([tokens_by_hand(t, most=1) for t in TEXTS])


def test_only_the_first_characters_are_read(tmp_path: Path) -> None:
    scorer = fasttext(write_fasttext(tmp_path / "m.bin"), max_chars=4)
    assert scores(scorer, ["good bad bad", "éé good"]) == pytest.approx(
        [fasttext_by_hand("good"), fasttext_by_hand("éé g")], abs=2e-5
    )


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"quality\.scorers\.s: gives NaN or infinity for 1 of 2 documents"):
        scores(onnx(write_broken(tmp_path / "m.onnx")), ["x", "y"])


@pytest.mark.parametrize("kind", ["fasttext", "onnx"])
def test_a_file_that_is_no_model_is_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model"
    scorer = fasttext(path) if kind == "fasttext" else onnx(path)
    with pytest.raises(ConfigError, match=r"scorers\.s: .*model cannot be read: No such file"):
        hash_of(scorer)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"quality\.scorers\.s: .*model: is no (fastText classifier|ONNX model)"):
        check(scorer, file_hash=hash_of(scorer))


def test_weights_in_another_file_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would look for them in the working folder, and no hash would cover them."""
    path = write_external(tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "weights.bin").is_file()
    with pytest.raises(ConfigError, match=r"cannot be loaded|its weights must be in it"):
        check(onnx(path), file_hash=hash_of(onnx(path)))


def test_a_label_that_the_model_lacks_is_said(tmp_path: Path) -> None:
    scorer = fasttext(write_fasttext(tmp_path / "m.bin"), label="maybe")
    with pytest.raises(ConfigError, match=r"has no label 'maybe'; it has __label__no, __label__yes"):
        check(scorer, file_hash=hash_of(scorer))


def test_a_model_without_its_tokenizer_is_said(tmp_path: Path) -> None:
    path = write_tokens(tmp_path)
    before = hash_of(onnx(path))
    (tmp_path / "tokenizer.json").unlink()
    assert hash_of(onnx(path)) != before  # it decides the numbers as much as the model
    with pytest.raises(ConfigError, match=r"tokenizer\.json: the tokenizer of .* cannot be read"):
        check(onnx(path), file_hash="1")


def test_a_file_that_changed_since_the_start_is_refused(tmp_path: Path) -> None:
    path = write_strings(tmp_path / "m.onnx")
    before = hash_of(onnx(path))
    write_strings(path, columns=1)
    with pytest.raises(ConfigError, match="another file than at the start"):
        scores_of(onnx(path), [b"x"], file_hash=before)


@pytest.mark.parametrize(("kind", "module"), [("fasttext", "fasttext"), ("onnx", "onnxruntime")])
def test_a_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    load_fasttext.cache_clear()
    load_onnx.cache_clear()
    scorer = fasttext(write_fasttext(tmp_path / "m")) if kind == "fasttext" else onnx(write_strings(tmp_path / "m"))
    with pytest.raises(ConfigError, match=r"quality\.scorers\.s: .*pip install 'loopmix\[scorers\]'"):
        check(scorer, file_hash="missing")


def test_a_model_is_loaded_once(tmp_path: Path) -> None:
    scorer = fasttext(write_fasttext(tmp_path / "m.bin"))
    load_fasttext.cache_clear()
    for _ in range(3):
        scores(scorer, TEXTS)
    assert load_fasttext.cache_info().misses == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "fasttext"}, "needs the name of a label, not None"),
        ({"kind": "fasttext", "label": 1}, "needs the name of a label, not 1"),
        ({"kind": "onnx", "label": "x"}, "is the number of a column, from 0, not 'x'"),
        ({"kind": "onnx", "path": "s3://b/m.onnx"}, "s3://b/m.onnx is no local file"),
    ],
)
def test_settings_that_contradict_the_kind_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scorer(**({"name": "s", "path": "m"} | values))
