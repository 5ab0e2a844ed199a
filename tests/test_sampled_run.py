"""A run over a sample: its rows are those of the whole run, it is shown as what it is, and takes nobody's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_grow import function, story

from pipeline.cli.main import main
from pipeline.config import Mixture
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.export import export_data
from pipeline.reading.verify import verify
from pipeline.report import count
from pipeline.report.brief import brief_of
from pipeline.report.page import render
from pipeline.request.load import load_mixture, with_sample
from pipeline.request.sizes import scaled
from pipeline.schema import DOCUMENTS
from pipeline.sources.drawing import drawn, units
from pipeline.sources.sampling import sampling_of

RATE = 0.3
COPIES = 3  # of each tenth function


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code in a folder (shards of whole files), prose in one compressed file (shards cut while it is read)."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(120):
        for copy in range(COPIES if i % 10 == 0 else 1):
            path = folder / f"code/d{copy}/f{i}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(function(i))
    prose = "".join(json.dumps({"content": story(i), "path": f"{i}.txt"}) + "\n" for i in range(200))
    (folder / "prose.jsonl").write_text(prose)
    (folder / "mix.yaml").write_text(
        "name: trial\nseed: 5\n"
        "sources:\n"
        "  - {name: code, kind: directory, path: code, pool: code}\n"
        "  - {name: prose, kind: jsonl, path: prose.jsonl, pool: text}\n"
        "ingest: {shard_bytes: 50_000}\n"
        "balance: {total_tokens: 30_001}\n"
        "pack: {seq_len: 128, n_shards: 7}\n"
        "select: {max_loss: 1.0}\n"
    )
    return folder


def curate(folder: Path, out: Path, *options: str) -> Result:
    line = ["curate", str(folder / "mix.yaml"), "--out", str(out), "--executor", "inline", *options]
    return CliRunner().invoke(main, line)


def opened(out: Path) -> RunFiles:
    return RunFiles(open_store(str(out)))


@pytest.fixture(scope="module")
def runs(corpus: Path) -> dict[str, Path]:
    """The whole run and one over a sample."""
    made = {"whole": (), "sample": ("--sample", str(RATE))}
    for name, options in made.items():
        done = curate(corpus, corpus / name, *options)
        assert done.exit_code == 0, done.output
    return {name: corpus / name for name in made}


def ids(run: RunFiles) -> dict[str, Any]:
    return {r["doc_id"]: r for t in run.shards(DOCUMENTS) for r in t.to_pylist()}


def test_rows_of_a_sample_are_those_of_the_whole_that_its_key_draws(corpus: Path, runs: dict[str, Path]) -> None:
    whole, sample = ids(opened(runs["whole"])), ids(opened(runs["sample"]))
    sampling = sampling_of(opened(runs["sample"]).mixture)
    assert sampling is not None
    wanted = [
        name
        for table in opened(runs["whole"]).shards(DOCUMENTS)
        for name, is_in in zip(table["doc_id"].to_pylist(), drawn(units(table), sampling), strict=True)
        if is_in
    ]
    assert sorted(sample) == sorted(wanted) and 0 < len(wanted) < len(whole) / 2
    assert all(whole[name] == row for name, row in sample.items())
    counts = opened(runs["sample"]).manifest["stages"]["documents"]["counts"]
    assert counts["n_input_docs"] == len(whole) and counts["n_docs"] == len(sample)


def test_a_sample_is_shown_wherever_the_run_is(runs: dict[str, Path]) -> None:
    run = opened(runs["sample"])
    assert run.manifest["sample"] == "a sample of 30%"
    numbers = count(run)
    brief = brief_of(numbers)
    assert brief.title == "Mixture trial: a sample of 30% of its input"
    assert (brief.lines[0][0], brief.lines[0][1].partition(",")[0]) == ("sample", "a sample of 30% of 344 documents")
    assert b"a sample of 30% of 344 documents" in render(numbers)
    assert "A run over a sample of 30% of the input" in numbers.notices[0].message
    found = {one.promise: one for one in verify(run)}
    assert all(one.kept for one in found.values())
    assert found["sample"].detail.startswith("a sample of 30%: ")
    whole = opened(runs["whole"])
    assert "sample" not in whole.manifest and "sample" not in {one.promise for one in verify(whole)}
    assert count(whole).sample is None and b"sample of" not in render(count(whole))


def test_verify_names_a_sample_with_a_document_that_its_key_does_not_draw(runs: dict[str, Path]) -> None:
    run = opened(runs["sample"])
    run.mixture.__dict__["seed"] = 6  # as if another key had been said
    (finding,) = [one for one in verify(run) if one.promise == "sample"]
    assert finding.kept is False and "are not drawn by its key" in finding.detail


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("whole", ("--sample", "0.3"), "over the whole of its input, not over a sample of 30%"),
        ("sample", (), "over a sample of 30%, not over the whole of its input"),
        ("sample", ("--sample", "0.2"), "over a sample of 30%, not over a sample of 20%"),
    ],
)
def test_a_run_over_another_part_of_the_input_is_refused_and_stays(
    corpus: Path, runs: dict[str, Path], name: str, options: tuple[str, ...], said: str
) -> None:
    before = (runs[name] / "manifest.json").read_bytes()
    done = curate(corpus, runs[name], *options)
    assert done.exit_code == 1 and said in done.output and "--replace" in done.output
    assert (runs[name] / "manifest.json").read_bytes() == before


def test_the_same_line_again_finds_the_sample_done(corpus: Path, runs: dict[str, Path]) -> None:
    before = (runs["sample"] / "manifest.json").read_bytes()
    done = curate(corpus, runs["sample"], "--sample", str(RATE))
    assert done.exit_code == 0 and "redoing" not in done.output
    assert (runs["sample"] / "manifest.json").read_bytes() == before


def test_a_sampled_run_in_against_says_what_it_is(corpus: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    text = (corpus / "mix.yaml").read_text().replace("name: trial", "name: next")
    for name in ("code", "prose.jsonl"):
        text = text.replace(f"path: {name}", f"path: {corpus / name}")
    for name, run in runs.items():
        (tmp_path / "mix.yaml").write_text(f"{text}against: [{{name: base, kind: run, path: {run}}}]\n")
        done = curate(tmp_path, tmp_path / name)
        said = "against.base: that run holds a sample of 30% of its input" in " ".join(done.output.split())
        assert said == (name == "sample"), done.output


def test_budget_and_numbers_of_shards_follow_the_rate(corpus: Path, runs: dict[str, Path]) -> None:
    mixture = opened(runs["sample"]).mixture
    assert mixture.balance.total_tokens == 9_000  # .3 of 30,001, rounded down to 1:1
    assert mixture.pack.n_shards == 3  # of 7
    assert sum(g.n_packed_tokens for g in count(opened(runs["sample"])).groups) == 9_000


@pytest.mark.parametrize(("total", "rate", "parts", "expected"), [(10**6, 0.07, 3, 69_999), (10, 0.01, 1, 2)])
def test_budget_of_a_sample_is_exact_and_never_nothing(total: int, rate: float, parts: int, expected: int) -> None:
    data = {
        "name": "m",
        "sources": [{"name": "s", "kind": "directory", "path": "/nowhere"}],
        "balance": {"total_tokens": total, "code": {"parts": parts - 1 or 1}},
    }
    mixture = Mixture.model_validate_json(json.dumps(data))
    assert scaled(with_sample(mixture, rate)).balance.total_tokens == expected
    assert scaled(mixture) is mixture


def test_what_a_sample_lacks_is_said_to_be_of_a_sample(corpus: Path, tmp_path: Path) -> None:
    text = (corpus / "mix.yaml").read_text().replace("total_tokens: 30_001", "total_tokens: 90_000_000")
    for name in ("code", "prose.jsonl"):
        text = text.replace(f"path: {name}", f"path: {corpus / name}")
    (tmp_path / "mix.yaml").write_text(text)
    done = curate(tmp_path, tmp_path / "run", "--sample", "0.3")
    assert done.exit_code == 1 and "of a sample of 30% of the input: balance.total_tokens: 27,000,000 is" in done.output


@pytest.mark.parametrize("rate", ["0", "1", "-0.1", "1%"])
def test_a_rate_is_a_share_above_nothing_and_below_all(corpus: Path, tmp_path: Path, rate: str) -> None:
    assert curate(corpus, tmp_path / "run", "--sample", rate).exit_code == 2


def test_the_key_of_the_mixture_says_the_same_as_the_option(corpus: Path, runs: dict[str, Path]) -> None:
    said = with_sample(load_mixture(corpus / "mix.yaml"), RATE)
    assert scaled(said).ingest == opened(runs["sample"]).mixture.ingest


@pytest.mark.parametrize("rate", ["nan", "2", "inf"])
def test_what_is_no_share_is_refused_before_anything_is_written(corpus: Path, tmp_path: Path, rate: str) -> None:
    asked = ["curate", str(corpus / "mix.yaml"), "--out", str(tmp_path / "run"), "--sample", rate]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code in (1, 2) and "--sample" in done.output
    assert "Traceback" not in done.output and not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["sample", "whole"])
def test_what_leaves_the_run_says_that_it_is_a_sample(runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    made = export_data(opened(runs[name]), to="huggingface", out=tmp_path / "hub")
    said = "**Made of a sample of 30% of its input: to look at, not to train on.**"
    for card in (runs[name] / "README.md", made.folder / "README.md"):
        assert (said in card.read_text().splitlines()) == (name == "sample")
    assert made.record["sample"] == ("a sample of 30%" if name == "sample" else None)
