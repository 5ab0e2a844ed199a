"""Checkpoints: how many stay, what happens to damaged ones, signals, longer runs, and warm starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest
from plt_runs import make_run, tiny_config, write_tokenizer

from pipeline.errors import CheckpointError, ConfigError, StoppedError
from pipeline.plt import Noted, Started, Stepped, export, load, train
from pipeline.plt.checkpoint import read_counters
from pipeline.plt.optimiser import learning_rate

CONFIG = tiny_config(model={"n_layers": 1})
STATE = ("model.safetensors", "optimiser.safetensors", "config.json", "state.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a model that is done with it; tests copy the model."""
    folder = tmp_path_factory.mktemp("trained")
    make_run(folder / "run")
    train(CONFIG, data=folder / "run", out=folder / "model")
    return folder


def _names(out: Path) -> list[str]:
    return sorted(p.name for p in (out / "checkpoints").iterdir())


def _files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if "tfevents" not in name}


def _notes(events: list) -> list[str]:
    return [e.message for e in events if isinstance(e, Noted)]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("keep", "steps"), [(1, [8]), (2, [6, 8]), (3, [3, 6, 8])])
def test_checkpoints_when_training_goes_on_only_the_newest_stay(run, tmp_path, keep, steps):
    train(tiny_config(run={"keep_checkpoints": keep}), data=run, out=tmp_path / "model")
    assert _names(tmp_path / "model") == [f"step-{step:08d}" for step in steps]
    train(tiny_config(run={"keep_checkpoints": 1}), data=run, out=tmp_path / "model")
    assert _names(tmp_path / "model") == ["step-00000008"], "their number is no part of the model"


@pytest.mark.parametrize("name", STATE)
@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink])
def test_training_when_the_newest_checkpoint_is_damaged_goes_on_from_the_one_before(trained, tmp_path, name, damage):
    out, events = Path(copytree(trained / "model", tmp_path / "model")), []
    expected = _files(out)
    damage(out / "checkpoints" / "step-00000008" / name)
    left = _files(out / "checkpoints" / "step-00000008")
    train(CONFIG, data=trained / "run", out=out, on_event=events.append)
    assert next(e for e in events if isinstance(e, Started)).first_step == 6
    (note,) = (n for n in _notes(events) if "step-00000008" in n)
    assert name in note and "going on from an earlier checkpoint" in note
    aside = out / "checkpoints" / "damaged-step-00000008"
    assert str(aside) in note and _files(aside) == left
    found = {key: value for key, value in _files(out).items() if "damaged-" not in key}
    assert found == expected, "what was lost is done again, to the same bytes"


@pytest.mark.parametrize("name", STATE)
def test_training_when_no_checkpoint_is_sound_is_refused(trained, tmp_path, name):
    out = Path(copytree(trained / "model", tmp_path / "model"))
    for checkpoint in (out / "checkpoints").iterdir():
        _cut(checkpoint / name)
    before = _files(out)
    with pytest.raises(CheckpointError, match=rf"step-00000008/{name}: .*no other checkpoint is sound; delete .*model"):
        train(CONFIG, data=trained / "run", out=out)
    assert _files(out) == before
    with pytest.raises(CheckpointError, match=rf"{name}: .*run `loopmix train` again"):
        load(out)


def test_training_when_its_metrics_lost_their_end_goes_on_from_the_checkpoint_that_has_less(trained, tmp_path):
    out, events = Path(copytree(trained / "model", tmp_path / "model")), []
    expected = (out / "metrics.jsonl").read_bytes()
    _cut(out / "metrics.jsonl")
    train(CONFIG, data=trained / "run", out=out, on_event=events.append)
    assert next(e for e in events if isinstance(e, Started)).first_step == 6
    assert (out / "metrics.jsonl").read_bytes() == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_training_when_a_signal_comes_saves_after_the_step_and_goes_on_to_the_same_bytes(trained, tmp_path, number):
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]

    def ask(event):
        if isinstance(event, Stepped) and event.step.step == 4:
            os.kill(os.getpid(), number)

    out, run = tmp_path / "model", trained / "run"
    said = rf"{number.name}: stopped after step 4 of 8; .*step-00000004 is saved"
    with pytest.raises(StoppedError, match=said) as stop:
        train(CONFIG, data=run, out=out, on_event=ask)
    assert stop.value.exit_code == 128 + number
    assert _names(out)[-1] == "step-00000004"
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    train(CONFIG, data=run, out=out)
    assert _files(out) == _files(trained / "model")


def test_training_when_the_signal_comes_twice_ends_at_once(run, tmp_path):
    def ask_twice(event):
        if isinstance(event, Stepped) and event.step.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(), data=run, out=tmp_path / "model", on_event=ask_twice)
    assert _names(tmp_path / "model") == ["step-00000003"]
    assert train(tiny_config(), data=run, out=tmp_path / "model").record.n_steps == 8


_ASKED_BY_THE_SYSTEM = """
import os, signal, sys
from pipeline.plt import Stepped
import pipeline.plt.narrate as narrate
really = narrate.event_lines
def lines(event):
    if isinstance(event, Stepped) and event.step.step == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return really(event)
narrate.event_lines = lines
from pipeline.cli.main import main
main(["train", *sys.argv[1:]])
"""


