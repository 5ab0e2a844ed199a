"""Two runs beside each other: every number equals a recount by hand, whichever way their documents meet."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hand_run import hand_run, renamed
from handmade import ShuffledExecutor

from pipeline.cli.main import main
from pipeline.compare import meet as meeting
from pipeline.compare.compare import compare
from pipeline.compare.found import FATES, KINDS, RunComparison, to_json
from pipeline.compare.page import render
from pipeline.compare.terminal import headline, lines
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import SchemaError, StoreError
from pipeline.reading.work import working
from pipeline.recipe import curate
from pipeline.report.formats import exact
from pipeline.request.load import load_mixture
from pipeline.schema import DOCUMENTS, LEDGER

DATA = Path(__file__).parents[1] / "data"
HOSTILE = "<script>alert('1')</script>\"&\x1b[31m\u202e"
Ledger = dict[str, dict[str, Any]]


def made(folder: Path, mixture: Path, *, root: str | None = None) -> RunFiles:
    store = open_store(root or str(folder))
    curate(Run(store, load_mixture(mixture), InlineExecutor(), silent()))
    return RunFiles(store)


def beside(a: RunFiles, b: RunFiles, **options: Any) -> RunComparison:
    with working(**options) as work:
        return compare(a, b, work)


def other_settings(text: str) -> str:
    """The small corpus under other limits of a rule and of near duplicates, with a rule less, another share."""
    text = text.replace("max_lines: 400", "max_lines: 90").replace("max_words: 600", "max_words: 900")
    text = text.replace("quality:\n", "quality:\n  without: [lock_file]\n")
    text = text.replace("near_dups:\n", "near_dups:\n  min_similarity: 0.9\n")
    text = text.replace("  drop_prose_languages: [fi]\n", "")
    return text + "balance: {code: {shares: {Python: 1, others: 1}}}\n"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small corpus, whose mixtures stand beside it."""
    folder = tmp_path_factory.mktemp("compared") / "data"
    shutil.copytree(DATA, folder)
    text = (DATA / "mixture.yaml").read_text(encoding="utf-8")
    (folder / "other.yaml").write_text(other_settings(text), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def a(corpus: Path) -> RunFiles:
    return made(corpus.parent / "a", corpus / "mixture.yaml")


@pytest.fixture(scope="module")
def b(corpus: Path) -> RunFiles:
    """The same input, other settings."""
    return made(corpus.parent / "b", corpus / "other.yaml")


@pytest.fixture(scope="module")
def grown(corpus: Path, a: RunFiles) -> RunFiles:
    """Other input: a file more, one less, one changed, one of which all rows have another place; on an object store."""
    folder = corpus.parent / "grown"
    shutil.copytree(corpus, folder)
    files = sorted(path for path in (folder / "code").rglob("*.py") if path.stat().st_size > 200)
    files[0].unlink()
    files[1].write_text(files[1].read_text(encoding="utf-8") + "\n\nLAST = 1\n", encoding="utf-8")
    (folder / "code/new.py").write_text(files[2].read_text(encoding="utf-8") + "\n\nNEW = 2\n", encoding="utf-8")
    (folder / "records.jsonl").rename(folder / "rows.jsonl")
    text = (folder / "mixture.yaml").read_text(encoding="utf-8").replace("records.jsonl", "rows.jsonl")
    (folder / "mixture.yaml").write_text(text, encoding="utf-8")
    return made(folder, folder / "mixture.yaml", root=f"memory://{folder.parent.name}-grown")


# --- the recount: plain loops over rows of the ledger, which share nothing with what is tested -----------------------


def ledger(run: RunFiles) -> Ledger:
    found: Ledger = {}
    for shard in range(run.n_shards):
        hashes = run.tables.read(DOCUMENTS, shard, columns=["content_hash"])["content_hash"].to_pylist()
        for row, content in zip(run.tables.read(LEDGER, shard).to_pylist(), hashes, strict=True):
            found[row["doc_id"]] = row | {"content": content}
    return found


def pairs_of(a: RunFiles, b: RunFiles) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None, bool]]:
    """Every document of both runs, matched by id, then by repository, path and bytes; and whether by the latter."""
    old, new = ledger(a), ledger(b)
    pairs: list[tuple[dict[str, Any] | None, dict[str, Any] | None, bool]] = []
    pairs += [(old[i], new[i], False) for i in old.keys() & new.keys()]
    left = [[of[i] for i in sorted(of.keys() - other.keys())] for of, other in ((old, new), (new, old))]
    for row in left[0]:
        where = [(r["repo"], r["path"], r["content"]) for r in left[1]]
        mine = (row["repo"], row["path"], row["content"])
        pairs.append((row, left[1].pop(where.index(mine)) if mine in where else None, mine in where))
    return pairs + [(None, row, False) for row in left[1]]


