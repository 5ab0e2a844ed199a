"""Measure: every document's features, every rule of its pool that fires, what looks like a secret or personal.

It only measures; `select` drops. All features but syntax errors come from compiled passes over the shard's bytes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from pipeline.config import Quality
from pipeline.schema import QUALITY
from pipeline.text import code_rules, features, secrets, text_rules
from pipeline.text.parse import parse_error_frac
from pipeline.text.reasons import REASONS
from pipeline.text.rules import Fired, in_rows, judge


def measure(documents: pa.Table, languages: pa.Table, *, config: Quality) -> pa.Table:
    """Table `quality` of one shard: documents needs doc_id, content and problem; languages pool and language."""
    content = documents["content"].combine_chunks()
    data, offsets = _bytes_of(content)
    found = features.measure(data, offsets)
    private = secrets.count(data, offsets)
    names = np.array(languages["language"].to_pylist(), object).astype(str)
    is_code = np.array([pool == "code" for pool in languages["pool"].to_pylist()], bool)
    problems = np.array([problem or "" for problem in documents["problem"].to_pylist()], object).astype(str)
    sound = (problems == "") & ~found.is_blank
    columns = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    columns["parse_error_frac"] = _parse_errors(content, names, wanted=sound & is_code, config=config)
    columns["generated_line"] = _generated_lines(data, offsets, found.head_bytes, wanted=sound & is_code)
    fired = [
        *_problems(problems, blank=found.is_blank, n_bytes=np.diff(offsets)),
        *judge(
            code_rules.RULES,
            features=columns,
            thresholds=config.code.model_dump(),
            languages=names,
            among=sound & is_code,
        ),
        *judge(
            text_rules.RULES,
            features=columns,
            thresholds=config.text.model_dump(),
            languages=names,
            among=sound & ~is_code,
        ),
    ]
    columns["n_secrets"], columns["n_personal"] = private.n_secrets, private.n_personal
    columns["stop_word_frac"] = np.where(is_code, 0.0, found.stop_word_frac)
    return _table(documents, columns, fired)


def _bytes_of(content: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """The array's bytes and int64 offsets, without a copy."""
    if len(content) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = content.buffers()
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw, np.frombuffer(offsets, np.int64)[content.offset : content.offset + len(content) + 1]


def _problems(problems: np.ndarray, *, blank: np.ndarray, n_bytes: np.ndarray) -> list[Fired]:
    """What ingest found, as rules that fire; a document of white space is empty whatever ingest said."""
    size = n_bytes.astype(np.float64)
    found = [Fired(p, problems == p, size) for p in sorted(set(problems.tolist()) - {"", "empty"})]
    return [*found, Fired("empty", (problems == "empty") | ((problems == "") & blank), size)]


def _parse_errors(
    content: pa.LargeBinaryArray, languages: np.ndarray, *, wanted: np.ndarray, config: Quality
) -> np.ndarray:
    """Share of bytes under syntax errors; NaN where the file was not parsed."""
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
    result = np.zeros(len(head_bytes), np.int64)
    for row in np.flatnonzero(wanted).tolist():
        start = int(offsets[row])
        result[row] = code_rules.generated_line(data[start : start + int(head_bytes[row])].tobytes())
    return result


def _table(documents: pa.Table, columns: dict[str, np.ndarray], fired: list[Fired]) -> pa.Table:
    offsets, reasons, values = in_rows(fired, n=documents.num_rows)
    kind = QUALITY.field("fired").type
    codes = pa.array(list(REASONS), pa.string()).take(pa.array(reasons))
    rules = pa.StructArray.from_arrays([codes, pa.array(values, pa.float64())], fields=list(kind.value_type))
    joined = {name: pa.array(values) for name, values in columns.items() if name in QUALITY.names}
    joined["parse_error_frac"] = pa.array(columns["parse_error_frac"], mask=np.isnan(columns["parse_error_frac"]))
    joined["fired"] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rules, type=kind)
    joined["doc_id"] = documents["doc_id"].combine_chunks()
    return pa.table({name: joined[name] for name in QUALITY.names}, schema=QUALITY)
