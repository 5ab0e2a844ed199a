"""A key that does nothing is told, and a mixture whose keys all work is told nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.request.load import load_mixture
from pipeline.request.without_effect import without_effect

BOTH = """\
name: m
sources:
  - {name: repos, kind: directory, path: code, pool: code, license: MIT}
  - {name: books, kind: directory, path: text, pool: text}
"""
MIXTURES = Path(__file__).parents[2] / "mixture_configs"


def lines(folder: Path, text: str) -> list[str]:
    path = folder / "mix.yaml"
    path.write_text(text, encoding="utf-8")
    return list(without_effect(load_mixture(path)))


GPL = BOTH + "  - {name: gpl, kind: git, path: gpl, pool: code, license: GPL-2.0-only}\n"
TOLD = {
    BOTH + "pack: {global_batch: 64}": "pack.global_batch has no effect: no document may appear twice",
    BOTH + "balance: {code: {max_repo_frac: 0.1}}": (
        "balance.code.max_repo_frac has no effect: no source of code names repositories"
    ),
    GPL + "select: {drop_licenses: [copyleft]}": (
        "sources.gpl: nothing of it enters: its licence is copyleft, which select.drop_licenses drops"
    ),
    BOTH + "  - {name: again, kind: directory, path: code}\n": (
        "sources.again: reads the files of repos; each document will be its own exact duplicate"
    ),
    BOTH + "classify: {overrides: [{source: repos, language: C}, {source: repos, path: '*.x', language: D}]}": (
        "classify.overrides.1 has no effect: one before it fits every document that it could fit"
    ),
    BOTH + "classify: {merge: {TSX: TypeScript}}\nselect: {drop_languages: [TSX]}": (
        "select.drop_languages: TSX has no effect: classify.merge counts it as TypeScript; drop that"
    ),
    BOTH + "quality: {parse: false, max_parse_bytes: 5}": "quality.max_parse_bytes has no effect: quality.parse is off",
    BOTH + "quality: {parse: false, code: {max_parse_error_frac: 0.1}}": (
        "quality.code.max_parse_error_frac has no effect: quality.parse is off; set it to all"
    ),
    BOTH + "quality: {code: {max_parse_error_frac: 0.1}}": (
        "quality.code.max_parse_error_frac judges the sample alone: quality.parse is sample; set it to all"
    ),
    BOTH + "quality: {parse: all, parse_sample_frac: 0.3}": (
        "quality.parse_sample_frac has no effect: quality.parse is all"
    ),
    BOTH + "against: [{name: old, kind: run, path: x, ngram_words: 8}]": (
        "against.old.ngram_words has no effect with kind: run"
    ),
    BOTH + "balance: {code: {shares: {C: 3, Go: 1}}}": (
        "balance.code.shares names no `others`, so all other languages have no share and stay out; "
        "shares are relative: C 75.0%, Go 25.0%"
    ),
    BOTH + "  - {name: web, kind: jsonl, path: w.jsonl, pool: text}\nbalance: {text: {shares: {web: 1}}}": (
        "balance.text.shares names no `others`, so documents of books have no share and stay out; "
        "shares are relative: web 100.0%"
    ),
    BOTH + "balance: {code: {shares: {C: 3, others: 1}, max_frac: {C: 0.5}}}": (
        "balance.code.shares.C is 75.0% of the pool, but max_frac allows 50.0%: the others get the rest"
    ),
    BOTH + "select: {drop_languages: [C]}\nbalance: {code: {max_frac: {C: 0.5}}}": (
        "balance.code.max_frac.C has no effect: select.drop_languages drops C"
    ),
    BOTH + "balance: {text: {max_frac: {repos: 0.5}}}": (
        "balance.text.max_frac.repos has no effect: source repos gives no text"
    ),
    BOTH + "select: {allow_loss: [repos, Python, kernel/Pyhton, zzyzx, pyhton]}": (
        "select.allow_loss: 'pyhton' is no source and no language, so it is a repository; "
        "did you mean Python or Cython or STON?"
    ),
    BOTH + "balance: {total_tokens: 101}": "balance.total_tokens 101 cannot be divided by 2 parts: 100 are mixed",
}


@pytest.mark.parametrize("text", TOLD)
def test_a_key_without_effect_is_told(tmp_path: Path, text: str) -> None:
    assert lines(tmp_path, text) == [TOLD[text]]


def test_a_cap_of_what_has_no_share_is_told(tmp_path: Path) -> None:
    told = lines(tmp_path, BOTH + "balance: {code: {shares: {C: 1}, max_frac: {Go: 0.5}}}")
    assert told[1:] == ["balance.code.max_frac.Go has no effect: Go has no share, and there is no `others`"]


def test_a_rule_for_what_has_no_share_is_told_where_all_that_enters_has_one(tmp_path: Path) -> None:
    told = lines(tmp_path, BOTH + "balance: {code: {shares: {C: 1}, unimax: {max_epochs: 2}}}")
    assert told[1:] == ["balance.code.unimax has no effect: the shares name all that enters, and there is no `others`"]


FINE = (
    BOTH + "balance: {code: {shares: {C: 1, others: 1}, temperature: 0.5}}",
    BOTH + "balance: {text: {unimax: {}}}\npack: {global_batch: 64}",
    BOTH,
    GPL + "balance: {code: {max_repo_frac: 0.1}}",  # a checkout is a repository
    BOTH.replace("license: MIT", "repo: a/b") + "balance: {code: {max_repo_frac: 0.1}}",
    BOTH.replace("directory, path: text", "jsonl, path: t, columns: {repo: r}")
    + "balance: {text: {max_repo_frac: 0.1}}",
    GPL,
    BOTH + "balance: {code: {shares: {C: 1, others: 1}, max_frac: {C: 0.5, Go: 0.5}}, total_tokens: 100}",
    BOTH + "balance: {text: {shares: {books: 1}}}",
    BOTH + "classify: {overrides: [{source: repos, language: C}, {path: '*.x', language: D}]}",
    BOTH + "  - {name: rest, kind: directory, path: code, include: ['*.c']}\n",
    BOTH + "against: [{name: b, kind: jsonl, path: x, ngram_words: 8, content: text}]",
    BOTH + "quality: {max_parse_bytes: 5}",
)


@pytest.mark.parametrize("text", FINE)
def test_nothing_is_told_where_every_key_works(tmp_path: Path, text: str) -> None:
    assert lines(tmp_path, text) == []


@pytest.mark.parametrize("name", ["demo", "paper", "stack_fineweb"])
def test_nothing_is_told_of_a_mixture_that_ships(name: str) -> None:
    assert list(without_effect(load_mixture(MIXTURES / f"{name}.yaml"))) == []


def test_config_shows_what_has_no_effect_and_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(BOTH + "balance: {total_tokens: 101}", encoding="utf-8")
    shown = CliRunner().invoke(main, ["config", str(path)])
    assert shown.exit_code == 0
    assert "# note: balance.total_tokens 101 cannot be divided" in shown.output
    (tmp_path / "again.yaml").write_text(shown.output, encoding="utf-8")
    assert load_mixture(tmp_path / "again.yaml") == load_mixture(path)