def recount(a: RunFiles, b: RunFiles) -> dict[str, Any]:
    kinds, flows, moves = Counter[str](), Counter[tuple[str, str]](), Counter[tuple[str, ...]]()
    reasons = {name: Counter[str]() for name in ("a", "b", "left", "left_alone", "entered", "entered_alone")}
    for one, other, moved in pairs_of(a, b):
        fates = [row["fate"] if row else "absent" for row in (one, other)]
        flows[fates[0], fates[1]] += 1
        why = [row["reasons"] if row else [] for row in (one, other)]
        reasons["a"].update(why[0])
        reasons["b"].update(why[1])
        if one is None or other is None:
            kinds["only_b" if one is None else "only_a"] += 1
            continue
        kinds["moved"] += moved
        kinds["other_bytes"] += one["content"] != other["content"]
        if (one["language"], one["pool"]) != (other["language"], other["pool"]):
            kinds["other_language"] += 1
            moves[one["pool"], one["language"], other["pool"], other["language"]] += 1
        if one["keep"] and not other["keep"]:
            kinds["left"] += 1
            reasons["left"].update(why[1])
            reasons["left_alone"].update(why[1] if len(why[1]) == 1 else [])
        elif other["keep"] and not one["keep"]:
            kinds["entered"] += 1
            reasons["entered"].update(why[0])
            reasons["entered_alone"].update(why[0] if len(why[0]) == 1 else [])
        elif one["keep"]:
            packed = [row["fate"] in ("packed", "cut") for row in (one, other)]
            kinds["out_of_mixture"] += packed == [True, False]
            kinds["into_mixture"] += packed == [False, True]
            kinds["other_amount"] += all(packed) and one["n_packed_tokens"] != other["n_packed_tokens"]
        else:
            kinds["other_reasons"] += why[0] != why[1]
            keepers = one["keeper_id"], other["keeper_id"]
            kinds["other_keeper"] += not moved and None not in keepers and keepers[0] != keepers[1]
    return {"kinds": kinds, "flows": flows, "moves": moves, "reasons": reasons}


def shares(run: RunFiles, *keys: str) -> dict[tuple[str, ...], tuple[int, int, int, int]]:
    """Documents, kept ones, kept tokens and packed tokens by some columns."""
    found: dict[tuple[str, ...], tuple[int, int, int, int]] = {}
    for row in ledger(run).values():
        key = tuple(row[k] for k in keys)
        more = (1, int(row["keep"]), row["n_tokens"], row["n_packed_tokens"])
        found[key] = tuple(x + y for x, y in zip(found.get(key, (0, 0, 0, 0)), more, strict=True))  # type: ignore[assignment]
    return found


def assert_equals_recount(found: RunComparison, a: RunFiles, b: RunFiles) -> None:
    documents, counted = found.documents, recount(a, b)
    assert documents is not None
    assert documents.counts == {kind: counted["kinds"][kind] for kind in KINDS}
    assert {(f.fate_a, f.fate_b): f.n_docs for f in documents.flows} == dict(counted["flows"])
    assert {(m.pool_a, m.language_a, m.pool_b, m.language_b): m.n_docs for m in documents.moves} == counted["moves"]
    names = {"a": "n_docs_a", "b": "n_docs_b"} | {name: f"n_{name}" for name in counted["reasons"] if len(name) > 1}
    for name, field in names.items():
        given = {r.reason: getattr(r, field) for r in documents.reasons if getattr(r, field)}
        assert given == counted["reasons"][name], name
    for given, keys in ((documents.groups, ("pool", "group")), (documents.sources, ("source",))):
        for side, run in (("a", a), ("b", b)):
            mine = shares(run, *keys)
            for one in given:
                key = (one.pool, one.name) if len(keys) == 2 else (one.name,)
                numbers = tuple(
                    getattr(one, f"{n}_{side}") for n in ("n_docs", "n_kept_docs", "n_kept_tokens", "n_tokens")
                )
                assert numbers == mine.pop(key, (0, 0, 0, 0)), key
                whole = sum(o.n_tokens_a if side == "a" else o.n_tokens_b for o in given if o.pool == one.pool)
                assert getattr(one, f"frac_{side}") == numbers[3] / whole
            assert not mine
    for side, run in ((found.a, a), (found.b, b)):
        rows = ledger(run).values()
        assert (side.n_docs, side.n_kept_docs) == (len(rows), sum(row["keep"] for row in rows))
        assert side.n_packed_tokens == sum(row["n_packed_tokens"] for row in rows)


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_every_number_equals_a_recount_when_the_input_is_the_same(a: RunFiles, b: RunFiles) -> None:
    found = beside(a, b)
    assert found.documents is not None
    assert found.documents.side_by_side
    assert_equals_recount(found, a, b)
    counts = found.documents.counts
    for kind in ("left", "entered", "other_amount", "other_reasons"):
        assert counts[kind] > 0, f"the corpus shows no {kind}, so nothing of it was tested"


