"""What another `select` would shut out of a run, held to a run that was made by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from pipeline.cli.main import main
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import Progress
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.reading.rule_effects import effects_of
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import LEDGER

MIXTURE = """
name: shut_out
sources:
- {{name: free, kind: directory, path: {folder}/free, pool: code, license: MIT}}
- {{name: left, kind: directory, path: {folder}/left, pool: code, license: GPL-3.0-only}}
- {{name: text, kind: directory, path: {folder}/text, pool: text, license: CC0-1.0}}
- {{name: bare, kind: directory, path: {folder}/bare, pool: code}}
near_dups: {{min_similarity: {similarity}, min_stored_similarity: 0.5}}
quality: {{sets: [], parse: "off"}}
select: {{max_loss: 1.0, {select}}}
pack: {{seq_len: 64}}
"""
LANGUAGES = "C Go Java Lua Perl PHP Python R Ruby Rust Scala Swift Zig Dart".split()  # noqa: SIM905
ENGLISH = "The old harbour was quiet in the evening and the people of the town went home when it was late."
GERMAN = "Der alte Hafen war am Abend ruhig und die Leute der Stadt gingen nach Hause, als es schon dunkel war."
SELECTS = {
    "none": "drop_languages: []",
    "copyleft": "drop_licenses: [copyleft]",
    "freest": "drop_licenses: [copyleft], license_of_equals: freest",
    "unknown": "drop_licenses: [unknown]",
    "lua": "drop_languages: [Lua]",
    "german": "drop_prose_languages: [de]",
    "english": "keep_prose_languages: [en]",
    "prose": "drop_prose_in: [XML]",
    "untold": "drop_unknown: false",
}


def body(n: int, ends: str = "") -> str:
    return "".join(f"def item_{n}_{k}(a, b):\n    return a * {k} + b{ends}\n" for k in range(6))


def write_sources(folder: Path) -> None:
    files = {f"free/f{n}.py": body(n) for n in range(4)}
    files |= {f"left/l{n}.py": body(n) for n in range(2, 9)}  # 2 and 3 are equal to files of the free source
    files |= {f"bare/b{n}.py": body(n) for n in (0, 11, 12)}  # of no licence; 0 is equal to a free one
    files |= {f"free/g{n}.lua": f"local x{n} = {n}\nprint(x{n}, 'of {n}')\n" * 5 for n in range(3)}
    files["free/snippet"] = "x = y\nlet z\n"  # of no language
    files |= {f"free/p{n}.xml": f"<doc>\n{f'<p>{ENGLISH} It was day {n}.</p>' * 9}\n</doc>\n" for n in range(2)}
    files |= {f"text/e{n}.txt": f"{ENGLISH} It was the {n}th day. " * 9 for n in range(4)}
    files |= {f"text/d{n}.txt": f"{GERMAN} Es war der {n}. Tag. " * 9 for n in range(3)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def mixture(folder: Path, name: str, select: str, similarity: float = 0.99) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(MIXTURE.format(folder=folder, select=select, similarity=similarity))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFiles]:
    folder = tmp_path_factory.mktemp("shut_out")
    write_sources(folder)
    made = {}
    for name, select in SELECTS.items():
        store = open_store(str(folder / name))
        loaded = load_mixture(mixture(folder, name, select))
        curate(Run(store, loaded, InlineExecutor(), Progress(Console(), quiet=True)))
        made[name] = RunFiles(store)
    return made


def kept(run: RunFiles) -> dict[str, int]:
    return {r["doc_id"]: r["n_bytes"] for shard in run.shards(LEDGER) for r in shard.to_pylist() if r["keep"]}


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("name", [name for name in SELECTS if name != "none"])
def test_what_is_said_of_another_select_is_what_a_run_of_it_does(
    runs: dict[str, RunFiles], name: str, back: bool
) -> None:
    run, other = (runs[name], runs["none"]) if back else (runs["none"], runs[name])
    said = effects_of(run, other.mixture.quality, other.mixture.select)
    before, after = kept(run), kept(other)
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    assert len(gone) + len(come) > 0
    assert (said.n_dropped_docs, said.n_dropped_bytes) == (len(gone), sum(before[i] for i in gone))
    assert (said.n_restored_docs, said.n_restored_bytes) == (len(come), sum(after[i] for i in come))


def test_the_effect_of_a_setting_stands_under_its_reason(runs: dict[str, RunFiles]) -> None:
    said = effects_of(runs["none"], runs["lua"].mixture.quality, runs["lua"].mixture.select)
    assert [(e.reason, e.language, e.n_docs, e.n_alone_docs) for e in said.effects] == [
        ("dropped_language", "Lua", 3, 3)
    ]
    assert {e.path for e in said.examples} == {"g0.lua", "g1.lua", "g2.lua"}


def asked(run: RunFiles, path: Path, *options: str) -> str:
    said = CliRunner().invoke(main, ["select", run.store.root, "--against", str(path), *options])
    assert said.exit_code == 0, said.output
    return said.output


def test_what_is_not_counted_is_named_and_nothing_is_said_to_stay(runs: dict[str, RunFiles], tmp_path: Path) -> None:
    run, folder = runs["none"], Path(runs["none"].store.root).parent
    same = asked(run, folder / "none.yaml")
    assert "these rules keep the same documents" in same and "not counted" not in same
    path = mixture(folder, "nearer", SELECTS["none"], similarity=0.6)
    said = asked(run, path)
    assert "the same documents" not in said
    assert said.endswith("would come back: 0 documents, 0 B\nnot counted: near_dups.min_similarity\n")
    assert json.loads(asked(run, path, "--json"))["not_counted"] == ["near_dups.min_similarity"]
    licensed = asked(run, folder / "copyleft.yaml")
    assert "would go too: 7 documents" in licensed and "not counted" not in licensed


def test_of_many_keys_that_are_not_counted_the_line_names_some(runs: dict[str, RunFiles]) -> None:
    run, folder = runs["none"], Path(runs["none"].store.root).parent
    path = mixture(folder, "many", SELECTS["none"])
    path.write_text(
        path.read_text() + "balance: {code: {shares: {" + ", ".join(f"{x}: 0.01" for x in LANGUAGES) + "}}}\n"
    )
    last = asked(run, path).splitlines()[-1]
    assert last.startswith("not counted: balance.code.shares.C, ") and last.endswith(" and 2 more")
    assert last.count(",") == 11


def test_what_goes_for_a_licence_on_equal_words_stays_as_the_run_decided_it(tmp_path: Path) -> None:
    """A document without a licence has the words of a copyleft one; other settings that drop that one too restore
    neither."""
    write_sources(tmp_path)
    (tmp_path / "bare/words.py").write_text(body(8).replace("item", " item"))
    store = open_store(str(tmp_path / "run"))
    loaded = load_mixture(mixture(tmp_path, "mix", SELECTS["copyleft"]))
    curate(Run(store, loaded, InlineExecutor(), Progress(Console(), quiet=True)))
    run = RunFiles(store)
    (row,) = [r for shard in run.shards(LEDGER) for r in shard.to_pylist() if r["path"] == "words.py"]
    assert row["reasons"] == ["dropped_license"] and row["judged_id"]
    wider = load_mixture(mixture(tmp_path, "wider", "drop_licenses: [copyleft, other]"))
    said = effects_of(run, wider.quality, wider.select)
    assert (said.n_dropped_docs, said.n_restored_docs) == (0, 0)
