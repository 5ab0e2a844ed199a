"""Each kind of finding is planted once; mixtures that are sound, all that ship among them, have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from test_grow import function, story

from pipeline.cli.linting import lines_of
from pipeline.cli.main import main
from pipeline.request.lint_inputs import lint
from pipeline.request.load import load_mixture
from tokenizer import END_OF_TEXT, load

CONFIGS = Path(__file__).resolve().parents[2] / "mixture_configs"


def write_inputs(folder: Path) -> None:
    for i in range(30):
        for path, text in ((f"code/f{i}.py", function(i)), (f"prose/t{i}.txt", story(i)), (f"items/{i}.txt", story(i))):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    rows = {"content": [function(i) for i in range(30)], "path": [f"{i}.py" for i in range(30)]}
    pq.write_table(pa.table(rows | {"licence": ["MIT"] * 30, "none": [None] * 30}), folder / "rows.parquet")


SOUND: dict[str, Any] = {
    "name": "sound",
    "sources": [
        {"name": "code", "kind": "directory", "path": "code", "pool": "code"},
        {"name": "prose", "kind": "directory", "path": "prose", "pool": "text"},
    ],
    "against": [{"name": "riddles", "kind": "directory", "path": "items"}],
    "balance": {
        "total_tokens": 7_000,
        "code": {"shares": {"Python": 1, "others": 1}},
        "text": {"shares": {"prose": 1}},
    },
    "pack": {"seq_len": 128},
}


def rows(**columns: str) -> dict[str, Any]:
    mapped = {"path": "path", **columns}
    return {"name": "code", "kind": "parquet", "path": "rows.parquet", "pool": "code", "columns": mapped}


def rule(**more: Any) -> dict[str, Any]:
    return {"quality": {"rules": [{"reason": "mine", **more}]}}


def balance(**more: Any) -> dict[str, Any]:
    return {"balance": SOUND["balance"] | more}


def sources(code: dict[str, Any] | None = None, prose: dict[str, Any] | None = None) -> dict[str, Any]:
    pairs = zip(SOUND["sources"], (code or {}, prose or {}), strict=True)
    return {"sources": [change if "kind" in change else source | change for source, change in pairs]}


def benchmark(path: str) -> dict[str, Any]:
    return {"against": [{"name": "riddles", "kind": "directory", "path": path}]}


TINY = {"name": "tiny", "kind": "directory", "path": "tiny", "pool": "text"}
PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "no_effect": (balance(text={"max_frac": {"code": 0.5}}), "balance.text.max_frac.code"),
    "no_path": (sources({"path": "nowhere"}), "sources.code.path"),
    "no_file": (sources({"include": ["*.rs"]}), "sources.code.path"),
    "nothing_readable": (sources({"path": "empty"}), "sources.code.path"),
    "licences": (
        sources(rows(license="none"), {"license": "MIT"}) | {"select": {"drop_licenses": ["unknown"]}},
        "select.drop_licenses",
    ),
    "unmapped": (sources(rows()), "sources.code.columns.license"),
    "share_above_one": (rule(feature="alpha_frac", above=1.0), "quality.rules.0"),
    "count_below_zero": (rule(feature="n_lines", below=0), "quality.rules.0"),
    "other_pool": (rule(feature="stop_word_frac", pool="code", above=0.1), "quality.rules.0"),
    "all_exempt": (rule(feature="n_lines", above=9, languages=["Python"], exempt=["Python"]), "quality.rules.0"),
    "language_dropped": (
        rule(feature="n_lines", above=9, languages=["C"]) | {"select": {"drop_languages": ["C"]}},
        "quality.rules.0",
    ),
    "language_of_text": (rule(feature="n_lines", above=9, languages=["C"], pool="text"), "quality.rules.0"),
    "drops_the_other_pool": (rule(feature="stop_word_frac", below=0.01), "quality.rules.0"),
    "limit_off": (
        {"quality": {"sets": ["loopmix", "gopher"], "limits": {"gopher.few_words": 0}}},
        "quality.limits.gopher.few_words",
    ),
    "group_without_source": (
        balance(code={"shares": {"Python": 1, "Rust": 1, "others": 1}}),
        "balance.code.shares.Rust",
    ),
    "cap_without_source": (balance(code={"max_frac": {"Rust": 0.1}}), "balance.code.max_frac.Rust"),
    "code_as_text": (sources(prose={"path": "code", "include": ["*.py"]}), "sources.prose.pool"),
    "c4_on_code": ({"quality": {"sets": ["loopmix", "c4"]}} | sources(prose={"path": "braces"}), "quality.sets"),
    "benchmark_gone": (benchmark("nowhere"), "against.riddles.path"),
    "benchmark_empty": (benchmark("empty"), "against.riddles.path"),
    "benchmark_short": (benchmark("short"), "against.riddles.ngram_words"),
    "total": (balance(total_tokens=10**7), "balance.total_tokens"),
    "share": (
        {"sources": [*SOUND["sources"], TINY]} | balance(text={"shares": {"prose": 1, "tiny": 9}}, total_tokens=7_000),
        "balance.text.shares.tiny",
    ),
    "epochs": (balance(max_copies=9, total_tokens=36_000), "balance.code"),
    "epochs of pools": (
        balance(code={"unimax": {"max_epochs": 9}}, text={"unimax": {"max_epochs": 9}}, total_tokens=36_000),
        "balance.code",
    ),
    "seq_len_short": ({"pack": {"seq_len": 8}}, "pack.seq_len"),
    "seq_len_long": ({"pack": {"seq_len": 65_536}}, "pack.seq_len"),
    "tokenizer": ({"tokenizer": {"path": "rows.parquet"}}, "tokenizer.path"),
    "forms": ({"tokenizer": {"path": "plain.json"}, "forms": {"fim": {}}}, "forms"),
    "forms of repositories": ({"tokenizer": {"path": "plain.json"}, "forms": {"repositories": {}}}, "forms"),
}


def file_of(folder: Path, change: dict[str, Any]) -> Path:
    file = folder / "mix.yaml"
    file.write_text(yaml.safe_dump(SOUND | change))
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    write_inputs(made)
    vocabulary = json.loads(load("builtin").data)
    vocabulary["added_tokens"] = [one for one in vocabulary["added_tokens"] if one["content"] == END_OF_TEXT]
    (made / "plain.json").write_text(json.dumps(vocabulary))
    texts = {"empty": " \n", "short": "who am I", "braces": f"{story(1)} {{x}}", "tiny": story(3)[:300]}
    for name, text in texts.items():
        (made / name).mkdir()
        for i in range(1 if name == "tiny" else 30):
            (made / name / f"{i}.txt").write_text(text)
    return made


def run(file: Path) -> tuple[int, list[dict[str, str]]]:
    done = CliRunner().invoke(main, ["lint", str(file), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.output)


def test_a_sound_mixture_has_no_finding(folder: Path) -> None:
    assert run(file_of(folder, {})) == (0, [])
    done = CliRunner().invoke(main, ["lint", str(file_of(folder, {}))])
    assert done.exit_code == 0 and done.output == "nothing to mend\n"


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(folder: Path, name: str) -> None:
    change, key = PLANTED[name]
    code, found = run(file_of(folder, change))
    assert code == 1
    assert {one["key"] for one in found} == {key}, found
    assert all(one[part] for one in found for part in ("kind", "seen", "why", "write"))


def test_a_finding_is_printed_within_80_columns(folder: Path) -> None:
    for change, key in PLANTED.values():
        for one in lint(load_mixture(file_of(folder, change))):
            lines = lines_of(one)
            assert lines[0] == one.key and all(len(line) <= 80 for line in lines if str(folder) not in line)
            assert any(line.startswith("  write ") for line in lines), key


def test_a_file_that_is_wrong_is_an_error_with_its_line(folder: Path) -> None:
    done = CliRunner().invoke(main, ["lint", str(file_of(folder, {"pack": {"seq_len": "x"}}))])
    assert done.exit_code == 1 and "mix.yaml:" in done.output


def row_of(columns: dict[str, str], **values: Any) -> dict[str, Any]:
    """A row with these values in its columns; a dot steps into a nested one."""
    row: dict[str, Any] = {}
    for field, column in columns.items():
        outer, _, inner = column.partition(".")
        row[outer] = {inner: values[field]} if inner else values[field]
    return row


def filled(mixture: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A mixture that ships, its paths filled with a few documents in its columns."""
    known = {"license": "MIT", "stars": 3, "repo": "some/repo", "revision": "1", "revision_time": "2024-01-01"}
    for source in mixture["sources"]:
        columns = {"content": "content"} | (source.get("columns") or {})
        make, ending = (function, "py") if source["pool"] == "code" else (story, "txt")
        rows = [row_of(columns, content=make(i), path=f"{i}.{ending}", **known) for i in range(30)]
        if (column := source.get("explode")) is not None:
            own = (columns["content"], columns["path"])
            files = [{name: row[name] for name in own} for row in rows]
            rows = [{name: value for name, value in rows[0].items() if name not in own} | {column: files}]
        place = folder / source["name"]
        place.mkdir()
        if source["kind"] == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), place / "part.parquet")
            source["path"] = str(place / "*.parquet")
        else:
            (place / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            source["path"] = str(place / "*.jsonl")
    mixture.pop("tokenizer", None)  # the demo's is trained by the demo
    mixture.get("balance", {}).pop("total_tokens", None)  # of inputs that are larger
    for phase in mixture.get("phases", []):
        phase["tokens"] = 300
    return mixture


@pytest.mark.parametrize(
    "file", sorted(f for f in CONFIGS.glob("*.yaml") if not f.name.startswith("train_")), ids=lambda f: f.stem
)
def test_mixtures_that_ship_have_no_finding_once_their_paths_are_filled(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(filled(yaml.safe_load(file.read_text()), tmp_path)))
    assert list(lint(load_mixture(tmp_path / "mix.yaml"))) == []


def test_phases_that_ask_for_more_than_the_bytes_hold_are_found_together(tmp_path: Path) -> None:
    mixture = filled(yaml.safe_load((CONFIGS / "phases.yaml").read_text()), tmp_path)
    mixture["phases"][1]["tokens"] = 50_000_000
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(mixture))
    found = list(lint(load_mixture(tmp_path / "mix.yaml")))
    assert ("total_beyond_bytes", "phases") in {(f.kind, f.key) for f in found}
