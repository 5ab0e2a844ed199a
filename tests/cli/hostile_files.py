"""Files of a run that mean harm, each written over a sound one, with the manifest telling of them as of any other."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.sealed import COPY, sealed


class Trap:
    """Makes a folder beside the run when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def reseal(run: Path) -> None:
    """Size and hash of every changed file in the manifest, so that none is refused for these alone."""
    path = run / "manifest.json"

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("path"), str) and "sha256" in node and (run / node["path"]).is_file():
                data = (run / node["path"]).read_bytes()
                node |= {"n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            node = list(node.values())
        for child in node if isinstance(node, list) else []:
            walk(child)

    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if not isinstance(manifest, dict):
        return
    walk(manifest)
    data = json.dumps(sealed(manifest))
    for written in (path, run / COPY):
        written.write_text(data, encoding="utf-8")


def table_of(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()


def write_table(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def with_first(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """The first row of a shard has another value."""

    def changed(path: Path) -> None:
        table = table_of(path)
        rows = table[name].to_pylist()
        rows[0] = change(rows[0])
        place = table.schema.get_field_index(name)
        write_table(path, table.set_column(place, table.schema.field(name), pa.array(rows, table[name].type)))

    return changed


def typed(name: str, kind: pa.DataType) -> Callable[[Path], None]:
    """A column of another type."""

    def changed(path: Path) -> None:
        table = table_of(path)
        place = table.schema.get_field_index(name)
        write_table(path, table.set_column(place, name, pa.array([None] * table.num_rows, kind)))

    return changed


def without(name: str) -> Callable[[Path], None]:
    return lambda path: write_table(path, table_of(path).drop_columns([name]))


def bytes_of(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(change(path.read_bytes())), None)[1]


def json_of(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def changed(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")

    return changed


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


NESTED = b'{"a":' * 200_000
BYTES: dict[str, Callable[[Path], None]] = {
    "nothing": bytes_of(lambda _: b""),
    "cut": bytes_of(lambda data: data[: len(data) // 2]),
    "zeros": bytes_of(lambda data: b"\0" * len(data)),
    "a pickle": bytes_of(lambda _: pickle.dumps(Trap())),
}
SHARDS = BYTES | {
    "bounds that fall": with_first("cu_seqlens", lambda v: [0, 9, 3, v[-1]]),
    "bounds beyond the end": with_first("cu_seqlens", lambda _: [0, 2**31 - 1]),
    "no bounds": with_first("cu_seqlens", lambda _: []),
    "tokens below zero": with_first("n_real", lambda _: -1),
    "an id beyond the vocabulary": with_first("token_ids", lambda v: [2**32 - 1, *v[1:]]),
    "documents that are missing": with_first("doc_ids", lambda v: v[1:]),
    "ids as words": typed("token_ids", pa.string()),
    "no documents": without("doc_ids"),
}
TEXTS = BYTES | {"nested": bytes_of(lambda _: NESTED), "a list": bytes_of(lambda _: b"[]")}


def without_key(*keys: str) -> Callable[[Path], None]:
    def change(found: Any) -> Any:
        node = found
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]
        return found

    return json_of(change)


def with_key(value: Any, *keys: str) -> Callable[[Path], None]:
    def change(found: Any) -> Any:
        node = found
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
        return found

    return json_of(change)


MANIFESTS = TEXTS | {
    "a pipe": fifo,
    "stages as a word": with_key("x", "stages"),
    "packed as a list": with_key([], "stages", "packed"),
    "no stages": without_key("stages"),
    "no files": without_key("stages", "packed", "files"),
    "files out of the run": with_key(
        [{"path": "../../etc/passwd", "n_bytes": 9, "sha256": "0" * 64}], "stages", "packed", "files"
    ),
    "a file as a number": with_key([7], "stages", "packed", "files"),
    "a file without a path": with_key([{"n_bytes": 9, "sha256": "0" * 64}], "stages", "packed", "files"),
    "mixture as a word": with_key("x", "mixture"),
    "another format": with_key(10**9, "format"),
    "format as a list": with_key([], "format"),
    "tokenizer as a number": with_key(5, "tokenizer"),
}
