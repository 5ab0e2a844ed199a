"""Measure: the features of every document, and what kind of file it is.

It only measures; rules judge (`rules/judged.py`) and `select` drops. All but syntax errors comes from compiled passes
over the shard's bytes.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of, one_chunk, read_only, strings
from pipeline.features import FEATURES
from pipeline.filters import Measuring
from pipeline.quality import code_features, features, generated, prose, syntax
from pipeline.quality.extra import extra_column
from pipeline.quality.features import Features
from pipeline.quality.marks.marks import as_lists, find_marks
from pipeline.schema import QUALITY


def measure(documents: pa.Table, languages: pa.Table, *, config: Measuring) -> pa.Table:
    """Table `quality` of one shard: documents needs doc_id, path, content, problem; languages pool and language."""
    content = one_chunk(documents["content"])
    data, offsets = bytes_of(content)
    found = features.measure(data, offsets)
    names = strings(languages["language"])
    sound = (strings(documents["problem"]) == "") & ~found.is_blank
    pools = strings(languages["pool"])
    is_code = pools == "code"
    columns = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    columns |= syntax.measure(documents, languages=names, wanted=sound & is_code, config=config)
    columns["generated_line"] = _generated_lines(data, offsets, found.head_bytes, wanted=sound & is_code)
    columns["stop_word_frac"] = np.where(is_code, 0.0, found.stop_word_frac)
    columns |= _of_programs(content, found, names, strings(documents["path"]), wanted=sound & is_code)
    columns |= _prose(content, wanted=sound & ~is_code)
    extra = extra_column(documents, config=config, sound=sound, language=names, pool=pools)
    marks = find_marks(one_chunk(documents["path"]), data, offsets, languages=names, features=columns)
    return _table(documents["doc_id"], columns, marks=as_lists(marks, among=sound), extra=extra)


def _prose(content: pa.LargeBinaryArray, *, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """What is measured of texts; NaN, and None for the language, where a document is not wanted."""
    found = prose.measure(*bytes_of(content if wanted.all() else content.filter(pa.array(wanted))))
    result = {}
    for name, values in found.items():
        is_text = values.dtype == object
        result[name] = np.full(wanted.size, None if is_text else np.nan, object if is_text else np.float64)
        result[name][wanted] = values
    return result


def _generated_lines(
    data: np.ndarray, offsets: np.ndarray, head_bytes: np.ndarray, *, wanted: np.ndarray
) -> np.ndarray:
    """In which line a document says that a program wrote it; 0: nowhere."""
    result = np.zeros(len(head_bytes), np.int64)
    sizes = np.minimum(head_bytes, generated.MAX_HEAD_BYTES)
    for row in np.flatnonzero(wanted).tolist():
        start = int(offsets[row])
        result[row] = generated.generated_line(data[start : start + int(sizes[row])].tobytes())
    return result


def _of_programs(
    content: pa.LargeBinaryArray, found: Features, languages: np.ndarray, paths: np.ndarray, *, wanted: np.ndarray
) -> dict[str, np.ndarray]:
    """What only programs have; others have NaN, 0 where a feature cannot be missing."""
    data, offsets = bytes_of(content if wanted.all() else content.filter(pa.array(wanted)))
    among = Features(**{f.name: getattr(found, f.name)[wanted] for f in dataclasses.fields(found)})
    programs = code_features.Programs(read_only(data), read_only(offsets), languages[wanted], paths[wanted])
    columns = {}
    for name, values in code_features.measure(programs, among).items():
        columns[name] = np.full(len(content), np.nan if FEATURES[name].nullable else 0).astype(values.dtype)
        columns[name][wanted] = values
    return columns


def _table(
    doc_ids: pa.ChunkedArray, columns: dict[str, np.ndarray], *, marks: pa.ListArray, extra: pa.Array
) -> pa.Table:
    """The columns in the order of the schema; NaN becomes null where a feature may be."""
    joined: dict[str, pa.Array] = {"doc_id": one_chunk(doc_ids)}
    for name, feature in FEATURES.items():
        values = columns[name]
        array = pa.array(values, mask=np.isnan(values) if feature.nullable else None)
        joined[name] = array.cast(QUALITY.schema.field(name).type)
    joined[prose.LANGUAGE] = pa.array(columns[prose.LANGUAGE], pa.string())
    joined["marks"] = marks.cast(QUALITY.schema.field("marks").type)
    joined["extra"] = extra
    return pa.table(joined, schema=QUALITY.schema)
