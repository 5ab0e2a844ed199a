"""Every name in a mixture is known before any work, and every error of a file is said at once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture

SOURCES = """\
name: asked
sources:
  - {name: repos, kind: directory, path: code, pool: code}
  - {name: books, kind: directory, path: text, pool: text}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mix.yaml"
    path.write_text(SOURCES + text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_mixture(write(folder, text))
    return str(caught.value).removeprefix(f"{folder}/mix.yaml: ")


def test_aliases_become_names_wherever_a_language_is_named(tmp_path: Path) -> None:
    text = """\
classify:
  overrides: [{path: "*.inc", source: repos, language: objc}, {path: "*.h", language: C++}]
  merge: {batch: bash}
select: {drop_languages: [golang, "emacs lisp"]}
balance:
  code:
    shares: {python: 1, c++: 2, JS: 3, others: 4}
    max_frac: {html: 0.5}
tokenizer: {sample: {code: {shares: {golang: 2, others: 1}}}}
"""
    mixture = load_mixture(write(tmp_path, text))
    assert [o.language for o in mixture.classify.overrides] == ["Objective-C", "C++"]
    assert mixture.classify.merge == {"Batchfile": "Shell"}
    assert mixture.select.drop_languages == ("Go", "Emacs Lisp")
    assert mixture.balance.code.shares == {"Python": 1, "C++": 2, "JavaScript": 3, "others": 4}
    assert mixture.balance.code.max_frac == {"HTML": 0.5}
    assert mixture.tokenizer.sample.code.shares == {"Go": 2, "others": 1}
    shown = CliRunner().invoke(main, ["config", str(tmp_path / "mix.yaml")]).output
    assert "drop_languages: [Go, Emacs Lisp]" in shown
    assert "      Python: 1.0" in shown


WRONG = {
    "balance: {code: {shares: {pyhton: 1, others: 1}}}": (
        "line 5: balance.code.shares.pyhton: 'pyhton' is no language of linguist; did you mean Python"
    ),
    "balance: {code: {max_frac: {Jave: 0.5}}}": "balance.code.max_frac.Jave: 'Jave' is no language of linguist; did",
    "select: {drop_languages: [jsx]}": "drop_languages.0: 'jsx' is no language of linguist; did you mean JavaScript?",
    "classify: {merge: {Shel: Python}}": "classify.merge.Shel: 'Shel' is no language of linguist; did you mean Shell",
    "classify: {merge: {Shell: Pyton}}": "merge.Shell: 'Pyton' is no language of linguist; did you mean Python",
    "classify: {overrides: [{language: Rusty}]}": (
        "classify.overrides.0.language: 'Rusty' is no language of linguist; did you mean Rust"
    ),
    "classify: {overrides: [{language: Rust, source: repo}]}": (
        "classify.overrides.0.source: 'repo' is no source of this mixture; did you mean repos?"
    ),
    "balance: {text: {shares: {bokks: 1}}}": "shares.bokks: 'bokks' is no source of this mixture; did you mean books?",
    "balance: {text: {max_frac: {web: 0.5}}}": "'web' is no source of this mixture; expected one of repos, books",
    "select: {drop_licenses: [permisive]}": "(got 'permisive'); did you mean permissive?",
    "select: {drop_licenses: [copyleff]}": "did you mean copyleft?",
    "balance: {code: {shares: {TSX: 1}}}": "TSX is counted as TypeScript, as in linguist; write that",
    "balance: {code: {shares: {bash: 1}}}\nclassify: {merge: {Shell: Perl}}": "is counted as Perl by classify.merge",
    "balance: {code: {shares: {python: 1, Python: 2}}}": "shares.Python: is Python, as 'python' before it; keep one",
    "balance: {code: {shares: {othrs: 1}}}": "shares.othrs: 'othrs' is no group; did you mean others?",
    "balance: {text: {shares: {other: 1}}}": "shares.other: 'other' is no group; did you mean others?",
    "balance: {code: {max_frac: {others: 0.5}}}": "`others` has no cap of its own",
    "balance: {text: {max_frac: {others: 0.5}}}": "`others` has no cap of its own",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_name_is_refused_with_its_place_and_the_nearest(tmp_path: Path, text: str) -> None:
    message = refusal(tmp_path, text)
    assert WRONG[text] in message
    assert message.startswith("line ")
    assert "; line" not in message, "one slip is one error"


KEYS = {
    "quality: {code: {max_line: 3}}": "quality.code.max_line: there is no such key; did you mean max_lines",
    "max_lines: 3": "max_lines: there is no such key; `max_lines` belongs to quality.code",
    "quality: {max_line_chars: 3}": "`max_line_chars` belongs to quality.code or quality.text",
    "pack: {zzz: 3}": "pack.zzz: there is no such key; expected one of seq_len, cut_at, n_shards, n_partitions",
    "select: {seed: 3}": "select.seed: there is no such key; `seed` belongs to the top",
}


@pytest.mark.parametrize("text", KEYS)
def test_a_key_that_is_not_known_is_answered_with_the_nearest(tmp_path: Path, text: str) -> None:
    assert KEYS[text] in refusal(tmp_path, text)


LICENSES = {"Apche-2.0": "'Apche-2.0' is no licence that is known; did you mean apache-2.0",
            "MIT OR (Expt WITH X)": "'Expt' is no licence that is known",
            "all mine": "write LicenseRef-NAME for one of your own"}  # fmt: skip


@pytest.mark.parametrize("name", LICENSES)
def test_a_licence_that_is_not_known_is_answered_with_the_nearest(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(SOURCES.replace("pool: text", f'pool: text, license: "{name}"'))
    with pytest.raises(ConfigError) as caught:
        load_mixture(path)
    assert "line 4: sources.1.license: " in str(caught.value)
    assert LICENSES[name] in str(caught.value)


@pytest.mark.parametrize(
    "name", ["MIT", "mit license", "MIT/Apache-2.0", "GPL-2+ or Artistic, and Expat", "LicenseRef-mine", "proprietary",
             "GPL-2.0-only WITH Classpath-exception-2.0 AND LicenseRef-mine", "Apache License, Version 2.0", ""]
)  # fmt: skip
def test_a_licence_that_is_known_stays_as_it_is_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(SOURCES.replace("pool: text", f'pool: text, license: "{name}"'))
    assert load_mixture(path).sources[1].license == name


def test_all_errors_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
seed: many
select:
  drop_languages: [pyhton]
balance:
  code:
    shares: {pyton: -1}
pack: {seqlen: 4}
"""
    found = [part.split(": ")[:2] for part in refusal(tmp_path, text).split("; line ")]
    assert found == [
        ["line 5", "seed"],
        ["7", "select.drop_languages.0"],
        ["10", "balance.code.shares.pyton"],
        ["11", "pack.seqlen"],
    ]


SOURCE_SLIPS = {
    "{name: a, kind: directry, path: x}": "sources.0.kind: Input should be",
    "{name: a, kind: jsonl, path: x, explode: 3}": "sources.0.explode: Input should be a valid string (got 3)",
    "{name: a, kind: jsonl, path: x}, {name: a, kind: jsonl, path: y}": "two sources share a name: ['a']",
}


@pytest.mark.parametrize("sources", SOURCE_SLIPS)
def test_a_slip_in_a_source_is_one_error_in_our_words(tmp_path: Path, sources: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(f"name: asked\nsources: [{sources}]\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_mixture(path)
    said = str(caught.value)
    assert SOURCE_SLIPS[sources] in said
    assert [noise for noise in ("at least 1 item", "Value error", "(got {") if noise in said] == []


def test_a_list_that_is_empty_is_short(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text("name: asked\nsources: []\nseed: x\n", encoding="utf-8")
    said = (
        "sources: a list of at least 1 is expected; it says: where documents come from; write for each `name:`, `kind:`"
    )
    with pytest.raises(ConfigError, match=said):
        load_mixture(path)


def test_a_language_that_looks_like_others_is_a_language(tmp_path: Path) -> None:
    mixture = load_mixture(write(tmp_path, "balance: {code: {shares: {Antlers: 1, others: 2}}}"))
    assert set(mixture.balance.code.shares) == {"Antlers", "others"}


def test_many_errors_end_in_their_number(tmp_path: Path) -> None:
    wrong = ", ".join(f"Zyzzyx{i}" for i in range(30))
    message = refusal(tmp_path, f"select: {{drop_languages: [{wrong}]}}")
    assert message.endswith("; and 10 more errors")
    assert message.count("is no language of linguist") == 20


def test_an_error_is_one_line_of_the_terminal(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", str(write(tmp_path, "seed: x\nselect: {drop_languages: [pyhton]}"))])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "line 5: seed" in result.output
    assert "line 6: select.drop_languages.0" in result.output


def test_odd_shapes_are_refused_by_their_type_and_not_by_a_traceback(tmp_path: Path) -> None:
    for text in ("balance: {code: {shares: [Python]}}", "select: {drop_languages: Python}", "balance: {code: 3}",
                 "classify: {merge: [a]}", "classify: {overrides: {language: C}}", "select: {drop_languages: [[C]]}",
                 "classify: {merge: {C: [C]}}", "classify: 7", "balance: [1]"):  # fmt: skip
        assert "Input should be" in refusal(tmp_path, text), text
    path = tmp_path / "odd.yaml"
    for text in ("[]", "", "name: x\nsources: 3", "name: x\nsources: [3, {name: [1]}]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError):
            load_mixture(path)


def test_prose_set_apart_is_a_group_that_may_be_bounded(tmp_path: Path) -> None:
    cap = "balance: {code: {max_frac: {XML prose: 0.02, Other code: 0.05}}}"
    mixture = load_mixture(write(tmp_path, "classify: {prose_in: {XML: apart}}\n" + cap))
    assert mixture.balance.code.max_frac == {"XML prose": 0.02, "Other code": 0.05}
    assert "is a group with `classify.prose_in: {XML: apart}` only" in refusal(tmp_path, cap)
    assert "Input should be 'CSV', 'HTML'" in refusal(tmp_path, "classify: {prose_in: {Python: apart}}")
    assert "Input should be 'CSV', 'HTML'" in refusal(tmp_path, "select: {drop_prose_in: [Python]}")
