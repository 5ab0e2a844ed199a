"""Whether a source, a language or a repository is wiped out, which no finished run should hide.

Counted are documents that came as far as rules and dedup: what could not be read, what the mixture itself shuts out and
what an earlier run has already is no loss. A repository counts what rules and its *own* documents take from it: a fork
whose files go for those of its original loses nothing, and data from a forge are full of forks.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import columns, one_chunk
from pipeline.config import Select
from pipeline.engine.exchange import Channel, row_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.tables import Tables
from pipeline.errors import StageError
from pipeline.reasons import LOSS_KINDS, REASONS
from pipeline.schema import DOCUMENTS, LANGUAGES, SELECT

# What may be a loss beside rules. Every other reason that is no rule is none, because the input, the mixture or an
# earlier run asks for it; one that is added to REASONS is so too.
_DUPLICATES = {"exact_duplicate": 2, "near_duplicate": 3}
# One family of copies may well be all that a small folder holds; of 40 documents a twentieth are two that must remain.
MIN_DOCS = 40
# Of all documents counted, for a repository. Sources and languages are few enough to be looked at one by one; among
# thousands of repositories some always go nearly whole: minified code, data files, a template's copies.
MIN_FRAC = 0.01
_N_NAMED = 5  # groups that the error names
_N_EXAMPLES = 3  # documents of each
_SUMS = ("n_docs", "n_rules", "n_exact", "n_near")


def count_losses(tables: Tables, answers: Channel, out: Channel, shard: int, _: None) -> Outcome:
    """Count the documents of each group of a shard and what they are lost to, and send them where groups are summed."""
    documents = tables.read(DOCUMENTS, shard, columns=["source", "repo", "path"])
    decided = tables.read(SELECT, shard, columns=["reasons", "keeper_id", "similarity"])
    language = tables.read(LANGUAGES, shard, columns=["language"])["language"]
    counted, lost_to = _lost_to(one_chunk(decided["reasons"]))
    elsewhere = np.zeros(counted.size, bool)  # its keeper stands in another repository
    answered = answers.gather(shard)
    rows = row_of(answered["position"].to_numpy())
    elsewhere[rows] = pc.fill_null(pc.not_equal(answered["repo"], answered["keeper_repo"]), False).to_numpy()
    parts = []
    for kind, names in zip(LOSS_KINDS, (documents["source"], language, documents["repo"]), strict=True):
        moved = elsewhere & (lost_to > 1) if kind == "repository" else np.zeros(counted.size, bool)
        parts.append(_by_name(kind, names, counted, np.where(moved, 0, lost_to)))
    table = pa.concat_tables(parts)
    examples = [_described(documents["path"], decided, row) for row in table["row"].to_pylist()]
    table = table.drop_columns(["row"]).append_column("example", pa.array(examples, pa.string()))
    keys = [xxhash.xxh3_64_intdigest(name.encode()) for name in table["name"].to_pylist()]
    partition = spread(np.array(keys, np.uint64), out.n_partitions)
    return Outcome((out.scatter(shard, table, partition=partition),), {})


def _lost_to(reasons: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Which documents are counted, and what each is lost to first: 0 nothing, 1 a rule, 2 an equal, 3 a near one."""
    coded = reasons.flatten().dictionary_encode()
    ranks = dict.fromkeys(REASONS, 0) | _DUPLICATES
    rank = np.array([ranks.get(r, 1) for r in coded.dictionary.to_pylist()] or [0])[np.asarray(coded.indices)]
    parent = np.asarray(pc.list_parent_indices(reasons))
    lost_to = np.full(len(reasons), 4)
    np.minimum.at(lost_to, parent, rank)
    return lost_to > 0, lost_to % 4


