"""What no input can meet is said when the mixture is read; what some input could meet is not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture

BOTH = (
    "sources: [{name: repos, kind: directory, path: code, pool: code}, "
    "{name: books, kind: directory, path: text, pool: text}]\n"
)
AUTO = "sources: [{name: all, kind: directory, path: all}]\n"
CODE = "sources: [{name: a, kind: git, path: a, pool: code}, {name: b, kind: git, path: b, pool: code}]\n"
GPL = BOTH.replace("pool: text", "pool: text, license: GPL-3.0-only").replace("pool: code", "pool: code, license: MIT")
DROP = "select: {drop_licenses: [other]}\n"


def load(folder: Path, text: str) -> None:
    path = folder / "mix.yaml"
    path.write_text(f"name: m\n{text}", encoding="utf-8")
    load_mixture(path)


SCORER = (
    "quality: {scorers: [{name: nice, kind: onnx, path: m.onnx}], rules: [{reason: r, feature: extra.%s, above: 1}]}\n"
)
REFUSED = {
    "a number that nobody gives": (
        BOTH + SCORER % "nise",
        r"asks for extra\.nise, and the mixture has no plug-in and no scorer of that name; did you mean extra\.nice\?",
    ),
    "a number that nobody gives, in a condition": (
        BOTH + "quality: {rules: [{reason: r, feature: n_lines, above: 1, when: [{feature: extra.x, below: 1}]}]}\n",
        r"asks for extra\.x, and the mixture has no plug-in",
    ),
    "two scorers of one name": (
        BOTH + "quality: {scorers: [{name: a, kind: onnx, path: x}, {name: a, kind: onnx, path: y}]}\n",
        "two scorers are called 'a', and extra.a is one number",
    ),
    "all code": (
        CODE,
        r"line 2: sources: none can give text.* 1:1: a \(pool: code\), b \(pool: code\); add a source",
    ),
    "all text": (CODE.replace("pool: code", "pool: text"), "sources: none can give code"),
    "all text by overrides": (
        AUTO + "classify: {overrides: [{language: Text}]}\n",
        r"none can give code.*all \(all text by overrides\)",
    ),
    "all code by overrides": (AUTO + "classify: {overrides: [{language: C}]}\n", "none can give text"),
    "the text is dropped": (GPL + DROP, r"none can give text.*books \(licence class other is dropped\)"),
    "all is dropped": (
        GPL.replace("MIT", "GPL-2.0-only") + DROP,
        "drop_licenses: drops every source: repos is other, books is other",
    ),
    "a dropped share": (
        BOTH + "select: {drop_languages: [Rust]}\nbalance: {code: {shares: {rust: 1, others: 1}}}\n",
        r"balance\.code\.shares\.Rust: select\.drop_languages drops Rust",
    ),
    "a dropped share of a family": (
        BOTH + "select: {drop_languages: [python]}\nbalance: {code: {shares: {Python: 1, others: 1}}}\n",
        r"shares\.Python: select\.drop_languages drops Python",
    ),
    "a share capped at nothing": (
        BOTH + "balance: {code: {shares: {Rust: 1, others: 1}, max_frac: {Rust: 0}}}\n",
        r"shares\.Rust: wants a share of Rust, of which balance\.code\.max_frac allows 0",
    ),
    "a share of text of a code source": (
        BOTH + "balance: {text: {shares: {repos: 1, others: 1}}}\n",
        r"shares\.repos: source repos gives no text: pool: code",
    ),
    "one text source that is capped": (
        BOTH + "balance: {text: {max_frac: {books: 0.5}}}\n",
        r"line 3: balance\.text\.max_frac: allows books 0\.5 = 0\.5 of the text tokens",
    ),
    "one language that is capped": (
        BOTH + "balance: {code: {shares: {Python: 1}, max_frac: {Python: 0.4}}}\n",
        r"balance\.code\.max_frac: allows Python 0\.4 = 0\.4 of the code tokens",
    ),
    "one told language that is capped": (
        BOTH + "classify: {overrides: [{language: Python}]}\nbalance: {code: {max_frac: {Python: 0.4}}}\n",
        r"allows Python 0\.4 = 0\.4",
    ),
    "no share for the one told language": (
        BOTH + "classify: {overrides: [{language: Python}]}\nbalance: {code: {shares: {C: 1}}}\n",
        "names none of the languages that classify.overrides give to all code: Python",
    ),
    "crossed limits of words": (
        BOTH + "quality: {text: {min_words: 50, max_words: 40}}\n",
        r"quality\.text\.min_words: 50 is above max_words 40",
    ),
    "crossed limits of mean words": (
        BOTH + "quality: {text: {min_mean_word_chars: 9, max_mean_word_chars: 3}}\n",
        r"min_mean_word_chars: 9\.0 is above max_mean_word_chars 3\.0",
    ),
    "nothing is short enough": (BOTH + "quality: {code: {max_lines: 0}}\n", r"max_lines: 0 is below 1, so no document"),
    "nothing is long enough": (
        BOTH + "ingest: {max_document_bytes: 40}\n",
        r"quality\.code\.min_chars: is 50, which no document of at most ingest\.max_document_bytes 40 has",
    ),
    "too long a sequence": (BOTH + "pack: {seq_len: 2147483648}\n", r"pack\.seq_len: .* or equal to 2147483647"),
    "too few tokens": (
        BOTH + "balance: {code: {parts: 3}, text: {parts: 2}, total_tokens: 4}\n",
        r"total_tokens: 4 is too few to be divided 3:2; the least is 5",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_input_can_meet_is_refused(tmp_path: Path, name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


FINE = {
    "a number of a scorer": BOTH + SCORER % "nice",
    "a number that a plug-in may give": BOTH
    + "quality: {plugins: [p], rules: [{reason: r, feature: extra.x, above: 1}]}\n",
    "auto gives both": AUTO,
    "an override gives the text": CODE + "classify: {overrides: [{path: docs/, language: Text, pool: text}]}\n",
    "prose that moves": AUTO + "classify: {overrides: [{language: XML}], prose_in: {XML: text}}\n",
    "prose in a group of its own": BOTH
    + "classify: {overrides: [{language: XML}], prose_in: {XML: apart}}\nbalance: {code: {shares: {XML prose: 1}}}\n",
    "a licence that a prefix says": GPL.replace("kind: directory", "kind: jsonl, strip_prefix: starcoderdata") + DROP,
    "an override of one source": AUTO.replace("]", ", {name: b, kind: git, path: b}]")
    + "classify: {overrides: [{source: all, language: Text}]}\n",
    "an override after one path": AUTO + "classify: {overrides: [{path: x, language: C}, {language: Text}]}\n",
    "a licence by document": GPL.replace("kind: directory", "kind: jsonl, columns: {license: license}") + DROP,
    "a cap beside others": BOTH + "balance: {code: {shares: {Python: 1, others: 1}, max_frac: {Python: 0.4}}}\n",
    "caps that fill": BOTH
    + "balance: {code: {shares: {C: 1, Go: 1, D: 1, Zig: 1}, max_frac: {C: 0.7, Go: 0.1, D: 0.1, Zig: 0.1}}}\n",
    "caps of languages to come": BOTH + "balance: {code: {max_frac: {C: 0.1}}}\n",
    "a language of a family": BOTH + "select: {drop_languages: [TSX]}\nbalance: {code: {shares: {TypeScript: 1}}}\n",
    "equal limits": BOTH + "quality: {text: {min_words: 40, max_words: 40}}\n",
    "a cap of nothing": BOTH + "balance: {code: {max_frac: {C: 0}}}\n",
    "the least total": BOTH + "balance: {total_tokens: 2}\n",
    "a share of text of an open source": AUTO + "balance: {text: {shares: {all: 1}}}\n",
}


@pytest.mark.parametrize("name", FINE)
def test_what_some_input_meets_is_not_refused(tmp_path: Path, name: str) -> None:
    load(tmp_path, FINE[name])


def test_all_contradictions_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, CODE + "quality: {code: {max_lines: 0}}\ningest: {max_document_bytes: 40}\n")
    assert str(caught.value).count("line ") == 3
