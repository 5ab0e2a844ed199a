"""What a small file may become: bombs of every format are one bad input, found before they are unpacked."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from handmade import make_run, run_stage

from pipeline.config import Ingest, Mixture, Source
from pipeline.engine.manifest import read_manifest
from pipeline.engine.stage import fingerprint
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.recipe import stages
from pipeline.schema import DOCUMENTS
from pipeline.sources import huggingface, plan_slices, read_parts, read_slice
from pipeline.sources.caps import DEFAULT_CAPS, HARMLESS_BYTES, InputCaps
from pipeline.sources.documents import ingest, inputs_of, plan
from pipeline.sources.slices import InputFile

_ROWS = 50_000


def _zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(data)


def _row(text: str) -> bytes:
    return json.dumps({"content": text}).encode() + b"\n"


def _parquet(contents: Any, **more: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"content": contents}), file, compression="zstd", **more)
    return file.getvalue()


def _stream(contents: Any, *, compression: str | None = "zstd", of_file: bool = False) -> bytes:
    file = io.BytesIO()
    table = pa.table({"content": contents})
    make = pa.ipc.new_file if of_file else pa.ipc.new_stream
    with make(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return file.getvalue()


def _lying_stream() -> bytes:
    """A packed buffer that says it holds half a terabyte."""
    data = bytearray(_stream(["x" * 4_096] * 9))
    said = [at for at in range(len(data) - 8) if struct.unpack_from("<q", data, at)[0] == 9 * 4_096]
    data[said[-1] : said[-1] + 8] = struct.pack("<q", 1 << 39)
    return bytes(data)


_BOMBS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "zst of rows": ("jsonl", "b.jsonl.zst", lambda: _zst(_row("x") + b"{}\n" * _ROWS)),
    "zst of documents": ("jsonl", "b.jsonl.zst", lambda: _zst(_row("x") * _ROWS)),
    "zst of blank lines": ("jsonl", "b.jsonl.zst", lambda: _zst(_row("x") + b"\n" * 3_000_000)),
    "zst of one long line": ("jsonl", "b.jsonl.zst", lambda: _zst(b"x" * 3_000_000)),
    "gz of rows": ("jsonl", "b.jsonl.gz", lambda: gzip.compress(_row("x") * _ROWS)),
    "zst of an array": ("jsonl", "b.json.zst", lambda: _zst(b"[" + b'{"content":"x"},' * _ROWS + b"{}]")),
    "parquet of rows": ("parquet", "b.parquet", lambda: _parquet(["x"] * 300_000)),
    "parquet of one text": ("parquet", "b.parquet", lambda: _parquet(["x" * 100_000] * 99)),
    "arrow of one text": ("huggingface", "b.arrow", lambda: _stream(["x" * 100_000] * 99)),
    "arrow of runs": (
        "huggingface",
        "b.arrow",
        lambda: _stream(
            pa.RunEndEncodedArray.from_arrays(pa.array([2_000_000_000], pa.int32()), pa.array(["x"])), compression=None
        ),
    ),
    "arrow file of one text": ("huggingface", "b.arrow", lambda: _stream(["x" * 100_000] * 99, of_file=True)),
    "arrow that says so": ("huggingface", "b.arrow", _lying_stream),
}


def _source(folder: Path, *, kind: str, name: str, data: bytes) -> Source:
    folder.mkdir()
    (folder / name).write_bytes(data)
    if kind == "huggingface":
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    return Source.model_validate({"name": "s", "kind": kind, "path": str(folder)})


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_file_that_makes_too_much_is_refused_by_name(tmp_path: Path, bomb: str) -> None:
    kind, name, make = _BOMBS[bomb]
    data = make()
    source = _source(tmp_path / "in", kind=kind, name=name, data=data)
    (piece,) = plan_slices(source, shard_bytes=4_000_000)
    n_rows = 0
    caps = InputCaps(max_unpacked_frac=100)
    small = _source(tmp_path / "first", kind="jsonl", name="a.jsonl", data=_row("x"))
    for first in plan_slices(small, shard_bytes=1_000):
        read_slice(small, first, max_document_bytes=100)  # what is loaded once is not what the file makes
    tracemalloc.start()
    with pytest.raises(StoreError, match=rf"{name}: makes more than [\d,]+ bytes of its .*ingest.max_unpacked_frac"):
        for _, table in read_parts(source, piece, shard_bytes=4_000_000, max_document_bytes=8_000_000, caps=caps):
            n_rows += table.num_rows
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    most = caps.bytes_of(piece.files[0])
    assert n_rows * 512 <= most
    assert held < 64_000_000 + 4 * min(most, 4_000_000)


def test_an_arrow_file_that_says_what_it_holds_is_refused_before_any_batch_of_it(tmp_path: Path) -> None:
    """Afterwards Arrow has allocated it, whatever is counted then."""
    data = _stream(["x" * 100_000] * 99, of_file=True)

    def batches() -> Iterator[pa.RecordBatch]:
        raise AssertionError("a batch was read")
        yield

    reader = pa.RecordBatchReader.from_batches(pa.schema([("content", pa.string())]), batches())
    file = InputFile("b.arrow", len(data), "")
    caps = InputCaps(max_unpacked_frac=100)
    with pytest.raises(StoreError, match=r"makes more than [\d,]+ bytes"):
        next(huggingface._checked(io.BytesIO(data), reader, file=file, caps=caps, where="b.arrow"))


def test_a_bomb_is_read_where_the_mixture_says_so(tmp_path: Path) -> None:
    source = _source(tmp_path / "in", kind="jsonl", name="b.jsonl.zst", data=_zst(_row("x") * 20_000))
    (piece,) = plan_slices(source, shard_bytes=64_000_000)
    with pytest.raises(StoreError, match=r"max_unpacked_frac, now 5000"):
        read_slice(source, piece, max_document_bytes=100)
    table = read_slice(source, piece, max_document_bytes=100, caps=InputCaps(max_unpacked_frac=1_000_000))
    assert table.num_rows == 20_000
    with pytest.raises(StoreError, match=r"b.jsonl.zst: has more than 19,999 rows; .* raise ingest\.max_rows"):
        read_slice(source, piece, max_document_bytes=100, caps=InputCaps(19_999, 1_000_000))


def test_limits_of_rows_hold_for_each_file_alone_and_for_what_a_footer_says(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.jsonl").write_bytes(_row("x") * 5)
    source = Source(name="s", kind="jsonl", path=str(folder))
    (piece,) = plan_slices(source, shard_bytes=1 << 20)
    assert read_slice(source, piece, max_document_bytes=100, caps=InputCaps(max_rows=5)).num_rows == 15
    with pytest.raises(StoreError, match=r"a\.jsonl: has more than 4 rows"):
        read_slice(source, piece, max_document_bytes=100, caps=InputCaps(max_rows=4))
    rows = _source(tmp_path / "p", kind="parquet", name="p.parquet", data=_parquet(["x"] * 5, row_group_size=1))
    first = plan_slices(rows, shard_bytes=1)[0]
    with pytest.raises(StoreError, match=r"p\.parquet: has more than 4 rows"):
        next(read_parts(rows, first, shard_bytes=1, max_document_bytes=100, caps=InputCaps(max_rows=4)))


def test_a_small_file_may_make_what_harms_nobody(tmp_path: Path) -> None:
    n = HARMLESS_BYTES // (512 + 1)
    for count, good in ((n, True), (n + 1, False)):
        source = _source(tmp_path / str(count), kind="jsonl", name="s.jsonl.zst", data=_zst(_row("x") * count))
        (piece,) = plan_slices(source, shard_bytes=64_000_000)
        caps = InputCaps(max_unpacked_frac=1)
        if good:
            assert read_slice(source, piece, max_document_bytes=100, caps=caps).num_rows == n
        else:
            with pytest.raises(StoreError, match="makes more than"):
                read_slice(source, piece, max_document_bytes=100, caps=caps)


def test_packed_arrow_that_is_honest_is_read(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(3_000)]
    for k, of_file in enumerate((False, True)):
        data = _stream(pa.array(texts).dictionary_encode(), of_file=of_file)
        source = _source(tmp_path / str(k), kind="huggingface", name="d.arrow", data=data)
        (piece,) = plan_slices(source, shard_bytes=64_000_000)
        assert read_slice(source, piece, max_document_bytes=100)["content"].to_pylist() == [t.encode() for t in texts]


def test_a_refused_file_costs_no_other_and_is_read_once_it_may_be(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.jsonl").write_bytes(_row(name))
    (folder / "b.jsonl").write_bytes(b"{}\n" + _row("b") * 9)
    source = Source(name="s", kind="jsonl", path=str(folder))

    def documents(caps: dict[str, Any]) -> tuple[list[bytes], dict[str, str]]:
        mixture = Mixture(name="m", sources=(source,), ingest=Ingest(**caps))
        run = make_run(tmp_path / "run", sources=(source,))
        run = type(run)(run.store, mixture, run.executor, run.progress, on_bad_shard="skip")
        run_stage(run, DOCUMENTS.name, ingest, config=inputs_of(mixture, plan(mixture)), n_shards=1)
        table = Tables(run.store, 1).read(DOCUMENTS, 0)
        return table["content"].to_pylist(), read_manifest(run.store)["stages"]["documents"]["problems"]

    contents, problems = documents({"max_rows": 9})
    assert contents == [b"a", b"c"] and "b.jsonl: has more than 9 rows" in problems["0"]
    contents, problems = documents({"max_rows": 10})
    assert contents == [b"a", b"", *[b"b"] * 9, b"c"] and problems == {}


def test_caps_of_the_mixture_decide_documents_and_defaults_change_no_fingerprint(tmp_path: Path) -> None:
    source = _source(tmp_path / "in", kind="jsonl", name="a.jsonl", data=_row("a"))

    def documents(**ingest_: Any) -> tuple[str, dict[str, Any]]:
        mixture = Mixture(name="m", sources=(source,), ingest=Ingest(**ingest_))
        stage = stages(mixture, plan(mixture))[0]
        return fingerprint(stage, marks={}), stage.config.model_dump(mode="json")

    mark, said = documents()
    assert "caps" not in said
    assert tuple(Ingest.model_fields[name].default for name in InputCaps._fields) == DEFAULT_CAPS
    assert len({mark, documents(max_rows=7)[0], documents(max_unpacked_frac=7)[0]}) == 3
