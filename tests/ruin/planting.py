"""Ruin planted into a copy of a packed run: labels, ids, lengths and hashes stay right, only what is said is spoilt.

Each kind is a function from a document's token ids to as many other ids; the last one, the end of the document, stays.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.sealed import sealed
from tokenizer import Encoder, load

Ids = np.ndarray


@dataclass
class Run:
    """A packed run as arrays that can be written to; documents are lists of (shard, first token, length)."""

    folder: Path
    encoder: Encoder
    tables: list[pa.Table]
    tokens: list[np.ndarray]
    places: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    labels: dict[str, tuple[str, str]] = field(default_factory=dict)
    relabelled: dict[str, str] = field(default_factory=dict)
    swapped: bool = False

    def ids(self, doc: str) -> Ids:
        return np.concatenate([self.tokens[s][b : b + n] for s, b, n in self.places[doc]])

    def put(self, doc: str, ids: Ids) -> None:
        done = 0
        for s, b, n in self.places[doc]:
            self.tokens[s][b : b + n] = ids[done : done + n]
            done += n

    def of_group(self, pool: str, group: str) -> list[str]:
        return sorted(d for d, label in self.labels.items() if label == (pool, group))

    def text(self, doc: str) -> bytes:
        ids = self.ids(doc)
        return self.encoder.decode(ids[ids != self.encoder.eos_id])

    def write(self) -> None:
        manifest = json.loads((self.folder / "manifest.json").read_text())
        files = {Path(f["path"]).name: f for f in manifest["stages"]["packed"]["files"]}
        for table, tokens, path in zip(self.tables, self.tokens, _shards(self.folder), strict=True):
            size = table.schema.field("token_ids").type.list_size
            kind = table.schema.field("token_ids").type.value_type
            column = pa.FixedSizeListArray.from_arrays(
                pa.array(tokens, kind), type=table.schema.field("token_ids").type
            )
            assert len(column) * size == len(tokens)
            table = table.set_column(table.schema.get_field_index("token_ids"), table.schema.field("token_ids"), column)
            if self.relabelled:
                table = _relabel(table, self.relabelled)
            if self.swapped:
                pools = pa.array(["text" if p == "code" else "code" for p in table["pool"].to_pylist()], pa.string())
                table = table.set_column(table.schema.get_field_index("pool"), table.schema.field("pool"), pools)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=512)
            data = path.read_bytes()
            files[path.name].update(n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        (self.folder / "manifest.json").write_text(json.dumps(sealed(manifest)))


def _relabel(table: pa.Table, names: dict[str, str]) -> pa.Table:
    groups = [
        [names.get(d, g) for d, g in zip(ids, row, strict=True)]
        for ids, row in zip(table["doc_ids"].to_pylist(), table["groups"].to_pylist(), strict=True)
    ]
    at = table.schema.get_field_index("groups")
    return table.set_column(at, table.schema.field("groups"), pa.array(groups, table.schema.field("groups").type))


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "packed").glob("*.arrow"))


def copy_run(run: Path, out: Path) -> Run:
    """A copy of `run` without its tables, opened for planting."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in ("manifest.json", "tokenizer.json"):
        shutil.copy(run / name, out / name)
    shutil.copytree(run / "packed", out / "packed")
    if (run / "tables" / "ledger").is_dir():
        shutil.copytree(run / "tables" / "ledger", out / "tables" / "ledger")
    tables, tokens = [], []
    for path in _shards(out):
        table = pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()  # no map: `write` replaces the file
        tables.append(table)
        tokens.append(table["token_ids"].combine_chunks().flatten().to_numpy().copy())
    found = Run(out, load(str(run / "tokenizer.json")), tables, tokens)
    rows = []
    for s, table in enumerate(tables):
        size = table.schema.field("token_ids").type.list_size
        columns = [table[c].to_pylist() for c in ("cu_seqlens", "doc_ids", "doc_offsets", "pool", "groups")]
        for row, (bounds, ids, offsets, pool, groups) in enumerate(zip(*columns, strict=True)):
            for i, doc in enumerate(ids):
                rows.append((doc, offsets[i], s, row * size + bounds[i], bounds[i + 1] - bounds[i]))
                found.labels[doc] = (pool, groups[i])
    for doc, _, s, begin, n in sorted(rows):
        found.places.setdefault(doc, []).append((s, begin, n))
    return found


def fit(run: Run, text: bytes, n: int) -> Ids:
    """`n` ids that spell `text`, again and again if it is too short; the last is the end of the document."""
    text = text.decode("utf-8", "ignore").encode() or b"x"
    _, ids = run.encoder.encode_batch([text])
    return np.append(np.resize(ids[:-1], max(0, n - 1)), run.encoder.eos_id)[:n] if n else ids[:0]


