"""A mixture from Python's own values is the mixture of a file, and is refused as that one would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline as loopmix
from pipeline.config import Mixture as Model
from pipeline.request.load import load_mixture as from_file

DATA = Path(__file__).resolve().parents[1] / "data"
SOURCES = [{"name": "books", "kind": "directory", "path": "text"}]


def test_a_file_a_dict_and_keywords_give_one_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    expected = from_file(DATA / "mixture.yaml").model_dump()
    given = yaml.safe_load((DATA / "mixture.yaml").read_text())
    for found in (
        loopmix.load_mixture(DATA / "mixture.yaml"),
        loopmix.load_mixture(str(DATA / "mixture.yaml")),
        loopmix.load_mixture(given),
        loopmix.Mixture(**given),
        loopmix.load_mixture(loopmix.Mixture(**given)),
        loopmix.load_mixture(from_file(DATA / "mixture.yaml")),
    ):
        assert found.model_dump() == expected
        assert isinstance(found, loopmix.Mixture) and isinstance(found, Model)
        assert found == loopmix.Mixture(**given)


def test_lists_tuples_dicts_paths_and_models_may_stand_inside(tmp_path: Path) -> None:
    plain = loopmix.Mixture(name="m", sources=SOURCES, pack={"seq_len": 64}, select={"drop_languages": ["golang"]})
    assert plain.select.drop_languages == ("Go",)  # an alias, as in a file
    assert plain.sources[0].path == str(Path.cwd() / "text")
    again = loopmix.Mixture(name="m", sources=tuple(plain.sources), pack=plain.pack, select=plain.select)
    assert again == plain
    other = loopmix.Mixture(name="m", sources=[SOURCES[0] | {"path": tmp_path}])
    assert other.sources[0].path == str(tmp_path)


def test_what_was_not_given_stays_not_given() -> None:
    """Some defaults follow from others, and what has no effect is only said of what somebody wrote."""
    assert not loopmix.Mixture(name="m", sources=SOURCES).model_fields_set & {"select", "near_dups", "pack", "seed"}
    found = loopmix.load_mixture({"name": "m", "sources": SOURCES, "near_dups": {"preset": "fineweb"}})
    assert loopmix.load_mixture(found).near_dups.n_bands == 14
    assert loopmix.load_mixture(found).near_dups.model_fields_set == found.near_dups.model_fields_set


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"name": "m", "sources": SOURCES, "sede": 1}, "mixture: sede: there is no such key; did you mean seed"),
        ({"name": "m", "sources": SOURCES, "seed": "1"}, "mixture: seed: .*valid integer"),
        ({"name": "m", "sources": []}, "mixture: sources: "),
        ({"name": "m", "sources": SOURCES, "select": {"drop_languages": ["Pyton"]}}, "did you mean Python"),
        ({"name": "m", "sources": [object()]}, "holds a value that is no text, number, list or mapping"),
        ({"sources": SOURCES}, "mixture: name: "),
    ],
)
def test_errors_are_ours_and_say_where(parts: dict[str, Any], said: str) -> None:
    for make in (lambda: loopmix.Mixture(**parts), lambda: loopmix.load_mixture(parts)):
        with pytest.raises(loopmix.ConfigError, match=said) as caught:
            make()
        assert isinstance(caught.value, loopmix.LoopmixError)


@pytest.mark.parametrize("strange", [None, 3, ["name"], "/nowhere/mixture.yaml"])
def test_what_is_no_mixture_is_refused(strange: Any) -> None:
    with pytest.raises(loopmix.ConfigError):
        loopmix.load_mixture(strange)
