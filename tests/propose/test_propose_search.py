"""The whole search: with planted scores, with real trainings, cut short and resumed, told and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from propose_runs import PlantedExecutor, search_run, small_options, write_tokenizer

from pipeline.cli.main import main
from pipeline.engine.executor import InlineExecutor
from pipeline.errors import CheckpointError, ConfigError
from pipeline.propose import propose, training
from pipeline.propose.frame import n_trainings, prepare
from pipeline.propose.training import MixtureSpec, read_shares, run_training, write_held_out
from pipeline.report.proposal import lines, render, shares_yaml, write_page
from pipeline.results import read_proposal


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return search_run(folder / "run"), write_tokenizer(folder)


def python_gains(shares):
    """Losses in the order C, Python, books, notes or by size; only one code group gains from more of it."""
    return np.array([3.0, 3.0, 3.0, 3.0]) - np.array([0.0, 0.3, 0.02, 0.02]) * np.log(shares)


def test_search_when_a_gain_is_planted_confirms_it_with_new_seeds_and_documents(tmp_path, made):
    run, tokenizer = made
    executor = PlantedExecutor(python_gains, noise=0.002)
    options = small_options(tokenizer, n_mixtures=15, n_confirm_seeds=4, budget=40 * 40 * 2 * 64)
    told = []
    found = propose(
        run, out=tmp_path / "p", options=options, executor=executor, on_training=lambda *of: told.append(of)
    )
    assert found.outcome == "confirmed" and "gain" in found.message
    second = found.groups[1]
    assert second.pool == "code" and second.proposed > second.natural
    assert second.low <= second.proposed <= second.high
    assert [(c.first, c.second, c.is_gain) for c in found.comparisons] == [("proposed", "natural", True)]
    assert found.n_trainings == 15 + 9 + 8 == len(told) == len(found.trainings)
    assert told[-1][1:] == (32, 32)
    assert [t.name for t in found.trainings[:2]] == ["search-000", "search-001"]
    confirms = [s for s in executor.specs if s.name.startswith("confirm")]
    assert {s.held_out for s in confirms} == {1, 2, 3, 4}
    assert {s.held_out for s in executor.specs if s not in confirms} == {0}
    seeds = {
        kind: {s.seed for s in executor.specs if s.name.startswith(kind)} for kind in ("search", "noise", "confirm")
    }
    assert [len(of) for of in seeds.values()] == [1, 3, 4], "mixtures that are compared share their seeds"
    assert len(set().union(*seeds.values())) == 8, "and the confirmation has new ones"
    assert found.paired_noise < 0.02 < min(n.deviation for n in found.noise)
    assert found.noise[0].name == "natural" and [n.n_trainings for n in found.noise] == [4, 4, 4]
    assert all(g.epochs <= options.max_epochs + 1e-6 for g in found.groups)
    assert read_proposal(tmp_path / "p") == found
    mixture = yaml.safe_load(shares_yaml(found))["balance"]
    assert mixture["code"]["shares"][second.group] == pytest.approx(100 * second.proposed, abs=0.01)
    assert mixture["max_copies"] == int(np.ceil(max(g.epochs for g in found.groups) - 1e-6))


def test_search_when_nothing_is_planted_recommends_the_natural_shares(tmp_path, made):
    run, tokenizer = made
    for seed in range(3):
        options = small_options(tokenizer, n_mixtures=10, seed=seed, budget=40 * 40 * 2 * 64)
        executor = PlantedExecutor(lambda shares: np.full(4, 3.0), noise=0.01)
        found = propose(run, out=tmp_path / f"p{seed}", options=options, executor=executor)
        assert found.outcome != "confirmed" and "No gain shown" in found.message
        balance = yaml.safe_load(shares_yaml(found))["balance"]
        natural = {g.group: round(100 * g.natural, 2) for g in found.groups if g.pool == "code"}
        assert balance["code"]["shares"] == natural and balance["max_copies"] == 1


def test_search_for_one_target_must_beat_the_trivial_rule_too(tmp_path, made):
    run, tokenizer = made

    def helped(shares):
        """The first group is the target: it gains from its own share, and as much from the second group's."""
        losses = np.full(4, 3.0)
        losses[0] -= 0.2 * np.log(shares[0]) + 0.4 * np.log(shares[1] + 0.02)
        return losses

    names = [g.key for g in prepare(run, out=tmp_path, options=small_options(tokenizer)).source.groups.each]
    options = small_options(
        tokenizer, n_mixtures=15, n_confirm_seeds=4, target=(f"{names[0]}=1",), budget=50 * 40 * 2 * 64
    )
    executor = PlantedExecutor(helped, noise=0.002)
    found = propose(run, out=tmp_path / "p", options=options, executor=executor)
    assert [c.second for c in found.comparisons] == ["natural", "own-share"]
    assert found.outcome == "confirmed"
    assert found.groups[0].own_share > found.groups[0].natural > found.groups[0].proposed