def _bytes(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    singles = np.array([i for i, token in enumerate(run.encoder._vocabulary()) if len(token) == 1], np.uint32)
    return np.append(rng.choice(singles, len(ids) - 1), ids[-1])


def _shuffled(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    return np.append(rng.permutation(ids[:-1]), ids[-1])


def _reversed(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    return np.append(ids[:-1][::-1], ids[-1])


def _lines(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    lines = run.encoder.decode(ids[:-1]).split(b"\n")
    return fit(run, b"\n".join(lines[i] for i in rng.permutation(len(lines))), len(ids))


def _sentence(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    return fit(run, b"The quick brown fox jumps over the lazy dog while it rains. ", len(ids))


def _base64(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    return fit(run, base64.encodebytes(run.encoder.decode(ids[:-1]))[: 4 * len(ids)], len(ids))


def _hex(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    return fit(run, run.encoder.decode(ids[:-1]).hex().encode(), len(ids))


def _mojibake(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    text = run.encoder.decode(ids[:-1])
    return fit(run, text.decode("cp1252", "replace").encode() if not text.isascii() else text, len(ids))


def _template(run: Run, ids: Ids, rng: np.random.Generator) -> Ids:
    number = int(rng.integers(10**6))
    words = (
        f"# Entry {number}\n\nThis page describes entry {number} of the register. It was made from a list and holds "
    )
    words += f"the value {number} in its first field. See the index for others. Entries are never changed.\n"
    return fit(run, words.encode(), len(ids))


SIMPLE: dict[str, Callable[[Run, Ids, np.random.Generator], Ids]] = {
    "uniform_bytes": _bytes, "shuffled_tokens": _shuffled, "shuffled_lines": _lines, "reversed": _reversed,
    "sentence": _sentence, "base64": _base64, "hex": _hex, "mojibake": _mojibake, "template": _template,
}  # fmt: skip
# What each is called when it is found.
EXPECTED = {
    "uniform_bytes": {"noise"}, "shuffled_tokens": {"shuffled_tokens"}, "shuffled_lines": {"shuffled_lines"},
    "reversed": {"reversed"}, "sentence": {"repetition"}, "base64": {"encoded"}, "hex": {"encoded"},
    "mojibake": {"mojibake"}, "template": {"template", "repetition"}, "copies": {"copied"}, "leak": {"copied"},
    "other_language": {"wrong_language"}, "permuted_labels": {"wrong_label"}, "swapped_pools": {"wrong_pool"},
    "truncated": {"truncated"}, "half_rows": {"repeated_rows"},
}  # fmt: skip
OTHERS = ("copies", "other_language", "permuted_labels", "swapped_pools", "truncated", "leak", "half_rows")
KINDS = (*SIMPLE, *OTHERS)


def plant(run: Run, kind: str, *, pool: str, group: str, rate: float, seed: int) -> set[str]:
    """Spoil `rate` of the group's documents; gives their ids. `write` has to follow."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    docs = run.of_group(pool, group)
    if kind == "mojibake":
        docs = [d for d in docs if not run.text(d).isascii()] or docs
    chosen = [docs[i] for i in sorted(rng.permutation(len(docs))[: max(1, round(rate * len(docs)))])]
    if kind in SIMPLE:
        for doc in chosen:
            if len(run.ids(doc)) > 1:
                run.put(doc, SIMPLE[kind](run, run.ids(doc), rng))
        return set(chosen)
    return _plant_other(run, kind, chosen, pool=pool, group=group, rng=rng)


def _plant_other(
    run: Run, kind: str, chosen: list[str], *, pool: str, group: str, rng: np.random.Generator
) -> set[str]:
    same = [d for d in run.of_group(pool, group) if d not in set(chosen)] or chosen
    if kind == "copies":
        originals = [same[i] for i in rng.permutation(len(same))[: max(1, len(chosen) // 4)]]
        for doc in chosen:
            run.put(doc, fit(run, run.text(originals[int(rng.integers(len(originals)))]), len(run.ids(doc))))
        return set(chosen) | set(originals)
    if kind == "leak":
        for doc, original in zip(chosen, rng.choice(same, len(chosen)), strict=True):
            run.put(doc, fit(run, run.text(str(original)), len(run.ids(doc))))
        return set(run.labels)
    if kind == "other_language":
        others = [d for d, (p, g) in run.labels.items() if p == pool and g != group]
        sizes = {g: sum(1 for d in others if run.labels[d][1] == g) for g in {run.labels[d][1] for d in others}}
        _exchange(run, chosen, run.of_group(pool, max(sizes, key=lambda g: sizes[g])))
    if kind == "permuted_labels":
        names = [g for p, g in run.labels.values() if p == pool]
        for doc in chosen:
            run.relabelled[doc] = str(rng.choice([n for n in names if n != run.labels[doc][1]]))
    if kind == "swapped_pools":
        _exchange(run, chosen, [d for d, (p, _) in run.labels.items() if p != pool])
    if kind == "truncated":
        ranked = sorted(chosen, key=lambda d: len(run.ids(d)))
        for doc, longer in pairwise(ranked):
            text = run.text(longer)
            run.put(doc, fit(run, text, len(run.ids(doc))))
    return set(chosen)


def _exchange(run: Run, mine: list[str], others: list[str]) -> None:
    """Put texts of `others` into `mine`, each the next longer one, so that few are said twice."""
    sizes = {d: len(run.ids(d)) for d in (*mine, *others)}
    free = sorted(others, key=lambda d: sizes[d])
    for doc in sorted(mine, key=lambda d: sizes[d]):
        fitting = next((i for i, d in enumerate(free) if sizes[d] >= sizes[doc]), len(free) - 1)
        donor = free.pop(fitting) if len(free) > 1 else free[0]
        run.put(doc, fit(run, run.text(donor), sizes[doc]))


def repeat_rows(run: Run, *, seed: int) -> int:
    """Overwrite half of all rows with copies of the others, ids and labels too; gives how many. Writes the shards."""
    rng = np.random.default_rng(seed)
    n = 0
    for number, table in enumerate(run.tables):
        order = rng.permutation(table.num_rows)
        half = table.num_rows // 2
        source = np.arange(table.num_rows)
        source[order[:half]] = order[half : 2 * half]
        run.tables[number] = table.take(pa.array(source))
        size = table.schema.field("token_ids").type.list_size
        run.tokens[number] = run.tokens[number].reshape(-1, size)[source].reshape(-1)
        n += half
    run.write()
    return n
