"""The command as a user types it, over the small corpus, from raw files to a judged and exported model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline import __version__
from pipeline.api import making
from pipeline.cli.main import main
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import StoreError
from pipeline.reading.work import Work
from pipeline.report.compute import compute
from pipeline.report.numbers import Numbers
from pipeline.request.load import load_mixture

DATA = Path(__file__).parents[1] / "data"

TRAIN = """
model: {vocab_size: 76800, n_layers: 1, hidden_size: 16, n_heads: 2, n_kv_heads: 1, intermediate_size: 32, n_loops: 2}
optimiser: {n_steps: 3, peak_lr: 0.01}
data: {sequences_per_step: 2, n_held_out_sequences: 6}
eval: {every_steps: 2, min_group_tokens: 8, n_diagnose_sequences: 2}
run: {device: cpu, n_threads: 1}
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    output = ok("curate", DATA / "mixture.yaml", "--out", folder, "--executor", "inline")
    assert "balance  exact" in output
    assert "in this process" in output
    assert (folder / "report/index.html").exists()
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    pytest.importorskip("torch")
    folder = run.parent
    (folder / "train.yaml").write_text(TRAIN, encoding="utf-8")
    result = call("train", folder / "train.yaml", "--data", run, "--out", folder / "model")
    assert result.exit_code == 3, result.output  # three steps prove no mixture
    output = result.output
    assert "verdict: " in output
    return folder / "model"


def test_run_folder_keeps_a_log_of_each_start_when_curated(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    before = sorted((tmp_path / "run/logs").iterdir())
    ok("curate", DATA / "mixture.yaml", "--out", tmp_path / "run", "--executor", "inline", "--quiet")
    (new,) = set((tmp_path / "run/logs").iterdir()) - set(before)
    first, *_, last = [json.loads(line) for line in new.read_text().splitlines()]
    assert (first["event"], first["mixture"], first["version"]) == ("start", "small-corpus", __version__)
    assert first["host"]
    assert len(first["fingerprint"]) == 32
    assert (last["event"], last["ok"]) == ("end", True)
    steps = [json.loads(line) for line in before[0].read_text().splitlines()]
    assert {"documents", "packed"} <= {e["step"] for e in steps if e["event"] == "step_end"}


def test_password_of_an_address_stays_out_of_the_log_when_a_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["loopmix", "curate", "m.yaml", "--ray-address", "ray://user:secret@head:10001"])
    (tmp_path / "m.yaml").write_text("name: m\nsources: [{name: s, kind: jsonl, path: nothing.jsonl}]\n")
    assert call("curate", tmp_path / "m.yaml", "--out", tmp_path / "run").exit_code == 1
    (log,) = (tmp_path / "run/logs").iterdir()
    start, error, _ = [json.loads(line) for line in log.read_text().splitlines()]
    assert start["command"] == ["loopmix", "curate", "m.yaml", "--ray-address", "ray://...@head:10001"]
    assert (error["event"], error["kind"]) == ("error", "ConfigError")
    assert "nothing.jsonl" in error["message"]


def test_log_is_no_part_of_a_run_when_it_is_checked(run: Path, tmp_path: Path) -> None:
    """Logs alone do not make a folder foreign, and more of them change nothing that is recounted or redone."""
    (tmp_path / "run/logs").mkdir(parents=True)
    (tmp_path / "run/logs/stray.txt").write_text("kept by somebody")
    ok("curate", DATA / "mixture.yaml", "--out", tmp_path / "run", "--executor", "inline", "--quiet")
    assert (tmp_path / "run/manifest.json").exists()
    made = {f["path"] for s in json.loads((run / "manifest.json").read_text())["stages"].values() for f in s["files"]}
    assert not [path for path in made if "logs" in path]
    assert "every promise holds" in ok("verify", tmp_path / "run")


