"""Filters of datatrove as scorers: their verdict is a number that rules ask for, under the versions that gave it."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from test_plugins import TABLE

from pipeline.errors import ConfigError, StageError
from pipeline.filters import Quality, Scorer
from pipeline.quality import datatrove_filter, scorers
from pipeline.quality.extra import extra_column
from pipeline.quality.settings import measuring_with

pytest.importorskip("datatrove")
TEXTS = ["draft: a first note", "A finished text.", "nothing"]


def scorer(**more: Any) -> Scorer:
    given = {"name": "drafts", "kind": "datatrove", "filter": "RegexFilter", "options": {"regex_exp": "^draft"}}
    return Scorer.model_validate_json(json.dumps(given | more))


def test_the_verdict_is_that_of_the_filter() -> None:
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4ParagraphFilter, RegexFilter

    long = "\n".join(f"Paragraph {i} is long. " * 20 for i in range(4))
    texts = [*TEXTS, long, "word\n" * 300]
    for name, options, built in (
        ("RegexFilter", {"regex_exp": "^draft"}, RegexFilter("^draft")),
        ("C4ParagraphFilter", {}, C4ParagraphFilter()),
    ):
        one = scorer(filter=name, options=options)
        found = scorers.scores_of(one, [t.encode() for t in texts], file_hash=scorers.hash_of(one))
        said = [built.filter(Document(text=t, id="")) for t in texts]
        assert found.tolist() == [float(not (s[0] if isinstance(s, tuple) else s)) for s in said], name
        assert 0 < found.sum() < len(texts), name


def test_it_is_a_number_of_its_documents_and_its_versions_are_in_the_configuration() -> None:
    quality = Quality(scorers=(scorer(pool="code"),))
    config = measuring_with(quality.measuring())
    assert config.scorer_hashes[0].startswith("datatrove ")
    language, pool = (np.array(TABLE[name].to_pylist()) for name in ("language", "pool"))
    contents = pa.array([t.encode() for t in TEXTS], pa.large_binary())
    documents = TABLE.drop_columns(["language", "pool"])
    documents = documents.set_column(documents.column_names.index("content"), "content", contents)
    found = extra_column(documents, config=config, sound=np.array([True] * 3), language=language, pool=pool)
    assert [dict(row) for row in found.to_pylist()] == [{"drafts": 1.0}, {"drafts": 0.0}, {}]  # the last is text
    other = config.model_copy(update={"scorer_hashes": ("datatrove 0.0",)})
    with pytest.raises(
        ConfigError, match=r"quality\.scorers\.drafts: datatrove .* are installed here and datatrove 0\.0 were"
    ):
        extra_column(documents, config=other, sound=np.ones(3, bool), language=language, pool=pool)


def test_an_absent_package_and_wrong_options_are_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"quality\.scorers\.drafts: RegexFilter refuses the options \{'regex': 'x'\}"
    ):
        measuring_with(Quality(scorers=(scorer(options={"regex": "x"}),)).measuring())
    with pytest.raises(ConfigError, match=r"options\.exclusion_writer: nothing is written"):
        measuring_with(Quality(scorers=(scorer(options={"regex_exp": "x", "exclusion_writer": "y"}),)).measuring())
    monkeypatch.setattr(datatrove_filter, "_DISTRIBUTIONS", ("datatrove", "spacy"))
    monkeypatch.setattr(datatrove_filter, "version", _missing)
    with pytest.raises(
        ConfigError, match=r"quality\.scorers\.drafts: needs datatrove; pip install 'loopmix\[datatrove\]'"
    ):
        measuring_with(Quality(scorers=(scorer(),)).measuring())


def _missing(name: str) -> str:
    raise datatrove_filter.PackageNotFoundError(name)


@pytest.mark.parametrize(
    "name", ["GopherQualityFilter", "GopherRepetitionFilter", "FineWebQualityFilter", "C4QualityFilter"]
)
def test_a_filter_that_needs_another_package_names_it_before_any_work(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ConfigError, match=rf"quality\.scorers\.g: {name} needs another package: .*spacy"):
        measuring_with(Quality(scorers=(scorer(name="g", filter=name, options={}),)).measuring())


def test_a_filter_that_fails_stops_the_stage() -> None:
    class Broken:
        def filter(self, document: object) -> bool:
            raise KeyError("x")

    with pytest.raises(StageError, match="Broken failed: KeyError: 'x'"):
        datatrove_filter.verdicts(Broken(), ["a"])


@pytest.mark.parametrize(
    "more",
    [
        {"filter": "SamplerFilter"},  # draws
        {"filter": "LambdaFilter"},  # runs code
        {"filter": "URLFilter"},  # fetches lists
        {"filter": None},
        {"path": "model.bin"},
        {"label": "x"},
        {"kind": "fasttext", "label": "x", "path": "m.bin"},
        {"kind": "onnx", "filter": None, "options": {}},
    ],
)
def test_settings_that_do_not_fit_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        scorer(**more)
