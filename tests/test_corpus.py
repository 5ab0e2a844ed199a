"""The whole path on the small corpus: every document meets the fate that its name announces. See data/README.md."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.compute as pc
import pytest
from rich.console import Console

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import Progress
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.filters import Quality
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.rules.meanings import meanings
from pipeline.schema import DOCUMENTS, FORMS, LEDGER

DATA = Path(__file__).resolve().parent / "data"

LANGUAGES = {
    ".R": "R", ".c": "C", ".cpp": "C++", ".cs": "C#", ".css": "CSS", ".ex": "Elixir", ".go": "Go", ".h": "C",
    ".hs": "Haskell", ".html": "HTML", ".java": "Java", ".jl": "Julia", ".js": "JavaScript", ".json": "JSON",
    ".kt": "Kotlin", ".lua": "Lua", ".md": "Markdown", ".php": "PHP", ".pl": "Perl", ".py": "Python", ".rb": "Ruby",
    ".rs": "Rust", ".scala": "Scala", ".scss": "SCSS", ".sh": "Shell", ".sql": "SQL", ".swift": "Swift",
    ".toml": "TOML", ".ts": "TypeScript", ".tsx": "TSX", ".txt": "Text", ".xml": "XML", ".yaml": "YAML",
}  # fmt: skip
NAMES = {"Dockerfile": "Dockerfile", "Makefile": "Makefile", "keep__count_words": "Python"}  # the last by its shebang

# (source, path) of a dropped copy -> of the document that is kept in its place
KEEPERS = {
    ("code", "store/near_duplicate__units_with_onions.py"): ("code", "store/keep__units.py"),
    ("vendored", "exact_duplicate__ledger.py"): ("code", "store/keep__ledger.py"),
    ("vendored", "exact_duplicate__roman.rs"): ("code", "systems/keep__roman.rs"),
    ("vendored", "exact_duplicate__low_tide.txt"): ("prose", "keep__low_tide.txt"),
    ("vendored", "near_duplicate__scheduler.go"): ("code", "systems/keep__scheduler.go"),
    ("vendored", "near_duplicate__on_keeping_a_diary.txt"): ("prose", "keep__on_keeping_a_diary.txt"),
    ("vendored", "exact_duplicate+near_duplicate__undo_stack.js"): ("code", "web/keep__undo_stack.js"),
    ("records", "js/near_duplicate__undo_stack.js"): ("code", "web/keep__undo_stack.js"),
    ("records", "src/near_duplicate__moon.js"): ("records", "src/keep__moon.js"),
    ("records", "cards/exact_duplicate__CardNumber.java"): ("records", "cards/keep__CardNumber.java"),
}

ENCODINGS = {
    "store/keep__Invoice.cs": "utf-16",
    "store/keep__RateLimiter.cs": "utf-8-sig",
    "keep__drachen.txt": "cp1252",
    "keep__youchai.txt": "utf-8",
    "web/binary__dot.png": "binary",
}


def run_of(mixture: str, folder: Path) -> RunFiles:
    """Make the run in this process."""
    store = open_store(str(folder))
    curate(Run(store, load_mixture(DATA / mixture), InlineExecutor(), Progress(Console(), quiet=True)))
    return RunFiles(store)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return run_of("mixture.yaml", tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def ledger(run: RunFiles) -> list[dict[str, Any]]:
    return [row for shard in run.shards(LEDGER) for row in shard.to_pylist()]


def fate(path: str) -> tuple[str, ...]:
    """The reasons that a path announces; none for a document to keep."""
    named = [part for part in PurePosixPath(path).parts if "__" in part]
    if not named:
        return ("unreadable_row",)  # of records.jsonl, whose broken line has no path
    reasons = named[-1].split("__")[0].split("+")
    return () if reasons == ["keep"] else tuple(reasons)


def language(path: str) -> str:
    name = PurePosixPath(path)
    return NAMES.get(name.name) or LANGUAGES[name.suffix]


def test_every_file_and_row_of_the_corpus_has_one_ledger_row(ledger: list[dict[str, Any]]):
    found = Counter(row["source"] for row in ledger)
    for source, folder in (("code", "code"), ("vendored", "vendored"), ("prose", "text")):
        assert found[source] == sum(f.is_file() for f in (DATA / folder).rglob("*"))
    lines = (DATA / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert found["records"] == sum(bool(line) for line in lines)
    assert len({row["doc_id"] for row in ledger}) == len(ledger) > 90


def test_every_document_meets_its_fate(ledger: list[dict[str, Any]]):
    wanted = {(row["source"], row["path"]): fate(row["path"]) for row in ledger}
    assert {(row["source"], row["path"]): tuple(row["reasons"]) for row in ledger} == wanted
    assert {(row["source"], row["path"]): row["keep"] for row in ledger} == {k: not v for k, v in wanted.items()}


def test_corpus_shows_every_documented_reason(ledger: list[dict[str, Any]]):
    # need another run, a git repository that lacks objects, and lists of files without any; a repeated entry has the
    # path of the first, which stays; a document that ends its worker would end these tests as well; and the last two
    # need a policy that drops.
    from_outside = {
        "crashed_worker",
        "forgotten",
        "known_duplicate",
        "missing_object",
        "no_files",
        "repeated_entry",
        "secret",
        "personal_data",
    }
    assert {reason for row in ledger for reason in row["reasons"]} == set(meanings(Quality())) - from_outside


def test_every_copy_names_the_better_document_when_it_is_dropped(ledger: list[dict[str, Any]]):
    names = {row["doc_id"]: (row["source"], row["path"]) for row in ledger}
    found = {names[row["doc_id"]]: names[row["keeper_id"]] for row in ledger if row["keeper_id"]}
    assert found == KEEPERS


def test_reasons_about_the_document_itself_are_the_rules_that_fire(ledger: list[dict[str, Any]]):
    by_select = {
        "dropped_language", "dropped_license", "prose_in_format", "contaminated", "unknown_language",
        "dropped_prose_language", "other_prose_language", "exact_duplicate", "near_duplicate",
    }  # fmt: skip
    for row in ledger:
        assert [f["rule"] for f in row["fired"]] == [r for r in row["reasons"] if r not in by_select], row["path"]


def shingles(text: str) -> set[tuple[str, ...]]:
    """Five successive words, counted by another route than the pipeline's."""
    words = re.findall(r"[a-z0-9_]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def similarity(first: Path, second: Path) -> float:
    a, b = (shingles(path.read_text(encoding="ascii")) for path in (first, second))
    return len(a & b) / len(a | b)


def test_chain_keeps_both_ends_when_only_the_middle_is_near_to_each(ledger: list[dict[str, Any]]):
    a, b, c = (
        DATA / "code" / "store" / name
        for name in ("keep__units.py", "near_duplicate__units_with_onions.py", "keep__units_with_onions_and_garlic.py")
    )
    assert similarity(a, b) > 0.75 < similarity(b, c)
    assert similarity(a, c) < 0.7
    row = next(row for row in ledger if row["path"] == f"store/{b.name}")
    assert row["similarity"] == pytest.approx(similarity(a, b), abs=1e-12)


def test_kept_documents_are_in_the_language_of_their_names(ledger: list[dict[str, Any]]):
    kept = [row for row in ledger if row["keep"]]
    assert {row["path"]: row["language"] for row in kept} == {row["path"]: language(row["path"]) for row in kept}
    assert len({row["language"] for row in kept}) > 30
    assert {row["pool"] for row in kept if row["language"] == "Text"} == {"text"}
    assert {row["pool"] for row in kept if row["language"] == "Markdown"} == {"code"}


def test_encodings_are_told_and_line_ends_stay_when_files_are_read(run: RunFiles):
    columns = ["path", "encoding", "content"]
    documents = {row["path"]: row for shard in run.shards(DOCUMENTS, columns=columns) for row in shard.to_pylist()}
    assert {path: documents[path]["encoding"] for path in ENCODINGS} == ENCODINGS
    assert documents["store/keep__RateLimiter.cs"]["content"].startswith(b"using System;\r\n")
    assert "läßt" in documents["keep__drachen.txt"]["content"].decode("utf-8")
    assert documents["store/keep__Invoice.cs"]["content"].startswith(b"using System;\nusing")


def test_rows_carry_repository_licence_and_stars_when_the_source_has_them(run: RunFiles):
    columns = ["path", "repo", "license", "stars", "revision"]
    documents = {row["path"]: row for shard in run.shards(DOCUMENTS, columns=columns) for row in shard.to_pylist()}
    moon = documents["src/keep__moon.js"]
    assert moon == {
        "path": "src/keep__moon.js", "repo": "example/almanac", "license": "Apache-2.0", "stars": 120,
        "revision": "0be7a94",
    }  # fmt: skip
    assert documents["exact_duplicate__ledger.py"]["repo"] == "example/project-with-copies"
    assert documents["store/keep__ledger.py"]["license"] == "MIT"


def test_every_promise_holds_when_verified(run: RunFiles):
    assert run.n_shards >= 4
    findings = list(verify(run))
    assert len(findings) >= 8
    assert [f for f in findings if not f.kept] == []


def test_text_and_code_are_equal_to_the_token_when_packed(run: RunFiles, ledger: list[dict[str, Any]]):
    tokens: Counter[str] = Counter()
    for row in ledger:
        tokens[row["pool"]] += row["n_packed_tokens"]
    assert tokens["code"] == tokens["text"] > 1_000
    assert [table.num_rows > 0 for table in run.packed()] == [True, True]


def test_other_mixture_holds_its_promises_when_ratio_shares_and_copies_differ(tmp_path: Path):
    run = run_of("shares.yaml", tmp_path)
    assert [f for f in verify(run) if not f.kept] == []
    rows = [row for shard in run.shards(LEDGER) for row in shard.to_pylist() if row["n_packed_tokens"]]
    tokens: Counter[tuple[str, str]] = Counter()
    for row in rows:
        tokens[row["pool"], row["group"]] += row["n_packed_tokens"]
    pools = {pool: sum(n for (p, _), n in tokens.items() if p == pool) for pool in ("code", "text")}
    assert pools == {"code": 3_600, "text": 2_400}
    assert tokens["code", "Python"] == 1_440
    assert tokens["code", "JavaScript"] == 720
    assert tokens["text", "records"] <= 240
    assert max(row["n_copies"] for row in rows) <= 2


def test_git_is_told_to_leave_the_bytes_alone():
    assert "* -text" in (DATA / ".gitattributes").read_text(encoding="ascii").splitlines()
    assert (DATA / "code" / "store" / "keep__RateLimiter.cs").read_bytes().count(b"\r\n") > 60


def test_records_hold_one_broken_and_one_blank_line():
    lines = (DATA / "records.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert lines.count("") == 1
    broken = 0
    for line in filter(None, lines):
        try:
            json.loads(line)
        except ValueError:
            broken += 1
    assert broken == 1


def corpus_with(shipped: str, *, to: Path, without: str = "\npack:") -> Path:
    """The small corpus with what a shipped mixture asks for below its sources."""
    text = (DATA / "mixture.yaml").read_text(encoding="utf-8").split(without)[0]
    for name in ("code", "vendored", "text", "benchmark", "records.jsonl"):
        text = re.sub(rf"path: {name}([,}}\n])", rf"path: {DATA / name}\1", text)
    to.write_text(text + shipped, encoding="utf-8")
    return to


def shipped_from(name: str, key: str) -> str:
    """A shipped mixture from one of its keys on."""
    text = (DATA.parents[1] / "mixture_configs" / name).read_text(encoding="utf-8")
    return f"\n{key}:" + text.split(f"\n{key}:")[1]


def test_copies_stand_apart_on_the_small_corpus(tmp_path: Path) -> None:
    """The targets of `epochs.yaml` on documents at hand: UniMax, a temperature, four epochs, a global batch."""
    wanted = shipped_from("epochs.yaml", "balance")
    wanted = wanted.replace("8_000_000", "30_000").replace("seq_len: 2048", "seq_len: 128").replace(": 64", ": 16")
    found = run_of(str(corpus_with(wanted, to=tmp_path / "mix.yaml")), tmp_path / "run")
    epochs = {f.promise: f for f in verify(found)}
    assert [f.promise for f in epochs.values() if f.kept is False] == []
    assert "stand up to 4 times" in epochs["epochs"].detail


def test_documents_are_filled_in_on_the_small_corpus(tmp_path: Path) -> None:
    """The forms of `fim.yaml` on documents at hand."""
    wanted = shipped_from("fim.yaml", "forms").replace("seq_len: 2048", "seq_len: 128")
    found = run_of(str(corpus_with(wanted, to=tmp_path / "mix.yaml")), tmp_path / "run")
    forms = {f.promise: f for f in verify(found)}
    assert [f.promise for f in forms.values() if f.kept is False] == []
    assert "are filled in" in forms["forms"].detail


def test_files_of_repositories_are_joined_on_the_small_corpus(tmp_path: Path) -> None:
    """The forms of `repositories.yaml` on documents at hand."""
    wanted = shipped_from("repositories.yaml", "forms").replace("seq_len: 4096", "seq_len: 512")
    file = corpus_with(wanted, to=tmp_path / "mix.yaml")
    text = file.read_text(encoding="utf-8").replace("pool: code\n", "pool: code\n    repo: small/corpus\n", 1)
    file.write_text(text, encoding="utf-8")
    found = run_of(str(file), tmp_path / "run")
    forms = {f.promise: f for f in verify(found)}
    assert [f.promise for f in forms.values() if f.kept is False] == []
    assert "each of one repository" in forms["repositories"].detail
    # Most languages have one file here, which the budget cuts: tests/forms has files that enter whole.
    assert sum(pc.count(table["repo_place"]).as_py() for table in found.shards(FORMS)) > 30
