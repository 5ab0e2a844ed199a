"""The gate: exit codes, the verdict as JSON, the manifest's ratio, groups that are late, without order, unjudged."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from plt_runs import make_documents, make_run, pack_rows, tiny_config, write_rows

from pipeline.cli.main import main
from pipeline.errors import ConfigError
from pipeline.plt import ValidateOptions, train, validate_run
from pipeline.plt.begin import opening_notes
from pipeline.plt.checks import groups_check, order_check, stream_check
from pipeline.plt.data import open_packed
from pipeline.plt.draw import read_pieces
from pipeline.plt.fit import fit_to_data
from pipeline.plt.ratio import promised_parts, refuse_ratios, with_ratio
from pipeline.plt.validation import excess_over, group_scores
from pipeline.report.validation import lines, render
from pipeline.results import DocumentLoss, GroupScore, read_validation


def _file(tmp_path, config=None):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump((config or tiny_config()).model_dump(mode="json", exclude_unset=True)))
    return str(path)


def _promise(run, code, text):
    balance = {pool: {"parts": n} for pool, n in (("code", code), ("text", text))}
    manifest = {"mixture": {"balance": balance}}
    return with_manifest(run, manifest)


def with_manifest(run, manifest):
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def _uneven(folder):
    """Two rows of code for each of text."""
    code = pack_rows(make_documents(("Python", "C"), n_tokens=64 * 80, seed=1), pool="code", seq_len=64)
    text = pack_rows(make_documents(("prose",), n_tokens=64 * 40, seed=2), pool="text", seq_len=64)
    rows = [row for i in range(40) for row in (code[2 * i], text[i], code[2 * i + 1])]
    return write_rows(folder, rows, seq_len=64)


def _invoke(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.mark.parametrize("as_json", [True, False])
def test_train_when_the_mixture_fails_exits_with_three_and_says_why(tmp_path, as_json):
    data = _uneven(tmp_path / "run")  # no manifest, so 1:1 is expected
    args = ["train", _file(tmp_path), "--data", data, "--out", tmp_path / "model", *(["--json"] if as_json else [])]
    done = _invoke(*args)
    assert done.exit_code == 3, done.output
    if as_json:
        verdict = json.loads(done.stdout)
        assert verdict["status"] == "fail" and "balance" in verdict["message"]
    else:
        assert "verdict: FAIL" in done.stdout


def test_validate_when_asked_for_json_prints_the_bytes_of_its_file_and_nothing_else(tmp_path):
    data, out = make_run(tmp_path / "run", n_rows=80), tmp_path / "v"
    args = ["validate", data, "--out", out, "--tokens", 64 * 4 * 8, "--config", _file(tmp_path), "--json"]
    done = _invoke(*args)
    assert done.stdout == (out / "validation.json").read_text()
    found = json.loads(done.stdout)
    assert done.exit_code == (3 if found["status"] == "fail" else 0)
    assert "page:" in done.stderr and (out / "index.html").exists()


def test_validate_when_the_stream_is_not_what_was_promised_fails_whatever_order_is_drawn(tmp_path):
    data, out = _uneven(tmp_path / "run"), tmp_path / "v"
    done = _invoke("validate", data, "--out", out, "--tokens", 64 * 4 * 8, "--config", _file(tmp_path))
    assert done.exit_code == 3
    failed = {c.name for c in read_validation(out).checks if c.status == "fail"}
    assert {"balance", "stream_balance"} <= failed


@pytest.mark.parametrize(
    "args",
    [["--seeds", "-1"], ["--seeds", "0"], ["--tokens", "0"], ["--tokens", "-5"], ["--loops", "0"], ["--loops", "2,2"]],
)
def test_validate_when_a_number_makes_no_sense_is_a_usage_error(tmp_path, args):
    done = _invoke("validate", tmp_path, "--out", tmp_path / "v", *args)
    assert done.exit_code == 2 and args[0] in done.output and "Traceback" not in done.output
    with pytest.raises(ConfigError, match="n_seeds is -1, expected at least 1"):
        validate_run(tmp_path, out=tmp_path / "v", options=ValidateOptions(n_seeds=-1))


def test_diagnose_when_weights_are_not_finite_does_not_pass(tmp_path):
    from safetensors.numpy import load_file, save_file

    data, folder, out = make_run(tmp_path / "run"), tmp_path / "model", tmp_path / "export"
    train(tiny_config(), data=data, out=folder)
    assert _invoke("export", folder, "--out", out).exit_code == 0
    assert _invoke("diagnose", out, "--data", data).exit_code == 0
    weights = load_file(out / "model.safetensors")
    save_file({name: np.full_like(w, np.nan) for name, w in weights.items()}, out / "model.safetensors")
    done = _invoke("diagnose", out, "--data", data)
    assert done.exit_code == 1 and "NaN or infinite, so the model says nothing" in done.stderr


def test_ratio_when_the_file_is_silent_is_the_manifests(tmp_path):
    config = tiny_config()
    assert with_ratio(config, data=tmp_path) == (config, None), "no manifest, no promise"
    _promise(tmp_path, 2, 1)
    found, note = with_ratio(config, data=tmp_path)
    assert (found.data.code_parts, found.data.text_parts, note) == (2, 1, None)
    same, note = with_ratio(tiny_config(code_parts=4, text_parts=2), data=tmp_path)
    assert (same.data.code_parts, note) == (4, None)
    other, note = with_ratio(tiny_config(code_parts=1, text_parts=1), data=tmp_path)
    assert other.data.code_parts == 1 and "asks for 1:1" in note and "balanced 2:1" in note
    for broken in ({}, {"mixture": {"balance": {"code": {"parts": 1}}}}, {"mixture": {"balance": []}}):
        with pytest.raises(ConfigError, match="names no ratio"):
            promised_parts(with_manifest(tmp_path, broken))
    with pytest.raises(ConfigError, match="whole numbers from 1"):
        promised_parts(_promise(tmp_path, 0, 1))


def manifest_of(folder: Path, *ratios: tuple[int, int] | None) -> Path:
    """A manifest of phases with these ratios, of a balance of 3:1."""
    phases = [{"ratio": None if of is None else {"code": of[0], "text": of[1]}} for of in ratios]
    counts = {"n_code_tokens": 5_100, "n_text_tokens": 4_300}
    mixture = {"balance": {"code": {"parts": 3}, "text": {"parts": 1}}, "phases": phases}
    (folder / "manifest.json").write_text(json.dumps({"mixture": mixture, "stages": {"packed": {"counts": counts}}}))
    return folder


def test_a_training_in_stream_order_is_judged_by_one_ratio_or_refused(tmp_path: Path) -> None:
    for ratios, parts in (((), (3, 1)), ((None, None), (3, 1)), (((2, 1), (2, 1)), (2, 1))):
        refuse_ratios(manifest_of(tmp_path, *ratios))
        assert promised_parts(tmp_path) == {"code": parts[0], "text": parts[1]}
    several = manifest_of(tmp_path, None, (2, 1))
    assert promised_parts(several) == {"code": 51, "text": 43}
    with pytest.raises(ConfigError, match=r"several ratios of code and text \(3:1, 2:1\)"):
        refuse_ratios(several)


def test_stream_balance_when_halves_are_sorted_by_pool_fails(tmp_path):
    code = pack_rows(make_documents(("C",), n_tokens=64 * 20, seed=1), pool="code", seq_len=64)[:20]
    text = pack_rows(make_documents(("prose",), n_tokens=64 * 20, seed=2), pool="text", seq_len=64)[:20]
    parts = {"code": 1, "text": 1}
    sorted_run = open_packed(write_rows(tmp_path / "sorted", [*code, *text], seq_len=64))
    assert stream_check(read_pieces(sorted_run), parts=parts).status == "fail"
    mixed = [row for pair in zip(code, text, strict=True) for row in pair]
    in_turn = read_pieces(open_packed(write_rows(tmp_path / "mixed", mixed, seq_len=64)))
    assert stream_check(in_turn, parts=parts).status == "pass"
    assert stream_check(in_turn, parts={"code": 2, "text": 1}).status == "fail"


def _group(name="C", *, final=70.0, unigram=100.0, permuted=120.0, status="pass", n_tokens=1000):
    curve = ((0, 200.0), (10, final))
    return GroupScore("code", name, n_tokens, 0, 200.0, unigram, final, curve, status, "learns", permuted)


def _documents(nats, permuted, unigram, *, group="C"):
    """Documents of one token, so that scores are nats."""
    rows = zip(nats, permuted, unigram, strict=True)
    return tuple(DocumentLoss(f"{group}{i}", "code", group, 1, 0, *map(float, row)) for i, row in enumerate(rows))


def _noise(n, *, seed, scale=3.0):
    return np.random.Generator(np.random.Philox(key=seed)).normal(0, scale, n)


def test_excess_when_documents_are_few_or_one_tells_nothing():
    one = excess_over(_documents([90.0], [0], [50.0]), _group(), of="floor")
    assert (one.mean, one.p_above, one.p_below) == (40.0, 1.0, 1.0)
    nats = 60 + _noise(20, seed=1)
    many = excess_over(_documents(nats, [0] * 20, [50.0] * 20), _group(), of="floor")
    t = many.mean / (nats.std(ddof=1) / math.sqrt(20))
    assert many.mean == pytest.approx(nats.mean() - 50) and many.p_above < 1e-6 < 0.999 < many.p_below
    assert t > 10
    below = excess_over(_documents(nats, [0] * 20, [70.0] * 20), _group(), of="floor")
    assert below.p_below < 1e-6 and below.p_above > 0.999
    level = excess_over(_documents(nats, [0] * 20, nats + _noise(20, seed=2)), _group(), of="floor")
    assert 0.01 < level.p_above < 0.99 and level.p_above + level.p_below == pytest.approx(1)


def test_order_when_one_group_is_shuffled_is_found_and_named():
    names = [f"g{i}" for i in range(12)]
    gaps = dict.fromkeys(names, 10.0) | {"g3": 0.0}
    documents = tuple(
        d
        for i, name in enumerate(names)
        for d in _documents([70.0] * 8, 70 + gaps[name] + _noise(8, seed=i, scale=0.3), [99.0] * 8, group=name)
    )
    groups = tuple(_group(name, permuted=70 + gaps[name]) for name in names)
    found = order_check(groups, documents)
    assert found.status == "fail" and "g3" in found.message and "g4" not in found.message
    sound = order_check(tuple(g for g in groups if g.group != "g3"), documents)
    assert sound.status == "pass"
    unlearnt = order_check(tuple(_group(name, permuted=70.001) for name in names), documents)
    assert unlearnt.status == "warn" and "too little" in unlearnt.message


def test_languages_when_one_is_late_are_named_however_many_there_are():
    groups = tuple(_group(f"g{i}") for i in range(60))
    assert groups_check(groups, not_judged=()).status == "pass"
    late = (dataclasses.replace(groups[0], status="warn"), *groups[1:])
    found = groups_check(late, not_judged=())
    assert found.status == "warn" and "g0" in found.message, "a tenth of the groups may no longer be late unnamed"
    never = (dataclasses.replace(groups[7], status="fail"), *groups[8:])
    assert groups_check(never, not_judged=()).status == "fail" and "g7" in groups_check(never, not_judged=()).message
    assert groups_check((), not_judged=()).status == "warn"


def test_group_when_above_its_frequencies_is_late_only_beyond_its_documents_spread(tmp_path):
    data = make_run(tmp_path / "run", n_rows=80)
    done = train(tiny_config(n_held_out_sequences=40), data=data, out=tmp_path / "model")
    for spread, status in ((0.01, "warn"), (400.0, "pass")):
        luck = np.resize([spread, -spread], len(done.documents))
        documents = tuple(
            dataclasses.replace(d, unigram_nats=0.5 * d.nats + luck[i]) for i, d in enumerate(done.documents)
        )
        halved = tuple(dataclasses.replace(g, loss=g.loss / 1e3) for g in done.record.unigram_losses)
        record = dataclasses.replace(done.record, unigram_losses=halved)
        found = next(g for g in group_scores(record, documents) if g.pool == "text")
        assert found.status == status, found


def test_groups_when_too_small_are_told_in_page_terminal_and_json(tmp_path):
    run = make_run(tmp_path / "run", n_rows=80)
    few = tiny_config().eval.model_copy(update={"min_group_tokens": 10**6})
    config = tiny_config().model_copy(update={"eval": few})
    validate_run(run, out=tmp_path / "v", options=ValidateOptions(n_tokens=64 * 4 * 8, config=config))
    found = read_validation(tmp_path / "v")
    assert {g.group for g in found.not_judged} == {"Python", "C", "prose"} and not found.groups
    assert all(0 <= g.n_tokens < g.n_run_tokens for g in found.not_judged)
    assert "3 groups not judged" in render(found).decode()
    shown = "\n".join(lines(found))
    assert "not judged, too few held-out tokens:" in shown and "prose" in shown


def test_training_when_the_manifest_promises_another_ratio_is_judged_by_it_or_says_so(tmp_path):
    run = open_packed(make_run(tmp_path / "run"))
    _promise(tmp_path / "run", 2, 1)
    assert fit_to_data(tiny_config(), run=run).data.code_parts == 2
    assert not [note for note in opening_notes(tiny_config(), run) if "balanced" in note]
    told = [note for note in opening_notes(tiny_config(code_parts=1, text_parts=1), run) if "balanced 2:1" in note]
    assert len(told) == 1
