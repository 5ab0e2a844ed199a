"""What a document shares with the items of benchmarks, as text: taken from both again, since no table holds it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from pipeline.config import Against
from pipeline.dedup.benchmark_items import Benchmark, open_benchmark, read_items
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.reading.marks import MarkedPlace, laid_out, parts_of
from pipeline.reading.masked import masked_by_id
from pipeline.reading.work import Work

MAX_PASSAGE_CHARS = 600  # some lines of a screen; enough to see whether it is a leak


def with_passages(run: RunFiles, doc_id: str, matches: Sequence[dict[str, Any]], work: Work) -> list[dict[str, Any]]:
    """The matches, each with `passage` and `item_passage`: text, its first line from 1, and its bytes in the document.

    Values of the document that privacy found and left are hidden. An item's passage is None where the benchmark is not
    there any more or has other items now.
    """
    if not matches:
        return []
    own = masked_by_id(run, [doc_id], work)[doc_id]
    hidden = [MarkedPlace(find.start, find.end, find.kind) for find in own.hidden]
    entries = {entry.name: entry for entry in run.mixture.against}
    found = []
    for match in matches:
        item = _item(entries[match["benchmark"]], match["item"])
        passages = {
            "passage": _passage(own.text, match["first_word"], match["last_word"], hidden),
            "item_passage": item and _passage(item, match["first_item_word"], match["last_item_word"]),
        }
        found.append(match | passages)
    return found


def _passage(text: bytes, first: int, last: int, hidden: Sequence[MarkedPlace] = ()) -> dict[str, Any]:
    from pipeline.dedup.passages import find_words  # kernels, which a document that shares nothing does not need

    begin, end = find_words(text, first, last)
    shown, _ = laid_out(parts_of(text, (), hidden, start=begin, end=end))
    if len(shown) > MAX_PASSAGE_CHARS:
        shown = shown[:MAX_PASSAGE_CHARS] + " ..."
    return {"text": shown, "line": text.count(b"\n", 0, begin) + 1, "bytes": [begin, end]}


def _item(entry: Against, number: int) -> bytes | None:
    try:
        items = _items(open_benchmark(entry))
    except LoopmixError:  # a finished run is read where its benchmarks may be gone
        return None
    return items[number].as_py() if number < len(items) else None


@lru_cache(maxsize=2)
def _items(benchmark: Benchmark) -> pa.LargeBinaryArray:
    return read_items(benchmark)
