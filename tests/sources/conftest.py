"""Helpers for the source tests: plan and read a source whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline import schema
from pipeline.config import Source
from pipeline.sources import plan_slices, read_slice, roots

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


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are listed from now on, each time."""
    listed: list[str] = []
    walk = roots.walk

    def counted(path: str, **more: Any) -> Any:
        listed.append(path)
        return walk(path, **more)

    monkeypatch.setattr(roots, "walk", counted)
    return listed


@pytest.fixture
def mixture_of(tmp_path: Path) -> Callable[[str], Path]:
    """A mixture file with a source `it`, of which these are the keys, and another of one text."""

    def write(keys: str) -> Path:
        (tmp_path / "text.jsonl").write_text('{"content": "A tide comes in and goes out."}\n')
        mixture = tmp_path / "m.yaml"
        mixture.write_text(
            f"name: m\nsources:\n  - {{name: it, {keys}}}\n"
            "  - {name: other, kind: jsonl, path: text.jsonl, pool: text}\n"
        )
        return mixture

    return write
