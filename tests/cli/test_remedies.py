"""What a message says to write is taken: each remedy of the table of mistakes, put into its mixture, loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mistakes import SYNTAX, VALUES, Mistake
from mistakes_written import WRITTEN

from pipeline import yaml_file
from pipeline.config import Mixture
from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture

OF_MIXTURES = [one for one in (*SYNTAX, *VALUES, *WRITTEN) if one.command == "config mix.yaml" and one.files]
_PLACE = re.compile(r"line \d+: ([\w.]+): ")
_WRITE = re.compile(r"(?:: |; |% )write (null|true or false|\[.*?\]|[-\d.]+(?:, or [-\d.]+)?)")
_MEANT = re.compile(r"did you mean ([\w.-]+)(?: or [^;?]*)?\?(?:;|$)")
_IN_QUOTES = re.compile(r"in quotes: ('.*')$")

# What is said in words alone, done as it is said: the old and the new part of the mixture.
BY_HAND = {
    "indented with a tab": ("\t- ", "  - "),
    "no space behind a colon": ("name:mine", "name: mine"),
    "a colon inside a text": ("a: b", "'a: b'"),
    "lines of one mapping in two columns": ("    path: builtin", "  path: builtin"),
    "a bracket that is not closed": ("Java, C", "Java, C]}"),
    "a quote that is not closed": ('"builtin', '"builtin"'),
    "a path that begins with a star": ("*.parquet", "'*.parquet'"),
    "a key given twice": ("seed: 2\n", ""),
    "a comma in a number": ("262,144", "262_144"),
    "a tag": ("!!python/name:os.system", "os.system"),
    "two documents in one file": ("---\nname: other\n", ""),
    "a control character": ("\x07", ""),
    "a key in the wrong section": ("max_lines: 3", "quality: {code: {max_lines: 3}}"),
    "caps that do not reach the whole": ("books: 0.5", "books: 1"),
    "a pattern that begins with !": ("[!a]", "['*', '!a']"),
    "a pattern that begins with #": ("[#a]", "['\\#a']"),
    "braces in a pattern": ("'*.{py,js}'", "'*.py', '*.js'"),
    "a list where a mapping belongs": ("[total_tokens]", "{total_tokens: 1000}"),
    "half of a whole number": ("1.5", "2"),
    "a key without a value": ("balance:\n", ""),
    "several licences as a list": ("[MIT, ISC]", "MIT AND ISC"),
}


def said_of(mistake: Mistake, folder: Path) -> str:
    (folder / "mix.yaml").write_text(str(mistake.files["mix.yaml"]), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_mixture(folder / "mix.yaml")
    return str(caught.value)


def values_of(said: str) -> list[Any]:
    """The values that a message says to write, each of them alone."""
    if found := _MEANT.search(said):
        return [found[1]]
    if "put it in quotes, as it is written" in said:
        return [re.findall(r"\(got (.*?)\)", said)[0]]
    if found := _WRITE.search(said):
        each = re.split(r", or | or ", found[1]) if found[1][0] != "[" else [found[1]]
        return [yaml.safe_load(one) for one in each]
    return []


def put(data: Any, place: list[str], value: Any, *, is_key: bool) -> None:
    for part in place[:-1]:
        data = data[int(part) if part.isdecimal() else part]
    last = int(place[-1]) if place[-1].isdecimal() else place[-1]
    if is_key:
        data[value] = data.pop(last)
    else:
        data[last] = value


def mended(mistake: Mistake, said: str) -> list[str]:
    """The mixture with each remedy of a message in place; none where it is said in words alone."""
    text = str(mistake.files["mix.yaml"])
    if found := _IN_QUOTES.search(said):
        return [text.replace(yaml.safe_load(found[1]), found[1])]
    place = _PLACE.search(said)
    made = []
    for value in values_of(said) if place else ():
        assert place is not None
        data = yaml.safe_load(text)
        is_key = "no such key" in said or (".shares." in place[1] and "did you mean" in said)
        put(data, place[1].split("."), value, is_key=is_key)
        made.append(yaml.safe_dump(data))
    return made


@pytest.mark.parametrize("mistake", OF_MIXTURES, ids=lambda mistake: mistake.did)
def test_a_remedy_that_is_said_loads(mistake: Mistake, tmp_path: Path) -> None:
    said = said_of(mistake, tmp_path)
    made = mended(mistake, said)
    for text in made:
        (tmp_path / "mix.yaml").write_text(text, encoding="utf-8")
        load_mixture(tmp_path / "mix.yaml")
    is_read = made or mistake.did in BY_HAND
    assert is_read or not re.search(r"write [-\d['n]|did you mean", said), "a remedy that this test does not read"


def test_no_more_remedies_are_tried_than_errors_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    refusal = yaml_file._refusal
    monkeypatch.setattr(yaml_file, "_refusal", lambda *asked: (tried.append(asked), refusal(*asked))[1])
    phases = [{"name": f"p{n}", "tokens": "1k"} for n in range(8)]
    sources = [{"name": f"s{n}", "kind": "git", "path": "a", "n_slices": "2k"} for n in range(90)]
    with pytest.raises(ConfigError, match="and 78 more errors"):
        yaml_file.validate(Mixture, {"name": "m", "sources": sources, "phases": phases}, where="m.yaml")
    assert len(tried) == yaml_file.MAX_ERRORS


@pytest.mark.parametrize("did", BY_HAND)
def test_a_remedy_in_words_loads_when_it_is_done(did: str, tmp_path: Path) -> None:
    (mistake,) = (one for one in OF_MIXTURES if one.did == did)
    text, (old, new) = str(mistake.files["mix.yaml"]), BY_HAND[did]
    assert old in text
    (tmp_path / "mix.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    load_mixture(tmp_path / "mix.yaml")
