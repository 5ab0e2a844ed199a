"""Documents taken back from a run: what goes, what comes, what stays, and that nothing is left."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from forget_runs import (
    Done,
    ledger,
    mixture_in,
    of_fate,
    opened,
    program,
    script,
    story,
    take_back,
    work,
    write_sources,
)
from handmade import digests

from pipeline.errors import ConfigError, StageError, StoreError
from pipeline.reading.lookup import why
from pipeline.reading.verify import verify
from pipeline.schema import BALANCE, DOCUMENTS, REDACTED, SELECT, TOKENS

TAKEN = ("path:m0.py", "repo:owner/r3", "t7.txt")


def broken(run: Path) -> list[str]:
    return [f"{f.promise}: {f.detail}" for f in verify(opened(run)) if f.kept is False]


def stream(run: Path) -> list[dict[str, Any]]:
    return [row for table in opened(run).packed() for row in table.to_pylist()]


def pieces(run: Path) -> Counter[tuple[str, str, int, int, int, tuple[int, ...]]]:
    """Document, group, sequence, start, offset and ids of every piece: counted here again, without the engine."""
    found: Counter[tuple[str, str, int, int, int, tuple[int, ...]]] = Counter()
    for number, row in enumerate(stream(run)):
        bounds = row["cu_seqlens"]
        for j, doc in enumerate(row["doc_ids"]):
            ids = tuple(row["token_ids"][bounds[j] : bounds[j + 1]])
            found[doc, row["groups"][j], number, bounds[j], row["doc_offsets"][j], ids] += 1
    return found


def gone_ids(run: Path) -> set[str]:
    return {row["doc_id"] for row in ledger(run) if "forgotten" in row["reasons"]}


def test_every_promise_holds_afterwards_and_a_new_one_is_recounted(run: Path) -> None:
    take_back(run, *TAKEN)
    found = {f.promise: f for f in verify(opened(run))}
    assert broken(run) == []
    assert found["forgotten"].detail.endswith("no text, no token id and no piece of them is left")


def test_totals_of_groups_prefixes_and_all_other_pieces_stay(run: Path, made: Path) -> None:
    done = take_back(run, *TAKEN)
    before, after, gone = stream(made / "run"), stream(run), gone_ids(run)
    assert [(r["pool"], r["n_real"]) for r in before] == [(r["pool"], r["n_real"]) for r in after]

    def by_group(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for row in rows:
            for j, group in enumerate(row["groups"]):
                found[row["pool"], group] += row["cu_seqlens"][j + 1] - row["cu_seqlens"][j]
        return found

    assert by_group(before) == by_group(after)
    old, new = pieces(made / "run"), pieces(run)
    assert {p[0] for p in (old - new)} <= gone
    assert sum((old - new).values()) == done.summary["pieces_removed"] > 4
    assert not {p[0] for p in new} & gone
    surplus = {r["doc_id"] for fate in ("surplus", "cut") for p in ("code", "text") for r in _fates(made, fate, p)}
    assert {p[0] for p in (new - old)} <= surplus


def _fates(made: Path, fate: str, pool: str) -> list[dict[str, Any]]:
    return of_fate(made / "run", fate, pool=pool)


def test_no_document_stands_in_a_sequence_twice(run: Path) -> None:
    take_back(run, "repo:owner/r3", "repo:owner/r4", "repo:owner/r5")
    assert all(len(set(row["doc_ids"])) == len(row["doc_ids"]) for row in stream(run))


def test_no_text_no_ids_and_no_words_of_what_is_gone_are_in_any_file(run: Path) -> None:
    (row,) = [r for r in ledger(run) if r["path"] == "m5.py"]
    marks = [f"_5_{k}(width" for k in range(3)]
    assert all(_holds(run, mark) for mark in marks)
    take_back(run, f"doc_id:{row['doc_id']}")
    assert not any(_holds(run, mark) for mark in marks)
    assert _holds(run, "_6_1(width")  # so that the search finds what is there
    (row,) = [r for r in ledger(run) if r["path"] == "m5.py"]
    assert (row["fate"], row["keep"], row["reasons"], row["n_tokens"]) == ("dropped", False, ["forgotten"], 0)


def _holds(run: Path, text: str) -> bool:
    """Whether a file of the run holds a text: as it lies, or in what its tables say when they are read."""
    if any(text.encode() in path.read_bytes() for path in run.rglob("*") if path.is_file()):
        return True
    found = opened(run)
    tables = [t for table in (DOCUMENTS, REDACTED) for t in found.shards(table, columns=["content"])]
    return any(text.encode() in (c or b"") for t in tables for c in t["content"].to_pylist())


def test_tables_say_what_became_of_each_document(run: Path, made: Path) -> None:
    take_back(run, *TAKEN)
    before = {row["doc_id"]: row for row in ledger(made / "run")}
    plan = {r["doc_id"]: r for t in opened(run).shards(BALANCE) for r in t.to_pylist()}
    packed = Counter()
    for piece, n in pieces(run).items():
        packed[piece[0]] += n * len(piece[5])
    for row in ledger(run):
        old = before[row["doc_id"]]
        assert (row["path"], row["n_bytes"], row["language"]) == (old["path"], old["n_bytes"], old["language"])
        assert row["n_packed_tokens"] == packed[row["doc_id"]]
        planned = plan[row["doc_id"]]
        assert planned["n_copies"] * planned["n_tokens"] + planned["cut_tokens"] == packed[row["doc_id"]]
        if row["fate"] in ("cut", "surplus", "packed"):
            assert row["fate"] == ("packed" if planned["n_copies"] else "cut" if planned["cut_tokens"] else "surplus")
    said = next(iter(why(opened(run), "m0.py", text=True)))
    assert said["meanings"]["forgotten"].startswith("taken back by `loopmix forget`")
    assert said["sequences"] == []
    assert not (said["text"] or "").strip("\0")


def test_the_manifest_says_what_was_done(run: Path) -> None:
    summary = take_back(run, *TAKEN).summary
    (said,) = json.loads((run / "manifest.json").read_bytes())["forgotten"]
    assert said == summary
    assert said["tokens_removed"] == said["tokens_refilled"]
    assert said["bytes_removed"] == sum(said["bytes_removed_by"].values())
    assert said["bytes_written"] == sum(said["bytes_by_table"].values())
    assert said["proof"]["passages"] > 20
    assert (said["documents"], said["equal_bytes"]) == (said["listed"] + said["equal_bytes"], 1)


def test_shards_that_hold_nothing_of_it_keep_their_bytes(run: Path, made: Path) -> None:
    take_back(run, "path:t7.txt")
    same, changed = set(), set()
    for path in sorted(run.glob("tables/*/part-*")) + sorted(run.glob("packed/*")):
        name = path.relative_to(run).as_posix()
        (same if path.read_bytes() == (made / "run" / name).read_bytes() else changed).add(name)
    shards = [shard for shard, t in enumerate(opened(run).shards(DOCUMENTS)) if "t7.txt" in t["path"].to_pylist()]
    assert len(shards) == 1
    where = opened(run).tables.path(DOCUMENTS, shards[0])
    assert {n for n in changed if n.startswith("tables/documents")} == {where}
    assert {n.split("/")[1] for n in changed if n.startswith("tables/")} == {
        *("documents", "tokens", "select", "balance", "ledger")
    }
    assert len(same) > len(changed)


def test_one_piece_for_one_keeps_the_size_of_packed_shards(run: Path, made: Path) -> None:
    done = take_back(run, "path:t7.txt")
    assert done.summary["bytes_by_table"]["packed"] < 2 * done.summary["bytes_removed_by"]["packed"]
    for path in (run / "packed").iterdir():
        assert path.stat().st_size == (made / "run/packed" / path.name).stat().st_size


def test_a_place_longer_than_any_surplus_takes_several_pieces(run: Path) -> None:
    done = take_back(run, *(f"repo:owner/r{i}" for i in (0, 1, 3, 4, 11)))
    assert done.summary["pieces_added"] > done.summary["pieces_removed"]
    assert broken(run) == []


def test_other_groups_fill_what_a_group_cannot(run: Path) -> None:
    lines = [f"path:s{i}.js" for i in range(30)]
    done = take_back(run, *lines)
    assert done.summary["tokens_from_other_groups"]["code/JavaScript"] > 0
    assert sum(done.summary["tokens_removed"].values()) == sum(done.summary["tokens_refilled"].values())
    assert broken(run) == []


def test_a_pool_without_surplus_is_refused_in_numbers_before_anything_changes(run: Path, made: Path) -> None:
    lines = [f"path:t{i}.txt" for i in range(60)]
    with pytest.raises(StageError, match=r"nothing was changed: text: [\d,]+ tokens would go, documents that could"):
        take_back(run, *lines)
    assert _tree(run) == _tree(made / "run")


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_rebuild_takes_texts_out_and_curate_makes_the_rest_without_them(run: Path, made: Path) -> None:
    lines = [f"path:t{i}.txt" for i in range(60)]
    done = take_back(run, *lines, is_rebuild=True)
    assert done.summary["documents"] == 60
    with pytest.raises(StoreError, match="are not done; finish with `loopmix curate` first"):
        list(verify(opened(run)))
    assert not any(_in_text(path, story(3)[:60]) for path in run.rglob("*") if path.is_file())
    work(run, mixture_in(made, balance={"total_tokens": 8_000}))
    assert broken(run) == []
    assert {r["path"] for r in ledger(run) if "forgotten" in r["reasons"]} == {f"t{i}.txt" for i in range(60)}


def _in_text(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()


def test_a_dry_run_changes_nothing_and_says_what_would_go(run: Path, made: Path) -> None:
    done: Done = take_back(run, *TAKEN, is_dry=True)
    assert done.summary["tokens_removed"] == done.summary["tokens_refilled"] != {}
    assert _tree(run) == _tree(made / "run")


def test_what_is_forgotten_is_not_forgotten_twice(run: Path) -> None:
    take_back(run, *TAKEN)
    before = _tree(run)
    done = take_back(run, *TAKEN)
    assert (done.matched.n_docs, done.summary, done.matched.n_before) == (0, {}, 13)
    assert _tree(run) == before


def test_forgets_follow_each_other(run: Path) -> None:
    for lines in (TAKEN, ("path:m5.py",), ("repo:owner/r4", "t8.txt")):
        take_back(run, *lines)
        assert broken(run) == []
    assert len(json.loads((run / "manifest.json").read_bytes())["forgotten"]) == 3


def test_what_took_a_place_can_be_taken_back_too(run: Path, made: Path) -> None:
    take_back(run, "path:t7.txt")
    before = {r["doc_id"]: r["fate"] for r in ledger(made / "run")}
    (filler,) = [r for r in ledger(run) if r["n_packed_tokens"] and before[r["doc_id"]] == "surplus"]
    take_back(run, f"doc_id:{filler['doc_id']}")
    assert broken(run) == []
    assert filler["doc_id"] in gone_ids(run)


def test_a_dropped_document_is_forgotten_like_any_other(run: Path) -> None:
    done = take_back(run, "path:m61.py")  # a near duplicate of m1.py, of equal words
    assert done.summary["equal_words"] == 1
    rows = {r["path"]: r for r in ledger(run) if r["path"] in ("m1.py", "m61.py")}
    assert [(r["reasons"], r["keeper_id"]) for r in rows.values()] == [(["forgotten"], None)] * 2
    assert broken(run) == []


def test_a_keeper_may_be_forgotten_and_what_was_dropped_for_it_stays_dropped(run: Path) -> None:
    near = {r["path"]: r for r in ledger(run) if r["path"] in ("m2.py", "m62.py")}
    (dropped,) = [r for r in near.values() if r["reasons"] == ["near_duplicate"]]
    (kept,) = [r for r in near.values() if r["keep"]]
    assert dropped["keeper_id"] == kept["doc_id"]
    assert 0.7 <= dropped["similarity"] < 1
    assert take_back(run, f"doc_id:{kept['doc_id']}").summary["documents"] == 1
    after = {r["path"]: r for r in ledger(run)}
    assert after[dropped["path"]] == dropped
    assert broken(run) == []


def test_rows_stay_and_select_tokens_and_redacted_hold_nothing(run: Path) -> None:
    take_back(run, *TAKEN)
    gone, found = gone_ids(run), opened(run)
    for table in (SELECT, TOKENS):
        rows = [r for t in found.shards(table) for r in t.to_pylist() if r["doc_id"] in gone]
        assert len(rows) == len(gone) == 14
        assert not any(r.get("keep") or r.get("token_ids") or r.get("n_tokens") for r in rows)
    assert sum(t.num_rows for t in found.shards(DOCUMENTS, columns=["doc_id"])) == 220
    assert pa.concat_tables(found.shards(REDACTED, columns=["doc_id"])).num_rows == 220


def test_caps_hold_when_places_are_filled(tmp_path: Path, made: Path) -> None:
    for name in ("code.jsonl", "prose.jsonl"):
        shutil.copy(made / name, tmp_path / name)
    balance = {"code": {"max_repo_frac": 0.1}}
    work(tmp_path / "run", mixture_in(tmp_path, balance=balance))
    take_back(tmp_path / "run", "repo:owner/r3", "path:m8.py")
    assert broken(tmp_path / "run") == []


def test_a_capped_group_does_not_take_the_places_of_another(tmp_path: Path, made: Path) -> None:
    """All Python that could come goes, and JavaScript has more than enough, but is at its cap: refused."""
    for name in ("code.jsonl", "prose.jsonl"):
        shutil.copy(made / name, tmp_path / name)
    capped = {"code": {"max_frac": {"JavaScript": 0.1}}}
    work(tmp_path / "run", mixture_in(tmp_path, balance=capped))
    python = {
        fate: [f"doc_id:{r['doc_id']}" for r in of_fate(tmp_path / "run", fate) if r["group"] == "Python"]
        for fate in ("packed", "cut", "surplus")
    }
    lines = [*python["packed"][:2], *python["cut"], *python["surplus"]]
    with pytest.raises(StageError, match=r"would stay empty"):
        take_back(tmp_path / "run", *lines)
    take_back(tmp_path / "run", *lines[:2])
    assert broken(tmp_path / "run") == []
    caps = next(f for f in verify(opened(tmp_path / "run")) if f.promise == "caps")
    assert "JavaScript" in caps.detail


def test_programs_are_as_different_as_the_tests_need() -> None:
    assert len({program(i) for i in range(90)} | {script(i) for i in range(40)} | {story(i) for i in range(90)}) == 220


def test_filled_in_documents_enter_whole_or_not_at_all(tmp_path: Path, made: Path) -> None:
    for name in ("code.jsonl", "prose.jsonl"):
        shutil.copy(made / name, tmp_path / name)
    work(tmp_path / "run", mixture_in(tmp_path, forms={"fim": {"rate": 0.7}}))
    before = {r["doc_id"]: r for r in ledger(tmp_path / "run")}
    done = take_back(tmp_path / "run", "repo:owner/r3", "repo:owner/r4", "path:t7.txt")
    assert broken(tmp_path / "run") == []  # `forms` looks for torn pieces
    after = {r["doc_id"]: r for r in ledger(tmp_path / "run")}
    came = [r for i, r in after.items() if r["n_packed_tokens"] > before[i]["n_packed_tokens"]]
    assert any(r["form"] == "plain" for r in came)
    assert all(r["fate"] == "packed" for r in came if r["form"] in ("psm", "spm"))
    assert all(r["form"] is None for r in after.values() if "forgotten" in r["reasons"])
    assert done.summary["pieces_removed"] > 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {
                "balance": {"total_tokens": None},
                "phases": [{"name": "one", "tokens": 9_000}, {"name": "two", "tokens": 4_000}],
            },
            "a run with phases",
        ),
        ({"forms": {"repositories": {"order": "path"}}}, "repository documents"),
    ],
)
def test_places_that_surplus_cannot_take_are_left_to_a_rebuild(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    write_sources(tmp_path)
    mixture, out = mixture_in(tmp_path, **asked), tmp_path / "run"
    work(out, mixture)
    doc = of_fate(out, "packed")[0]["doc_id"]
    before = digests(out)
    with pytest.raises(ConfigError, match=said):
        take_back(out, f"doc_id:{doc}")
    after = digests(out)
    assert {name for name in before if before[name] != after.get(name)} <= {"state/lease.json"}
    take_back(out, f"doc_id:{doc}", is_rebuild=True)
    work(out, mixture)
    assert broken(out) == []
    assert next(row["fate"] for row in ledger(out) if row["doc_id"] == doc) == "dropped"
    assert doc not in {one for row in stream(out) for one in row["doc_ids"]}
