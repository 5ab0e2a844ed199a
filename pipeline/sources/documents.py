"""Ingest: read the sources once, cut them into the shards that every later table keeps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import SerializerFunctionWrapHandler, TypeAdapter, ValidationError, model_serializer

from pipeline.config import Mixture, Source
from pipeline.engine.done import StepDone
from pipeline.engine.forgotten import read_forgotten, without_forgotten
from pipeline.engine.markers import Outcome
from pipeline.engine.poison import Poisonous
from pipeline.engine.said import Size
from pipeline.engine.shards import PLAN, json_parts, key_of
from pipeline.engine.stage import Job
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError, WorkerDied
from pipeline.fields import Frozen
from pipeline.schema import DOCUMENTS
from pipeline.sources import WITH_COLUMNS, Slice, plan_slices, read_slice
from pipeline.sources.caps import DEFAULT_CAPS, InputCaps, caps_of
from pipeline.sources.raw import RowPlace
from pipeline.sources.sampling import Sampling, sampling_of
from pipeline.sources.slices import keep_shards
from pipeline.sources.values import text_of

REMEDY = "repair it, or go on without it: --on-bad-shard skip"
_Read = Callable[[Source, Slice], pa.Table]


def plan(mixture: Mixture) -> list[Slice]:
    """What each shard of `documents` will hold, in order."""
    return [s for source in mixture.sources for s in plan_slices(source, shard_bytes=mixture.ingest.shard_bytes)]


@dataclass(frozen=True)
class Cut:
    """Where an open slice was cut when it was read."""

    starts: tuple[int, ...]  # the number of the first row of each shard
    counts: dict[str, Size]
    problem: str | None = None  # why it was left out

    def __post_init__(self) -> None:
        if not self.starts or self.starts[0] < 0 or any(b <= a for a, b in pairwise(self.starts)):
            raise ValueError("rows would be left out, or read twice")


@dataclass(frozen=True)
class Plan:
    """How the input of a run is cut: kept in the run, so that what has been read need not be read again."""

    slices: tuple[Slice, ...]
    shard_bytes: int
    totals: tuple[int, ...]  # counts of shards that plans of this run have had
    cuts: dict[str, Cut] = field(default_factory=dict)  # of the slices that were open

    def to_json(self) -> Iterator[bytes]:
        """The plan in parts of a slice each: of millions of files a whole text would be as large as the plan."""
        cuts = {key: asdict(cut) for key, cut in self.cuts.items()}
        said = {"shard_bytes": self.shard_bytes, "totals": self.totals, "cuts": cuts, "slices": self._said()}
        return (part.encode() for part in json_parts(said))

    def _said(self) -> Iterator[dict[str, Any]]:
        return (piece.all_of_it() for piece in self.slices)


_PLAN = TypeAdapter(Plan)


def read_plan(store: Store) -> Plan | None:
    """The plan that a run keeps. It only saves work, so one that is lost or damaged is none."""
    if data := store.find(PLAN):
        with suppress(ValidationError):
            return _PLAN.validate_json(data)
    return None


def plan_from(
    planned: Sequence[Slice], *, earlier: Plan | None, shard_bytes: int, cuts: dict[str, Cut] | None = None
) -> Plan:
    """`planned` as it is cut in this run: documents of an earlier plan keep their shards, new ones get new shards.

    With another `shard_bytes` all is cut anew.
    """
    slices, totals = tuple(planned), set(earlier.totals if earlier else ())
    if earlier is not None and earlier.shard_bytes == shard_bytes:
        slices = tuple(keep_shards(planned, earlier.slices, shard_bytes=shard_bytes))
    return Plan(slices, shard_bytes, tuple(sorted(totals | {len(slices)})), cuts or {})


def changed_files(before: Plan, after: Plan) -> str:
    """How many input files are new, changed and gone between two plans; nothing where none is."""
    old = {(s.source, file.path): file for s in before.slices for file in s.files}
    counts, seen = {"new": 0, "changed": 0, "gone": 0}, set[tuple[str, str]]()
    for piece in after.slices:
        for file in piece.files:
            name = (piece.source, file.path)
            if name in seen:  # of several slices of one file
                continue
            if len(piece.files) == 1:
                seen.add(name)
            was = old.pop(name, None)
            counts["new"] += was is None
            counts["changed"] += was is not None and was != file
    counts["gone"] = len(old)
    return ", ".join(f"{n:,} {what}" for what, n in counts.items()) if any(counts.values()) else ""


class Limits(NamedTuple):
    """The settings of `ingest` that decide rows."""

    max_document_bytes: int
    min_encoding_confidence: float
    notebooks: Literal["script", "keep"]
    poisonous: tuple[RowPlace, ...] = ()  # documents that end their worker
    caps: InputCaps = DEFAULT_CAPS  # decide which files are bad, so those of a run that asks for others are read again

    def said(self) -> tuple[Any, ...]:
        """All of them as JSON can say it; caps only where they were chosen."""
        decided = (self.max_document_bytes, self.min_encoding_confidence, self.notebooks)
        return decided if self.caps == DEFAULT_CAPS else (*decided, list(self.caps))


@dataclass(frozen=True)
class Reading:
    """How slices are read: all beside a slice that decides the rows of its shard."""

    sources: dict[str, Source]  # by name, without what only chooses files
    limits: Limits
    version: int  # of the stage
    sampling: Sampling | None = None  # None: every document has a row

    def part(self, piece: Slice) -> tuple[Any, ...]:
        """All that decides the rows of a slice, but the version."""
        decided = (self.sources[piece.source].model_dump(mode="json"), piece.to_dict(), *self.limits.said())
        if own := [place for place in self.limits.poisonous if _may_hold(piece, place)]:
            decided = (*decided, own)
        return decided if self.sampling is None else (*decided, self.sampling.model_dump(mode="json"))

    def key(self, piece: Slice) -> str:
        """Under which the shard of a slice is committed; as `Job.shards` makes it."""
        return key_of(DOCUMENTS.name, self.version, self.part(piece))


def _may_hold(piece: Slice, place: RowPlace) -> bool:
    """Whether a document can be one of a slice's. Slices of bytes or row groups of one file are not told apart."""
    is_there = place.source == piece.source and (not piece.files or place.input_file in {f.path for f in piece.files})
    return is_there and piece.first_row <= place.input_row and (piece.last_row < 0 or place.input_row < piece.last_row)


