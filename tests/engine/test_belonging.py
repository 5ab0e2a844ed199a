"""A run folder belongs to one mixture: another is refused, and `--replace` leaves nothing of the old run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config import Mixture, Source
from pipeline.engine.belonging import erase, refuse_other, refuse_strangers
from pipeline.engine.manifest import claim
from pipeline.engine.store import Store, open_store
from pipeline.errors import StoreError

CODE = Source(name="code", kind="directory", path="/data/code", pool="code")
TEXT = Source(name="text", kind="directory", path="/data/text", pool="text")


def mixture(*sources: Source, name: str = "mine") -> Mixture:
    return Mixture(name=name, sources=sources)


def held(folder: Path, by: Mixture) -> Store:
    store = open_store(str(folder))
    claim(store, by)
    return store


def test_a_run_of_another_name_is_refused_even_of_the_same_sources(tmp_path: Path) -> None:
    store = held(tmp_path, mixture(CODE, TEXT))
    with pytest.raises(StoreError) as caught:
        refuse_other(store, mixture(CODE, TEXT, name="yours"))
    assert "holds a run of mixture 'mine', not of 'yours'" in str(caught.value)
    assert "code (directory /data/code)" in str(caught.value)
    assert "--replace" in str(caught.value)


def test_a_run_of_which_no_source_is_left_is_refused(tmp_path: Path) -> None:
    store = held(tmp_path, mixture(CODE, TEXT))
    others = [s.model_copy(update={"name": f"new-{s.name}", "path": f"{s.path}-2"}) for s in (CODE, TEXT)]
    with pytest.raises(StoreError, match=r"none of them is left, now there are new-code \(directory /data/code-2\)"):
        refuse_other(store, mixture(*others))


@pytest.mark.parametrize(
    "source",
    [
        CODE,
        CODE.model_copy(update={"name": "renamed"}),
        CODE.model_copy(update={"path": "/moved/code"}),
        CODE.model_copy(update={"pool": "auto", "license": "MIT"}),
    ],
)
def test_a_run_that_keeps_a_source_goes_on(tmp_path: Path, source: Source) -> None:
    store = held(tmp_path, mixture(CODE, TEXT))
    refuse_other(store, mixture(source, TEXT.model_copy(update={"name": "other", "path": "/other"})))


def test_a_folder_without_a_run_belongs_to_nobody(tmp_path: Path) -> None:
    refuse_other(open_store(str(tmp_path)), mixture(CODE))
    (tmp_path / "manifest.json").write_text('{"format": 2, "stages": {}}')  # as older versions left it
    refuse_other(open_store(str(tmp_path)), mixture(CODE))


def test_claim_writes_once_and_keeps_the_stages(tmp_path: Path) -> None:
    store = held(tmp_path, mixture(CODE, TEXT))
    first = (tmp_path / "manifest.json").read_bytes()
    claim(store, mixture(CODE, TEXT))
    assert (tmp_path / "manifest.json").read_bytes() == first
    found = json.loads(first)
    assert found["name"] == "mine"
    assert found["stages"] == {}


@pytest.mark.parametrize("name", ["letter.txt", "photos/cat.jpg"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("dear")
    with pytest.raises(StoreError, match=rf"holds files but no run \({name.partition('/')[0]}/?\)"):
        refuse_strangers(open_store(str(tmp_path)))


@pytest.mark.parametrize("name", ["lease.json", "logs/a.jsonl", ".DS_Store", ".snapshot/x", "lost+found/x"])
def test_what_is_nobodys_is_no_stranger(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    refuse_strangers(open_store(str(tmp_path)))


def test_nothing_of_a_run_but_its_logs_is_left_when_it_is_erased(tmp_path: Path) -> None:
    store = held(tmp_path, mixture(CODE))
    ours = ("tables/tokens/part-00000-of-00002.parquet", "packed/part-00000-of-00001.arrow", "report/index.html",
            "state/tokens/ab/table/00000.json", "work/select/ab/x.arrow", "tables/tokens/.part.1-a.tmp",
            "tokenizer.json")  # fmt: skip
    for name in (*ours, "logs/old.jsonl", "notes.txt"):
        store.write_bytes(name, b"x")
    erase(store)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "logs/old.jsonl",
        "notes.txt",
    ]


@pytest.mark.parametrize("name", ["tables/tokens/mine.parquet", "packed/mine.arrow", "tables/notes.txt"])
def test_nothing_is_erased_where_somebody_put_a_file(tmp_path: Path, name: str) -> None:
    store = held(tmp_path, mixture(CODE))
    store.write_bytes("packed/part-00000-of-00001.arrow", b"x")
    store.write_bytes(name, b"precious")
    with pytest.raises(StoreError, match="was not written by a run; move it away first"):
        erase(store)
    assert (tmp_path / "packed/part-00000-of-00001.arrow").exists()
    assert (tmp_path / "manifest.json").exists()


def test_what_says_whose_it_is_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = held(tmp_path, mixture(CODE))
    gone: list[str] = []
    monkeypatch.setattr(Store, "remove", lambda self, path: gone.append(path))
    erase(store)
    assert gone[-1] == "manifest.json"
    assert {"tables", "packed", "state"} <= set(gone[:-1])
