"""Sign: the MinHash signature of each group of equal documents, and how its shingles are made.

Nothing here knows a band or a threshold, so both can change without hashing a byte again.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of
from pipeline.arrays.trained import trained
from pipeline.dedup import minhash, shingles
from pipeline.dedup.settings import Signing
from pipeline.dedup.shingling import header_chunks, shingle_chunks
from pipeline.schema import SIGNATURES


def sign(
    documents: pa.Table, exact_dups: pa.Table, languages: pa.Table, redacted: pa.Table, *, config: Signing
) -> pa.Table:
    """Table `signatures`: MinHash of each document that is the first of its group and has any words."""
    data, offsets = bytes_of(trained(documents, redacted))
    is_code = np.asarray(pc.equal(languages["pool"], "code"))
    rows_of = {"rows": np.flatnonzero(exact_dups["is_first"].to_numpy()), "is_code": is_code}
    n = documents.num_rows
    n_shingles, digests = np.zeros(n, np.int64), np.zeros((n, 2), np.uint64)
    signatures = np.empty((n, config.n_hashes), np.uint32)
    for rows, hashes, ends in shingle_chunks(data, offsets, **rows_of, config=config):
        n_shingles[rows] = np.diff(ends)
        digests[rows] = shingles.digests(hashes, ends)
        signatures[rows] = minhash.sign(hashes, ends, n_hashes=config.n_hashes)
    signed = n_shingles > 0
    digests[~signed] = 0
    own = _lists(signatures, signed)
    with_header = np.zeros(n, bool)
    for rows, hashes, ends in header_chunks(data, offsets, **rows_of, is_signed=signed, config=config):
        with_header[rows] = ends[1:] > ends[:-1]
        # The signature of a union is the smaller of two; a document that is not signed has the largest there.
        both = np.minimum(signatures[rows], minhash.sign(hashes, ends, n_hashes=config.n_hashes))
        signatures[rows] = both
    return pa.table(
        {
            "n_shingles": n_shingles,
            "digest_high": digests[:, 0],
            "digest_low": digests[:, 1],
            "signature": own,
            "signature_with_header": _lists(signatures, with_header),
        },
        schema=SIGNATURES.schema,
    )


def _lists(signatures: np.ndarray, stands: np.ndarray) -> pa.ListArray:
    """The rows that stand; null for the others."""
    offsets = np.concatenate(([0], np.cumsum(stands * signatures.shape[1])))
    kind = SIGNATURES.schema.field("signature").type
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(signatures[stands].ravel()), type=kind, mask=pa.array(~stands)
    )
