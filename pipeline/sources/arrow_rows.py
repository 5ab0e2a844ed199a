"""Record batches -> raw documents: whatever type a column has, and whatever type it has in the next file.

Parquet and Arrow streams share this. A column that is mapped must exist in one file of the source and be of a type
that can be meant; where another file lacks it, its field is null there, and where it is of another type, lost.
"""

from collections.abc import Callable, Iterator
from itertools import chain, count
from typing import Any

import pyarrow as pa
from pydantic_core import from_json

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.entries import without_repeats
from pipeline.sources.raw import MAX_ENTRIES, NO_FILES, UNREADABLE, RawDocument
from pipeline.sources.values import READERS, Metadata, lost_of, mapped, micros_of
from pipeline.yaml_file import closest, did_you_mean

_BATCH_ROWS = 1_024  # turned into Python objects at once
BATCH_BYTES = 16_000_000  # the same where rows are large: a quarter of a shard
_BATCH_LISTS = 16  # the same where each row holds a list of files
_BATCH_ENTRIES = 1_024  # of one row, turned into Python objects at once
_is = pa.types
_TEXTS = (_is.is_string, _is.is_large_string, _is.is_string_view, _is.is_null)
_BLOBS = (_is.is_binary, _is.is_large_binary, _is.is_binary_view, _is.is_fixed_size_binary)
_LISTS = (_is.is_list, _is.is_large_list, _is.is_fixed_size_list, _is.is_list_view, _is.is_large_list_view)
_OTHERS = ("text", (_is.is_integer, _is.is_decimal, *_BLOBS))
# What a field expects, and the types that it takes beside text.
_FITTING = {
    "content": ("text or bytes", _BLOBS),
    "license": ("text or a list of text", _OTHERS[1]),
    "stars": ("a number", (_is.is_integer, _is.is_floating, _is.is_decimal)),
    "revision_time": ("a timestamp or ISO 8601 text", (_is.is_timestamp, _is.is_date, *_BLOBS)),
}


def check_types(schemas: list[tuple[str, pa.Schema]], *, source: Source) -> None:
    """ConfigError if a mapped column is missing, or of a type that cannot be meant, in every file of a source."""
    found, faults = [], []
    for where, schema in schemas:
        try:
            found.append((where, _with_entries(schema, explode=source.explode, where=where)))
        except StoreError as error:
            faults.append(str(error))
    if faults and not found:
        raise ConfigError(f"sources.{source.name}.explode: {faults[0]}")
    for field, name in source.columns:
        wrong = [_fault(schema, field=field, name=name, where=where) for where, schema in found if name]
        if wrong and all(wrong):
            raise ConfigError(f"sources.{source.name}.columns.{field}: {wrong[0]}")


def check_content(schema: pa.Schema, *, source: Source, where: str) -> None:
    """StoreError if one file has no column of contents, or if a mapped name stands in it twice."""
    schema = _with_entries(schema, explode=source.explode, where=where)
    for _, name in source.columns:
        if name and (twice := _twice(schema, name=name)):
            raise StoreError(f"{where}: {twice}; rename one, or write the file with one of them")
    if fault := _fault(schema, field="content", name=source.columns.content, where=where):
        raise StoreError(f"{fault}; write it with that column or exclude it")


def is_sound(schema: pa.Schema, *, source: Source) -> bool:
    """Whether `check_content` has nothing against a file."""
    try:
        check_content(schema, source=source, where="")
    except StoreError:
        return False
    return True


def fields_missing(schema: pa.Schema, *, source: Source, where: str) -> list[str]:
    """The fields of `columns` whose column a file lacks; `explode` alone where it lacks the list."""
    try:
        schema = _with_entries(schema, explode=source.explode, where=where)
    except StoreError:
        return ["explode"]
    return [
        field
        for field, name in source.columns
        if name and _type_of(schema, name=name) is None and not _twice(schema, name=name)
    ]


def names_read(schema: pa.Schema, *, source: Source) -> list[str]:
    """The mapped columns that a file has, for readers that load only what is asked for."""
    names = [*dict.fromkeys(name for _, name in mapped(source) if name), *([source.explode] if source.explode else [])]
    return [name for name in names if _type_of(schema, name=name) is not None and not _twice(schema, name=name)]


def all_names(schema: pa.Schema, *, source: Source, where: str) -> list[str]:
    """Every name that `columns` could map, those of structs with a dot. StoreError without the list to explode."""
    found: list[str] = []
    for field in _with_entries(schema, explode=source.explode, where=where):
        found.append(field.name)
        if _is.is_struct(field.type):
            found += [f"{field.name}.{inner.name}" for inner in field.type]
    return found


