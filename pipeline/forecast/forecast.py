"""What a mixture will give, before it is run: a run over a sample, and what of it holds for the whole, as data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.config import Columns, Mixture, Source
from pipeline.engine.executor import Executor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store, open_store
from pipeline.errors import ConfigError
from pipeline.forecast.costs import CPU_ERROR, DISK_ERROR, Timed, cpu_hours, disk_draws, timed
from pipeline.forecast.draws import draw_tokens
from pipeline.forecast.mixing import mix_draws
from pipeline.forecast.sampled import SampledInput, read_sample
from pipeline.phased import as_one
from pipeline.recipe import curate
from pipeline.request.load import with_sample
from pipeline.schema import DOCUMENTS, POOLS
from pipeline.targets import Balance, PoolBalance

LEVEL = 90  # percent of the intervals
_Z = 1.645  # a normal number lies within it with that probability
# Of the sample, for telling what grows from what does not. Rates of one key are nested, so a quarter of the sample is
# what a quarter of its rate draws.
_PART = 0.25


@dataclass(frozen=True)
class Interval:
    """The median of the draws, and between which two numbers nine in ten of them lie."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class GroupForecast:
    """A language of the code pool or a source of the text pool."""

    pool: str
    name: str
    n_sampled_docs: int
    n_sampled_units: int  # equal and most near-equal documents are one
    tokens: Interval  # after rules and dedup, each document once
    epochs: Interval | None  # passes over these that the mixture makes; None: no mixture can be made


@dataclass(frozen=True)
class Forecast:
    """All of it. Tokens and epochs of the mixture are None where no draw gives one."""

    name: str
    rate: float
    n_sampled_docs: int
    n_sampled_bytes: int
    n_input_docs: int  # counted, like the bytes: no estimate
    n_input_bytes: int
    groups: tuple[GroupForecast, ...]  # most tokens first
    pools: Mapping[str, Interval]
    mixture_tokens: Interval | None
    limits: Mapping[str, float]  # what ends the mixture's growth: code, text or total_tokens, with its chance
    unmet_frac: float  # chance that less can be made than the mixture asks for
    problem: str | None
    disk_bytes: Interval
    n_cores: int
    cpu_hours: Interval
    wall_hours: Interval  # where all cores are busy all the time


def forecast(mixture: Mixture, *, rate: float, folder: Store, executor: Executor, n_cores: int) -> Forecast:
    """Run the mixture over a sample in `folder`, and scale up. ConfigError where the sample gives no mixture at all."""
    trial = with_sample(_unbound(mixture), rate)
    try:
        curate(Run(folder, trial, executor, silent()))
    except ConfigError as error:
        raise ConfigError(f"forecast: {error}; a larger --sample may hold enough") from error
    run = RunFiles(folder)
    again, part = (_worked_again(run, trial, executor, share) for share in (None, _PART * rate))
    return forecast_of(run, as_one(mixture), again=again, part=part, n_cores=n_cores)


def forecast_of(run: RunFiles, balance: Balance, *, again: Timed, part: Timed, n_cores: int) -> Forecast:
    """The same from a finished run over a sample."""
    sample = read_sample(run)
    drawn = draw_tokens(sample)
    mixed = mix_draws(sample.groups, drawn, balance)
    total = np.nan_to_num(mixed.total)
    disk = disk_draws(run, sample, tokens=drawn.sum(axis=1), total=total)
    hours = cpu_hours(timed(run.manifest), again, part, n_bytes=sample.n_input_bytes)
    cpu = Interval(hours * np.exp(-_Z * CPU_ERROR), hours, hours * np.exp(_Z * CPU_ERROR))
    pool_of = np.array([pool for pool, _ in sample.groups])
    return Forecast(
        name=run.mixture.name,
        rate=sample.sampling.rate,
        n_sampled_docs=len(sample.n_bytes),
        n_sampled_bytes=int(sample.n_bytes.sum()),
        n_input_docs=sample.n_input_docs,
        n_input_bytes=sample.n_input_bytes,
        groups=_groups(sample, drawn, mixed.epochs),
        pools={pool: _interval(drawn[:, pool_of == pool].sum(axis=1)) for pool in POOLS},
        mixture_tokens=_interval_of(mixed.total),
        limits=mixed.limits,
        unmet_frac=mixed.unmet_frac,
        problem=mixed.problem,
        disk_bytes=_widened(_interval(disk), DISK_ERROR),
        n_cores=n_cores,
        cpu_hours=cpu,
        wall_hours=Interval(cpu.low / n_cores, cpu.middle / n_cores, cpu.high / n_cores),
    )