def test_a_report_is_written_before_it_is_printed(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `report RUN | head -1` writes it too."""
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/report")

    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("pipeline.report.terminal.print_report", gone)
    call("report", tmp_path / "run")
    assert (tmp_path / "run/report/index.html").exists()
    shutil.rmtree(tmp_path / "run/report")
    monkeypatch.setattr("pipeline.report.brief.drawn", gone)
    call("curate", DATA / "mixture.yaml", "--out", tmp_path / "run", "--executor", "inline")
    assert (tmp_path / "run/report/index.html").exists()


def test_output_is_json_and_nothing_else_when_asked_for(run: Path, tmp_path: Path) -> None:
    findings = json.loads(ok("verify", run, "--json"))
    assert len(findings) == 15
    assert all(set(f) == {"promise", "kept", "look", "detail"} and f["kept"] is True for f in findings)
    assert ok("report", run, "--json").encode() == (run / "report/report.json").read_bytes()
    found = json.loads(ok("config", DATA / "mixture.yaml", "--json"))
    assert found["name"] == {"value": "small-corpus", "meaning": "shown in the report"}
    assert found["pack"]["value"]["seq_len"]["value"] == 128
    assert found["sources"]["value"][1]["repo"]["value"] == "example/project-with-copies"
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/packed/part-00000-of-00002.arrow").write_bytes(b"")
    broken = call("verify", tmp_path / "run", "--json")
    assert broken.exit_code == 3
    assert {f["kept"] for f in json.loads(broken.stdout)} == {True, False}


def test_example_is_a_shipped_file_when_named_and_all_are_listed_when_not(tmp_path: Path) -> None:
    folder = DATA.parents[1] / "mixture_configs"
    for file in folder.glob("*.yaml"):
        assert ok("config", "--example", file.stem) == file.read_text(encoding="utf-8")
    result = call("config", "--example", "../README")
    assert result.exit_code == 1
    assert all(file.stem in result.output for file in folder.glob("*.yaml"))
    assert call("config").exit_code == 2
    assert call("config", DATA / "mixture.yaml", "--example", "demo").exit_code == 2
    assert call("config", "--example", "demo", "--json").exit_code == 2


def test_control_characters_of_names_stay_out_of_the_terminal_when_printed(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b[31m\x7fb.py"
    file.write_text("import os\n")
    assert "a\\x1b[31m\\x7fb.py" in ok("classify", file)
    (row,) = ok("classify", file, "--json").splitlines()
    assert row.isprintable()
    assert json.loads(row)["path"] == str(file)
    result = call("verify", tmp_path / "no\x1b[2Jthing")
    assert result.exit_code == 1
    assert "no\\x1b[2Jthing" in result.output


def test_a_second_curate_says_that_all_stands(run: Path) -> None:
    output = ok("curate", DATA / "mixture.yaml", "--out", run, "--executor", "inline")
    assert output.count("done before") >= 8


def test_a_second_curate_counts_nothing_and_says_the_same(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = ("curate", DATA / "mixture.yaml", "--out", run, "--executor", "inline")
    page, counted = run / "report/index.html", []
    whole, first = page.read_bytes(), ok(*again)

    def counting(opened: RunFiles, *, model: Path | None = None, work: Work | None = None) -> Numbers:
        counted.append(opened)
        return compute(opened, model=model, work=work)

    monkeypatch.setattr("pipeline.report.count", counting)
    assert ok(*again) == first
    assert "balance  exact" in first
    assert f"report: {page}" in first
    assert not counted
    page.write_bytes(b"another page")
    assert ok(*again) == first
    assert len(counted) == 1
    # Of the record alone, which lists every start, there is more.
    old, new = (
        re.sub(rb'<section id="record".*?</section>', b"", data, flags=re.DOTALL) for data in (whole, page.read_bytes())
    )
    assert old == new


COMMANDS: dict[str, tuple[object, ...]] = {
    "curate": (DATA / "mixture.yaml", "--out", "RUN", "--executor", "inline", "--quiet"),
    "why": ("RUN", "near_duplicate__units_with_onions.py"),
    "trace": ("RUN", "0"),
    "verify": ("RUN", "--quick"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_finished_run_loads_no_kernels(run: Path, command: str) -> None:
    """Kernels and the library that compiles them take half a second to load, and there is nothing to work on."""
    arguments = [command, *(str(run if a == "RUN" else a) for a in COMMANDS[command])]
    code = "import sys; from pipeline.cli.main import main; main(sys.argv[1:], standalone_mode=False); "
    code += "print('loaded', sorted({'numba', 'torch', 'ray', 'pandas', 'fsspec'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "loaded []"


def test_why_names_rule_value_and_keeper(run: Path) -> None:
    path = next(p for p in (DATA / "code").rglob("near_duplicate__*")).name
    output = ok("why", run, path)
    assert "near_duplicate" in output
    assert "kept instead" in output or "keeper" in output
    document = json.loads(ok("why", run, path, "--json").splitlines()[0])
    assert document["keep"] is False
    assert document["similarity"] >= 0.7
    assert document["keeper_path"]
    assert {"confidence", "runner_up", "runner_up_confidence", "content_kind", "name_says"} <= set(document)
    assert ", told by " in output
    assert ", confidence " in output
    (limit,) = document["limits"]
    assert (limit["reason"], limit["key"], limit["value"]) == ("near_duplicate", "near_dups.min_similarity", 0.7)
    assert limit["measured"] == document["similarity"]
    assert limit["source"] and limit["change"].startswith("near_dups: {min_similarity: ")
    assert ", above quality.code.max_line_chars = 1,000 (source: " in ok("why", run, "long_line__word_game.py")
    assert call("why", run, "no/such/file").exit_code == 1


def test_trace_leads_from_a_token_to_its_file(run: Path) -> None:
    pieces = [json.loads(line) for line in ok("trace", run, 0).splitlines()]
    assert pieces[0]["tokens"][0] == 0
    first, last = pieces[-1]["tokens"]
    (piece,) = [json.loads(line) for line in ok("trace", run, 0, last - 1).splitlines()]
    assert piece == pieces[-1]
    document = json.loads(ok("why", run, piece["doc_id"], "--json"))
    assert document["path"] == piece["path"]
    assert 0 in document["sequences"]
    assert call("trace", run, 10**6).exit_code == 1
    assert call("trace", run, 0, 10**6).exit_code == 1
    assert first < last


def test_verify_exits_with_three_when_a_promise_is_broken(run: Path, tmp_path: Path) -> None:
    assert "every promise holds" in ok("verify", run)
    assert "every promise that was recounted holds" in ok("verify", run, "--quick")
    assert {f["kept"] for f in json.loads(ok("verify", run, "--quick", "--json"))} == {True, None}
    shutil.copytree(run, tmp_path / "run")
    victim = sorted((tmp_path / "run/tables/tokens").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-20])
    result = call("verify", tmp_path / "run")
    assert result.exit_code == 3
    assert "BROKEN" in result.output
    assert call("verify", tmp_path / "nothing").exit_code == 1


def test_classify_prints_json_lines(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/usr/bin/env python3\nprint('hi')\n")
    (document,) = [json.loads(line) for line in ok("classify", tmp_path / "tool", "--json").splitlines()]
    assert document | {"confidence": 0} == {
        "path": str(tmp_path / "tool"),
        "pool": "code",
        "language": "Python",
        "confidence": 0,
        "decided_by": "shebang",
        "runner_up": None,
        "runner_up_confidence": None,
        "content_kind": "code",
    }


def test_train_tokenizer_writes_equal_bytes_twice(tmp_path: Path) -> None:
    arguments = ("train-tokenizer", DATA / "mixture.yaml", "--vocab-size", 600, "--sample-bytes", 60_000, "--out")
    ok(*arguments, tmp_path / "one.json")
    ok(*arguments, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert len(json.loads((tmp_path / "one.json").read_text())["model"]["vocab"]) <= 600


def test_train_goes_on_diagnoses_exports_and_reports(run: Path, model: Path) -> None:
    again = call("train", run.parent / "train.yaml", "--data", run, "--out", model).output
    assert "verdict: " in again
    assert len(json.loads(ok("diagnose", model, "--data", run, "--json"))["loops"]) == 2
    ok("export", model, "--out", run.parent / "exported")
    config = json.loads((run.parent / "exported/config.json").read_text())
    assert config["plt_num_loops"] == 2
    assert "held-out loss" in ok("report", run, "--model", model)
    assert "Training" in (run / "report/index.html").read_text(encoding="utf-8")


def test_an_exported_model_is_a_module_that_reads_tokens(run: Path, model: Path) -> None:
    import torch

    import pipeline.plt

    ok("export", model, "--out", run.parent / "exported2")
    module = pipeline.plt.load(run.parent / "exported2")
    tokens_BT = torch.arange(20).reshape(2, 10)
    logits_BTV = module(tokens_BT, torch.zeros_like(tokens_BT))
    assert logits_BTV.shape == (2, 10, 76_800)
    assert torch.isfinite(logits_BTV).all()


def test_training_on_an_unfinished_run_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.yaml").write_text(TRAIN, encoding="utf-8")
    result = call("train", tmp_path / "train.yaml", "--data", tmp_path, "--out", tmp_path / "model")
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_an_address_and_this_machine_exclude_each_other(tmp_path: Path, executor: str) -> None:
    arguments = ("curate", DATA / "mixture.yaml", "--out", tmp_path, "--executor", executor, "--ray-address", "auto")
    assert call(*arguments).exit_code == 2


def test_large_input_gets_a_process_for_each_task_that_fits_and_small_input_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.engine.processes.workers_that_fit", lambda shard_bytes: 3)
    mixture = load_mixture(DATA / "mixture.yaml")

    def where(executor: str, n_bytes: int) -> str:
        with making._workers(executor, None, n_bytes=n_bytes, mixture=mixture) as workers:
            return workers.describe()

    assert where("auto", making.INLINE_BYTES) == "in this process"
    assert where("auto", making.INLINE_BYTES + 1) == "in 3 processes"
    assert where("processes", 1) == "in 3 processes"
    assert where("inline", 10**12) == "in this process"
    monkeypatch.setattr("pipeline.engine.processes.workers_that_fit", lambda shard_bytes: 1)
    assert where("auto", 10**12) == "in this process"


def test_a_report_that_cannot_be_written_is_printed_all_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, path: str, data: object, **options: object) -> None:
        raise StoreError(f"{path}: cannot be written: the disk is read-only")

    whole = ok("report", run, "--json")
    monkeypatch.setattr("pipeline.engine.store.Store.write_bytes", refuse)
    result = call("report", run, "--json")
    assert result.exit_code == 0
    assert result.stdout == whole
    assert "warning: the report was not written: report/report.json: cannot be written" in result.stderr


def test_config_shows_the_numbers_that_follow_the_input_where_it_can_be_read(tmp_path: Path) -> None:
    def written(path: str) -> Path:
        sources = f"[{{name: code, kind: directory, path: {path}}}]"
        (tmp_path / "m.yaml").write_text(f"name: m\nsources: {sources}\npack: {{n_partitions: 7}}\n", encoding="utf-8")
        return tmp_path / "m.yaml"

    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.py").write_text("x = 1\n", encoding="utf-8")
    here = json.loads(ok("config", written("in"), "--json"))["pack"]["value"]
    assert (here["n_shards"]["value"], here["n_partitions"]["value"]) == (1, 7)
    elsewhere = written("s3://bucket/in")
    there = json.loads(ok("config", elsewhere, "--json"))["pack"]["value"]
    assert (there["n_shards"]["value"], there["n_partitions"]["value"]) == (None, 7)
    assert "# note: numbers that are null follow the input; source 'code' is read by a run alone" in ok(
        "config", elsewhere
    )
    assert "which cannot be read" in ok("config", written("nowhere"))
