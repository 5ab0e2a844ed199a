"""Sign: the MinHash signature of each group of equal documents, and how its shingles are made.

Nothing here knows a band or a threshold, so both can change without hashing a byte again.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of, one_chunk
from pipeline.dedup import minhash, shingles
from pipeline.dedup.shingling import Signing, shingle_chunks
from pipeline.schema import SIGNATURES


def sign(documents: pa.Table, exact_dups: pa.Table, languages: pa.Table, *, config: Signing) -> pa.Table:
    """Table `signatures`: MinHash of each document that is the first of its group and has any words."""
    n = documents.num_rows
    first = exact_dups["is_first"].to_numpy()
    n_shingles, digests = np.zeros(n, np.int64), np.zeros((n, 2), np.uint64)
    signatures = np.empty((n, config.n_hashes), np.uint32)
    for rows, hashes, ends in _chunks(documents, languages, first, config):
        n_shingles[rows] = np.diff(ends)
        digests[rows] = shingles.digests(hashes, ends)
        signatures[rows] = minhash.sign(hashes, ends, n_hashes=config.n_hashes)
    signed = n_shingles > 0
    digests[~signed] = 0
    offsets = np.concatenate(([0], np.cumsum(signed * config.n_hashes)))
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(signatures[signed].ravel()),
        type=SIGNATURES.schema.field("signature").type,
        mask=pa.array(~signed),
    )
    return pa.table(
        {"n_shingles": n_shingles, "digest_high": digests[:, 0], "digest_low": digests[:, 1], "signature": lists},
        schema=SIGNATURES.schema,
    )


def _chunks(
    documents: pa.Table, languages: pa.Table, first: np.ndarray, config: Signing
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    data, offsets = bytes_of(one_chunk(documents["content"]))
    is_code = np.asarray(pa.compute.equal(languages["pool"], "code"))
    yield from shingle_chunks(data, offsets, rows=np.flatnonzero(first), is_code=is_code, config=config)
