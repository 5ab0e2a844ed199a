"""Count what comes from one repository or folder: one pass over the ledger, and one over what is large.

The first pass sums by a hash of each place. Only the folders of places above the share are listed in the second.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import joined, one_chunk
from pipeline.arrays.names import name_hashes
from pipeline.arrays.runs import starts_run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.report.concentration import MIN_FRAC, Concentration, LargePlace, MarkShare
from pipeline.report.count_documents import Sums
from pipeline.schema import LEDGER, POOLS, QUALITY

MAX_LEVELS = 4  # of folders below a place: deeper ones are parts of a package, and their number would be that of files
NEARLY_ALL = 0.9  # of a folder's tokens: its subfolder that holds as much is the better name for them
# The host of a URL, or the first folder of a path, absolute or not.
_TOP = r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|/+)?(?P<top>[^/]+)/"
_LEDGER = ["pool", "source", "repo", "path", "n_packed_tokens", "over_cap"]

_Place = tuple[str, str, bool]  # pool, name, whether it is a repository


@dataclass
class Folder:
    """What a folder holds with all that is below it."""

    n_docs: int = 0
    n_tokens: int = 0
    below: dict[str, "Folder"] = field(default_factory=dict)


def count_concentration(run: RunFiles, work: Work) -> Concentration:
    """Name what gives at least MIN_FRAC of a pool's packed tokens."""
    spans = work.shards(run)
    sums = work.spread("places", width=3, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    total, over = Counter[str](), Counter[str]()
    for of_total, of_over in work.each(partial(_sum, run.tables, sums), spans, name="report.places"):
        total.update(of_total)
        over.update(of_over)
    floors = [MIN_FRAC * max(1, total[pool]) for pool in POOLS]
    large: dict[str, list[int]] = {pool: [] for pool in POOLS}
    for of_pools in work.each(partial(_large, sums, floors), work.parts(sums), name="report.large-places"):
        for pool, hashes in zip(POOLS, of_pools, strict=True):
            large[pool] += hashes
    sums.drop()
    found = sorted(_folders(run, work, large), key=lambda one: (one[0], -one[3].n_tokens, one[1]))  # pools: code, text
    places = [p for pool, name, is_repo, root in found for p in _named(pool, name, is_repo, root, total[pool])]
    wanted = {"code": run.mixture.balance.code, "text": run.mixture.balance.text}
    return Concentration(
        min_frac=MIN_FRAC,
        places=tuple(places),
        marks=tuple(_marks(run, work, total)),
        max_repo_fracs={pool: wanted[pool].max_repo_frac for pool in POOLS},
        n_over_docs={pool: over[pool] for pool in POOLS},
    )


def _sum(tables: Tables, out: Spread, span: Span) -> tuple[Counter[str], Counter[str]]:
    """Packed tokens of some shards by pool, and documents that a cap keeps out; passes on the tokens of each place."""
    total, over, words = Counter[str](), Counter[str](), []
    for pool, ledger in _packed(tables, span):
        n_tokens = ledger["n_packed_tokens"].to_numpy()
        total[pool] += int(n_tokens.sum())
        over[pool] += pc.sum(pc.equal(ledger["over_cap"], "max_repo_frac")).as_py() or 0
        place = name_hashes(_places(ledger))
        rows = (place != 0) & (n_tokens > 0)  # a place that gives nothing costs no memory
        words.append([np.full(rows.sum(), POOLS.index(pool), np.uint64), place[rows], n_tokens[rows].astype(np.uint64)])
    pools, place, n_tokens = _added(*joined(words, n=3))
    out.write(span.number, pools, place, n_tokens, part=out.part_of(place))
    return total, over


def _added(pools: np.ndarray, place: np.ndarray, n_tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row for each pool and place."""
    order = np.lexsort((place, pools))
    pools, place, n_tokens = pools[order], place[order], n_tokens[order]
    starts = np.flatnonzero(starts_run(pools, place))
    return pools[starts], place[starts], np.add.reduceat(n_tokens, starts) if starts.size else n_tokens


def _large(sums: Spread, floors: Sequence[float], span: Span) -> list[list[int]]:
    """For each pool the places of one partition that give as many tokens as its floor."""
    pools, place, n_tokens = _added(*sums.read(span.number))
    return [place[(pools == k) & (n_tokens >= floor)].tolist() for k, floor in enumerate(floors)]


def _packed(tables: Tables, span: Span) -> Iterator[tuple[str, pa.Table]]:
    """The rows of the ledger of each shard and pool."""
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=_LEDGER)
        for pool in POOLS:
            yield pool, ledger.filter(pc.equal(ledger["pool"], pool))


def _places(ledger: pa.Table) -> pa.ChunkedArray:
    """The repository of each document, or its source and first folder; null where it has none of them."""
    top = pc.struct_field(pc.extract_regex(ledger["path"], pattern=_TOP), "top")
    return pc.coalesce(ledger["repo"], pc.binary_join_element_wise(ledger["source"], top, ": "))


def _folders(run: RunFiles, work: Work, large: Mapping[str, list[int]]) -> Iterator[tuple[str, str, bool, Folder]]:
    """Pool, name, whether it is a repository, and the folders of each place of `large` (hashes)."""
    found: dict[_Place, Folder] = {}
    for counts in work.each(partial(_in_folders, run.tables, large), work.shards(run), name="report.folders"):
        for (place, names), (n_docs, n_tokens) in counts.items():
            _add(found.setdefault(place, Folder()), names, n_docs, n_tokens)
    for (pool, name, is_repo), root in found.items():
        yield pool, name, is_repo, root


def _in_folders(
    tables: Tables, large: Mapping[str, list[int]], span: Span
) -> dict[tuple[_Place, tuple[str, ...]], tuple[int, int]]:
    """Documents and tokens of large places in some shards, by their folder."""
    found: dict[tuple[_Place, tuple[str, ...]], tuple[int, int]] = {}
    for pool, ledger in _packed(tables, span):
        places = _places(ledger)
        known = np.isin(name_hashes(places), np.array(large[pool], np.uint64))
        rows = pa.array(np.flatnonzero(known & (ledger["n_packed_tokens"].to_numpy() > 0)))
        columns = (one_chunk(c.take(rows)).to_pylist() for c in (places, ledger["repo"], ledger["path"]))
        for name, repo, path, n in zip(*columns, ledger["n_packed_tokens"].take(rows).to_pylist(), strict=True):
            key = (pool, name, repo is not None), tuple(_parents(path, below_top=repo is None))
            n_docs, n_tokens = found.get(key, (0, 0))
            found[key] = n_docs + 1, n_tokens + n
    return found


def _parents(path: str, *, below_top: bool) -> Sequence[str]:
    """The folders of a path, from the top; `below_top`: without the first, which names the place."""
    parts = path.partition("://")[2] or path.lstrip("/")
    return parts.split("/")[1 if below_top else 0 : -1][:MAX_LEVELS]


def _add(root: Folder, names: Sequence[str], n_docs: int, n_tokens: int) -> None:
    for name in (None, *names):
        root = root if name is None else root.below.setdefault(name, Folder())
        root.n_docs, root.n_tokens = root.n_docs + n_docs, root.n_tokens + n_tokens


def _named(pool: str, name: str, is_repo: bool, root: Folder, total: int) -> Iterator[LargePlace]:
    """A place, and after it the folders below it that are large themselves."""
    below = sorted(_large_below(root, floor=MIN_FRAC * total), key=lambda pair: (-pair[1].n_tokens, pair[0]))
    for path, folder in [("", root), *below]:
        yield LargePlace(pool, name, is_repo, path, folder.n_docs, folder.n_tokens, folder.n_tokens / max(1, total))


def _large_below(folder: Folder, *, floor: float) -> Iterator[tuple[str, Folder]]:
    """Folders of at least `floor` tokens, each named by the deepest that still holds nearly all of it."""
    for name, below in sorted(folder.below.items()):
        if below.n_tokens < floor:
            continue
        path, deepest = name, below
        while deepest.below:
            child, inside = max(deepest.below.items(), key=lambda pair: (pair[1].n_tokens, pair[0]))
            if inside.n_tokens < NEARLY_ALL * deepest.n_tokens:
                break
            path, deepest = f"{path}/{child}", inside
        yield path, deepest
        for further, inside in _large_below(deepest, floor=floor):
            yield f"{path}/{further}", inside


def _marks(run: RunFiles, work: Work, total: Mapping[str, int]) -> Iterator[MarkShare]:
    """A row for each pool and mark that any kept document has."""
    sums = Sums(("pool", "mark"))
    for found in work.each(partial(_with_marks, run.tables), work.shards(run), name="report.marks"):
        sums.add(found)
    caps = {("code", mark): frac for mark, frac in run.mixture.balance.code.max_mark_frac.items()}
    caps |= {("text", mark): frac for mark, frac in run.mixture.balance.text.max_mark_frac.items()}
    for row in sums.total().to_pylist():
        key = pool, mark = row["pool"], row["mark"]
        frac = row["n_tokens"] / max(1, total[pool])
        yield MarkShare(pool, mark, row["n_docs"], row["n_tokens"], frac, caps.get(key), row["n_over"])


def _with_marks(tables: Tables, span: Span) -> pa.Table:
    sums = Sums(("pool", "mark"))
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "keep", "n_packed_tokens", "over_cap"])
        lists = one_chunk(tables.read(QUALITY, shard, columns=["marks"])["marks"])
        sums.add(_marked(ledger.take(pc.list_parent_indices(lists)), lists.flatten()))
    return sums.total()


def _marked(ledger: pa.Table, marks: pa.Array) -> pa.Table:
    """A row for each kept document and mark."""
    over = pc.equal(ledger["over_cap"], pc.binary_join_element_wise("max_mark_frac", marks, "."))
    table = pa.table(
        {
            "pool": ledger["pool"],
            "mark": marks,
            "n_docs": pc.greater(ledger["n_packed_tokens"], 0).cast(pa.int64()),
            "n_tokens": ledger["n_packed_tokens"],
            "n_over": pc.fill_null(over, False).cast(pa.int64()),
        }
    )
    return table.filter(ledger["keep"])
