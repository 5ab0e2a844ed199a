"""What the log of a run says of its input: the bytes of its files as they lie on disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.api.started import input_bytes
from pipeline.config import Source
from pipeline.sources import directory, parquet
from pipeline.sources.slices import Slice


def test_each_input_file_is_counted_once_and_as_it_lies_on_disk(tmp_path: Path) -> None:
    """Two files of parquet in ten pieces unpack to far more than they take; of a folder every file counts."""
    for name in ("a", "b"):
        table = pa.table({"content": [f"{name} {n} " + "same words again " * 500 for n in range(50)]})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=10, compression="zstd", use_dictionary=False)
    (tmp_path / "code").mkdir()
    for n in range(3):
        (tmp_path / "code" / f"{n}.py").write_text("x" * n)
    rows = Source(name="rows", kind="parquet", path=f"{tmp_path}/*.parquet", pool="text")
    code = Source(name="code", kind="directory", path=f"{tmp_path}/code", pool="code")
    packed = parquet.plan(rows, shard_bytes=50_000)
    assert len(packed) == 10
    n_packed = sum(file.stat().st_size for file in tmp_path.glob("*.parquet"))
    assert sum(piece.n_bytes for piece in packed) > 5 * n_packed
    slices = [*packed, *directory.plan(code, shard_bytes=50_000), Slice("plugin", ())]
    assert input_bytes(slices) == {"rows": n_packed, "code": 3}