def test_search_when_one_comparison_is_no_gain_claims_nothing(tmp_path, made, monkeypatch):
    run, tokenizer = made
    executor = PlantedExecutor(python_gains, noise=0.0)
    options = small_options(tokenizer, n_mixtures=15, budget=40 * 40 * 2 * 64)
    plain = executor.map

    def worse(task, items, *, name):
        for item, scores in plain(task, items, name=name):
            harm = 0.5 if "proposed" in item[1].name else 0.0
            yield item, replace(scores, bits_per_byte=tuple(b + harm for b in scores.bits_per_byte))

    monkeypatch.setattr(executor, "map", worse)
    found = propose(run, out=tmp_path / "p", options=options, executor=executor)
    assert found.outcome == "not confirmed" and "Keep the natural shares" in found.message
    assert "worse" in found.comparisons[0].message


def test_training_cut_short_goes_on_and_leaves_the_same_scores(tmp_path, made, monkeypatch):
    run, tokenizer = made
    results = []
    for name in ("whole", "cut"):
        frame = prepare(run, out=tmp_path / name, options=small_options(tokenizer))
        write_held_out(frame.plan)
        spec = MixtureSpec("search-001", tuple(frame.mixtures[1].tolist()), seed=5, held_out=0)
        if name == "cut":
            with monkeypatch.context() as patch:
                patch.setattr(training, "_score", _stop)
                with pytest.raises(KeyboardInterrupt):
                    run_training(frame.plan, (0, spec))
            assert (tmp_path / name / "trainings" / "search-001" / "model" / "checkpoints").is_dir()
        results.append(run_training(frame.plan, (0, spec)))
        folder = tmp_path / name / "trainings" / "search-001"
        assert [p.name for p in folder.iterdir()] == ["scores.json"], "streams and models do not pile up"
        assert run_training(frame.plan, (0, spec)) == results[-1], "read, not trained again"
        with pytest.raises(CheckpointError, match="another mixture"):
            run_training(frame.plan, (0, replace(spec, seed=6)))
    assert results[0] == results[1]
    other = run_training(frame.plan, (1, replace(spec, name="confirm-x-1", held_out=1)))
    assert other.read_shares == results[0].read_shares and other.bits_per_byte != results[0].bits_per_byte
    asked, read = np.array(spec.shares), np.array(results[0].read_shares)
    n_rows = frame.plan.config.optimiser.n_steps * 2
    assert np.abs(asked - read).max() <= 6 / n_rows, "a few sequences lie beyond the budget"
    layout = training.layout_of(frame.plan, spec)
    assert layout.n_rows == n_rows and read_shares(frame.source, layout) == pytest.approx(read)
    assert all(0 < score < 12 for score in results[0].bits_per_byte)


