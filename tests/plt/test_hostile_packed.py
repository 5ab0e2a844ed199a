"""Packed shards that mean harm, without a manifest to hold them against: refused in one line, before a step is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from plt_runs import make_run, tiny_config

from pipeline.errors import ConfigError, LoopmixError, SchemaError, StoreError
from pipeline.plt import train
from pipeline.plt.data import open_packed, read_rows


def shard(run: Path) -> Path:
    return run / "packed" / "part-00001-of-00002.arrow"


def rewritten(run: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    path = shard(run)
    with pa.memory_map(str(path)) as file:
        table = change(pa.ipc.open_file(file).read_all())
        table = pa.Table.from_pydict(table.to_pydict(), schema=table.schema)
    with pa.ipc.new_file(str(path), table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)


def with_column(
    name: str, change: Callable[[Any], Any], kind: pa.DataType | None = None
) -> Callable[[pa.Table], pa.Table]:
    """The first row has another value in a column, or the whole column another type."""

    def changed(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[0] = change(values[0])
        return table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind or table[name].type))

    return changed


ROWS: dict[str, tuple[Callable[[pa.Table], pa.Table], type[LoopmixError], str]] = {
    "bounds below zero": (with_column("cu_seqlens", lambda v: [0, -5, *v[1:]]), SchemaError, "do not rise from 0"),
    "bounds that fall": (with_column("cu_seqlens", lambda v: [0, 9, 3, v[-1]]), SchemaError, "do not rise from 0"),
    "bounds beyond the end": (with_column("cu_seqlens", lambda _: [0, 2**31 - 1]), SchemaError, "do not rise from 0"),
    "no bounds": (with_column("cu_seqlens", lambda _: []), SchemaError, "do not rise from 0"),
    "more tokens than places": (with_column("n_real", lambda _: 2**31 - 1), SchemaError, "do not rise from 0"),
    "tokens below zero": (with_column("n_real", lambda _: -1), SchemaError, "do not rise from 0"),
    "another pool": (with_column("pool", lambda _: "\x1b[31m"), SchemaError, "expected one of"),
    "documents that are missing": (with_column("doc_ids", lambda v: v[1:]), SchemaError, "pieces"),
    "a column that is missing": (lambda t: t.drop_columns(["doc_ids"]), SchemaError, "doc_ids"),
    "no tokens": (lambda t: t.drop_columns(["token_ids"]), SchemaError, "token_ids has type None"),
    "pools as long words": (with_column("pool", lambda v: v, pa.large_string()), SchemaError, "pool"),
    "lists of any length": (
        with_column("token_ids", lambda v: v, pa.list_(pa.uint32())), SchemaError, "expected a fixed-size list"
    ),
    "signed tokens": (with_column("token_ids", lambda v: v, pa.list_(pa.int64(), 64)), SchemaError, "token_ids"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_hostile_rows_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, kind, why = ROWS[name]
    run = make_run(tmp_path / "run")
    rewritten(run, change)
    with pytest.raises(kind) as found:
        packed = open_packed(run)
        list(read_rows(packed, 0, stop=packed.n_sequences))
    said = str(found.value)
    assert why in said
    assert said.startswith(str(tmp_path))
    assert said.isprintable()


def test_an_id_out_of_the_vocabulary_is_refused_before_training(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rewritten(run, with_column("token_ids", lambda v: [2**32 - 1, *v[1:]]))
    with pytest.raises(ConfigError, match="holds token id 4294967295"):
        train(tiny_config(), data=run, out=tmp_path / "out")


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_shards_are_refused_or_read_but_never_unpacked_beyond_their_rows(tmp_path: Path, codec: str) -> None:
    run = make_run(tmp_path / "run")
    rewritten(run, lambda t: t, compression=codec)
    before = pa.total_allocated_bytes()
    packed = open_packed(run)
    assert packed.n_sequences == 40
    assert pa.total_allocated_bytes() - before < 64 * packed.n_sequences * 64


@pytest.mark.parametrize("path", ["packed/../../secret.arrow", "/etc/passwd", "packed/part-00000-of-00002.arrow/../x"])
def test_a_manifest_that_leads_out_of_the_run_is_refused(tmp_path: Path, path: str) -> None:
    run = make_run(tmp_path / "run")
    files = [{"path": path, "n_bytes": 9, "sha256": "0" * 64}]
    (run / "manifest.json").write_text(json.dumps({"stages": {"packed": {"files": files}}}))
    with pytest.raises(StoreError) as found:
        open_packed(run)
    assert str(found.value).isprintable()


def test_a_manifest_that_is_no_file_is_neither_read_nor_taken_for_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "manifest.json").unlink(missing_ok=True)
    (run / "manifest.json").mkdir()  # or a pipe, which nobody may read: that waits for ever
    with pytest.raises(StoreError, match=r"manifest\.json: is no file; run `loopmix curate` again"):
        open_packed(run)
