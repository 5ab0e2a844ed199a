"""Which documents a list names, and which others equal them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import xxhash
from forget_runs import ledger, mixture_in, opened, program, script, take_back, work

from pipeline.errors import ConfigError
from pipeline.forget.listing import read_entries
from pipeline.forget.matching import Matched, match
from pipeline.schema import DOCUMENTS


def found(run: Path, *lines: str) -> Matched:
    return match(opened(run), read_entries(lines, where="list"))


def paths(run: Path, matched: Matched) -> set[str]:
    opened_run = opened(run)
    names: set[str] = set()
    for shard, rows in matched.rows.items():
        names |= set(opened_run.tables.read(DOCUMENTS, shard, columns=["path"])["path"].take(rows).to_pylist())
    return names


def test_each_kind_of_entry_finds_its_document(made: Path) -> None:
    run, text = made / "run", program(5).encode()
    doc_id = next(row["doc_id"] for row in ledger(run) if row["path"] == "m5.py")
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest()
    sha1 = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    entries = [
        *(f"doc_id:{doc_id}", doc_id, "path:m5.py", "m5.py"),
        *(f"content_hash:{xxhash.xxh3_128_hexdigest(text)}", xxhash.xxh3_128_hexdigest(text)),
        *(f"sha256:{hashlib.sha256(text).hexdigest()}", hashlib.sha256(text).hexdigest()),
        *(f"blob:{blob}", f"swh:1:cnt:{blob}", blob, f"sha1:{sha1}", sha1),
        json.dumps({"path": "m5.py", "repo": "owner/r5"}),
    ]
    for entry in entries:
        matched = found(run, entry)
        assert paths(run, matched) == {"m5.py"}, entry
        assert (matched.n_listed, matched.missing) == (1, []), entry


def test_a_repository_is_all_of_its_documents(made: Path) -> None:
    matched = found(made / "run", "repo:owner/r3")
    wanted = {row["path"] for row in ledger(made / "run") if row["repo"] == "owner/r3"}
    assert len(wanted) > 8
    assert paths(made / "run", matched) == wanted


def test_all_of_a_line_of_json_must_hold(made: Path) -> None:
    assert found(made / "run", '{"path": "m5.py", "repo": "owner/r6"}').n_docs == 0


def test_equal_bytes_go_too_whichever_of_them_is_listed(made: Path) -> None:
    for name in ("m0.py", "m60.py"):
        matched = found(made / "run", f"path:{name}")
        assert paths(made / "run", matched) == {"m0.py", "m60.py"}
        assert (matched.n_listed, matched.n_equal_bytes, matched.n_equal_words) == (1, 1, 0)


def test_equal_words_go_too_whichever_of_them_is_listed(made: Path) -> None:
    for name in ("m1.py", "m61.py"):
        matched = found(made / "run", f"path:{name}")
        assert paths(made / "run", matched) == {"m1.py", "m61.py"}
        assert (matched.n_listed, matched.n_equal_bytes, matched.n_equal_words) == (1, 0, 1)


def test_an_entry_that_matches_nothing_is_an_error_unless_it_may_be_missing(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"1 entries match no document of this run: line 2: path:nowhere.py"):
        take_back(run, "path:m5.py", "path:nowhere.py")
    assert not (run / "forgotten.json").exists()
    done = take_back(run, "path:m5.py", "path:nowhere.py", allow_missing=True)
    assert (done.summary["documents"], done.summary["entries_missing"]) == (1, 1)


def test_a_name_that_is_a_path_and_a_repository_must_say_which(tmp_path: Path, made: Path) -> None:
    rows = [
        {"path": "owner/x", "repo": "owner/y", "content": program(1)},
        {"path": "b.py", "repo": "owner/x", "content": program(2)},
        *({"path": f"s{i}.js", "repo": "owner/z", "content": script(i)} for i in range(3)),
    ]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    (tmp_path / "prose.jsonl").write_bytes((made / "prose.jsonl").read_bytes())
    work(tmp_path / "run", mixture_in(tmp_path, balance={"total_tokens": None}, select={"drop_unknown": False}))
    with pytest.raises(ConfigError, match="path of 1 documents and the repository of 1; say path: or repo:"):
        found(tmp_path / "run", "owner/x")
    assert paths(tmp_path / "run", found(tmp_path / "run", "repo:owner/x")) == {"b.py"}


def test_a_hash_of_a_text_that_is_gone_is_known_all_the_same(run: Path) -> None:
    entry = f"sha256:{hashlib.sha256(program(5).encode()).hexdigest()}"
    take_back(run, entry)
    done = take_back(run, entry)
    assert (done.summary, done.matched.n_before, done.matched.missing) == ({}, 1, [])
    with pytest.raises(ConfigError, match="match no document"):
        take_back(run, "sha256:" + "0" * 64)