def _by_name(kind: str, names: pa.ChunkedArray, counted: np.ndarray, lost_to: np.ndarray) -> pa.Table:
    """Sums for each name, and the row of its first lost document; null where there is none."""
    row = pa.array(np.arange(counted.size), mask=lost_to == 0)
    sums = [counted, *(lost_to == what for what in (1, 2, 3))]
    table = pa.table({"name": names, "row": row} | {n: s.astype(np.int64) for n, s in zip(_SUMS, sums, strict=True)})
    table = table.filter(pa.array(counted & np.asarray(pc.is_valid(names))))
    out = table.group_by("name", use_threads=False).aggregate([("row", "min"), *((n, "sum") for n in _SUMS)])
    out = out.rename_columns(["name", "row", *_SUMS])
    return out.append_column("kind", pa.array([kind] * out.num_rows, pa.string()))


def _described(paths: pa.ChunkedArray, decided: pa.Table, row: int | None) -> str | None:
    """A lost document: its path, its reasons, and whom it goes for."""
    if row is None:
        return None
    found = decided.slice(row, 1).to_pylist()[0]
    keeper = f", {found['similarity']:.2f} like {found['keeper_id']}" if found["keeper_id"] else ""
    return f"{paths[row].as_py()!r} ({', '.join(found['reasons'])}{keeper})"


def sum_losses(counts: Channel, out: Channel, max_loss: float, partition: int, _: None) -> Outcome:
    """Send on the groups that lose more than they may, with some lost documents."""
    rows = counts.gather(partition)
    sums = [*((n, "sum") for n in _SUMS), ("example", "list")]
    table = rows.group_by(["kind", "name"], use_threads=False).aggregate(sums)
    table = table.rename_columns(["kind", "name", *_SUMS, "examples"])
    table = table.sort_by([("kind", "ascending"), ("name", "ascending")])
    n_docs, *lost = columns(table, *_SUMS)
    wiped = table.filter(pa.array((n_docs >= MIN_DOCS) & (sum(lost) > max_loss * n_docs)))
    n_wiped = {f"n_wiped_{kind}": pc.sum(pc.equal(wiped["kind"], kind)).as_py() or 0 for kind in LOSS_KINDS}
    n_counted = pc.sum(table["n_docs"].filter(pc.equal(table["kind"], "source"))).as_py() or 0
    entry = out.scatter(partition, wiped, partition=np.zeros(wiped.num_rows, np.int64))
    return Outcome((entry,), n_wiped | {"n_counted": n_counted})


def refuse_losses(wiped: pa.Table, config: Select, *, n_counted: int) -> None:
    """Raise StageError for what may not be lost; `wiped` are the groups of `sum_losses`, `n_counted` all documents."""
    bad = [
        row
        for row in wiped.to_pylist()
        if row["name"] not in config.allow_loss
        and (row["kind"] != "repository" or row["n_docs"] >= MIN_FRAC * n_counted)
    ]
    if not bad:
        return
    bad.sort(key=lambda row: (LOSS_KINDS.index(row["kind"]), -row["n_docs"], row["name"]))
    more = f"; and {len(bad) - _N_NAMED} more" if len(bad) > _N_NAMED else ""
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in dict.fromkeys(row["name"] for row in bad))
    raise StageError(
        f"select: more than {config.max_loss:.0%} of the documents would be lost to rules or duplicates of "
        f"{'; '.join(map(_shown, bad[:_N_NAMED]))}{more}. If that is right, write in the mixture select: {{allow_loss: "
        f"[{names}]}}, run again, and ask `loopmix why RUN PATH` about single documents; if not, look at `near_dups`, "
        "`quality` and what the source reads"
    )


def _shown(row: dict[str, Any]) -> str:
    n_lost = sum(row[n] for n in _SUMS[1:])
    what = (("n_rules", "rules"), ("n_exact", "equal documents"), ("n_near", "near duplicates"))
    shown = ", ".join(f"{row[n]:,} to {words}" for n, words in what if row[n])
    examples = [example for example in row["examples"] if example][:_N_EXAMPLES]
    return f"{row['kind']} {row['name']!r}: {n_lost:,} of {row['n_docs']:,} ({shown}), as {', '.join(examples)}"
