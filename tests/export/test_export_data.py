"""What an export does to its folder and to the run, what it refuses, and what it says of itself."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from export_runs import EOS, SEQ_LEN, export_run, with_license
from hand_run import SHARDS

from pipeline.cli.exporting import FORMAT_NAMES
from pipeline.cli.main import main
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError, SchemaError, StoreError
from pipeline.export import FORMATS, export_data
from pipeline.export.mds import _array, _json
from pipeline.publish.markdown import escaped
from pipeline.sealed import sealed
from pipeline.sequences import rows_of

EVERY_FORMAT = pytest.mark.parametrize("to", FORMATS)


def hashes(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_command_knows_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


@EVERY_FORMAT
def test_the_same_run_gives_the_same_bytes_and_stays_as_it_is(tmp_path: Path, to: str) -> None:
    truth = export_run(tmp_path / "run")
    before = hashes(tmp_path / "run")
    first = export_data(truth.run, to=to, out=tmp_path / "first")
    shutil.copytree(tmp_path / "run", tmp_path / "elsewhere")
    export_data(RunFiles(open_store(str(tmp_path / "elsewhere"))), to=to, out=tmp_path / "second")
    found = hashes(tmp_path / "first")
    assert found == hashes(tmp_path / "second")
    assert before == hashes(tmp_path / "run")
    assert {path: entry["sha256"] for path, entry in first.record["files"].items()} == {
        path: digest for path, digest in found.items() if path != "export.json"
    }
    assert found["tokenizer.json"] == before["tokenizer.json"]
    assert json.loads((tmp_path / "first/export.json").read_text()) == json.loads(json.dumps(first.record))


@EVERY_FORMAT
def test_the_record_counts_what_was_exported(tmp_path: Path, to: str) -> None:
    truth = export_run(tmp_path / "run")
    record = export_data(truth.run, to=to).record
    assert (tmp_path / f"run-{to}").is_dir()
    assert record["n_sequences"] == len(truth.rows)
    assert record["n_pieces"] == len(truth.pieces)
    assert record["n_pieces_without_end"] == sum(piece[-1] != EOS for piece in truth.pieces) > 0
    assert record["n_padding"] == sum(SEQ_LEN - row["n_real"] for row in truth.rows) > 0
    for pool in ("code", "text"):
        assert record["n_tokens"][pool] == sum(r["n_real"] for r in truth.rows if r["pool"] == pool) > 0
    assert record["manifest_sha256"] == hashes(tmp_path / "run")["manifest.json"]
    assert (record["run"], record["format"], record["eos_id"]) == ("hand", to, EOS)


@EVERY_FORMAT
def test_a_damaged_shard_leaves_nothing_behind(tmp_path: Path, to: str) -> None:
    """The last one, so that others have been written when it is met; its size is right."""
    truth = export_run(tmp_path / "run")
    shard = max((tmp_path / "run/packed").iterdir())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"part-00002-of-00003.arrow: is missing or damaged: expected .* SHA-256"):
        export_data(truth.run, to=to, out=tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_missing_shard_is_seen_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = export_run(tmp_path / "run")
    max((tmp_path / "run/packed").iterdir()).unlink()
    monkeypatch.setattr("pipeline.export.exported.whole_folder", None)
    with pytest.raises(StoreError, match="1 of 3 packed shards are missing or damaged"):
        export_data(truth.run, to="mds", out=tmp_path / "out")


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    del manifest["stages"]["ledger"]
    (tmp_path / "run/manifest.json").write_text(json.dumps(sealed(manifest)))
    with pytest.raises(StoreError, match="stages \\['ledger'\\] are not done"):
        export_data(RunFiles(truth.run.store), to="mds", out=tmp_path / "out")
    with pytest.raises(StoreError, match="does not exist; make the run"):
        export_data(RunFiles(open_store(str(tmp_path / "nothing"))), to="mds")


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    path = tmp_path / "run/tokenizer.json"
    path.write_text(path.read_text().replace("<|last|>", "<|less|>"))
    with pytest.raises(StoreError, match="not the tokenizer that made this run"):
        export_data(truth.run, to="mds", out=tmp_path / "out")


def test_an_id_beyond_the_vocabulary_is_refused_and_not_cut_to_two_bytes(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run", vocab_size=70_000)
    small = export_run(tmp_path / "small").run
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    manifest["tokenizer"] = json.loads((tmp_path / "small/manifest.json").read_text())["tokenizer"]
    (tmp_path / "run/manifest.json").write_text(json.dumps(sealed(manifest)))
    (tmp_path / "run/tokenizer.json").write_bytes(small.tokenizer())
    with pytest.raises(SchemaError, match=r"holds token id 69999, but tokenizer\.json has 300 entries"):
        export_data(RunFiles(truth.run.store), to="olmo", out=tmp_path / "out")


def test_a_run_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = export_run(tmp_path / "run")
    manifest = tmp_path / "run/manifest.json"

    def changing(*arguments: object, **options: object) -> object:
        manifest.write_text(manifest.read_text() + "\n")
        return rows_of(*arguments, **options)

    monkeypatch.setattr("pipeline.export.finished.rows_of", changing)
    with pytest.raises(StoreError, match="changed while the run was exported"):
        export_data(truth.run, to="parquet", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_without_sequences_is_refused(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run", shard_rows=(0, 0))
    with pytest.raises(StoreError, match="holds no sequence"):
        export_data(truth.run, to="huggingface", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_refused_and_stays(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(StoreError, match="is not an empty folder"):
            export_data(truth.run, to="mds", out=tmp_path / name)
    assert (tmp_path / "out/mine").read_text() == "mine"
    (tmp_path / "out/mine").unlink()
    export_data(truth.run, to="mds", out=tmp_path / "out")
    with pytest.raises(StoreError, match="is not an empty folder"):
        export_data(truth.run, to="mds", out=tmp_path / "out")


@pytest.mark.parametrize("out", ["run", "run/packed/new", "."])
def test_no_export_lies_in_its_run_or_around_it(tmp_path: Path, out: str) -> None:
    truth = export_run(tmp_path / "run")
    before = hashes(tmp_path / "run")
    with pytest.raises(ConfigError, match="lies inside the run"):
        export_data(truth.run, to="mds", out=tmp_path / out)
    assert hashes(tmp_path / "run") == before


def test_what_a_killed_export_left_is_removed_and_a_running_one_is_not_disturbed(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    left = tmp_path / ".out.partial"
    (left / "data").mkdir(parents=True)
    (left / "data/half").write_text("half")
    held = os.open(left, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match="another export writes there"):
        export_data(truth.run, to="mds", out=tmp_path / "out")
    assert (left / "data/half").exists()
    os.close(held)
    export_data(truth.run, to="mds", out=tmp_path / "out")
    assert not left.exists()
    assert "data/half" not in hashes(tmp_path / "out")


def test_lines_of_the_olmo_index_name_document_pool_and_group(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    out = export_data(truth.run, to="olmo", out=tmp_path / "out").folder
    data = (out / "tokens.csv.gz").read_bytes()
    assert (data[3], data[4:8]) == (0, bytes(4))  # no name and no time, or equal runs would differ
    lines = gzip.decompress(data).decode().splitlines()
    rows = [(r["pool"], d, g) for r in truth.rows for d, g in zip(r["doc_ids"], r["groups"], strict=True)]
    assert [line.split(",", 2)[2] for line in lines] == [
        f'{doc},{pool},"{group}"' if "," in group else f"{doc},{pool},{group}" for pool, doc, group in rows
    ]


@pytest.mark.parametrize("size", [1, 255, 256, 65_535, 65_536])
def test_lengths_of_arrays_take_the_fewest_bytes(size: int) -> None:
    data = _array(np.zeros(size, "<i4"))
    n_bytes = 1 if size < 256 else 2 if size < 65_536 else 4
    assert len(data) == 1 + n_bytes + 4 * size
    assert int.from_bytes(data[1 : 1 + n_bytes], "little") == size


@pytest.mark.parametrize("names", [[], ["a"], ['"\\', "\x00\u2028", "\U0001f600", "C++"]])
def test_lists_of_names_are_json(names: list[str]) -> None:
    assert _json(names) == json.dumps(names).encode()


STRANGE = "x|y\n# [a](http://b) <script>`*_www.c\x1b\u202e---\n: {}"


def test_names_in_a_card_are_shown_letter_by_letter(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run", docs=with_license(STRANGE))
    out = export_data(truth.run, to="huggingface", out=tmp_path / "out").folder
    _, front, body = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    configs = yaml.safe_load(front)["configs"]
    assert [c["config_name"] for c in configs] == ["sequences", "documents"]
    (line,) = (line for line in body.splitlines() if "script" in line)
    assert line.startswith(
        r"| x\|y \# \[a\]\(http\:\/\/b\) &lt;script&gt;\`\*\_www\.c" + "\ufffd" * 2 + r"\-\-\- \: \{\} |"
    )
    assert " | 1 | 10 | " in line
    assert escaped("C++") == r"C\+\+"
    assert escaped(" \n") == "(empty)"


def test_tables_of_a_card_come_from_the_ledger(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    out = export_data(truth.run, to="huggingface", out=tmp_path / "out").folder
    lines = (out / "README.md").read_text(encoding="utf-8").splitlines()
    docs = [d for shard in SHARDS for d in shard]
    dropped = [d for d in docs if d.reasons]
    assert f"{len(dropped)} of {len(docs)} documents were dropped; one can have several reasons." in lines
    for reason in {r for d in dropped for r in d.reasons}:
        assert f"| {escaped(reason)} | {sum(reason in d.reasons for d in dropped)} |" in lines
    packed = {d.path: d.n_copies * d.n_tokens + d.cut for d in docs}
    n_python = sum(packed[d.path] for d in docs if d.language == "Python")
    assert any(line.startswith(f"| code | Python | 1 | {n_python} | ") for line in lines)
    assert any(line.startswith("| none given | 1 | 4 | ") for line in lines)
    assert any(line.startswith(r"| CC\-BY\-4\.0 | 1 | 12 | ") for line in lines)
    assert not any("Rust" in line for line in lines)


def test_the_command_says_what_is_kept_and_lost(tmp_path: Path) -> None:
    export_run(tmp_path / "run")
    done = CliRunner().invoke(main, ["export-data", str(tmp_path / "run"), "--to", "megatron"])
    assert done.exit_code == 0, done.output
    assert f"wrote {tmp_path / 'run-megatron'}: 3 files" in done.output
    assert "kept: order of the stream in the file, bounds of documents" in done.output
    assert "lost: padding, pool, groups, doc_ids and offsets" in done.output
    again = CliRunner().invoke(main, ["export-data", str(tmp_path / "run"), "--to", "megatron"])
    assert again.exit_code == 1
    assert "is not an empty folder; remove it, or choose another --out" in again.output
    line = ["export-data", str(tmp_path / "run"), "--to", "olmo", "--out", str(tmp_path / "o"), "--json"]
    said = CliRunner().invoke(main, line)
    assert json.loads(said.output) == json.loads((tmp_path / "o/export.json").read_text())


def test_a_run_on_other_storage_is_exported_into_a_local_folder(tmp_path: Path) -> None:
    export_run(tmp_path / "run")
    store = open_store(f"memory://{tmp_path.name}")
    for path in (p for p in (tmp_path / "run").rglob("*") if p.is_file()):
        store.write_bytes(path.relative_to(tmp_path / "run").as_posix(), path.read_bytes())
    run = RunFiles(store)
    with pytest.raises(ConfigError, match="say where to write: --out DIR"):
        export_data(run, to="olmo")
    for to in FORMATS:
        export_data(RunFiles(open_store(str(tmp_path / "run"))), to=to, out=tmp_path / f"local-{to}")
        export_data(run, to=to, out=tmp_path / to)
        assert hashes(tmp_path / to) == hashes(tmp_path / f"local-{to}")


@pytest.mark.parametrize(
    ("to", "name", "vocab_size", "n_bytes"),
    [
        ("megatron", "tokens.bin", 65_499, 2),
        ("megatron", "tokens.bin", 65_500, 4),
        ("olmo", "tokens.npy", 65_536, 2),
        ("olmo", "tokens.npy", 65_537, 4),
        ("nanotron", "tokens.ds", 65_536, 2),
        ("nanotron", "tokens.ds", 65_537, 4),
    ],
)
def test_ids_have_two_bytes_as_long_as_the_reader_expects_it(
    tmp_path: Path, to: str, name: str, vocab_size: int, n_bytes: int
) -> None:
    truth = export_run(tmp_path / "run", vocab_size=vocab_size)
    out = export_data(truth.run, to=to, out=tmp_path / "out").folder
    assert np.fromfile(out / name, f"<u{n_bytes}").tolist() == truth.stream
    if to == "megatron":
        assert (out / "tokens.idx").read_bytes()[17] == {2: 8, 4: 4}[n_bytes]
    if to == "nanotron":
        assert (out / "tokens.ds.metadata").read_text().startswith(f"tokenizer.json|{n_bytes}\n{len(truth.stream)}\n")


@pytest.mark.parametrize(
    ("to", "name"), [("megatron", "tokens.bin"), ("olmo", "tokens.npy"), ("nanotron", "tokens.ds")]
)
def test_code_and_text_can_be_streams_of_their_own(tmp_path: Path, to: str, name: str) -> None:
    truth = export_run(tmp_path / "run")
    made = export_data(truth.run, to=to, out=tmp_path / "out", by_pool=True)
    whole = export_data(truth.run, to=to, out=tmp_path / "whole")
    assert sorted(p.name for p in made.folder.iterdir()) == ["code", "export.json", "text", "tokenizer.json"]
    for pool in ("code", "text"):
        expected = [i for r in truth.rows if r["pool"] == pool for i in r["token_ids"][: r["n_real"]]]
        assert np.fromfile(made.folder / pool / name, "<u2").tolist() == expected
        if to == "megatron":
            rows = [row for row in truth.rows if row["pool"] == pool]
            counts = np.frombuffer((made.folder / pool / "tokens.idx").read_bytes()[18:34], "<u8")
            assert counts.tolist() == [sum(len(row["doc_ids"]) for row in rows), len(rows) + 1]
    counted = ("n_sequences", "n_pieces", "n_padding", "n_pieces_without_end", "n_tokens")
    assert {n: made.record[n] for n in counted} == {n: whole.record[n] for n in counted}
    assert made.record["by_pool"] and not whole.record["by_pool"]
    assert "pool" not in made.record["lost"]
    assert "pool (its folder)" in made.record["kept"]


@pytest.mark.parametrize("to", ["mds", "parquet", "huggingface"])
def test_formats_with_a_column_of_pools_need_no_folders(tmp_path: Path, to: str) -> None:
    truth = export_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="keeps the pool of each sequence in a column"):
        export_data(truth.run, to=to, out=tmp_path / "out", by_pool=True)


def test_indexes_of_one_pool_count_from_its_own_start(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    out = export_data(truth.run, to="olmo", out=tmp_path / "out", by_pool=True).folder
    index = export_data(truth.run, to="nanotron", out=tmp_path / "index", by_pool=True).folder
    for pool in ("code", "text"):
        rows = [row for row in truth.rows if row["pool"] == pool]
        ends = [*accumulate(b - a for row in rows for a, b in pairwise(row["cu_seqlens"]))]
        lines = gzip.decompress((out / pool / "tokens.csv.gz").read_bytes()).decode().splitlines()
        assert [int(line.split(",")[1]) for line in lines] == ends
        assert np.fromfile(index / pool / "tokens.ds.index", "<u8").tolist() == ends


@pytest.mark.parametrize("to", ["megatron", "olmo", "nanotron"])
def test_a_shard_may_hold_one_pool_only(tmp_path: Path, to: str) -> None:
    truth = export_run(tmp_path / "run", shard_rows=(1, 1, 1, 1, 1, 1))
    out = export_data(truth.run, to=to, out=tmp_path / "out", by_pool=True).folder
    for pool in ("code", "text"):
        expected = [i for r in truth.rows if r["pool"] == pool for i in r["token_ids"][: r["n_real"]]]
        (ids,) = (p for p in (out / pool).iterdir() if p.suffix in (".bin", ".npy", ".ds"))
        assert np.fromfile(ids, "<u2").tolist() == expected != []
