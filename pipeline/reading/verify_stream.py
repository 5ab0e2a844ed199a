"""The promises of the packed stream: balance of the whole and of every prefix, and sequences that are what they say.

In a run with phases each of them is held to both by itself.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased
from pipeline.reading.stream_files import StreamFiles, rises, stream_files
from pipeline.reading.work import Span, Work


def balance_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether code and text meet their ratio to the token, and in every prefix within one sequence."""
    found = [_balance(run, phase, work) for phase in run.phases]
    return all(kept for kept, _ in found), " | ".join(said for _, said in found)


def _balance(run: RunFiles, phase: Phased, work: Work) -> tuple[bool, str]:
    code_parts, text_parts = phase.code_parts, phase.text_parts
    files = stream_files(run, phase)
    n_code = n_text = worst = 0
    for code, text, low, high in work.each(
        partial(_prefixes, files, code_parts, text_parts), files.spans(work, run), name="verify.balance"
    ):
        before = n_code * text_parts - n_text * code_parts
        worst = max(worst, abs(before + low), abs(before + high))
        n_code, n_text = n_code + code, n_text + text
    bound = phase.seq_len * max(code_parts, text_parts)
    exact = n_code * text_parts == n_text * code_parts
    detail = (
        f"{phase.said}code {n_code:,} : text {n_text:,} tokens for {code_parts}:{text_parts}; "
        f"worst prefix off by {worst:,} of {bound:,} allowed"
    )
    return exact and worst <= bound, detail


def _prefixes(files: StreamFiles, code_parts: int, text_parts: int, span: Span) -> tuple[int, int, int, int]:
    """Tokens of code and of text in some shards, and the least and the largest balance of their prefixes."""
    n_code = n_text = low = high = 0
    for number in span.items:
        table = files.read(number, "n_real", "pool")
        n_real = table["n_real"].to_numpy().astype(np.int64)
        is_code = pc.equal(table["pool"], "code").to_numpy(zero_copy_only=False)
        prefix = np.cumsum(np.where(is_code, n_real * text_parts, -n_real * code_parts))
        before = n_code * text_parts - n_text * code_parts
        low, high = min(low, before + int(prefix.min(initial=0))), max(high, before + int(prefix.max(initial=0)))
        n_code, n_text = n_code + int(n_real[is_code].sum()), n_text + int(n_real[~is_code].sum())
    return n_code, n_text, low, high


def sequences_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether the lists of every sequence agree, and how full sequences are."""
    found = [_sequences(run, phase, work) for phase in run.phases]
    broken = [said for kept, said in found if not kept]
    return not broken, " | ".join(broken or [said for _, said in found])


def _sequences(run: RunFiles, phase: Phased, work: Work) -> tuple[bool, str]:
    files = stream_files(run, phase)
    n_sequences = n_pieces = n_real = 0
    for broken, *counts in work.each(partial(_lists, files), files.spans(work, run), name="verify.sequences"):
        if broken:
            return False, f"{phase.said}{broken}"
        n_sequences, n_pieces, n_real = (a + b for a, b in zip((n_sequences, n_pieces, n_real), counts, strict=True))
    full = 1 - (n_sequences * phase.seq_len - n_real) / max(1, n_sequences * phase.seq_len)
    said = f"{n_sequences:,} sequences of {phase.seq_len}, {n_pieces:,} pieces, filled {full:.4%}"
    return True, f"{phase.said}{said}"


def _lists(files: StreamFiles, span: Span) -> tuple[str, int, int, int]:
    """The first shard of some that is wrong; else sequences, pieces and real tokens of them."""
    n_sequences = n_pieces = n_tokens = 0
    for number in span.items:
        table = files.read(number, "n_real", *{"cu_seqlens", files.bounds}, *_LISTS)
        n_real = table["n_real"].to_numpy()
        offsets = np.asarray(one_chunk(table[files.bounds]).offsets, np.int64)
        lengths = [pc.list_value_length(table[c]).to_numpy() for c in _LISTS]
        where = f"packed shard {number}"
        for name in sorted({"cu_seqlens", files.bounds}):
            if not rises(one_chunk(table[name]), n_real, seq_len=files.seq_len(number)):
                said = f"{where}: {name} does not run from 0 to n_real in steps of at least 1"
                return said, 0, 0, 0
        if any((n != np.diff(offsets) - 1).any() for n in lengths):
            return f"{where}: pieces, documents and groups differ in number", 0, 0, 0
        n_sequences += table.num_rows
        n_pieces += int(lengths[0].sum())
        n_tokens += int(n_real.sum())
    return "", n_sequences, n_pieces, n_tokens


_LISTS = ("doc_ids", "doc_offsets", "groups")
