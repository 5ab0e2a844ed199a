"""A forecast holds what the whole run then gives, in its groups, its mixture, its bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from click.testing import CliRunner
from forecast_corpus import write_corpus

from pipeline.cli.main import main
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.forecast.costs import BESIDE_BYTES, Timed, cpu_hours, disk_draws
from pipeline.forecast.draws import _shapes, draw_tokens
from pipeline.forecast.mixing import mix_draws
from pipeline.forecast.sampled import SampledInput, read_sample, rows_of, sample_of
from pipeline.listed import n_bytes_of
from pipeline.recipe import curate
from pipeline.report import write_report
from pipeline.request.load import load_mixture
from pipeline.sources.drawing import drawn
from pipeline.sources.sampling import Sampling
from pipeline.targets import Balance, PoolBalance

N_SEEDS, RATE = 20, 0.1
MIN_UNITS = 20


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), n_files=1_200)


@pytest.fixture(scope="module")
def whole(mixture: Path) -> RunFiles:
    """The run that is forecast."""
    folder = mixture.parent / "whole"
    curate(Run(open_store(str(folder)), load_mixture(mixture), InlineExecutor(), silent()))
    return RunFiles(open_store(str(folder)))


@pytest.fixture(scope="module")
def rows(whole: RunFiles) -> pa.Table:
    return rows_of(whole)


def truth_of(rows: pa.Table) -> dict[tuple[str, str], int]:
    kept = rows.filter(rows["is_kept"])
    sums = kept.group_by(["pool", "group"]).aggregate([("n_tokens", "sum")]).to_pylist()
    return {(row["pool"], row["group"]): row["n_tokens_sum"] for row in sums}


def draw_sample(rows: pa.Table, seed: int, *, rate: float = RATE) -> SampledInput:
    """A sample of the rows of the whole run, with its verdicts: what a run over it says but for pairs that it parts."""
    cells = rows.group_by("cell").aggregate([("n_bytes", "count"), ("n_bytes", "sum")]).to_pylist()
    known = {row["cell"]: (row["n_bytes_count"], row["n_bytes_sum"]) for row in cells}
    sampling = Sampling(rate=rate, key=seed * 7_919 + 11)
    # No pair is parted here, so none is to be made up for.
    rows = rows.set_column(rows.column_names.index("similarity"), "similarity", pa.array(np.zeros(rows.num_rows)))
    return sample_of(rows.filter(pa.array(drawn(rows["unit"].to_numpy(), sampling))), known, sampling=sampling)


def test_intervals_hold_the_truth_in_at_least_18_of_20_seeds(rows: pa.Table) -> None:
    truth = truth_of(rows)
    hits: dict[object, list[bool]] = {}
    for seed in range(N_SEEDS):
        sample = draw_sample(rows, seed)
        draws = draw_tokens(sample)
        found = {group: draws[:, i] for i, group in enumerate(sample.groups)}
        pools = {pool: [n for name, n in found.items() if name[0] == pool] for pool in ("code", "text")}
        wanted: dict[object, tuple[np.ndarray, int]] = {
            pool: (np.sum(mine, axis=0), sum(n for name, n in truth.items() if name[0] == pool))
            for pool, mine in pools.items()
        }
        units = {g: len({*sample.unit[sample.group == i].tolist()}) for i, g in enumerate(sample.groups)}
        wanted |= {g: (found[g], n) for g, n in truth.items() if units.get(g, 0) >= MIN_UNITS}
        for name, (mine, right) in wanted.items():
            low, high = np.percentile(mine, [5, 95])
            hits.setdefault(name, []).append(bool(low <= right <= high))
    assert len(hits) >= 4
    assert all(sum(found) >= len(found) - 2 for found in hits.values()), {k: sum(v) for k, v in hits.items()}


def test_a_near_duplicate_stands_for_those_whose_keeper_was_not_drawn() -> None:
    """At a similarity of .8 one in five looks kept: for four that are seen, one is taken off."""
    columns = {"unit": [1, 2], "cell": ["s/1/5"] * 2, "pool": ["code"] * 2, "group": ["C"] * 2}
    columns |= {"n_bytes": [300, 300], "n_tokens": [100, 0], "is_kept": [True, False], "similarity": [0.0, 0.8]}
    units = pa.array(columns.pop("unit"), pa.uint64())
    sample = sample_of(pa.table({**columns, "unit": units}), {"s/1/5": (20, 6_000)}, sampling=Sampling(rate=0.1, key=1))
    assert sample.n_tokens.tolist() == [100, -25]
    assert np.median(draw_tokens(sample)[:, 0]) < 1_000  # half of the input would be


def test_weights_vary_more_where_little_was_drawn(rows: pa.Table) -> None:
    """As in the plain bootstrap where there is much: of variance 1, and twice that at a dozen units."""
    sample = draw_sample(rows, 0)
    n_units = int(sample.unit.max()) + 1
    stratum = np.zeros(sample.unit.size, np.int64)
    stratum[np.isin(sample.unit, np.arange(12))] = 1
    shape = _shapes(replace(sample, group=np.zeros_like(sample.group)), stratum)
    assert shape[:12].tolist() == [0.5] * 12
    assert shape[12:].tolist() == [(n_units - 12) / n_units] * (n_units - 12)


def test_a_larger_sample_says_it_more_narrowly(rows: pa.Table) -> None:
    width = {}
    for rate in (0.05, 0.4):
        draws = [draw_tokens(draw_sample(rows, seed, rate=rate)).sum(axis=1) for seed in range(5)]
        width[rate] = np.mean([np.subtract(*np.percentile(one, [95, 5])) for one in draws])
    assert width[0.4] < width[0.05] / 2


def test_a_real_sample_says_what_a_sample_of_the_verdicts_says(mixture: Path, rows: pa.Table, tmp_path: Path) -> None:
    """The whole command: read, sampled, worked on, scaled up. Equal documents are dropped in it as in the whole run."""
    done = CliRunner().invoke(
        main, ["forecast", str(mixture), "--sample", "0.2", "--cores", "4", "--out", str(tmp_path / "run"), "--json"]
    )
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    truth = truth_of(rows)
    assert made["n_input_docs"] == rows.num_rows and made["n_input_bytes"] == pc.sum(rows["n_bytes"]).as_py()
    for pool, found in made["pools"].items():
        right = sum(n for name, n in truth.items() if name[0] == pool)
        assert 0.7 * right < found["low"] < right < found["high"] < 1.4 * right
    assert made["cpu_hours"]["low"] > 0 and made["wall_hours"]["high"] * 4 == pytest.approx(made["cpu_hours"]["high"])
    real = read_sample(RunFiles(open_store(str(tmp_path / "run"))))
    inside = rows.filter(pa.array(drawn(rows["unit"].to_numpy(), real.sampling)))
    assert real.n_bytes.sum() == pc.sum(inside["n_bytes"]).as_py()
    assert abs(real.is_kept.sum() - pc.sum(inside["is_kept"]).as_py()) <= 0.02 * inside.num_rows


def test_bytes_on_disk_are_held(mixture: Path, whole: RunFiles, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main, ["forecast", str(mixture), "--sample", "0.3", "--json", "--out", str(tmp_path / "run")]
    )
    found = json.loads(done.output)["disk_bytes"]
    write_report(whole)
    folder, made = Path(whole.store.root), whole.manifest["stages"].values()
    right = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert found["low"] < right < found["high"]
    n_tokenizer = (folder / "tokenizer.json").stat().st_size
    beside = right - sum(n_bytes_of(entry) for entry in made) - n_tokenizer
    assert BESIDE_BYTES[0] < beside < BESIDE_BYTES[1]
    # Where the sample is all there is, nothing is scaled.
    trial = RunFiles(open_store(str(tmp_path / "run")))
    sample = read_sample(trial)
    every = replace(sample, n_input_docs=len(sample.n_bytes), n_input_bytes=int(sample.n_bytes.sum()))
    tokens = np.full(3, sample.n_tokens[sample.is_kept].sum())
    total = np.full(3, trial.manifest["stages"]["packed"]["counts"]["n_tokens"])
    stored = sum(n_bytes_of(entry) for entry in trial.manifest["stages"].values())
    edges = disk_draws(trial, every, tokens=tokens, total=total)[[0, 2]] - stored - n_tokenizer
    assert edges == pytest.approx(BESIDE_BYTES, abs=2)


def test_forecast_is_printed_within_80_columns(mixture: Path) -> None:
    done = CliRunner().invoke(main, ["forecast", str(mixture), "--sample", "0.1", "--cores", "2"])
    assert done.exit_code == 0, done.output
    assert [line for line in done.output.splitlines() if len(line) > 80] == []
    assert "Python" in done.output and "limited by" in done.output


GROUPS = [("code", "C"), ("code", "Rust"), ("text", "prose")]


def mixed(**config: object):  # type: ignore[no-untyped-def]
    drawn_tokens = np.array([[600.0, 200.0, 1_000.0], [500.0, 100.0, 1_000.0]])
    return mix_draws(GROUPS, drawn_tokens, Balance(**config))  # type: ignore[arg-type]


def test_mixture_is_what_the_balance_makes_of_each_draw() -> None:
    # Without a total the larger pool is not shrunk beyond what copies of the smaller can match.
    assert mixed().total.tolist() == [1_600, 1_200]
    assert mixed().limits == {"code": 1.0, "text": 0.0, "total_tokens": 0.0}
    asked = mixed(total_tokens=1_400)
    assert asked.total.tolist() == [1_400, 1_200] and asked.unmet_frac == 0.5
    assert asked.limits == {"code": 0.5, "text": 0.0, "total_tokens": 0.5}


def test_epochs_follow_wanted_shares() -> None:
    made = mixed(total_tokens=800, code=PoolBalance(shares={"C": 1, "Rust": 1}))
    assert made.epochs["code", "Rust"].tolist() == [1.0, 1.0]
    assert made.epochs["code", "C"].tolist() == [200 / 600, 300 / 500]
    assert made.epochs["text", "prose"].tolist() == [0.4, 0.4]


def test_a_mixture_that_no_draw_gives_is_said(mixture: Path) -> None:
    made = mixed(code=PoolBalance(shares={"Go": 1}))
    assert np.isnan(made.total).all() and made.unmet_frac == 1 and "names Go alone" in str(made.problem)


def test_hours_grow_with_the_input_and_take_the_price_of_shards_apart() -> None:
    first = Timed(n_bytes=10, n_shards=4, reading=7.0, rest=30.0)
    again, part = Timed(10, 4, 2.0, 14.0), Timed(5, 4, 1.5, 9.0)
    # 1 s a byte, 4 s for four shards, 16 s to begin, 7 s to read and .1 s for each byte to store, of which half.
    assert cpu_hours(first, again, part, n_bytes=110) * 3_600 == pytest.approx(110 + 4 + 16 + 7 + 0.1 * 100 / 2)
