"""Packed shards held against the manifest, by one process and by several that share it; the run's own tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from plt_ranks import on_ranks
from plt_runs import add_piece, empty_row, make_run, tiny_config, write_manifest, write_rows, write_tokenizer

from pipeline.errors import CheckpointError, ConfigError, SchemaError, StoreError
from pipeline.plt import Noted, train
from pipeline.plt import shards as shards_module
from pipeline.plt.data import open_packed
from pipeline.plt.vocabulary import file_hash, run_tokenizer

SECOND = "part-00001-of-00003.arrow"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three shards, a tokenizer and a manifest."""
    return write_manifest(make_run(tmp_path / "run", n_shards=3))


def _flip(path: Path, *, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)


def test_shards_when_those_of_the_manifest_are_taken_with_its_hashes(run):
    found = open_packed(run)
    listed = json.loads((run / "manifest.json").read_text())["stages"]["packed"]["files"]
    assert found.hashes == {Path(f["path"]).name: f["sha256"] for f in listed}
    assert found.in_manifest
    (run / "manifest.json").unlink()
    alone = open_packed(run)
    assert not alone.in_manifest
    assert (alone.hashes, alone.max_token_id) == (found.hashes, found.max_token_id)


def test_shard_when_one_bit_differs_is_named_with_both_hashes(run):
    path = run / "packed" / SECOND
    sound = file_hash(path)
    _flip(path)
    with pytest.raises(StoreError) as error:
        open_packed(run)
    for part in (f"{path}: is damaged or of another run", file_hash(path), sound, "loopmix curate"):
        assert part in str(error.value)


def test_shard_when_a_byte_is_damaged_anywhere_is_named(run):
    path = run / "packed" / SECOND
    content = path.read_bytes()
    for at in range(0, len(content), len(content) // 120):  # headers of three blocks, offsets and ids among them
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        with pytest.raises(StoreError, match=rf"{SECOND}: is damaged .*SHA-256 {file_hash(path)}"):
            open_packed(run)


def test_shards_without_manifest_when_they_do_not_fit_each_other_are_refused(tmp_path):
    short, long = (make_run(tmp_path / str(n), seq_len=n, n_shards=2) for n in (32, 64))
    name = "part-00001-of-00002.arrow"
    (long / "packed" / name).write_bytes((short / "packed" / name).read_bytes())
    with pytest.raises(SchemaError, match=r"sequences of \[32, 64\] tokens, expected one length"):
        open_packed(long)
    path = short / "packed" / name
    path.write_bytes(path.read_bytes().replace(b"n_real", b"\x90_real"))
    with pytest.raises(StoreError, match=f"{name}: is no readable Arrow file .*utf-8"):
        open_packed(short)


def test_largest_id_when_one_shard_holds_it_is_that_of_the_run(tmp_path):
    rows = [empty_row("code", seq_len=8) for _ in range(6)]
    for number, row in enumerate(rows):
        add_piece(row, doc_id=f"d{number}", group="C", ids=[1, 99 if number == 1 else 2])
    run = write_rows(tmp_path, rows, seq_len=8, n_shards=3)
    assert open_packed(run).max_token_id == 99
    assert {f.max_token_id for f in on_ranks(2, lambda ranks: open_packed(run, ranks=ranks))} == {99}


def test_shard_when_its_manifest_lists_foreign_columns_is_refused(run):
    path = run / "packed" / SECOND
    table = pa.ipc.open_file(str(path)).read_all().drop_columns(["pool"])
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    write_manifest(run)
    with pytest.raises(SchemaError, match="pool"):
        open_packed(run)


def test_shards_when_ids_of_another_run_lie_in_their_place_are_refused(run, tmp_path):
    other = make_run(tmp_path / "other", n_shards=3, seed=9)
    for path in (other / "packed").iterdir():
        (run / "packed" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StoreError, match=r"part-0000\d-of-00003\.arrow: is damaged or of another run"):
        open_packed(run)
    with pytest.raises(StoreError, match="of another run"):
        train(tiny_config(n_steps=1), data=run, out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("n_cut", [1, 40, 5000])
def test_shard_when_cut_is_named_with_both_sizes(run, n_cut):
    path = run / "packed" / SECOND
    n_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-n_cut])
    with pytest.raises(StoreError, match=rf"{SECOND}: .* found {n_bytes - n_cut} bytes.*says {n_bytes} bytes, SHA-256"):
        open_packed(run)


def test_shard_when_its_footer_is_damaged_is_named_with_both_hashes(run):
    path = run / "packed" / SECOND
    sound = file_hash(path)
    path.write_bytes(path.read_bytes()[:-6] + b"BROKEN")
    with pytest.raises(StoreError, match=rf"{SECOND}: is damaged .*SHA-256 {file_hash(path)}.*{sound}"):
        open_packed(run)
    (run / "manifest.json").unlink()
    with pytest.raises(StoreError, match=rf"{SECOND}: is no readable Arrow file .*SHA-256 {file_hash(path)}"):
        open_packed(run)