def _stop(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_search_when_killed_goes_on_and_ends_with_the_same_bytes(tmp_path, made):
    run, tokenizer = made
    options = small_options(tokenizer)
    whole = propose(run, out=tmp_path / "whole", options=options, executor=InlineExecutor())
    assert whole.n_trainings in (6 + 9, 6 + 9 + 4)
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(json.loads(options.config.model_dump_json(exclude_unset=True))))
    line = [
        *(sys.executable, "-m", "pipeline", "propose", str(run), "--out", str(tmp_path / "cut")),
        *("--groups", "4", "--budget", str(options.budget), "--mixtures", "6", "--confirm-seeds", "2"),
        *("--config", str(config), "--tokenizer", str(tokenizer), "--workers", "2"),
    ]
    started = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "cut").glob("trainings/*/scores.json")):
        assert started.poll() is None
        time.sleep(0.05)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    while True:  # the workers end by themselves; until then they hold their model folders
        done = subprocess.run(line, capture_output=True, text=True)
        if "another process trains into this folder" not in done.stderr:
            break
        time.sleep(0.2)
    assert done.returncode == 0, done.stderr
    for name in ("proposal.json", "plan.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_folder_of_another_search_is_refused(tmp_path, made):
    run, tokenizer = made
    options = small_options(tokenizer, n_mixtures=6)
    executor = PlantedExecutor(lambda shares: np.full(4, 3.0), noise=0.01)
    propose(run, out=tmp_path / "p", options=options, executor=executor)
    with pytest.raises(CheckpointError, match=r"another search .*seed: was 0, is 1"):
        propose(run, out=tmp_path / "p", options=replace(options, seed=1), executor=executor)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"plan\.json is missing"):
        propose(run, out=tmp_path / "full", options=options, executor=executor)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_options_that_cannot_be_met_are_refused_before_anything_is_written(tmp_path, made):
    run, tokenizer = made
    for changes, message in (
        ({"budget": 1000}, r"--budget 1000: \d+ trainings get 0 steps"),
        ({"n_mixtures": 4}, "--mixtures 4: 4 groups need at least 6"),
        ({"n_confirm_seeds": 100}, "documents"),
    ):
        with pytest.raises(ConfigError, match=message):
            prepare(run, out=tmp_path / "p", options=small_options(tokenizer, **changes))
    with pytest.raises(ConfigError, match="give --tokenizer"):
        prepare(run, out=tmp_path / "p", options=small_options(None))
    frame = prepare(run, out=tmp_path / "p", options=small_options(tokenizer, n_mixtures=None, budget=200_000))
    assert len(frame.mixtures) == 3 * (4 + 1), "three for each group and three more"
    steps = frame.plan.config.optimiser.n_steps
    assert n_trainings(frame) * steps * 2 * 64 <= frame.options.budget
    assert not (tmp_path / "p").exists()


def test_run_of_one_group_a_pool_has_nothing_to_search(tmp_path, made):
    from plt.plt_runs import make_documents, pack_rows, write_rows

    rows = pack_rows(make_documents(("Python",), n_tokens=2000, seed=1), pool="code", seq_len=64)
    alone = write_rows(tmp_path / "alone", rows, seq_len=64)
    with pytest.raises(ConfigError, match="no pool is divided"):
        prepare(alone, out=tmp_path / "p", options=small_options(made[1], n_groups=1))


def test_command_prints_tables_of_eighty_columns_and_json_alone(tmp_path, made, monkeypatch):
    run, tokenizer = made
    monkeypatch.setattr(
        "pipeline.cli.proposing._executor",
        lambda *of: __import__("contextlib").nullcontext(PlantedExecutor(python_gains, noise=0.002)),
    )
    line = ["propose", str(run), "--groups", "4", "--budget", "1500000", "--out", str(tmp_path / "p")]
    line += ["--tokenizer", str(tokenizer), "--mixtures", "15"]
    shown = CliRunner().invoke(main, line, catch_exceptions=False)
    assert shown.exit_code == 0 and "CONFIRMED" in shown.output, shown.output
    tables = [row for row in shown.output.splitlines() if not row.startswith(("CONFIRMED", "page:"))]
    assert max(map(len, tables)) <= 80
    asked = CliRunner().invoke(main, [*line, "--json"], catch_exceptions=False)
    assert json.loads(asked.stdout) == json.loads((tmp_path / "p" / "proposal.json").read_text())
    page = (tmp_path / "p" / "index.html").read_text()
    assert "<script" not in page and "better shares?" in page
    for bad, message in (
        (["--groups", "0"], "0 is not in the range"),
        (["--groups", "9"], "the run has 4 groups"),
        (["--spread", "1"], "expected a number above 1"),
        (["--workers", "2", "--ray-address", "auto"], "the cluster decides"),
    ):
        monkeypatch.undo()
        refused = CliRunner().invoke(main, [*line, *bad])
        assert refused.exit_code in (1, 2) and message in refused.output


def test_page_escapes_names_and_tells_every_outcome(tmp_path, made):
    run, tokenizer = made
    options = small_options(tokenizer, n_mixtures=15, budget=900_000)
    found = propose(run, out=tmp_path / "p", options=options, executor=PlantedExecutor(python_gains, noise=0.002))
    hostile = replace(found, groups=(replace(found.groups[0], group="<b>&"), *found.groups[1:]))
    page = render(hostile).decode()
    assert "<b>&" not in page and "&lt;b&gt;&amp;" in page
    assert write_page(found, tmp_path / "p").read_bytes() == render(found)
    assert "natural" in "\n".join(lines(found))


def test_module_imports_no_torch_before_it_is_needed():
    code = "import sys, pipeline.cli.main, pipeline.report.proposal; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "False"
