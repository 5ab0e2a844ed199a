"""Small packed runs with structure that a model can learn, made from grammars of our own; and tiny training files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from pipeline.plt.config import ModelConfig, TrainConfig
from pipeline.plt.model import PLT, build_model
from pipeline.schema import packed_schema
from tokenizer.tokens import byte_chars

END = 256  # end of document; the other ids are bytes
VOCAB_SIZE = 260

_NAMES = ("count", "total", "row", "item", "width", "node", "left", "queue")
_NOUNS = ("river", "garden", "letter", "window", "road", "teacher", "winter", "market")
_VERBS = ("follows", "crosses", "watches", "remembers", "leaves", "finds")


def make_text(group: str, *, rng: np.random.Generator) -> str:
    """A few lines in the manner of `group`: Python, C, or prose for anything else."""
    lines = []
    for _ in range(int(rng.integers(2, 9))):
        a, b = rng.choice(_NAMES, 2)
        n, m = rng.choice(_NOUNS, 2)
        if group == "Python":
            lines.append(f"def get_{a}({b}):\n    return {b}.{a} + {rng.integers(10)}\n")
        elif group == "C":
            lines.append(f"static int {a}(int {b}) {{\n  return {b} * {rng.integers(10)};\n}}\n")
        else:
            lines.append(f"The {n} {rng.choice(_VERBS)} the {m}.\n")
    return "".join(lines)


def make_documents(groups: tuple[str, ...], *, n_tokens: int, seed: int) -> list[tuple[str, str, list[int]]]:
    """(doc_id, group, token ids), drawn from `groups` in turn until they hold at least `n_tokens`."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    documents: list[tuple[str, str, list[int]]] = []
    while sum(len(ids) for _, _, ids in documents) < n_tokens:
        group = groups[len(documents) % len(groups)]
        ids = [*make_text(group, rng=rng).encode(), END]
        doc_id = hashlib.sha256(f"{seed}/{len(documents)}".encode()).hexdigest()[:32]
        documents.append((doc_id, group, ids))
    return documents


def pack_rows(documents: list[tuple[str, str, list[int]]], *, pool: str, seq_len: int) -> list[dict]:
    """Fill rows one after the other; what does not fit is split, and the last row is padded."""
    rows: list[dict] = []
    for doc_id, group, ids in documents:
        offset = 0
        while offset < len(ids):
            if not rows or rows[-1]["n_real"] == seq_len:
                rows.append(empty_row(pool, seq_len=seq_len))
            row = rows[-1]
            part = ids[offset : offset + seq_len - row["n_real"]]
            add_piece(row, doc_id=doc_id, group=group, ids=part, offset=offset)
            offset += len(part)
    return rows


def empty_row(pool: str, *, seq_len: int) -> dict:
    return {
        "token_ids": [0] * seq_len,
        "n_real": 0,
        "cu_seqlens": [0],
        "doc_ids": [],
        "doc_offsets": [],
        "pool": pool,
        "groups": [],
    }


def add_piece(row: dict, *, doc_id: str, group: str, ids: list[int], offset: int = 0) -> None:
    start = row["n_real"]
    row["token_ids"][start : start + len(ids)] = ids
    row["n_real"] += len(ids)
    row["cu_seqlens"].append(row["n_real"])
    row["doc_ids"].append(doc_id)
    row["doc_offsets"].append(offset)
    row["groups"].append(group)


def write_rows(run: Path, rows: list[dict], *, seq_len: int, n_shards: int = 2, block_rows: int = 3) -> Path:
    """Write `rows` as contiguous shards under run/packed."""
    schema = packed_schema(seq_len)
    (run / "packed").mkdir(parents=True, exist_ok=True)
    bounds = np.linspace(0, len(rows), n_shards + 1).astype(int)
    for k in range(n_shards):
        path = run / "packed" / f"part-{k:05d}-of-{n_shards:05d}.arrow"
        table = pa.Table.from_pylist(rows[bounds[k] : bounds[k + 1]], schema=schema)
        with pa.ipc.new_file(str(path), schema) as writer:
            writer.write_table(table, max_chunksize=block_rows)
    return run