def test_shard_when_missing_or_too_many_is_named(run):
    extra = run / "packed" / "part-00000-of-00001.arrow"
    extra.write_bytes((run / "packed" / SECOND).read_bytes())
    with pytest.raises(StoreError, match=rf"{extra.name}: is not in manifest.json .*SHA-256 {file_hash(extra)}"):
        open_packed(run)
    extra.unlink()
    sound = file_hash(run / "packed" / SECOND)
    (run / "packed" / SECOND).unlink()
    with pytest.raises(StoreError, match=rf"{SECOND}: is missing \(1 of the 3 shards .*expected SHA-256 {sound}"):
        open_packed(run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is damaged"),
        ("{", "is damaged"),
        ('{"stages": {"packed": {"files": [{"path": "packed/a"}]}}}', "is damaged: it has no"),
        ('{"stages": {}}', "lists no packed shard"),
    ],
)
def test_manifest_when_it_cannot_be_used_is_refused(run, text, message):
    (run / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=rf"manifest\.json: {message}"):
        open_packed(run)


@pytest.mark.parametrize("n_ranks", [2, 3, 8])
def test_shards_when_several_processes_open_them_are_each_read_once(run, monkeypatch, n_ranks):
    read: list[str] = []
    really = shards_module.sha256_of
    monkeypatch.setattr(shards_module, "sha256_of", lambda path: read.append(path.name) or really(path))
    alone = open_packed(run)
    read.clear()
    found = on_ranks(n_ranks, lambda ranks: open_packed(run, ranks=ranks))
    assert sorted(read) == sorted(alone.hashes)
    assert [(f.hashes, f.max_token_id) for f in found] == [(alone.hashes, alone.max_token_id)] * n_ranks


@pytest.mark.parametrize("manifest", [True, False])
def test_shard_when_damaged_is_found_by_every_process_alike(run, manifest):
    _flip(run / "packed" / SECOND, at=-2)
    if not manifest:
        (run / "manifest.json").unlink()

    def message(ranks):
        with pytest.raises(StoreError) as error:
            open_packed(run, ranks=ranks)
        return str(error.value)

    assert len(set(on_ranks(3, message))) == 1


def test_tokenizer_when_it_is_not_the_runs_own_is_refused(run, tmp_path):
    own, other = run / "tokenizer.json", write_tokenizer(tmp_path, length=2)
    same = tmp_path / "copy.json"
    same.write_bytes(own.read_bytes())
    assert (run_tokenizer(run), run_tokenizer(run, given=same)) == (own, same)
    for manifest in (True, False):
        if not manifest:
            (run / "manifest.json").unlink()
        with pytest.raises(ConfigError, match=r"is another tokenizer than .*leave --tokenizer out"):
            run_tokenizer(run, given=other)
        assert run_tokenizer(run) == own
    own.unlink()
    assert run_tokenizer(run, given=other) == other
    with pytest.raises(ConfigError, match=r"gone\.json: is no tokenizer file"):
        train(tiny_config(), data=run, out=tmp_path / "model", tokenizer=tmp_path / "gone.json")


def test_tokenizer_when_it_has_no_entry_for_an_id_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    small = write_tokenizer(tmp_path, size=200)
    with pytest.raises(ConfigError, match=r"has 200 entries but .* holds token id 256: another tokenizer"):
        train(tiny_config(n_steps=1), data=run, out=tmp_path / "model", tokenizer=small)


def test_tokenizer_when_a_run_is_resumed_with_another_one_or_none_is_refused(tmp_path):
    run, out, config = make_run(tmp_path / "run"), tmp_path / "model", tiny_config(n_steps=1)
    (tmp_path / "other").mkdir()
    tokenizer, other = write_tokenizer(tmp_path), write_tokenizer(tmp_path / "other", length=2)
    events: list = []
    train(config, data=run, out=out, tokenizer=tokenizer, on_event=events.append)
    assert any(isinstance(e, Noted) and "taken as they are" in e.message for e in events)
    kept = (out / "tokenizer.json").read_bytes()
    for given in (other, None):
        with pytest.raises(CheckpointError, match="tokenizer: was "):
            train(config, data=run, out=out, tokenizer=given)
        assert (out / "tokenizer.json").read_bytes() == kept
    train(config, data=run, out=out, tokenizer=tokenizer)


def test_shards_when_verified_say_nothing_of_a_missing_manifest(run, tmp_path):
    events: list = []
    train(tiny_config(n_steps=1), data=run, out=tmp_path / "model", on_event=events.append)
    assert not [e for e in events if isinstance(e, Noted)]
