"""Syntax errors of the documents of a shard: of all, or of a sample that is enough for the report."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import hash_words, one_chunk
from pipeline.arrays.keys import mix
from pipeline.filters import Measuring
from pipeline.syntax.parse import GRAMMARS
from pipeline.syntax.parse_process import parser_process

_SALT = np.uint64(0x5BD1E995C6A4A793)  # so that the sample is not what other choices by the bytes take
_SCALE = 2.0**-53  # of the upper bits of a hash


def measure(
    documents: pa.Table, *, languages: np.ndarray, wanted: np.ndarray, config: Measuring
) -> dict[str, np.ndarray]:
    """`parse_error_frac`, NaN where a document was not parsed, and `parser_died`; documents needs content, and for a
    sample content_hash. `languages` is text [n], `wanted` bool [n]."""
    share, died = np.full(wanted.size, np.nan), np.zeros(wanted.size, bool)
    if config.parse != "off":
        content = one_chunk(documents["content"])
        sizes = pc.binary_length(content).to_numpy()
        rows = np.flatnonzero(wanted & (sizes <= config.max_parse_bytes) & np.isin(languages, list(GRAMMARS)))
        if config.parse == "sample":
            rows = _sample(rows, documents["content_hash"], frac=config.parse_sample_frac)
        for row in rows.tolist():
            found = parser_process().parse(content[row].as_buffer().to_pybytes(), str(languages[row]))
            if isinstance(found, str):
                died[row] = True
            elif found is not None:
                share[row] = found
    return {"parse_error_frac": share, "parser_died": died}


def _sample(rows: np.ndarray, hashes: pa.ChunkedArray, *, frac: float) -> np.ndarray:
    """The rows whose bytes hash below that share: what is beside a document in its shard has no say."""
    high, low = (half[rows] for half in hash_words(hashes))
    drawn = mix(high ^ mix(low ^ _SALT)) >> np.uint64(11)
    chosen: np.ndarray = rows[drawn * _SCALE < frac]
    return chosen
