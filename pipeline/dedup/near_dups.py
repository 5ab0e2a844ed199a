"""Near duplicates: the verified pairs that reach the mixture's threshold, copied from table `similar`.

Counted beside them is how many more rights comments would have made, which do not count (`header_pairs.py`).
"""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.dedup.header_pairs import Bands, Sampled, count_pairs
from pipeline.dedup.minhash import band_keys
from pipeline.dedup.settings import Threshold, sampled_bands
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.schema import NEAR_DUPS, SIGNATURES, SIMILAR


def keep_near(job: Job, *, config: Threshold) -> StepDone:
    """Write table `near_dups`: the rows of `similar` that reach the threshold."""
    n_shards, n = job.tables.n_shards, config.n_partitions
    counted = job.step("header", partial(_count_headers, job.tables), items=n_shards)
    n_docs = counted.counts.get("n_header_docs", 0)
    n_bands = sampled_bands(n_docs, n_bands=config.n_bands)
    sampled = job.channel("sample", n_sources=n_shards, n_partitions=n)
    job.step("sample", partial(_sample, job.tables, sampled, config, n_bands), items=n_shards)
    return job.step("", partial(_keep_near, job.tables, sampled, config), items=n).count_too(counted)


def _count_headers(tables: Tables, shard: int, _: None) -> Outcome:
    column = tables.read(SIGNATURES, shard, columns=["signature_with_header"]).column(0)
    return Outcome((), {"n_header_docs": len(column) - column.null_count})


def _sample(tables: Tables, out: Channel, config: Threshold, n_sampled: int, shard: int, _: None) -> Outcome:
    """Scatter the sampled band keys of documents with a rights comment, and both signatures with each."""
    signed = tables.read(SIGNATURES, shard, columns=["signature", "signature_with_header"])
    rows = np.flatnonzero(signed["signature_with_header"].is_valid())
    plain, is_signed = _matrix(signed["signature"], rows, config.n_hashes)
    both = _matrix(signed["signature_with_header"], rows, config.n_hashes)[0]
    keys = band_keys(both, n_bands=config.n_bands, rows_per_band=config.rows_per_band)[:, :n_sampled]
    row = np.repeat(np.arange(rows.size), n_sampled)
    table = pa.table(
        {
            "key": keys.ravel(),
            "position": positions(shard, rows[row]),
            "band": np.tile(np.arange(n_sampled), rows.size),
            "plain": _low_bits(plain[row], np.uint8),
            "with_header": _low_bits(both[row], np.uint16),
            "is_signed": is_signed[row],
        }
    )
    return Outcome((out.scatter(shard, table, partition=spread(keys.ravel(), out.n_partitions)),), {})


def _matrix(column: pa.ChunkedArray, rows: np.ndarray, n_hashes: int) -> tuple[np.ndarray, np.ndarray]:
    """The signatures of the rows, uint32 [n, n_hashes], and whether they have one; 0 where not."""
    mine = one_chunk(column).take(pa.array(rows))
    stands = np.asarray(mine.is_valid())
    out = np.zeros((rows.size, n_hashes), np.uint32)
    out[stands] = mine.flatten().to_numpy().reshape(-1, n_hashes)
    return out, stands


def _low_bits(signatures: np.ndarray, kind: type[np.unsignedinteger]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(signatures.astype(kind).ravel()), signatures.shape[1])


def _keep_near(tables: Tables, sampled: Channel, config: Threshold, partition: int, _: None) -> Outcome:
    pairs = tables.read(SIMILAR, partition, of=config.n_partitions)
    near = pairs.filter(pc.greater_equal(pairs["similarity"], config.min_similarity))
    entry = tables.write(NEAR_DUPS, partition, data=near, of=config.n_partitions)
    rows = sampled.gather(partition)
    both = (one_chunk(rows[name]).flatten().to_numpy() for name in ("plain", "with_header"))
    plain, with_header = (values.reshape(-1, config.n_hashes) for values in both)
    key, position, band = columns(rows, "key", "position", "band")
    seen = Sampled(key, position, band, plain, with_header, rows["is_signed"].to_numpy())
    bands = Bands(config.n_bands, config.rows_per_band, config.min_similarity)
    n_seen = count_pairs(seen, bands)
    return Outcome((entry,), {"n_pairs": near.num_rows, "n_header_pairs_seen": n_seen})
