"""A packed run of real documents that every machine with the test environment has: healthy text to plant ruin into."""

import ast
import hashlib
import json
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa

import tokenizer as tokenizers
from pipeline.results import Inspection
from pipeline.ruin.inspect import inspect
from pipeline.schema import packed_schema

SEQ_LEN = 512
_MAX_BYTES = 6_000
_N_DOCS = 150  # of a group


def documents() -> list[tuple[str, str, str, bytes]]:
    """(doc_id, pool, group, text): sources of the standard library, Arrow's headers, docstrings."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = [p for p in sorted(library.rglob("*.py")) if "site-packages" not in p.parts and "test" not in str(p)]
    headers = sorted(Path(pa.get_include()).rglob("*.h"))
    found = [("code", "Python", text) for text in _texts(sources)] + [("code", "C++", text) for text in _texts(headers)]
    found += [("text", "docstrings", text) for text in _docstrings(sources)]
    return [(hashlib.md5(text).hexdigest(), pool, group, text) for pool, group, text in found]


def _texts(paths: list[Path]) -> list[bytes]:
    """Whole files of middling size, no two of which begin alike."""
    texts = {p.read_bytes() for p in paths if 600 < p.stat().st_size < _MAX_BYTES}
    return sorted(texts, key=lambda text: hashlib.md5(text).digest())[:_N_DOCS]


def _docstrings(paths: list[Path]) -> list[bytes]:
    found = set()
    for path in paths:
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = (ast.get_docstring(node) or "").strip()
                if 500 < len(text) < _MAX_BYTES and not any(
                    line.startswith((">>>", "    ")) for line in text.split("\n")
                ):
                    found.add(text.encode() + b"\n")
    return sorted(found, key=lambda text: hashlib.md5(text).digest())[:_N_DOCS]


def make_run(folder: Path, docs: list[tuple[str, str, str, bytes]]) -> Path:
    """Pack `docs` one after the other, code and text sequences in turn, as `packed` does: pieces, bounds, offsets."""
    shipped = Path(tokenizers.__file__).with_name("tokenizer.json")
    encoder = tokenizers.load(str(shipped))
    (folder / "packed").mkdir(parents=True)
    shutil.copy(shipped, folder / "tokenizer.json")
    rows = [_sequences(encoder, [d for d in docs if d[1] == pool], pool) for pool in ("code", "text")]
    merged = [row for pair in zip(*rows, strict=False) for row in pair]
    rest = max(rows, key=len)[min(map(len, rows)) :]
    table = pa.Table.from_pylist(merged + rest, schema=packed_schema(SEQ_LEN))
    path = folder / "packed" / "part-00000-of-00001.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=512)
    data = path.read_bytes()
    file = {"path": f"packed/{path.name}", "n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    own = {"path": "tokenizer.json", "sha256": encoder.file_hash, "n_bytes": shipped.stat().st_size}
    ratio = {"balance": {"code": {"parts": 1}, "text": {"parts": 1}}}
    manifest = {
        "format": 2,
        "name": "small",
        "mixture": ratio,
        "tokenizer": own,
        "stages": {"packed": {"files": [file]}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _sequences(encoder: tokenizers.Encoder, docs: list[tuple[str, str, str, bytes]], pool: str) -> list[dict]:
    rows, ids, pieces = [], np.empty(0, np.uint32), []
    for doc_id, _, group, text in docs:
        offset, (_, of_doc) = 0, encoder.encode_batch([text])
        while offset < len(of_doc):
            n = min(SEQ_LEN - len(ids), len(of_doc) - offset)
            pieces.append((len(ids), doc_id, group, offset))
            ids = np.append(ids, of_doc[offset : offset + n])
            offset += n
            if len(ids) == SEQ_LEN:
                rows.append(_row(ids, pieces, pool, encoder.eos_id))
                ids, pieces = np.empty(0, np.uint32), []
    if pieces:
        rows.append(_row(ids, pieces, pool, encoder.eos_id))
    return rows


def _row(ids: np.ndarray, pieces: list, pool: str, pad: int) -> dict:
    return {
        "token_ids": np.pad(ids, (0, SEQ_LEN - len(ids)), constant_values=pad).tolist(),
        "n_real": len(ids),
        "cu_seqlens": [s for s, *_ in pieces] + [len(ids)],
        "doc_ids": [d for _, d, *_ in pieces],
        "doc_offsets": [o for *_, o in pieces],
        "pool": pool,
        "groups": [g for _, _, g, _ in pieces],
    }


def look(run: Path) -> Inspection:
    """What is found in a run's packed shards."""
    blocks = []
    for path in sorted((run / "packed").glob("*.arrow")):
        reader = pa.ipc.open_file(pa.py_buffer(path.read_bytes()))
        blocks += [reader.get_batch(i) for i in range(reader.num_record_batches)]
    return inspect(run, blocks, tokenizer=run / "tokenizer.json", seed=0).inspection
