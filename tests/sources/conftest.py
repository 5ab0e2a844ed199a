"""Helpers for the source tests: plan and read a source whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from pipeline import schema
from pipeline.config import Source
from pipeline.sources import plan_slices, read_slice

ReadAll = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rows_of() -> ReadAll:
    """All rows of a source as dictionaries, in the order of its slices; checks each shard's schema on the way."""

    def read(source: Source, *, shard_bytes: int = 1 << 20, max_document_bytes: int = 1 << 20) -> list[dict[str, Any]]:
        tables = []
        for piece in plan_slices(source, shard_bytes=shard_bytes):
            table = read_slice(source, piece, max_document_bytes=max_document_bytes)
            tables.append(schema.check(table, schema.DOCUMENTS.schema, name="documents"))
        return pa.concat_tables(tables).to_pylist() if tables else []

    return read