def _groups(
    sample: SampledInput, drawn: np.ndarray, epochs: Mapping[tuple[str, str], np.ndarray]
) -> tuple[GroupForecast, ...]:
    n_docs = np.bincount(sample.group, minlength=len(sample.groups)).tolist()
    pairs = np.unique(np.stack((sample.group, sample.unit)), axis=1)
    n_units = np.bincount(pairs[0], minlength=len(sample.groups)).tolist()
    found = [
        GroupForecast(pool, name, n_docs[i], n_units[i], _interval(drawn[:, i]), _interval_of(epochs[pool, name]))
        for i, (pool, name) in enumerate(sample.groups)
    ]
    return tuple(sorted(found, key=lambda group: (-group.tokens.middle, group.pool, group.name)))


def _interval(draws: np.ndarray) -> Interval:
    edge = (100 - LEVEL) / 2
    low, middle, high = np.percentile(draws, [edge, 50, 100 - edge]).tolist()
    return Interval(low, middle, high)


def _interval_of(draws: np.ndarray) -> Interval | None:
    """Of the draws that have a value."""
    made = draws[~np.isnan(draws)]
    return _interval(made) if made.size else None


def _widened(found: Interval, error: float) -> Interval:
    """An interval whose number is also off by a factor, with that standard deviation of its logarithm."""
    low, high = (np.hypot(np.log(found.middle / edge), _Z * error) for edge in (found.low, found.high))
    return Interval(found.middle * np.exp(-low), found.middle, found.middle * np.exp(high))


def _unbound(mixture: Mixture) -> Mixture:
    """The mixture without what could stop a sample for its small numbers: limits of losses, budgets, shares, caps, and
    the phases, which are forecast as one."""
    code, text = (PoolBalance(parts=pool.parts) for pool in (mixture.balance.code, mixture.balance.text))
    select = mixture.select.model_copy(update={"max_loss": 1.0})
    return mixture.model_copy(update={"select": select, "balance": Balance(code=code, text=text), "phases": ()})


def _worked_again(run: RunFiles, trial: Mixture, executor: Executor, share: float | None) -> Timed:
    """What it costs to work on the sample, or on what a smaller rate draws of it, where all is loaded: its documents
    are read back."""
    sources = tuple(_stored(run, source) for source in trial.sources)
    ingest = trial.ingest.model_copy(update={"sample": share})
    mixture = trial.model_copy(update={"sources": tuple(s for s in sources if s is not None), "ingest": ingest})
    with tempfile.TemporaryDirectory(prefix="loopmix-forecast-") as folder:
        curate(Run(open_store(folder), mixture, executor, silent()))
        return timed(RunFiles(open_store(folder)).manifest)


def _stored(run: RunFiles, source: Source) -> Source | None:
    """A source that reads what the sample holds of another; None where that is nothing."""
    shards = run.shards(DOCUMENTS, columns=["source"])
    names = [
        run.tables.path(DOCUMENTS, shard).rpartition("/")[2]
        for shard, table in enumerate(shards)
        if table.num_rows and table["source"][0].as_py() == source.name
    ]
    if not names:
        return None
    own = {name: name for name in ("content", "path", "repo", "revision", "license", "stars")}
    folder = run.store.full(run.tables.path(DOCUMENTS, 0)).rpartition("/")[0]
    columns = Columns(**own, language="language_label")
    return Source(
        name=source.name, kind="parquet", path=folder, pool=source.pool, columns=columns, include=tuple(names)
    )
