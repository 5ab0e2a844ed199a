"""A finished run of nine documents, made by hand so that every number of its report can be counted on paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from handmade import doc_id, done_of, make_run

from pipeline.config import Privacy, Source
from pipeline.engine.manifest import hold_tokenizer, record
from pipeline.engine.markers import Marker
from pipeline.engine.run import Run
from pipeline.engine.run_folder import STAGES, RunFiles
from pipeline.engine.store import FileEntry, part
from pipeline.engine.tables import Tables
from pipeline.language.table import group_of
from pipeline.results import (
    Check,
    Diagnostics,
    Evaluation,
    GroupLoss,
    LoopDiagnostics,
    Stat,
    TrainIdentity,
    TrainRecord,
    TrainResult,
    TrainStep,
    Verdict,
    metrics_line,
    result_text,
    to_json,
)
from pipeline.schema import ALIGNED, DOCUMENTS, NEAR_DUPS, Table, packed_schema
from pipeline.targets import Balance, Pack, PoolBalance

SEQ_LEN = 10


@dataclass(frozen=True)
class Doc:
    """One document and everything that the stages said about it."""

    path: str
    language: str
    n_bytes: int
    n_tokens: int = 0
    n_copies: int = 0
    cut: int = 0
    reasons: tuple[str, ...] = ()
    fired: tuple[tuple[str, float], ...] = ()
    keeper: tuple[int, int] | None = None
    similarity: float | None = None
    license: str | None = "MIT"
    source: str = "web"
    group_size: int = 1
    is_first: bool = True
    decided_by: str = "extension"
    confidence: float = 1.0
    runner_up: tuple[str, float] | None = None
    content_kind: str = "code"
    finds: tuple[str, ...] = ()  # kinds of secrets and personal data
    repo: str | None = "some/repo"
    marks: tuple[str, ...] = ()
    over_cap: str | None = None
    prose_language: str | None = None
    made_from: str | None = None

    @property
    def pool(self) -> str:
        return "text" if self.language == "Text" else "code"

    @property
    def group(self) -> str:
        return group_of(self.language) if self.pool == "code" else self.source


SHARDS: tuple[tuple[Doc, ...], ...] = (
    (
        Doc("src/a.py", "Python", 100, n_tokens=10, n_copies=1, group_size=2, finds=("github_token", "aws_access_key")),
        Doc(
            "src/b.py",
            "Python",
            100,
            reasons=("exact_duplicate",),
            keeper=(0, 0),
            similarity=1.0,
            group_size=2,
            is_first=False,
        ),
        Doc("src/c.js", "JavaScript", 50, n_tokens=6, n_copies=1, license="GPL-3.0"),
        Doc(
            "src/d.js",
            "JavaScript",
            40,
            reasons=("long_line", "near_duplicate"),
            fired=(("long_line", 2345.0),),
            keeper=(0, 2),
            similarity=0.8125,
            license=None,
            finds=("npm_token",),
        ),
        Doc(
            "e.txt",
            "Text",
            80,
            n_tokens=12,
            n_copies=1,
            license="CC-BY-4.0",
            source="prose",
            decided_by="hint",
            content_kind="prose",
        ),
    ),
    (
        Doc("src/f.rs", "Rust", 30, reasons=("empty",)),
        Doc(
            "src/g.py",
            "Python",
            60,
            n_tokens=7,
            license="Apache-2.0",
            decided_by="classifier",
            confidence=0.5,
            runner_up=("Cython", 0.375),
            content_kind="prose",
        ),
        Doc(
            "h.txt",
            "Text",
            20,
            n_tokens=8,
            cut=4,
            license=None,
            source="prose",
            decided_by="prose",
            confidence=0.75,
            finds=("email",),
        ),
        Doc(
            "src/i",
            "Unknown",
            10,
            reasons=("binary", "unknown_language"),
            license=None,
            decided_by="none",
            confidence=0.25,
            runner_up=("C", 0.125),
            content_kind="binary",
        ),
    ),
)

# (pool, [(shard, row, offset, length), ...]) for each sequence, in stream order
STREAM = (
    ("code", [(0, 0, 0, 10)]),
    ("text", [(0, 4, 0, 10)]),
    ("code", [(0, 2, 0, 6)]),
    ("text", [(0, 4, 10, 2), (1, 2, 0, 4)]),
)
# (first, second, similarity) of verified pairs
COUNTS = {"similar": {"n_candidates": 5, "n_crowded_buckets": 3}, "select": {"n_crowd_compared": 7}}
COUNTS["near_dups"] = {"n_header_docs": 12_000, "n_header_pairs_seen": 6}
PAIRS = (((0, 2), (0, 3), 0.8125), ((0, 0), (1, 1), 1.0))


def hand_run(folder: Path, *, shards: Sequence[Sequence[Doc]] = SHARDS, problem: str | None = None) -> RunFiles:
    """Write the run and return it. `problem` marks input shard 1 as skipped."""
    run = _mixture(folder)
    tables = Tables(run.store, len(shards))
    made: dict[str, list[FileEntry]] = {stage: [] for stage in STAGES}
    for shard, docs in enumerate(shards):
        for table, columns in _columns(shard, docs).items():
            rows = pa.table({f.name: pa.array(columns[f.name], f.type) for f in table.schema}, schema=table.schema)
            made[table.name].append(tables.write(table, shard, data=rows))
    made["near_dups"] = [_write_pairs(run)]
    made["packed"] = _write_packed(run, shards)
    for stage, files in made.items():
        counts = COUNTS.get(stage, {})
        markers = [
            Marker((f,), counts, problem if stage == "documents" and i == 1 else None, 0.5, 0.25)
            for i, f in enumerate(files)
        ]
        markers = markers or [Marker((), counts, None, 0.5, 0.25)]
        record(run.store, run.mixture, stage, mark="m", version=1, done=done_of(markers))
    hold_tokenizer(run.store, b"{}", by_hash=True)
    return RunFiles(run.store)


def _mixture(folder: Path) -> Run:
    shares = {"Python": 2.0, "Go": 1.0, "others": 1.0}
    return make_run(
        folder,
        sources=(Source(name="web", kind="directory", path="/w"), Source(name="prose", kind="directory", path="/p")),
        balance=Balance(code=PoolBalance(shares=shares, max_frac={"JavaScript": 0.375})),
        pack=Pack(seq_len=SEQ_LEN, n_shards=2),
        privacy=Privacy(policies={"email": "report", "github_token": "report"}),
    )


def _columns(shard: int, docs: Sequence[Doc]) -> dict[Table, dict[str, list[Any]]]:
    """Column values of every aligned table of one shard."""
    n = len(docs)
    ids = [doc_id(shard, row) for row in range(n)]
    keep = [not d.reasons for d in docs]
    group = [d.group for d in docs]
    keepers = [doc_id(*d.keeper) if d.keeper else None for d in docs]
    own = {
        name: [getattr(d, name) for d in docs]
        for name in (
            "path", "language", "n_bytes", "n_tokens", "n_copies", "reasons", "similarity", "license", "source", "pool",
            "group_size", "is_first", "decided_by", "confidence", "content_kind",
            "repo", "marks", "over_cap", "prose_language",
        )
    }  # fmt: skip
    common = own | {
        "doc_id": ids,
        "keep": keep,
        "keeper_id": keepers,
        "group": group,
        "runner_up": [d.runner_up and d.runner_up[0] for d in docs],
        "runner_up_confidence": [d.runner_up and d.runner_up[1] for d in docs],
        "cut_tokens": [d.cut for d in docs],
        "n_packed_tokens": [d.n_copies * d.n_tokens + d.cut for d in docs],
        "fired": [[{"rule": r, "value": v} for r, v in d.fired] for d in docs],
        "fate": [_fate(d) for d in docs],
        "token_ids": [list(range(d.n_tokens)) if k else None for d, k in zip(docs, keep, strict=True)],
        "revision": ["abc123"] * n,
        "pool_hint": ["auto"] * n,
        "language_label": [None] * n,
        "findings": [[{"kind": k, "start": i, "end": i + 1} for i, k in enumerate(d.finds)] for d in docs],
        "content_hash": [bytes(16)] * n,
        "encoding": ["utf-8"] * n,
        "made_from": [d.made_from for d in docs],
        "input_file": [d.path for d in docs],
    }
    found = {table: {f.name: common.get(f.name, [_nothing(f)] * n) for f in table.schema} for table in ALIGNED}
    found[DOCUMENTS]["content"] = [b""] * n
    return found


def _nothing(field: pa.Field) -> Any:
    """What stands in a column that no test looks at."""
    if field.nullable:
        return None
    if pa.types.is_boolean(field.type):
        return False
    return [] if pa.types.is_list(field.type) else 0


def _fate(doc: Doc) -> str:
    if doc.reasons:
        return "dropped"
    return "packed" if doc.n_copies else "cut" if doc.cut else "surplus"


def _write_pairs(run: Run) -> FileEntry:
    rows = [
        {"doc_id": doc_id(*a), "other_id": doc_id(*b), "similarity": s, "containment": s, "position": 0}
        | {"other_position": 1}
        for a, b, s in PAIRS
    ]
    name = f"tables/near_dups/{part(0, 1)}"
    return run.store.write_parquet(name, pa.Table.from_pylist(rows, schema=NEAR_DUPS.schema), schema=NEAR_DUPS.schema)


def _write_packed(run: Run, shards: Sequence[Sequence[Doc]]) -> list[FileEntry]:
    schema = packed_schema(SEQ_LEN)
    rows = []
    for pool, pieces in STREAM:
        docs = [shards[shard][row] for shard, row, _, _ in pieces]
        ends = [0]
        for *_, length in pieces:
            ends.append(ends[-1] + length)
        rows.append(
            {
                "token_ids": [1] * SEQ_LEN,
                "n_real": ends[-1],
                "cu_seqlens": ends,
                "doc_ids": [doc_id(shard, row) for shard, row, _, _ in pieces],
                "doc_offsets": [offset for _, _, offset, _ in pieces],
                "pool": pool,
                "groups": [d.group for d in docs],
            }
        )
    halves = (rows[:3], rows[3:])
    return [
        run.store.write_ipc(
            f"packed/{part(i, 2, suffix='arrow')}", [pa.RecordBatch.from_pylist(half, schema=schema)], schema=schema
        )
        for i, half in enumerate(halves)
    ]


def renamed(**changes: dict[str, Any]) -> tuple[tuple[Doc, ...], ...]:
    """SHARDS with other fields for the documents whose path ends in the given letter, as in renamed(a={...})."""
    return tuple(tuple(replace(d, **changes.get(d.path.removeprefix("src/")[0], {})) for d in docs) for docs in SHARDS)


def model_folder(folder: Path, run: RunFiles, *, n_steps: int = 20, finished: bool = True) -> Path:
    """What `loopmix train` leaves, as far as the report reads it."""
    folder.mkdir(parents=True)
    files = run.manifest["stages"]["packed"]["files"]
    hashes = {Path(f["path"]).name: f["sha256"] for f in files}
    (folder / "train.json").write_text(to_json(TrainIdentity(2, 512, config={}, data=hashes)))
    entries: list[TrainStep | Evaluation] = [_evaluation(0, 5.0)]
    for step in range(1, n_steps + 1):
        entries.append(TrainStep(step, 5.0 - step / 10, 0.1, 1.0, 256 * step, 256 * step))
        if step % 10 == 0:
            entries.append(_evaluation(step, 5.0 - step / 10))
    (folder / "metrics.jsonl").write_text("".join(metrics_line(e) + "\n" for e in entries))
    if finished:
        (folder / "result.json").write_text(result_text(_result(folder, n_steps)))
    return folder


def _evaluation(step: int, loss: float) -> Evaluation:
    pools = (GroupLoss("code", "", 100, loss + 0.5), GroupLoss("text", "", 100, loss - 0.5))
    groups = (GroupLoss("code", "Python", 100, loss + 0.5), GroupLoss("text", "prose", 100, loss - 0.5))
    return Evaluation(step, 200, loss, pools, groups)


def hand_loop(number: int, **measures: Any) -> LoopDiagnostics:
    """A loop of which only `measures` are of interest."""
    defined = {f.name for f in dataclasses.fields(LoopDiagnostics) if f.default is dataclasses.MISSING} - {"loop"}
    filled: dict[str, Any] = dict.fromkeys(defined, Stat(1.0, 0.1)) | {
        "gate_saturated_frac": None,
        "layer_gate_means": (),
        "output_shift_frac": None,
        "peak_frac": None,
        "median_target_rank": 3.0,
    }
    return LoopDiagnostics(loop=number, **(filled | measures))


def _result(folder: Path, n_steps: int) -> TrainResult:
    loop = hand_loop(1, loss=Stat(3.0, 0.1), output_shift=Stat(0.5, 0.1), effective_rank=7.5, gate_mean=None)
    record = TrainRecord(
        n_parameters=1234,
        n_loops=2,
        seq_len=512,
        n_steps=n_steps,
        n_wanted_steps=n_steps,
        n_epochs=1.5,
        n_tokens={"code": 256 * n_steps, "text": 256 * n_steps},
        parts={"code": 1, "text": 1},
        min_group_tokens=100,
        n_masked_pieces=0,
        unigram_entropies={"code": 4.5, "text": 4.25},
        unigram_losses=(),
        steps=(),
        evaluations=(_evaluation(0, 5.0),),
        diagnostics=Diagnostics(4, 1000, 64, 64, loops=(loop,)),
    )
    verdict = Verdict("pass", "The mixture trains.", (Check("finite_loss", "pass", "Finite.", {}),))
    return TrainResult(folder, record, verdict)
