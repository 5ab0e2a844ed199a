"""What a user asks of `curate` and what the terminal answers, over a few files."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from handmade import digests

from pipeline.cli.main import main

MIXTURE = """\
name: asked
sources:
  - {name: repos, kind: directory, path: code, pool: code}
  - {name: books, kind: directory, path: text, pool: text}
pack: {seq_len: 64, n_shards: 1, n_partitions: 1}
exact_dups: {n_partitions: 1}
near_dups: {n_partitions: 1}
select: {n_partitions: 1}
"""
WORDS = ("river", "stone", "winter", "market", "letter", "garden", "bridge", "candle", "harbour", "meadow", "window")


def fill(folder: Path) -> None:
    """A few functions and a few pages that no rule drops and that are no near duplicates."""
    for kind in ("code", "text"):
        (folder / kind).mkdir(parents=True)
    for i in range(6):
        turned = WORDS[i:] + WORDS[:i]
        functions = [f"def {a}_{b}_{i}({a}, {b}):\n    return {a} * {i} + {b}\n" for a, b in pairwise(turned)]
        lines = [
            f"The {a} was older than the {b} of {i}, and nobody had seen it in the light." for a, b in pairwise(turned)
        ]
        (folder / f"code/m{i}.py").write_text("\n".join(functions), encoding="utf-8")
        (folder / f"text/t{i}.txt").write_text("\n".join(lines), encoding="utf-8")


def curate(mixture: Path, run: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["curate", str(mixture), "--out", str(run), "--executor", "inline", *options])


def write(folder: Path, text: str = MIXTURE, *, name: str = "mix.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `code`, `text`, `mix.yaml` and a finished `run`."""
    folder = tmp_path_factory.mktemp("asked")
    fill(folder)
    result = curate(write(folder), folder / "run")
    assert result.exit_code == 0, result.output
    assert "redoing" not in result.output
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The same where the test may change it; the mixture still reads the files of `made`."""
    shutil.copytree(made / "run", tmp_path / "run")
    text = MIXTURE.replace("path: code", f"path: {made}/code").replace("path: text", f"path: {made}/text")
    write(tmp_path, text)
    return tmp_path


def shards(run: Path) -> dict[str, bytes]:
    return digests(run / "tables") | digests(run / "packed")


def test_a_run_of_another_mixture_stays_untouched_until_it_is_replaced(copy: Path) -> None:
    text = (copy / "mix.yaml").read_text()
    other = write(copy, text.replace("name: asked", "name: other").replace("seq_len: 64", "seq_len: 32"), name="o.yaml")
    before = digests(copy / "run")
    refused = curate(other, copy / "run")
    assert refused.exit_code == 1
    assert "holds a run of mixture 'asked', not of 'other'" in refused.output
    assert "--replace" in refused.output
    assert digests(copy / "run") == before
    replaced = curate(other, copy / "run", "--replace")
    assert replaced.exit_code == 0, replaced.output
    assert "done before" not in replaced.output
    assert f"removing what stands in {copy}/run; to go on after a stop, leave --replace out" in replaced.output
    assert curate(other, copy / "fresh").exit_code == 0
    assert shards(copy / "run") == shards(copy / "fresh")
    assert json.loads((copy / "run/manifest.json").read_text())["name"] == "other"


@pytest.mark.parametrize(("options", "hint"), [([], "again to"), (["--replace"], "again without --replace to")])
def test_a_stop_is_answered_with_the_line_that_goes_on(
    copy: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], hint: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.recipe.work_off", stop)
    stopped = curate(copy / "mix.yaml", copy / "run", *options)
    assert stopped.exit_code == 130
    assert f"stopped; run the same line {hint} go on" in stopped.output


def test_an_end_of_file_that_nobody_expected_is_a_defect_and_no_stop(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr("pipeline.recipe.work_off", fail)
    failed = curate(copy / "mix.yaml", copy / "run")
    assert (failed.exit_code, repr(failed.exception)) == (1, "EOFError('unexpected EOF')")
    assert "stopped" not in failed.output


def test_a_run_of_other_sources_stays_untouched(copy: Path, made: Path) -> None:
    text = (copy / "mix.yaml").read_text()
    for name in ("code", "text"):
        shutil.copytree(made / name, copy / f"new_{name}")
    text = text.replace("repos", "a").replace("books", "b").replace(f"{made}/", "new_")
    before = digests(copy / "run")
    refused = curate(write(copy, text), copy / "run")
    assert refused.exit_code == 1
    assert "none of them is left" in refused.output
    assert digests(copy / "run") == before


def test_a_run_that_was_cut_off_at_its_start_belongs_to_its_mixture(copy: Path) -> None:
    broken = write(copy, (copy / "mix.yaml").read_text() + "balance: {total_tokens: 1000000000}\n")
    assert curate(broken, copy / "new").exit_code == 1
    other = write(copy, (copy / "mix.yaml").read_text().replace("name: asked", "name: other"), name="o.yaml")
    assert "holds a run of mixture 'asked', not of 'other'" in curate(other, copy / "new").output


def test_a_changed_setting_is_told_before_it_is_redone(copy: Path) -> None:
    text = (copy / "mix.yaml").read_text()
    changed = curate(write(copy, text + "quality: {code: {max_lines: 400}}\n"), copy / "run")
    assert changed.exit_code == 0, changed.output
    line = next(line for line in changed.output.splitlines() if line.startswith("redoing "))
    assert line.startswith("redoing judged, select, ")
    assert line.endswith("because quality.code.max_lines changed from 100000 to 400")
    assert changed.output.index(line) < changed.output.index("documents ")
    assert "redoing" not in curate(copy / "mix.yaml", copy / "run").output
    events = [json.loads(row) for log in (copy / "run/logs").iterdir() for row in log.read_text().splitlines()]
    assert [e["message"] for e in events if e["event"] == "changed"] == [line]


def test_a_changed_input_is_told_before_it_is_redone(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "x", copy_function=shutil.copy2)
    text = MIXTURE.replace("path: code", f"path: {made}/code").replace("path: text", "path: x/text")
    mixture = write(tmp_path, text)
    assert curate(mixture, tmp_path / "run").exit_code == 0
    (tmp_path / "x/text/t9.txt").write_text((made / "text/t0.txt").read_text().replace("light", "dark"))
    line = next(row for row in curate(mixture, tmp_path / "run").output.splitlines() if row.startswith("redoing "))
    assert line.startswith("redoing documents, exact_dups, languages,")
    assert "because the input files changed" in line


def test_a_run_inside_its_own_source_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fill(tmp_path)
    mixture = write(tmp_path, "name: asked\nsources: [{name: all, kind: directory, path: .}]\n")
    refused = curate(mixture, tmp_path / "run")
    assert refused.exit_code == 1
    assert "write exclude: [/run/] for this source" in refused.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["code", "mix.yaml", "text"]
    inside = curate(write(tmp_path), tmp_path)
    assert inside.exit_code == 1
    assert "but no run" in inside.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["code", "mix.yaml", "text"]


def test_an_alias_is_mixed_as_its_language(made: Path, tmp_path: Path) -> None:
    text = MIXTURE.replace("path: code", f"path: {made}/code").replace("path: text", f"path: {made}/text")
    result = curate(write(tmp_path, text + "balance: {code: {shares: {python: 1}}}\n"), tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "balance  exact" in result.output


def test_one_language_under_a_cap_is_refused_before_any_work(made: Path, tmp_path: Path) -> None:
    text = MIXTURE.replace("path: code", f"path: {made}/code").replace("path: text", f"path: {made}/text")
    result = curate(write(tmp_path, text + "balance: {code: {max_frac: {python: 0.5}}}\n"), tmp_path / "run")
    assert result.exit_code == 1
    assert "balance.code.max_frac: allows Python 0.5" in result.output
    assert not (tmp_path / "run/tables").exists()


def test_a_key_without_effect_is_a_warning_before_any_work(copy: Path) -> None:
    text = (copy / "mix.yaml").read_text() + "balance: {code: {shares: {python: 1}}}\n"
    output = " ".join(curate(write(copy, text), copy / "run").output.split())
    said = "warning: balance.code.shares names no `others`, so all other languages have no share"
    assert said in output
    assert output.index(said) < output.index("done before")


def test_an_option_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    for option in ("--processes", "--device-memory"):
        result = CliRunner().invoke(main, ["train", "t.yaml", "--data", str(tmp_path), option, "2"])
        assert result.exit_code == 2
        assert f"{option} goes with --dry-run" in result.output