def make_run(run: Path, *, seq_len: int = 64, n_rows: int = 40, n_shards: int = 2, seed: int = 1) -> Path:
    """A balanced run: code (Python and C) and prose rows in turn."""
    n_tokens = seq_len * (n_rows // 2)
    code = pack_rows(make_documents(("Python", "C"), n_tokens=n_tokens, seed=seed), pool="code", seq_len=seq_len)
    text = pack_rows(make_documents(("prose",), n_tokens=n_tokens, seed=seed + 1), pool="text", seq_len=seq_len)
    rows = [row for pair in zip(code, text, strict=False) for row in pair][:n_rows]
    return write_rows(run, rows, seq_len=seq_len, n_shards=n_shards)


def write_tokenizer(folder: Path, *, length: int = 1, size: int = VOCAB_SIZE) -> Path:
    """A byte-level vocabulary in which every ordinary token is `length` bytes."""
    spelled = {chr(0x100 + i) * length: i for i in range(size) if i != END}
    special = [{"id": END, "content": "<|endoftext|>", "special": True}] if size > END else []
    path = folder / "tokenizer.json"
    model = {"type": "BPE", "vocab": spelled | {t["content"]: END for t in special}, "merges": []}
    path.write_text(json.dumps({"added_tokens": special, "decoder": {"type": "ByteLevel"}, "model": model}))
    return path


def write_manifest(run: Path) -> Path:
    """Give a packed run a tokenizer, and the manifest that lists both."""

    def entry(path: Path) -> dict:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return {"path": str(path.relative_to(run)), "n_bytes": path.stat().st_size, "sha256": digest}

    files = [entry(path) for path in sorted((run / "packed").iterdir())]
    manifest = {"format": 2, "stages": {"packed": {"files": files}}, "tokenizer": entry(write_tokenizer(run))}
    manifest["mixture"] = {"balance": {pool: {"parts": 1} for pool in ("code", "text")}}
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def write_loadable_tokenizer(path: Path, *, end: int = END, vocab_size: int = VOCAB_SIZE) -> Path:
    """One that other libraries load too: a byte-level BPE without merges whose token `end` ends documents."""
    letters = iter(byte_chars())
    vocab = {"<|endoftext|>" if i == end else next(letters, f"<|unused_{i}|>"): i for i in range(vocab_size)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    special = {"id": end, "content": "<|endoftext|>", "special": True} | flags
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    config = {"version": "1.0", "added_tokens": [special], "pre_tokenizer": level, "decoder": level}
    path.write_text(json.dumps(config | {"model": {"type": "BPE", "vocab": vocab, "merges": []}}), encoding="utf-8")
    return path


def tiny_model(**changes: object) -> ModelConfig:
    base = {
        "vocab_size": VOCAB_SIZE,
        "n_layers": 2,
        "hidden_size": 32,
        "n_heads": 4,
        "n_kv_heads": 2,
        "intermediate_size": 48,
        "window": 5,
        "rope_theta": 10_000.0,
    }
    return ModelConfig(**(base | changes))


def tiny_config(*, model: dict | None = None, n_steps: int = 8, run: dict | None = None, **data: int) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "model": tiny_model(**(model or {})).model_dump(exclude_unset=True),
            "optimiser": {"n_steps": n_steps, "peak_lr": 5e-3, "warmup_frac": 0.1},
            "data": {"sequences_per_step": 4, "grad_accumulation": 2, "n_held_out_sequences": 6} | data,
            "eval": {"every_steps": 3, "min_group_tokens": 10, "n_diagnose_sequences": 3},
            "run": {"checkpoint_every_steps": 3, "device": "cpu", "n_threads": 1} | (run or {}),
        }
    )


def awake_model(config: ModelConfig, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> PLT:
    """A model whose every parameter is random and large: gates open unevenly and no path has a weight of zero."""
    model = build_model(config, seed=seed).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=dtype)
            parameter.copy_(1.0 + 0.2 * noise if parameter.ndim == 1 and parameter.numel() > 4 else 0.3 * noise)
    return model.eval()


def random_tokens(n_rows: int, n_tokens: int, *, seed: int = 0, vocab_size: int = VOCAB_SIZE) -> torch.Tensor:
    return torch.randint(0, vocab_size, (n_rows, n_tokens), generator=torch.Generator().manual_seed(seed))


def documents_of(*lengths: int, padding: int = 0) -> torch.Tensor:
    """One row of document indexes: runs of the given lengths, then padding."""
    runs = [torch.full((n,), i) for i, n in enumerate(lengths)] + [torch.full((padding,), -1)]
    return torch.cat(runs)[None]