def test_every_number_equals_a_recount_when_the_input_differs(a: RunFiles, grown: RunFiles) -> None:
    for one, other in ((a, grown), (grown, a)):
        found = beside(one, other)
        assert found.documents is not None
        assert not found.documents.side_by_side
        assert_equals_recount(found, one, other)
        counts = found.documents.counts
        # The file that each has alone, and a row without a path, which is called by the name of its file.
        assert counts["only_a"] == counts["only_b"] == 2
        assert counts["other_bytes"] == 1
        assert counts["moved"] > 10


def test_both_ways_to_meet_say_the_same(a: RunFiles, b: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side and through files, in one partition and in many, in whatever order tasks end."""
    first = beside(a, b).documents
    monkeypatch.setattr(meeting, "hold_the_same", lambda a, b: False)
    for rows_per_part in (50, 6_000_000):
        for seed in (0, 1):
            found = beside(a, b, executor=ShuffledExecutor(seed), rows_per_part=rows_per_part, rows_per_task=40)
            assert found.documents == first


def test_partners_when_keys_repeat_meet_one_by_one() -> None:
    import numpy as np

    a, b = np.array([5, 3, 5, 9], np.uint64), np.array([5, 1, 5, 5, 3], np.uint64)
    in_a, in_b = meeting.partners((a,), (b,))
    assert sorted(zip(in_a.tolist(), in_b.tolist(), strict=True)) == [(0, 0), (1, 4), (2, 2)]


# --- what is the same ------------------------------------------------------------------------------------------------


def test_no_difference_is_said_only_when_all_bytes_were_hashed(a: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "copy")
    copy = RunFiles(open_store(str(tmp_path / "copy")))
    n_files = sum(len(stage["files"]) for stage in a.manifest["stages"].values()) + 1
    for other in (a, copy):
        found = beside(a, other)
        assert found.documents is None
        assert found.same is not None
        assert found.same.n_files == n_files
        assert headline(found).startswith(
            f"no difference: {n_files} files, {exact(found.same.n_bytes)} bytes were hashed"
        )
        assert "No difference" in render(found).decode()


def test_equal_manifests_are_no_proof_when_a_file_has_changed(a: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "copy")
    (packed,) = sorted((tmp_path / "copy/packed").glob("*.arrow"))[:1]
    data = bytearray(packed.read_bytes())
    data[-400] ^= 1
    packed.write_bytes(data)
    with pytest.raises(StoreError, match=r"copy: 1 of [\d,]+ files .* the first is packed/part-00000"):
        beside(a, RunFiles(open_store(str(tmp_path / "copy"))))


def test_settings_that_differ_are_all_named_with_both_values(a: RunFiles, b: RunFiles) -> None:
    changes = {change.key: (change.a, change.b) for change in beside(a, b).settings}
    assert changes == {
        "balance.code.shares.Python": (None, 1.0),
        "balance.code.shares.others": (None, 1.0),
        "near_dups.min_similarity": (0.7, 0.9),
        "quality.code.max_lines": (400, 90),
        "quality.text.max_words": (600, 900),
        "quality.without": (None, ["lock_file"]),
        "select.drop_prose_languages": (["fi"], None),
    }


def test_inputs_and_sources_that_differ_are_named(a: RunFiles, grown: RunFiles) -> None:
    found = beside(a, grown)
    assert found.inputs is not None
    assert (found.inputs.n_only_a, found.inputs.n_only_b) == (2, 2)  # a file each, and the records under another name
    assert any(name.endswith("code: new.py (B alone)") for name in found.inputs.named)
    (records,) = [change for change in found.settings if change.key.startswith("sources.records.")]
    assert records.key == "sources.records.path"


def test_stages_part_where_the_first_file_differs(a: RunFiles, b: RunFiles) -> None:
    stages = {stage.stage: stage for stage in beside(a, b).stages}
    for name in ("documents", "languages", "quality"):
        assert stages[name].n_equal == stages[name].n_files_a == a.n_shards
    assert stages["judged"].n_equal < a.n_shards
    assert stages["packed"].n_equal == 0


# --- causes ----------------------------------------------------------------------------------------------------------


def test_every_document_that_changed_fate_has_the_cause_that_its_settings_give(a: RunFiles, b: RunFiles) -> None:
    documents = beside(a, b).documents
    assert documents is not None
    assert not [e for e in documents.examples if "no difference" in e.cause]
    causes = {(e.kind, e.path): e.cause for e in documents.examples}
    left = [cause for (kind, _), cause in causes.items() if kind == "left"]
    assert left
    for cause in left:
        assert re.match(r"too_many_lines: (\d+) is above quality.code.max_lines = 90 of B, which is 400 in A", cause)
    entered = " | ".join(cause for (kind, _), cause in causes.items() if kind == "entered")
    assert "lock_file: B has no such rule" in entered
    assert "which is 900 in B" in entered
    reasons = " | ".join(cause for (kind, _), cause in causes.items() if kind == "other_reasons")
    assert 'dropped_prose_language: fi is in select.drop_prose_languages = ["fi"] of A, which is [] in B' in reasons
    assert "from near_dups.min_similarity = 0.7 on a duplicate in A, from 0.9 on in B" in entered


def test_a_duplicate_is_explained_by_its_keeper_when_that_is_what_changed(tmp_path: Path) -> None:
    """b.py is an equal of a.py; in B a.py falls to a rule, so b.py stays."""
    gone = {"reasons": ("long_line",), "fired": (("long_line", 2000.0),), "n_copies": 0, "n_tokens": 0}
    stays = {"reasons": (), "keeper": None, "similarity": None, "n_tokens": 10}
    one, other = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(a=gone, b=stays))
    documents = beside(one, other).documents
    assert documents is not None
    (entered,) = [e for e in documents.examples if e.kind == "entered"]
    assert (entered.path, entered.cause) == (
        "src/b.py",
        "exact_duplicate: its keeper src/a.py is dropped in B (long_line)",
    )
    assert entered.a is not None
    assert entered.a.keeper_path == "src/a.py"


def test_a_document_of_another_language_says_what_decided_it(tmp_path: Path) -> None:
    moved = {"language": "Cython", "decided_by": "shebang"}
    one, other = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(g=moved))
    documents = beside(one, other).documents
    assert documents is not None
    assert [(m.language_a, m.language_b, m.n_docs) for m in documents.moves] == [("Python", "Cython", 1)]
    (example,) = [e for e in documents.examples if e.kind == "other_language"]
    assert example.cause == "decided by classifier in A and shebang in B"


# --- what cannot be compared -----------------------------------------------------------------------------------------


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_half_finished_and_strange_runs_are_one_clear_line(a: RunFiles, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(a.store.root, half)
    manifest = json.loads((half / "manifest.json").read_text())
    del manifest["stages"]["ledger"], manifest["seal"]
    (half / "manifest.json").write_text(json.dumps(manifest))
    (half / "state/manifest.json").unlink()
    for pair in ((a.store.root, half), (half, a.store.root)):
        result = call("compare", *pair)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert f"{half}/manifest.json: stages ['ledger'] are not done" in result.output
    (half / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    result = call("compare", a.store.root, half)
    assert result.exit_code == 1
    assert "has format 99" in result.output
    result = call("compare", a.store.root, tmp_path / "nothing")
    assert result.exit_code == 1
    assert "does not exist" in result.output


def test_a_ledger_of_another_version_is_named(a: RunFiles, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    shutil.copytree(a.store.root, tmp_path / "old")
    path = next((tmp_path / "old/tables/ledger").glob("*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns(["n_packed_tokens"]), path)
    manifest = json.loads((tmp_path / "old/manifest.json").read_text())
    manifest["stages"]["ledger"]["files"][0]["sha256"] = "0" * 64
    del manifest["seal"]
    (tmp_path / "old/manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "old/state/manifest.json").unlink()
    with pytest.raises(SchemaError, match=r"old.*: another version of loopmix made it: .*n_packed_tokens"):
        beside(a, RunFiles(open_store(str(tmp_path / "old"))))


def test_documents_are_compared_by_size_when_texts_are_gone(a: RunFiles, grown: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "without")
    shutil.rmtree(tmp_path / "without/tables/documents")
    found = beside(RunFiles(open_store(str(tmp_path / "without"))), grown).documents
    assert found is not None
    assert not found.bytes_known
    assert found.counts["other_bytes"] == 1
    assert found.counts["moved"] == 0, "without bytes nothing can be found again at another place"


# --- how it is shown -------------------------------------------------------------------------------------------------


class _Tables(HTMLParser):
    """The rows of every table by its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.caption, self.tag = "", ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tag = tag
        if tag == "table":
            self.caption = ""
        elif tag == "tr" and self.caption:
            self.rows.setdefault(self.caption, []).append([])
        elif tag in ("td", "th") and self.caption:
            self.rows[self.caption][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tag == "caption":
            self.caption = data
        elif self.tag in ("td", "th", "span") and self.rows.get(self.caption):
            self.rows[self.caption][-1][-1] += data


def test_terminal_and_page_show_the_recounted_numbers(a: RunFiles, b: RunFiles) -> None:
    found, counted = beside(a, b), recount(a, b)
    page = _Tables()
    page.feed(render(found).decode())
    shown = {KINDS[kind]: exact(n) for kind, n in counted["kinds"].items() if n}
    assert {row[0]: row[1] for row in page.rows["Documents that differ"][1:]} == shown
    flows = {(row[0], row[1]): row[2] for row in page.rows["From fate to fate"][1:]}
    assert flows == {pair: exact(n) for pair, n in counted["flows"].items()}
    terminal = list(lines(found, width=80))
    for meaning, n in shown.items():
        assert any(re.match(rf"{re.escape(meaning)} +{n} ", line) for line in terminal), meaning
    for (one, other), n in flows.items():
        assert any(re.match(rf"{one} +{other} +{n} ", line) for line in terminal), (one, other)
    for reason, n in counted["reasons"]["b"].items():
        (row,) = [row for row in page.rows["Why documents were dropped"] if row[0] == reason]
        assert row[2] == exact(n)


def test_terminal_lines_fit_into_80_columns_and_name_examples(a: RunFiles, grown: RunFiles) -> None:
    found = beside(a, grown)
    shown = list(lines(found, width=80))
    assert not [line for line in shown[2:] if len(line) > 80 and " " in line.strip()]
    assert any(line.startswith("in the input of B alone (2), as") for line in shown)
    assert any(line.startswith("  new.py") for line in shown)


def test_hostile_names_become_neither_markup_nor_commands(tmp_path: Path) -> None:
    one = hand_run(tmp_path / "a")
    stays = {"language": "<b>Rust</b>", "reasons": (), "keeper": None, "n_tokens": 3}
    hostile = tuple(
        tuple(replace(doc, path=f"src/{HOSTILE}") if doc.language == "<b>Rust</b>" else doc for doc in docs)
        for docs in renamed(b=stays)
    )
    found = beside(one, hand_run(tmp_path / "b", shards=hostile))
    page = render(found).decode()
    assert "<script" not in page
    assert "<b>Rust" not in page
    assert "&lt;b&gt;Rust" in page
    assert not [c for line in lines(found, width=80) for c in line if not c.isprintable()]
    assert any("alert" in line for line in lines(found, width=80)), "the hostile document is not shown at all"


def test_command_writes_page_and_json_of_the_same_comparison(a: RunFiles, b: RunFiles, tmp_path: Path) -> None:
    result = call("compare", a.store.root, b.store.root, "--html", tmp_path / "page.html", "--json", "--workers", "1")
    assert result.exit_code == 0, result.output
    found = beside(a, b)
    assert result.stdout.encode() == to_json(found)
    assert (tmp_path / "page.html").read_bytes() == render(found)
    said = json.loads(result.stdout)
    assert sum(flow["n_docs"] for flow in said["documents"]["flows"]) == found.a.n_docs
    assert {flow["fate_a"] for flow in said["documents"]["flows"]} <= set(FATES)
    result = call("compare", a.store.root, b.store.root, "--html", tmp_path / "no/page.html")
    assert result.exit_code == 1
    assert "the page cannot be written" in result.output
