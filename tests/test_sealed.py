"""A manifest that somebody edited is refused with what differs, by whoever reads the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_run import hand_run

from pipeline.engine.manifest import MANIFEST, read_manifest, write_manifest
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store, open_store
from pipeline.errors import StoreError
from pipeline.reading.verify import verify
from pipeline.sealed import COPY, sealed

Said = dict[str, Any]
FILE = {"path": "tables/tokens/x", "n_bytes": 1, "sha256": "0" * 64}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    hand_run(tmp_path / "run")
    return tmp_path / "run"


def edit(run: Path, change: Callable[[Said], object], *, is_sealed: bool = False) -> None:
    """By hand; or `sealed`, as a version of loopmix would have written it."""
    manifest = json.loads((run / MANIFEST).read_bytes())
    change(manifest)
    (run / MANIFEST).write_text(json.dumps(sealed(manifest) if is_sealed else manifest))


def drop_a_file(manifest: Said) -> None:
    del manifest["stages"]["languages"]["files"][1]


def set_to(*keys: Any, value: Any) -> Callable[[Said], object]:
    def change(manifest: Said) -> None:
        found: Any = manifest
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return change


EDITS = [
    (drop_a_file, r"stages\.languages\.files\.tables/languages/part-00001-of-\S+\.n_bytes: was \d+, is gone"),
    (set_to("stages", "packed", "counts", "n_sequences", value=3), r"stages\.packed\.counts\.n_sequences: .*, says 3"),
    (set_to("stages", "select", "counts", "n_crowd_compared", value="7"), r'n_crowd_compared: was \d+, says "7"'),
    (set_to("name", value="mine"), r'name: was "hand", says "mine"'),
    (set_to("mixture", "seed", value=7), r"mixture\.seed: was \d+, says 7"),
    (set_to("more", value=1), r"more: was not there, says 1"),
    (lambda m: m.pop("mixture"), r"mixture\..*: was .*, is gone .*and \d+ more"),
    (lambda m: m["stages"].clear(), r"and \d+ more"),
    (lambda m: m.pop("format"), r"format: was 2, is gone"),
    (lambda m: m.pop("seal") and m.update(name="mine"), r'name: was "hand", says "mine"'),
    (lambda m: m.pop("seal"), r"seal: was [0-9a-f]{64}, says null"),
    (set_to("seal", value="0" * 64), r'seal: was [0-9a-f]{64}, says "0+"'),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), EDITS)
def test_an_edit_is_refused_with_the_key_and_both_values(run: Path, change: Callable[[Said], Any], said: str) -> None:
    edit(run, change)
    with pytest.raises(StoreError) as error:
        read_manifest(open_store(str(run)))
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{run}/manifest.json: was changed since it was written: ")
    assert line.endswith("; to put it back, copy state/manifest.json of the run over it")
    assert re.search(said, line), line


def test_what_is_put_back_as_the_error_says_is_read(run: Path) -> None:
    before = read_manifest(open_store(str(run)))
    edit(run, drop_a_file)
    (run / MANIFEST).write_bytes((run / COPY).read_bytes())
    assert read_manifest(open_store(str(run))) == before


def test_every_reader_refuses_an_edit(run: Path) -> None:
    pytest.importorskip("torch")
    from pipeline.plt.distributed import Ranks
    from pipeline.plt.shards import open_shards

    edit(run, drop_a_file)
    for read in (
        lambda: RunFiles(open_store(str(run))).manifest,
        lambda: list(verify(RunFiles(open_store(str(run))))),
        lambda: open_shards(run, ranks=Ranks(0, 1)),
    ):
        with pytest.raises(StoreError, match=r"was changed since it was written: stages\.languages\.files"):
            read()


def test_another_layout_of_the_same_content_is_no_edit(run: Path) -> None:
    before = read_manifest(open_store(str(run)))
    (run / MANIFEST).write_text(json.dumps(before, sort_keys=False, indent=4) + "\n")
    assert read_manifest(open_store(str(run))) == before


def test_a_manifest_of_a_version_without_seals_is_read_and_sealed_when_it_is_written(run: Path) -> None:
    (run / COPY).unlink()
    edit(run, lambda m: m.pop("seal"))
    store = open_store(str(run))
    manifest = read_manifest(store)
    assert "seal" not in manifest
    write_manifest(store, manifest)
    assert "seal" in read_manifest(store)


def test_an_edit_without_a_copy_beside_it_is_refused_too(run: Path) -> None:
    """As where a run was copied without its state."""
    (run / COPY).unlink()
    read_manifest(open_store(str(run)))
    edit(run, drop_a_file)
    with pytest.raises(StoreError, match=r"manifest\.json: was changed or damaged since it was written: .*copy of the"):
        read_manifest(open_store(str(run)))


@pytest.mark.parametrize("at", [COPY, MANIFEST])
def test_a_stop_between_copy_and_manifest_is_no_edit(run: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    store = open_store(str(run))
    before = read_manifest(store)
    write = Store.write_bytes

    def stopping(self: Store, path: str, *arguments: Any, **options: Any) -> Any:
        if path == at:
            raise KeyboardInterrupt
        return write(self, path, *arguments, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Store, "write_bytes", stopping)
        write_manifest(store, before | {"name": "other"})
    assert read_manifest(store) == before
    write_manifest(store, before | {"name": "other"})
    assert read_manifest(store)["name"] == "other"


ENTRY = ("stages", "ledger")
DAMAGED: list[tuple[Callable[[Said], Any], str]] = [
    (lambda m: m["stages"].clear(), "stages .* are not done; finish with"),
    (set_to("stages", value=[]), r"is damaged: stages: .*found \[\]"),
    (set_to("stages", value=None), r"is damaged: stages: .*found None"),
    (lambda m: m.pop("mixture"), "is damaged: it names no mixture"),
    (set_to("mixture", value="mine"), r"is damaged: mixture: .*found 'mine'"),
    (set_to(*ENTRY, "files", 0, "n_bytes", value="12"), r"stages\.ledger\.files\.0\.n_bytes: .*found '12'"),
    (set_to(*ENTRY, "files", 0, "n_bytes", value=-1), r"n_bytes: .*found -1"),
    (set_to(*ENTRY, "files", 0, "n_bytes", value=10**400), r"n_bytes: .*found 10000"),
    (set_to(*ENTRY, "files", 0, "n_bytes", value=1.5), r"n_bytes: .*found 1\.5"),
    (set_to(*ENTRY, "files", 0, "sha256", value="abc"), r"sha256: .*found 'abc'"),
    (set_to(*ENTRY, "files", 0, "path", value="../../etc/passwd"), r"path: .*leads out of the run, found '\.\./"),
    (set_to(*ENTRY, "files", 0, "path", value="/etc/passwd"), r"path: .*leads out of the run"),
    (set_to("tokenizer", "path", value="../x"), r"tokenizer\.path: .*leads out of the run"),
    (set_to(*ENTRY, "files", value=[]), "lists 0 files of stage 'ledger', 2 of 'documents'"),
    (set_to("stages", "documents", "files", value=[]), "lists no file of stage 'documents'"),
    (set_to(*ENTRY, "files", value=None), "has not one of the keys"),
    (lambda m: m["stages"]["ledger"].update(files_in={"n_files": 0, "n_bytes": 0, "parts": []}), "not one of the keys"),
    (set_to(*ENTRY, "counts", value={"n_docs": "4"}), r"counts\.n_docs: .*found '4'"),
    (set_to(*ENTRY, "counts", value={"n_docs": 10**30}), r"counts\.n_docs: .*found 10000"),
    (set_to(*ENTRY, "problems", value={"first": "x"}), r"problems\.first.*found 'first'"),
    (set_to(*ENTRY, "seconds", value=float("nan")), r"seconds: .*found nan"),
    (set_to(*ENTRY, "seconds", value=float("inf")), r"seconds: .*found inf"),
    (set_to(*ENTRY, "version", value="2"), r"version: .*found '2'"),
]  # fmt: skip


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "of an older version"])
@pytest.mark.parametrize(("change", "said"), DAMAGED)
def test_a_malformed_manifest_is_refused_in_one_line(
    run: Path, change: Callable[[Said], Any], said: str, is_sealed: bool
) -> None:
    """Whoever has written it."""
    if not is_sealed:
        edit(run, lambda m: m.pop("seal"))
        (run / COPY).unlink()
    edit(run, change, is_sealed=is_sealed)
    with pytest.raises(StoreError) as error:
        list(verify(RunFiles(open_store(str(run)))))
    line = str(error.value)
    assert "\n" not in line and len(line) < 500
    assert line.startswith(f"{run}/manifest.json: ")
    assert re.search(said, line), line


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "1", "[" * 100_000, '{"stages": {}}', "\xff"])
def test_what_is_no_manifest_is_refused_in_one_line(run: Path, text: str) -> None:
    (run / COPY).unlink()
    (run / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"^[^\n]*manifest\.json: (is damaged|has format None)[^\n]*$"):
        read_manifest(open_store(str(run)))
