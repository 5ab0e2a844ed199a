"""The tokens file of nanotron and datatrove: `tokens.ds`, ids end to end, `.index`, the uint64 ends of pieces, and
`.metadata`, three lines of text: tokenizer and bytes of an id, number of tokens, and the same for people."""

from collections.abc import Iterator

import numpy as np

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.export.finished import Finished
from pipeline.schema import TOKENIZER_FILE
from pipeline.sequences import Rows

NAME = "tokens.ds"
_UNITS = ((10**12, "TT"), (10**9, "GT"), (10**6, "MT"), (10**3, "kT"))


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write the three files of each stream."""
    return [file for prefix, stream in source.streams() for file in _write(source, out, stream, name=prefix + NAME)]


def _write(source: Finished, out: Store, stream: Iterator[Rows], *, name: str) -> list[FileEntry]:
    kind = np.dtype(source.id_type)

    made: list[FileEntry] = []

    def both(index: HashingFile) -> None:
        def fill(file: HashingFile) -> None:
            for rows in stream:
                ids = rows.real_ids.astype(kind, copy=False)
                index.write(
                    (np.cumsum(rows.span_ends - rows.span_starts) + file.n_bytes // kind.itemsize).astype("<u8").data
                )
                file.write(ids.data)

        made.append(out.write_stream(name, fill))

    made.append(out.write_stream(f"{name}.index", both))
    n_tokens = made[0].n_bytes // kind.itemsize
    lines = (f"{TOKENIZER_FILE}|{kind.itemsize}", str(n_tokens), _short(n_tokens))
    return [*made, out.write_bytes(f"{name}.metadata", "\n".join(lines).encode())]


def _short(n_tokens: int) -> str:
    """Three digits and a unit."""
    size, unit = next(((size, unit) for size, unit in _UNITS if n_tokens >= size), (1, "T"))
    return f"{n_tokens / size:.3g} {unit}"
