"""Numbers of plug-ins and scorers: the column `extra` of table `quality`."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.errors import StageError
from pipeline.filters import Measuring, Scorer
from pipeline.installed import refuse_other_version
from pipeline.quality.plugins import find_plugin, measure_with
from pipeline.quality.scorers import scores_of
from pipeline.quality.settings import SHOWN, MeasuringWith
from pipeline.schema import QUALITY


def extra_column(
    documents: pa.Table, *, config: Measuring, sound: np.ndarray, language: np.ndarray, pool: np.ndarray
) -> pa.Array:
    """The column `extra` of one shard; `sound` are the documents that are neither blank nor damaged.

    A document has no number of a scorer that is not for it. StageError where a plug-in or model fails.
    """
    if not config.plugins and not config.scorers:
        return pa.nulls(documents.num_rows, QUALITY.schema.field("extra").type)
    assert isinstance(config, MeasuringWith), "measuring_with says which plug-ins and models are meant"
    columns: dict[str, np.ndarray] = {}
    owner: dict[str, str] = {}
    shown = documents.select([name for name in SHOWN if name in documents.column_names])
    shown = shown.append_column("language", pa.array(language.tolist(), pa.string()))
    shown = shown.append_column("pool", pa.array(pool.tolist(), pa.string()))
    for who, name, values in (*_plugged_in(shown, config), *_scored(shown, config, sound, language, pool)):
        if name in owner:
            raise StageError(f"{who} and {owner[name]} both give extra.{name}; rename one")
        owner[name], columns[name] = who, values
    return _as_map(columns, n=documents.num_rows)


def _plugged_in(documents: pa.Table, config: MeasuringWith) -> Iterator[tuple[str, str, np.ndarray]]:
    """Who gives it, name, and numbers with NaN for nothing."""
    for name, version in zip(config.plugins, config.plugin_versions, strict=True):
        plugin = find_plugin(name)
        refuse_other_version(plugin, version, where="quality.plugins")
        for column, values in measure_with(plugin, documents).items():
            yield f"plug-in {name}", column, values


def _scored(
    documents: pa.Table, config: MeasuringWith, sound: np.ndarray, language: np.ndarray, pool: np.ndarray
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Who gives it, name, and numbers with NaN for nothing."""
    for scorer, file_hash in zip(config.scorers, config.scorer_hashes, strict=True):
        rows = np.flatnonzero(_wanted(scorer, sound=sound, language=language, pool=pool))
        values = np.full(documents.num_rows, np.nan)
        texts = documents["content"].take(pa.array(rows)).to_pylist()
        values[rows] = scores_of(scorer, texts, file_hash=file_hash)
        yield f"scorer {scorer.name}", scorer.name, values


def _wanted(scorer: Scorer, *, sound: np.ndarray, language: np.ndarray, pool: np.ndarray) -> np.ndarray:
    wanted = sound.copy()
    if scorer.pool is not None:
        wanted &= pool == scorer.pool
    if scorer.languages:
        wanted &= np.isin(language, scorer.languages)
    return wanted


def _as_map(columns: dict[str, np.ndarray], *, n: int) -> pa.MapArray:
    """One map a document, its names in order; what is NaN has no entry."""
    names = sorted(columns)
    values = np.stack([columns[name] for name in names], axis=1) if names else np.zeros((n, 0))
    row, column = np.nonzero(~np.isnan(values))
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n))))
    keys = pa.array(names, pa.string()).take(pa.array(column))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, pa.array(values[row, column]))