def rows_at_once(sample: pa.RecordBatch | None, *, source: Source) -> int:
    """How many rows like those of `sample` a reader hands to `rows_of` at once."""
    most = _BATCH_LISTS if source.explode else _BATCH_ROWS
    if sample is None or not sample.num_rows or not sample.nbytes:
        return most
    return max(1, min(most, BATCH_BYTES * int(sample.num_rows) // int(sample.nbytes)))


def rows_of(batch: pa.RecordBatch, *, input_file: str, first_row: int, source: Source) -> Iterator[RawDocument]:
    """One raw document for each row, or for each entry of its list; rows are numbered from `first_row`."""
    columns = mapped(source)
    if source.explode is None:
        yield from _documents(batch, input_file=input_file, numbers=count(first_row), columns=columns)
        return
    lists = _column(batch, name=source.explode)
    for i in range(batch.num_rows):
        first, entries = (first_row + i) * MAX_ENTRIES, lists[i].values
        if not entries:  # the row has a place in the ledger all the same
            yield RawDocument(input_file, first, None, UNREADABLE if entries is None else NO_FILES)
            continue
        row = batch.slice(i, 1).drop_columns([source.explode.partition(".")[0]])
        found = (
            _documents(
                _below(row, entries.slice(start, _BATCH_ENTRIES)),
                input_file=input_file,
                numbers=count(first + start),
                columns=columns,
            )
            for start in range(0, len(entries), _BATCH_ENTRIES)
        )
        yield from without_repeats(chain.from_iterable(found))


def _below(row: pa.RecordBatch, entries: pa.Array) -> pa.RecordBatch:
    """Some entries of one row with the row's own columns beside theirs; where names are equal, theirs."""
    made = dict(zip([field.name for field in entries.type], entries.flatten(), strict=True))
    outer = row.take(pa.array([0] * len(entries)))
    return pa.record_batch({name: outer.column(name) for name in row.schema.names} | made)


def _with_entries(schema: pa.Schema, *, explode: str | None, where: str) -> pa.Schema:
    """The columns of the entries, and those of the row whose names no entry has. StoreError without such a list."""
    if explode is None:
        return schema
    kind = _type_of(schema, name=explode)
    if kind is None or not any(test(kind) for test in _LISTS) or not _is.is_struct(kind.value_type):
        found = f"is {kind}" if kind is not None else f"is not there; found {schema.names}"
        raise StoreError(f"{where}: `explode` names the column {explode!r}, which {found}; expected a list of structs")
    inner = list(kind.value_type)
    names = {field.name for field in inner}
    return pa.schema([*inner, *(f for f in schema if f.name not in names and f.name != explode.partition(".")[0])])


def _documents(
    batch: pa.RecordBatch, *, input_file: str, numbers: Iterator[int], columns: Columns
) -> Iterator[RawDocument]:
    content = _column(batch, name=columns.content)
    # The cast from text copies nothing and checks nothing: parquet text may be no UTF-8.
    contents: list[bytes | None] = content.cast(pa.large_binary()).to_pylist()
    found, fields = [], []
    for field, read in READERS.items():
        values, made = _field(batch, field=field, name=getattr(columns, field), read=read)
        found.append(values)
        fields.append(made)
    if any(were.count(None) != are.count(None) for were, are in zip(found, fields, strict=True)):
        lost = [
            lost_of(were, are) for were, are in zip(zip(*found, strict=True), zip(*fields, strict=True), strict=True)
        ]
    else:
        lost = [()] * batch.num_rows
    metadata = map(Metadata._make, zip(*fields, lost, strict=True))
    for row, (one, said) in zip(numbers, zip(contents, metadata, strict=True), strict=False):
        yield RawDocument(input_file, row, one, UNREADABLE if one is None else None, said)


def _field(
    batch: pa.RecordBatch, *, field: str, name: str | None, read: Callable[[Any], Any]
) -> tuple[list[Any], list[Any]]:
    """What a column holds for one field and what is made of it. Times are made by Arrow where it knows them as such."""
    kind = None if not name or _twice(batch.schema, name=name) else _type_of(batch.schema, name=name)
    if name is None or kind is None:
        return [None] * batch.num_rows, [None] * batch.num_rows
    column = _column(batch, name=name)
    if read is micros_of and (_is.is_timestamp(kind) or _is.is_date(kind)):
        micros = _micros(column)
        return micros, micros
    values = _values(column, is_json=_is_json(_raw_type(batch, name=name)))
    return values, [read(value) for value in values] if _fits(kind, field=field) else [None] * batch.num_rows


def _fault(schema: pa.Schema, *, field: str, name: str, where: str) -> str | None:
    if _twice(schema, name=name):
        return None  # told by `check_content`, file by file
    found = _type_of(schema, name=name)
    if found is None:
        return f"{where} has no column {name!r}; found {schema.names}{_hint(schema, field=field, name=name)}"
    if not _fits(found, field=field):
        return f"column {name!r} of {where} is {found}, expected {_FITTING.get(field, _OTHERS)[0]}"
    return None


def _hint(schema: pa.Schema, *, field: str, name: str) -> str:
    """Where a column may be that is not there: in a list of files, or under a name that looks like it. An id of it is
    not it."""
    lists = [(one.name, kind.value_type) for one, kind in _plain_types(schema) if any(test(kind) for test in _LISTS)]
    for column, inner in lists:
        if _is.is_struct(inner) and name in [one.name for one in inner]:
            return f"; it stands in the list {column!r}: write explode: {column}"
    fitting = [one.name for one, kind in _plain_types(schema) if _fits(kind, field=field)]
    near = closest(name, [one for one in fitting if name.endswith("_id") or not one.endswith("_id")])
    return did_you_mean(near) if near else ""


def _plain_types(schema: pa.Schema) -> list[tuple[pa.Field, pa.DataType]]:
    return [(one, _plain_type(one.type)) for one in schema]


def _twice(schema: pa.Schema, *, name: str) -> str | None:
    """Where a name stands, if it stands at two places; a dotted one is followed into structs."""
    head = name if name in schema.names else name.partition(".")[0]
    places = [i for i, other in enumerate(schema.names) if other == head]
    if len(places) > 1:
        return f"the column {head!r} stands twice, as columns {' and '.join(str(i + 1) for i in places)}"
    below, rest = schema.field(head).type if places else None, name.removeprefix(head)[1:].split(".")
    for part in rest if name != head else ():
        if below is None or not _is.is_struct(below):
            return None
        places = [i for i in range(below.num_fields) if below.field(i).name == part]
        if len(places) > 1:
            return f"the field {part!r} of {name!r} stands twice, as {' and '.join(str(i + 1) for i in places)}"
        below = below.field(places[0]).type if places else None
    return None


def _fits(kind: pa.DataType, *, field: str) -> bool:
    if field == "license" and any(test(kind) for test in _LISTS):
        return _fits(_plain_type(kind.value_type), field="repo")
    return any(test(kind) for test in (*_TEXTS, *_FITTING.get(field, _OTHERS)[1]))


def _type_of(schema: pa.Schema, *, name: str) -> pa.DataType | None:
    """The type of a column as it is read, None if it is not there."""
    at = schema.get_field_index(name)  # -1 also for a name that stands twice
    if at >= 0 and not _is_wrapped(schema.field(at).type):
        return schema.field(at).type  # what most are; an empty batch takes .1 ms, for each field of each batch
    try:
        return _column(pa.RecordBatch.from_pylist([], schema=schema), name=name).type
    except (KeyError, pa.ArrowException):
        return None


def _is_wrapped(kind: pa.DataType) -> bool:
    """Whether `_plain` makes another column of one of this type."""
    return _is.is_dictionary(kind) or _is.is_run_end_encoded(kind) or isinstance(kind, pa.BaseExtensionType)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of values without what they are wrapped in: a dictionary, runs, a type of an extension."""
    if _is.is_dictionary(kind) or _is.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    return _plain_type(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _raw(batch: pa.RecordBatch, *, name: str) -> pa.Array:
    """One column as it is stored. Dots step into structs (null where a parent is null) unless a column with that very
    spelling exists. KeyError or ArrowException if it does not."""
    if name in batch.schema.names:
        return batch.column(name)
    import pyarrow.compute as pc  # late: a plan needs none of it, and it takes a tenth of a second

    head, *rest = name.split(".")
    column = batch.column(head)
    for part in rest:
        column = pc.struct_field(_plain(column), part)
    return column


def _raw_type(batch: pa.RecordBatch, *, name: str) -> pa.DataType:
    return _raw(batch, name=name).type


def _column(batch: pa.RecordBatch, *, name: str) -> pa.Array:
    """One column without what its values are wrapped in."""
    return _plain(_raw(batch, name=name))


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    while True:
        if _is.is_dictionary(column.type):
            column = column.dictionary_decode()
        elif _is.is_run_end_encoded(column.type):
            column = pc.run_end_decode(column)
        elif isinstance(column.type, pa.UuidType):
            return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        elif isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        else:
            return column


def _is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType)


def _values(column: pa.Array, *, is_json: bool) -> list[Any]:
    """Python values for `values.py`; text as bytes where it is no UTF-8, which parquet does not rule out."""
    values: list[Any]
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        is_list = any(test(column.type) for test in _LISTS)
        values = column.cast(pa.list_(pa.large_binary()) if is_list else pa.large_binary()).to_pylist()
    if is_json:
        return [_of_json(value) for value in values]
    return list(map(_of_fixed, values)) if _is.is_fixed_size_binary(column.type) else values


def _of_json(value: Any) -> Any:
    try:
        return None if value is None else from_json(value)
    except ValueError:
        return value


def _of_fixed(value: bytes | None) -> str | bytes | None:
    """Bytes of a set length hold text filled up with NULs, or the digest itself, which is written in hex."""
    if value is None:
        return None
    try:
        text = value.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def _micros(column: pa.Array) -> list[int | None]:
    """Microseconds since 1970; a timestamp without a zone is UTC."""
    kind = column.type
    zone = kind.tz if _is.is_timestamp(kind) else None
    values: list[int | None] = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64()).to_pylist()
    return values