def test_command_when_it_gets_sigterm_says_where_it_stopped_and_how_to_go_on(run, tmp_path):
    (tmp_path / "train.yaml").write_text(tiny_config().model_dump_json(exclude_unset=True))  # JSON is YAML
    line = [str(tmp_path / "train.yaml"), "--data", str(run), "--out", str(tmp_path / "model")]
    done = subprocess.run(
        [sys.executable, "-c", _ASKED_BY_THE_SYSTEM, *line], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "SIGTERM: stopped after step 2 of 8" in last and "run the same line again to go on" in last
    assert "Traceback" not in done.stderr


def test_training_when_given_more_steps_goes_on_and_says_what_becomes_of_the_rate(run, tmp_path):
    out, events = tmp_path / "model", []
    short, long = tiny_config(n_steps=6), tiny_config(n_steps=10)
    first = train(short, data=run, out=out).record
    record = train(long, data=run, out=out, on_event=events.append).record
    assert [s.step for s in record.steps] == list(range(1, 11)) and record.n_wanted_steps == 10
    assert record.steps[:6] == first.steps
    assert [s.lr for s in record.steps[6:]] == [learning_rate(k, config=long.optimiser) for k in range(6, 10)]
    (note,) = (n for n in _notes(events) if "n_steps" in n)
    now, then = (f"{learning_rate(6, config=c.optimiser):.3g}" for c in (long, short))
    assert "6 -> 10" in note and f"the learning rate is {now} where the shorter run had {then}" in note
    assert record.n_tokens == train(long, data=run, out=tmp_path / "at_once").record.n_tokens
    with pytest.raises(CheckpointError, match=r"optimiser.n_steps was 10, is 6; .*not with fewer"):
        train(short, data=run, out=out)
    events.clear()
    train(long, data=run, out=out, on_event=events.append)
    assert not [n for n in _notes(events) if "n_steps" in n], "it is said once"


def test_training_when_it_starts_from_other_weights_has_them_and_a_fresh_stream(run, tmp_path):
    first = train(tiny_config(), data=run, out=tmp_path / "first").record
    export(tmp_path / "first", out=tmp_path / "export")
    newest = tmp_path / "first" / "checkpoints" / "step-00000008"
    for number, source in enumerate((tmp_path / "first", newest, tmp_path / "export")):
        events, out = [], tmp_path / str(number)
        config = tiny_config(run={"warm_start": str(source)})
        record = train(config, data=run, out=out, on_event=events.append).record
        assert record.evaluations[0].loss == pytest.approx(first.evaluations[-1].loss, rel=1e-5)
        assert (record.steps[0].n_code_tokens, record.steps[0].lr) == (
            first.steps[0].n_code_tokens,
            learning_rate(0, config=config.optimiser),
        )
        assert any("first weights from" in n for n in _notes(events))
    again: list = []
    (tmp_path / "export").rename(tmp_path / "gone")
    train(config, data=run, out=out, on_event=again.append)
    assert not any("first weights" in n for n in _notes(again)), "a run that goes on has weights of its own"


def test_warm_start_when_it_cannot_be_is_refused(run, tmp_path):
    tokenizer = write_tokenizer(tmp_path)
    train(tiny_config(n_steps=3), data=run, out=tmp_path / "first", tokenizer=tokenizer)

    def start(source, **model):
        config = tiny_config(n_steps=3, model=model, run={"warm_start": str(source)})
        return train(config, data=run, out=tmp_path / f"m{len(list(tmp_path.iterdir()))}", tokenizer=given)

    given = tokenizer
    with pytest.raises(CheckpointError, match=r"run\.warm_start: .*embed_tokens.*another model"):
        start(tmp_path / "first", hidden_size=64)
    with pytest.raises(CheckpointError, match=r"warm_start: .*4 tensors missing|warm_start: .*unknown"):
        start(tmp_path / "first", n_loops=1)
    with pytest.raises(CheckpointError, match=r"warm_start: .*run holds neither train\.json nor config\.json"):
        start(run)
    given = write_tokenizer(run, length=2)
    with pytest.raises(ConfigError, match=r"warm_start: .*another tokenizer"):
        start(tmp_path / "first")
    given.unlink()
    given = tokenizer
    _flip(tmp_path / "first" / "checkpoints" / "step-00000003" / "model.safetensors")
    with pytest.raises(CheckpointError, match="damaged: sha256"):
        start(tmp_path / "first")


def test_warm_start_when_settings_differ_says_which(run, tmp_path):
    train(tiny_config(n_steps=1), data=run, out=tmp_path / "first")
    events: list = []
    config = tiny_config(n_steps=1, model={"rope_theta": 5e5}, run={"warm_start": str(tmp_path / "first")})
    train(config, data=run, out=tmp_path / "second", on_event=events.append)
    assert any("model.rope_theta 10000.0 -> 500000.0" in n for n in _notes(events))


def test_state_when_any_of_its_bytes_is_damaged_is_not_believed(trained, tmp_path):
    checkpoint = Path(copytree(trained / "model" / "checkpoints" / "step-00000008", tmp_path / "one"))
    path = checkpoint / "state.json"
    content = path.read_bytes()
    for at in range(len(content) - 1):  # the last one is the newline
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        if content[at : at + 1].isspace():
            continue
        with pytest.raises(CheckpointError, match="damaged"):
            read_counters(checkpoint)


def test_checkpoint_when_read_counts_the_sequences_taken(trained):
    progress = read_counters(trained / "model" / "checkpoints" / "step-00000008").progress
    assert (progress.step, progress.n_sequences) == (8, 32)
