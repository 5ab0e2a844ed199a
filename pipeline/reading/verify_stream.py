"""The promises of the packed stream: balance of the whole and of every prefix, and sequences that are what they say.

In a run with phases each of them is held to both by itself.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased
from pipeline.schema import bounds_of_pieces


def balance_holds(run: RunFiles) -> tuple[bool, str]:
    """Whether code and text meet their ratio to the token, and in every prefix within one sequence."""
    found = [_balance(run, phase) for phase in run.phases]
    return all(kept for kept, _ in found), " | ".join(said for _, said in found)


def _balance(run: RunFiles, phase: Phased) -> tuple[bool, str]:
    code_parts, text_parts = phase.code_parts, phase.text_parts
    n_real, is_code = _stream(run, phase)
    signed = np.where(is_code, n_real * text_parts, -n_real * code_parts)
    prefix = np.cumsum(signed)
    worst, bound = int(np.abs(prefix).max(initial=0)), phase.seq_len * max(code_parts, text_parts)
    n_code, n_text = int(n_real[is_code].sum()), int(n_real[~is_code].sum())
    exact = n_code * text_parts == n_text * code_parts
    detail = (
        f"{phase.said}code {n_code:,} : text {n_text:,} tokens for {code_parts}:{text_parts}; "
        f"worst prefix off by {worst:,} of {bound:,} allowed"
    )
    return exact and worst <= bound, detail


def _stream(run: RunFiles, phase: Phased) -> tuple[np.ndarray, np.ndarray]:
    shards = [t.select(["n_real", "pool"]) for t in run.packed(phase)]
    table = pa.concat_tables(shards)
    return table["n_real"].to_numpy().astype(np.int64), pc.equal(table["pool"], "code").to_numpy(zero_copy_only=False)


def sequences_hold(run: RunFiles) -> tuple[bool, str]:
    """Whether the lists of every sequence agree, and how full sequences are."""
    found = [_sequences(run, phase) for phase in run.phases]
    broken = [said for kept, said in found if not kept]
    return not broken, " | ".join(broken or [said for _, said in found])


def _sequences(run: RunFiles, phase: Phased) -> tuple[bool, str]:
    n_sequences = n_pieces = n_padding = 0
    for number, table in enumerate(run.packed(phase)):
        n_real, pieces = table["n_real"].to_numpy(), bounds_of_pieces(table.column_names)
        offsets = np.asarray(table[pieces].combine_chunks().offsets, np.int64)
        lengths = [pc.list_value_length(table[c]).to_numpy() for c in ("doc_ids", "doc_offsets", "groups")]
        where = f"{phase.said}packed shard {number}"
        for name in sorted({"cu_seqlens", pieces}):
            if not _rises(table[name].combine_chunks(), n_real):
                return False, f"{where}: {name} does not run from 0 to n_real in steps of at least 1"
        if any((n != np.diff(offsets) - 1).any() for n in lengths):
            return False, f"{where}: pieces, documents and groups differ in number"
        n_sequences += table.num_rows
        n_pieces += int(lengths[0].sum())
        n_padding += int(table.num_rows * phase.seq_len - n_real.sum())
    full = 1 - n_padding / max(1, n_sequences * phase.seq_len)
    said = f"{n_sequences:,} sequences of {phase.seq_len}, {n_pieces:,} pieces, filled {full:.4%}"
    return True, f"{phase.said}{said}"


def _rises(bounds: pa.ListArray, n_real: np.ndarray) -> bool:
    values, offsets = np.asarray(bounds.flatten()), np.asarray(bounds.offsets, np.int64)
    first, last = values[offsets[:-1]], values[offsets[1:] - 1]
    steps = np.delete(np.diff(values), offsets[1:-1] - 1) if values.size else values
    return not ((first != 0).any() or (last != n_real).any() or (steps < 1).any())
