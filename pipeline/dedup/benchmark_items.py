"""The items of the benchmarks in `against`, read as the documents of a source are."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from pipeline.config import Against, source_of
from pipeline.errors import ConfigError
from pipeline.fields import Frozen
from pipeline.sources import Slice, plan_slices, read_slice

_LARGE = 2**62  # a benchmark is read whole, however it is cut
_MAX_ITEM_BYTES = 8_000_000  # the default of `ingest.max_document_bytes`; no benchmark item comes near it
_MIN_STORED_FRAC = 0.3  # of an item; less is no edit of it, and many documents share a tenth of some item


class Benchmark(Frozen):
    """An entry of `against` and the files that it consists of, with their sizes and versions.

    Of its thresholds only what decides the measures: the share down to which they are stored.
    """

    entry: Against
    slices: tuple[Slice, ...]


class Benchmarks(Frozen):
    """The part of `against` that is compared by words."""

    sets: tuple[Benchmark, ...]


@contextmanager
def _named_as_asked(name: str) -> Iterator[None]:
    """A benchmark is read as a source is; errors name what the mixture says, its entry of `against`."""
    source, asked = f"sources.{name}", f"against.{name}"
    try:
        yield
    except ConfigError as error:
        said = str(error).replace(f"{source}.columns.content", f"{asked}.content", 1).replace(source, asked, 1)
        raise ConfigError(said) from error


def open_benchmark(entry: Against) -> Benchmark:
    """The files of a benchmark. ConfigError if there are none."""
    with _named_as_asked(entry.name):
        slices = tuple(plan_slices(source_of(entry), shard_bytes=_LARGE))
    stored = {"min_contained_frac": min(_MIN_STORED_FRAC, entry.min_contained_frac), "min_telling_words": 1}
    return Benchmark(entry=entry.model_copy(update=stored), slices=slices)


def read_items(benchmark: Benchmark) -> pa.LargeBinaryArray:
    """The text of each item. ConfigError for one that cannot be read: nobody would look for it in the documents."""
    import pyarrow.compute as pc  # late: whoever has no benchmark needs none of it

    from pipeline.arrays.columns import one_chunk

    entry, source = benchmark.entry, source_of(benchmark.entry)
    with _named_as_asked(entry.name):
        tables = [read_slice(source, piece, max_document_bytes=_MAX_ITEM_BYTES) for piece in benchmark.slices]
    items = pa.concat_tables(tables)
    has_none = pc.equal(pc.binary_length(items["content"]), 0)
    unread = items.filter(pc.and_(has_none, pc.not_equal(items["problem"], "empty")))
    if unread.num_rows:
        first = unread.select(["input_file", "input_row", "problem"]).slice(0, 1).to_pylist()[0]
        raise ConfigError(
            f"against.{entry.name}: {unread.num_rows} of {items.num_rows} items cannot be read, the first in "
            f"{first['input_file']}#{first['input_row']}: {first['problem']}; repair them or take them out"
        )
    return one_chunk(items["content"])