class Inputs(Frozen):
    """All that decides `documents`. The slices name every input file with its size and version."""

    sources: tuple[Source, ...]
    max_document_bytes: int  # of `ingest`, like the next; its other settings change no row
    min_encoding_confidence: float
    notebooks: Literal["script", "keep"] = "script"
    caps: InputCaps = DEFAULT_CAPS
    poisonous: tuple[RowPlace, ...] = ()
    slices: tuple[Slice, ...]

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that the fingerprints of most runs say nothing of either."""
        said: dict[str, Any] = dump(self)
        if self.caps == DEFAULT_CAPS:
            del said["caps"]
        if not self.poisonous:
            del said["poisonous"]
        return said

    def lists(self) -> dict[str, Iterator[dict[str, Any]]]:
        """What fingerprints say of the slices, one at a time: of millions of files they are gigabytes of JSON."""
        return {"slices": (piece.to_dict() for piece in self.slices)}

    def reading(self, *, version: int) -> Reading:
        """How the slices are read."""
        limits = Limits(
            self.max_document_bytes, self.min_encoding_confidence, self.notebooks, self.poisonous, self.caps
        )
        sampling = self.sampling if isinstance(self, SampledInputs) else None
        return Reading({s.name: _for_reading(s) for s in self.sources}, limits, version, sampling)


class SampledInputs(Inputs):
    """The same of a sample. A class of its own, so that the fingerprints of whole runs say nothing of samples."""

    sampling: Sampling


def inputs_of(mixture: Mixture, slices: Sequence[Slice], *, poisonous: Sequence[Poisonous] = ()) -> Inputs:
    """What of a mixture decides `documents`."""
    limits, sampling = mixture.ingest, sampling_of(mixture)
    of_ingest = (name for name in Limits._fields if name not in ("caps", "poisonous"))
    decided: dict[str, Any] = {name: getattr(limits, name) for name in of_ingest}
    decided["poisonous"] = tuple(RowPlace(one.source, one.input_file, one.input_row) for one in poisonous)
    decided["caps"] = caps_of(limits)
    decided |= {"sources": mixture.sources, "slices": tuple(slices)}
    return Inputs(**decided) if sampling is None else SampledInputs(**decided, sampling=sampling)


def ingest(job: Job, *, config: Inputs) -> StepDone:
    """Write table `documents`, one shard per slice. A file that cannot be read stops the run or is skipped."""
    reading = config.reading(version=job.version)
    read = partial(read_slice, **reading.limits._asdict())
    task = partial(_read_shard, job.tables, read=read, sampling=reading.sampling, skip_bad=job.skip_bad)
    items = [(reading.sources[s.source], s) for s in config.slices]
    try:
        return job.shards(DOCUMENTS, task, items=items, parts=map(reading.part, config.slices))
    except WorkerDied as death:
        raise named(death, config.slices[death.item[0]]) from death


def named(death: WorkerDied, piece: Slice) -> WorkerDied:
    """The death of a worker that read a slice, with what it read."""
    files = [file.path for file in piece.files]
    where = f"{files[0]} and {len(files) - 1} more files behind it" if len(files) > 1 else "".join(files)
    said = (
        f"source {piece.source!r}: reading {where} ended its worker: {death}; read it apart, and `exclude` what does it"
    )
    return WorkerDied(said, item=death.item)


def _for_reading(source: Source) -> Source:
    """The source without the settings that only choose files: with others, what was chosen before reads the same."""
    chosen = {"include": Source.model_fields["include"].default, "exclude": ()}
    return source.model_copy(update=chosen)


def _read_shard(
    tables: Tables,
    shard: int,
    payload: tuple[Source, Slice],
    *,
    read: _Read,
    sampling: Sampling | None,
    skip_bad: bool,
) -> Outcome:
    source, piece = payload
    problem = None
    try:
        documents = read(source, piece)
    except StoreError as error:
        if not skip_bad:
            raise StoreError(f"source {source.name!r}, shard {shard}: {error}; {REMEDY}") from error
        documents, problem = _without_bad_files(source, piece, error=error, read=read)
    documents, counts = taken(documents, source=source, sampling=sampling)
    documents = without_forgotten(documents, read_forgotten(tables.store))
    # An error may quote a name that is no UTF-8, and neither a marker nor the manifest could be read back with it.
    return Outcome((tables.write(DOCUMENTS, shard, data=documents),), counts, text_of(problem))


def _without_bad_files(source: Source, piece: Slice, *, error: StoreError, read: _Read) -> tuple[pa.Table, str]:
    """What the other files of a slice hold, and what is wrong with the bad ones. Files share a slice as they happen to
    lie, so one of them costs no other."""
    tables, problems = [DOCUMENTS.schema.empty_table()], []
    for file in piece.files if len(piece.files) > 1 else ():
        try:
            tables.append(read(source, replace(piece, files=(file,))))
        except StoreError as found:
            problems.append(str(found))
    others = f" ({len(tables) - 1} other files of this shard were read)" if len(tables) > 1 else ""
    return pa.concat_tables(tables), "; ".join(problems or [str(error)]) + others


def _taken_by_name(documents: pa.Table, *, source: Source) -> dict[str, int]:
    """Documents whose path or language comes from a column of that name, which the mixture does not map."""
    if source.kind not in WITH_COLUMNS:
        return {}
    import pyarrow.compute as pc  # late: a plan needs none of it, and it takes a tenth of a second

    labelled = pc.and_(pc.is_valid(documents["language_label"]), pc.is_null(documents["made_from"]))
    found = {"path": _has_path(documents), "language": labelled}
    counts = {f: int(pc.sum(mask).as_py() or 0) for f, mask in found.items() if getattr(source.columns, f) is None}
    return {f"n_default_{field} {source.name}": n for field, n in counts.items() if n}


def _has_path(documents: pa.Table) -> pa.ChunkedArray:
    """Whether a row says its path; the others are called by their file and number."""
    import pyarrow.compute as pc  # late, as above

    row = pc.cast(documents["input_row"], pa.string())
    return pc.not_equal(documents["path"], pc.binary_join_element_wise(documents["input_file"], row, "#"))


def _unfilled(documents: pa.Table, *, source: Source) -> dict[str, int]:
    """Documents without a field that the mixture maps, where all of their file in this shard are without it.

    So it is where a file lacks the column. What the source itself states fills a field, and what could not be read is
    counted as lost.
    """
    wanted = [name for name, column in source.columns if column and name != "content"]
    if source.kind not in WITH_COLUMNS or not wanted:
        return {}
    import pyarrow.compute as pc  # late, as above

    documents = documents.filter(pc.is_null(documents["problem"]))
    lists = documents["lost_fields"].combine_chunks()
    row, lost = pc.list_parent_indices(lists), lists.flatten()
    counts = {}
    for name in wanted:
        column = {"language": "language_label"}.get(name, name)
        filled = _has_path(documents) if name == "path" else pc.is_valid(documents[column])
        files = documents["input_file"].filter(filled)
        more = documents["input_file"].take(row.filter(pc.equal(lost, name)))
        is_bare = pc.invert(
            pc.is_in(documents["input_file"], pa.chunked_array([*files.chunks, *more.chunks], files.type))
        )
        counts[f"n_unfilled_{name} {source.name}"] = int(pc.sum(is_bare).as_py() or 0)
    return {key: n for key, n in counts.items() if n}


def taken(documents: pa.Table, *, source: Source, sampling: Sampling | None) -> tuple[pa.Table, dict[str, int]]:
    """The rows that enter of those of a shard of one source, and what the manifest counts of them."""
    of_all: dict[str, int] = {}
    if sampling is not None:
        from pipeline.sources.drawing import sampled  # late: a kernel, which whole runs do without

        documents, of_all = sampled(documents, sampling)
    return documents, counts_of(documents, source=source) | of_all


def counts_of(documents: pa.Table, *, source: Source) -> dict[str, int]:
    """What the manifest counts of a shard of one source."""
    import pyarrow.compute as pc

    lost = pc.value_counts(documents["lost_fields"].combine_chunks().flatten())
    return {
        "n_docs": documents.num_rows,
        "n_bytes": int(pc.sum(documents["n_bytes"]).as_py() or 0),
        **{f"n_lost_{one['values'].as_py()}": one["counts"].as_py() for one in lost},
        **_taken_by_name(documents, source=source),
        **_unfilled(documents, source=source),
    }
