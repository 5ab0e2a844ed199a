"""Measure: every document's features, every rule of its pool that fires, what looks like a secret or personal.

It only measures; `select` drops. All but syntax errors comes from compiled passes over the shard's bytes.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of, one_chunk
from pipeline.config import Quality
from pipeline.quality import code_rules, features, secrets, text_rules
from pipeline.quality.parse import parse_error_frac
from pipeline.quality.rules import Fired, in_rows, judge
from pipeline.reasons import REASONS
from pipeline.schema import QUALITY


def measure(documents: pa.Table, languages: pa.Table, *, config: Quality) -> pa.Table:
    """Table `quality` of one shard: documents needs doc_id, content and problem; languages pool and language.

    A document that ingest found a problem with, or that is blank, has that as its only reason: rules of its pool
    would say the same again.
    """
    content = one_chunk(documents["content"])
    data, offsets = bytes_of(content)
    found = features.measure(data, offsets)
    private = secrets.count(data, offsets)
    names = _strings(languages["language"])
    problems = _strings(documents["problem"])
    sound = (problems == "") & ~found.is_blank
    is_code = _strings(languages["pool"]) == "code"
    columns = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    columns["parse_error_frac"] = _parse_errors(content, names, wanted=sound & is_code, config=config)
    columns["generated_line"] = _generated_lines(data, offsets, found.head_bytes, wanted=sound & is_code)
    pools = (
        (code_rules.RULES, config.code.model_dump(), sound & is_code),
        (text_rules.RULES, config.text.model_dump(), sound & ~is_code),
    )
    fired = _problems(problems, blank=found.is_blank, n_bytes=np.diff(offsets))
    for rules, thresholds, among in pools:
        fired += judge(rules, features=columns, thresholds=thresholds, languages=names, among=among)
    columns["n_secrets"], columns["n_personal"] = private.n_secrets * sound, private.n_personal * sound
    columns["stop_word_frac"] = np.where(is_code, 0.0, found.stop_word_frac)
    return _table(documents["doc_id"], columns, fired)


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    """The column as numpy text of fixed width, a null as an empty string."""
    return np.array([value or "" for value in column.to_pylist()], np.str_)


def _problems(problems: np.ndarray, *, blank: np.ndarray, n_bytes: np.ndarray) -> list[Fired]:
    """What ingest found, as rules that fire; a document of white space is empty whatever ingest said."""
    size = n_bytes.astype(np.float64)
    found = [Fired(p, problems == p, size) for p in sorted(set(problems.tolist()) - {"", "empty"})]
    return [*found, Fired("empty", (problems == "empty") | ((problems == "") & blank), size)]


def _parse_errors(
    content: pa.LargeBinaryArray, languages: np.ndarray, *, wanted: np.ndarray, config: Quality
) -> np.ndarray:
    """Share of visible bytes in syntax errors; NaN where the file was not parsed."""
    result = np.full(len(content), np.nan)
    if not config.parse:
        return result
    for row in np.flatnonzero(wanted).tolist():
        source = content[row].as_buffer()
        if source.size <= config.max_parse_bytes:
            share = parse_error_frac(source.to_pybytes(), str(languages[row]))
            result[row] = np.nan if share is None else share
    return result


def _generated_lines(
    data: np.ndarray, offsets: np.ndarray, head_bytes: np.ndarray, *, wanted: np.ndarray
) -> np.ndarray:
    """In which line a document says that a program wrote it; 0: nowhere."""
    result = np.zeros(len(head_bytes), np.int64)
    sizes = np.minimum(head_bytes, code_rules.MAX_HEAD_BYTES)
    for row in np.flatnonzero(wanted).tolist():
        start = int(offsets[row])
        result[row] = code_rules.generated_line(data[start : start + int(sizes[row])].tobytes())
    return result


def _table(doc_ids: pa.ChunkedArray, columns: dict[str, np.ndarray], fired: list[Fired]) -> pa.Table:
    offsets, reasons, values = in_rows(fired, n=len(doc_ids))
    kind = QUALITY.schema.field("fired").type
    codes = pa.array(list(REASONS), pa.string()).take(pa.array(reasons))
    rules = pa.StructArray.from_arrays([codes, pa.array(values, pa.float64())], fields=list(kind.value_type))
    joined = {name: pa.array(numbers) for name, numbers in columns.items() if name in QUALITY.schema.names}
    joined["parse_error_frac"] = pa.array(columns["parse_error_frac"], mask=np.isnan(columns["parse_error_frac"]))
    joined["fired"] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rules, type=kind)
    joined["doc_id"] = one_chunk(doc_ids)
    return pa.table({name: joined[name] for name in QUALITY.schema.names}, schema=QUALITY.schema)
