"""What is joined in the packed stream: pieces meet their files by id, and are counted packed shard for packed shard."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import doc_words, joined, one_chunk
from pipeline.arrays.keys import mix
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError
from pipeline.reading.matched import found_in
from pipeline.reading.spread import Spread
from pipeline.reading.stream_files import StreamFiles, stream_files
from pipeline.reading.work import Span, Work, n_docs_of, n_pieces_of
from pipeline.schema import FORMS, LEDGER
from pipeline.sequences import rows_of

_LEDGER = ["doc_id", "source", "repo", "path", "pool", "keep", "n_tokens"]


@dataclass
class Joined:
    """What was counted of the packed stream."""

    spans: int = 0
    files: int = 0
    torn: int = 0  # pieces of a span that are no whole files
    strange: int = 0  # of another repository than the one before, or not behind it
    imports: int = 0
    earlier: int = 0

    def __add__(self, other: Joined) -> Joined:
        return Joined(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class _Ways:
    """The rows on their way: documents, their imports and their places by repository; pieces; and what pieces find."""

    docs: Spread  # id, repository, place + 1 (0: none), tokens
    imports: Spread  # id, the place that is imported
    places: Spread  # repository, place + 1, size + 1
    pieces: Spread  # id, where the piece stands, whether the document begins there
    placed: Spread  # where the piece stands, repository, place + 1, tokens of its document
    asked: Spread  # where the piece stands, the place that it imports


def count_joined(run: RunFiles, work: Work) -> tuple[Joined, int]:
    """What is joined in the packed stream, and how many repositories have a file without a place of its own."""
    files, of_docs = stream_files(run), work.shards(run)
    of_pieces = files.spans(work, run)
    ways = _ways(run, work, n_docs=len(of_docs), n_pieces=len(of_pieces))
    unplaced = any(list(work.each(partial(_files, run.tables, ways), of_docs, name="verify.files-of-repositories")))
    # What stands alone has no place: all of that counts as one repository.
    misplaced = int(unplaced) + sum(work.each(partial(_misplaced, ways), work.parts(ways.places), name="verify.places"))
    list(work.each(partial(_pieces, files, ways), of_pieces, name="verify.joined-pieces"))
    firsts = np.array([span.first for span in of_pieces], np.int64)
    for unknown in work.each(partial(_meet, ways, firsts), work.parts(ways.docs), name="verify.met"):
        if unknown is not None:
            raise LoopmixError(f"packed shard {unknown}: a sequence names a document that is not in `ledger`")
    found = sum(work.each(partial(_count, files, ways), of_pieces, name="verify.joined"), Joined())
    work.clear()
    return found, misplaced


def _ways(run: RunFiles, work: Work, *, n_docs: int, n_pieces: int) -> _Ways:
    parts = work.n_parts(n_docs_of(run) + n_pieces_of(run))
    back = max(1, n_pieces)
    return _Ways(
        docs=work.spread("docs", width=5, n_sources=n_docs, n_parts=parts),
        imports=work.spread("imports", width=3, n_sources=n_docs, n_parts=parts),
        places=work.spread("places", width=3, n_sources=n_docs, n_parts=parts),
        pieces=work.spread("pieces", width=4, n_sources=n_pieces, n_parts=parts),
        placed=work.spread("placed", width=4, n_sources=parts, n_parts=back),
        asked=work.spread("asked", width=2, n_sources=parts, n_parts=back),
    )


def _files(tables: Tables, ways: _Ways, span: Span) -> bool:
    """Pass on the documents of some shards; whether one of them has a place and stands alone."""
    docs, imports, places, unplaced = [], [], [], False
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=_LEDGER)
        forms = tables.read(FORMS, shard, columns=["repo_place", "repo_size", "imports"])
        repo = _repositories(ledger)
        place, size = (np.asarray(pc.fill_null(forms[name], -1), np.int64) + 1 for name in ("repo_place", "repo_size"))
        high, low = doc_words(ledger)
        docs.append([high, low, repo, *(c.astype(np.uint64) for c in (place, ledger["n_tokens"].to_numpy()))])
        lists = one_chunk(forms["imports"])
        owner = np.asarray(pc.list_parent_indices(lists), np.int64)
        imports.append([high[owner], low[owner], np.asarray(lists.flatten(), np.int64).view(np.uint64)])
        several = repo != 0
        unplaced |= bool(((place != 0) | (size != 0))[~several].any())
        places.append([repo[several], *(c[several].astype(np.uint64) for c in (place, size))])
    columns = joined(docs, n=5)
    ways.docs.write(span.number, *columns, part=ways.docs.part_of(columns[0]))
    columns = joined(imports, n=3)
    ways.imports.write(span.number, *columns, part=ways.imports.part_of(columns[0]))
    columns = joined(places, n=3)
    ways.places.write(span.number, *columns, part=ways.places.part_of(mix(columns[0])))
    return unplaced


def _repositories(ledger: pa.Table) -> np.ndarray:
    """A number for the repository of each kept file of code; 0 for what stands alone."""
    names = zip(*(ledger[name].to_pylist() for name in ("source", "repo", "path")), strict=True)
    is_file = np.asarray(pc.and_(ledger["keep"], pc.equal(ledger["pool"], "code")))
    hashes = [
        0
        if repo is None or "\n" in repo or "\n" in path
        else xxhash.xxh3_64_intdigest(f"{source}\n{repo}".encode()) | 1
        for source, repo, path in names
    ]
    return np.where(is_file, np.array(hashes, np.uint64), np.uint64(0))


def _misplaced(ways: _Ways, span: Span) -> int:
    """How many repositories of one partition have not just the places 0 .. n - 1 for their n files."""
    repo, place, size = ways.places.read(span.number)
    order = np.lexsort((place, repo))
    _, first, n = np.unique(repo[order], return_index=True, return_counts=True)
    of_run = np.repeat(np.arange(n.size), n)
    alone = n[of_run] == 1
    wanted_place = np.where(alone, 0, np.arange(order.size) - first[of_run] + 1)
    wanted_size = np.where(alone, 0, n[of_run] + 1)
    bad = (place[order].astype(np.int64) != wanted_place) | (size[order].astype(np.int64) != wanted_size)
    return int(np.unique(of_run[bad]).size)


def _pieces(files: StreamFiles, ways: _Ways, span: Span) -> None:
    """Pass on the pieces of some packed shards."""
    words = []
    for number in span.items:
        table = files.read(number, "doc_ids", "doc_offsets")
        high, low = doc_words(pa.table({"doc_id": one_chunk(table["doc_ids"]).flatten()}))
        offset = np.asarray(one_chunk(table["doc_offsets"]).flatten(), np.int64)
        words.append([high, low, positions(number, np.arange(high.size)), (offset == 0).astype(np.uint64)])
    columns = joined(words, n=4)
    ways.pieces.write(span.number, *columns, part=ways.pieces.part_of(columns[0]))


def _meet(ways: _Ways, firsts: np.ndarray, span: Span) -> int | None:
    """Pass on what each piece of one partition finds; a packed shard with a piece that finds nothing."""
    doc_high, doc_low, repo, place, n_tokens = ways.docs.read(span.number)
    high, low, at, begins = ways.pieces.read(span.number)
    row = found_in((doc_high, doc_low), high, low)
    if (row < 0).any():
        return int(shard_of(at[row < 0]).min())
    part = np.searchsorted(firsts, shard_of(at), side="right") - 1
    ways.placed.write(span.number, at, repo[row], place[row], n_tokens[row], part=part)
    import_high, import_low, target = ways.imports.read(span.number)
    owner = found_in((doc_high, doc_low), import_high, import_low)
    order = np.argsort(owner, kind="stable")
    count = np.bincount(owner, minlength=doc_high.size)
    first = np.cumsum(count) - count
    asks = np.flatnonzero((begins == 1) & (place[row] > 0))
    n = count[row[asks]]
    which = np.repeat(first[row[asks]] - (np.cumsum(n) - n), n) + np.arange(n.sum())
    ways.asked.write(span.number, np.repeat(at[asks], n), target[order][which], part=np.repeat(part[asks], n))
    return None


def _count(files: StreamFiles, ways: _Ways, span: Span) -> Joined:
    """What is joined in some packed shards."""
    found = Joined()
    at, repo, place, n_tokens = ways.placed.read(span.number)
    asks, target = ways.asked.read(span.number)
    for number in span.items:
        mine = np.flatnonzero(shard_of(at) == number)
        mine = mine[np.argsort(at[mine])]
        docs = [repo[mine], *(column[mine].astype(np.int64) for column in (place, n_tokens))]
        of_shard = shard_of(asks) == number
        imports = row_of(asks[of_shard]), target[of_shard].view(np.int64)
        blocks = files.read(number).combine_chunks().to_batches()
        for block in blocks:  # one, or none of an empty shard
            _count_block(found, block, docs, imports, where=f"packed shard {number}")
    return found


def _count_block(
    found: Joined,
    block: pa.RecordBatch,
    docs: list[np.ndarray],
    imports: tuple[np.ndarray, np.ndarray],
    *,
    where: str,
) -> None:
    """`docs`: of each piece repository, place + 1, tokens of its document; `imports`: pieces and asked places."""
    rows = rows_of(block, where=where)
    repo, place, n_tokens = docs[0], docs[1] - 1, docs[2]
    offset = np.asarray(block.column("doc_offsets").flatten(), np.int64)
    span = np.cumsum(~rows.joins) - 1
    several = np.bincount(span, minlength=1)[span] > 1
    whole = (offset == 0) & (rows.ends - rows.starts == n_tokens)
    behind = np.flatnonzero(rows.joins)
    same = repo[behind] == repo[behind - 1]
    in_order = place[behind] > place[behind - 1]
    found.spans += int(np.unique(span[several]).size)
    found.files += int(several.sum())
    found.torn += int((several & ~whole).sum())
    found.strange += int((~(same & in_order & (place[behind - 1] >= 0))).sum())
    owner, target = imports
    there = np.stack([span, place], axis=1)
    wanted = np.stack([span[owner], target], axis=1)
    stands = np.isin(_one_number(wanted), _one_number(there)) & (target < place[owner])
    found.imports += target.size
    found.earlier += int(stands.sum())


def _one_number(pairs: np.ndarray) -> np.ndarray:
    return np.asarray((pairs[:, 0] << 32) + pairs[:, 1])
