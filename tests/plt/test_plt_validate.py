"""The mixture check: comparisons at equal tokens, bits per byte, spikes, seeds, the page."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from plt_runs import END, VOCAB_SIZE, make_run, tiny_config, write_tokenizer

from pipeline.errors import ConfigError
from pipeline.plt import Stepped, ValidateOptions, diagnose, validate_run
from pipeline.plt.data import open_packed, split_run
from pipeline.plt.evaluate import build_held_out, unigram_losses
from pipeline.plt.loader import token_counts
from pipeline.plt.validation import find_spikes, score
from pipeline.plt.vocabulary import read_token_bytes, run_tokenizer
from pipeline.report.validation import lines, render, write_page
from pipeline.results import GroupLoss, TrainStep, read_held_out, read_validation, to_json


def test_validation_when_loops_and_mixtures_are_compared_is_fair_and_goes_on(tmp_path):
    first, second = make_run(tmp_path / "mix", n_rows=160), make_run(tmp_path / "other", seq_len=32, n_rows=320, seed=7)
    tokenizer, config = write_tokenizer(tmp_path), tiny_config(model={"n_layers": 1}, run={"n_threads": 1})
    options = ValidateOptions(
        n_tokens=64 * 4 * 8, loops=(1, 2), n_seeds=2, against=(second,), config=config, tokenizer=tokenizer
    )
    names: list[str] = []
    found = validate_run(first, out=tmp_path / "v", options=options, on_variant=lambda name, *_: names.append(name))
    assert found.unit == "bits per byte"
    assert names == [f"{m} R={n} seed {s}" for m in ("mix", "other") for n in (1, 2) for s in (0, 1)]
    assert {v.n_tokens for v in found.variants} == {64 * 4 * 8}, "equal tokens, whatever the length of a sequence"
    assert all(set(v.scores) == {"mix", "other"} for v in found.variants)
    assert [(c.first, c.second) for c in found.comparisons if c.tail == "mix" and c.pool == "all"] == [
        ("mix R=1", "mix R=2"),
        ("mix R=1", "other R=1"),
        ("mix R=2", "other R=2"),
    ]
    judged = [c for c in found.comparisons if c.half_width is not None]
    assert len(judged) > 9 and all(c.n_seeds == 2 and c.half_width > 0 and c.corrected_p >= c.p_value for c in judged)
    by_part = {(c.second, c.tail, c.part): c for c in found.comparisons}
    assert {part for second, _, part in by_part if second == "mix R=2"} == {"all", "code", "text"}
    assert {part for second, _, part in by_part if second == "other R=2"} > {"all", "code", "text", "Python", "prose"}
    line = by_part["other R=1", "other", "text"]
    mine = [v.scores["other"]["text"] for v in found.variants if v.name.startswith("other R=1")]
    assert line.second_score == pytest.approx(sum(mine) / 2)
    kept = [json.loads(text) for text in (tmp_path / "v" / "documents.jsonl").read_text().splitlines()]
    assert {d["tail"] for d in kept} == {"mix", "other"} and {len(d["nats"]) for d in kept} == {8}
    of_text = [d for d in kept if (d["tail"], d["pool"]) == ("other", "text")]
    nats = sum(d["nats"]["other R=1 seed 1"] for d in of_text) / math.log(2) / sum(d["n_bytes"] for d in of_text)
    assert nats == pytest.approx(mine[1])
    assert sorted(found.diagnostics) == ["1", "2"]
    assert found.n_loops == 2
    events: list = []
    again = validate_run(first, out=tmp_path / "v", options=options, on_event=events.append)
    assert not [e for e in events if isinstance(e, Stepped)], "finished trainings are not repeated"
    assert again.variants == found.variants
    read = read_validation(tmp_path / "v")
    page = write_page(read, tmp_path / "v").read_text()
    assert "Comparisons at equal tokens" in page and page.count("<script") == 1  # the page's own
    assert render(read) == page.encode()
    shown = "\n".join(lines(read))
    assert "mix R=2 against mix R=1" in shown and f"verdict: {found.status.upper()}" in shown


def test_validated_model_when_diagnosed_is_read_on_what_was_drawn(tmp_path):
    run, other = make_run(tmp_path / "run", n_rows=80), make_run(tmp_path / "other", n_rows=80, seed=5)
    options = ValidateOptions(n_tokens=64 * 4 * 8, config=tiny_config())
    found = validate_run(run, out=tmp_path / "v", options=options)
    model = tmp_path / "v" / "models" / "run-r2-s0"
    drawn = read_held_out(model)
    assert drawn != tuple(range(80 - len(drawn), 80))
    assert to_json(diagnose(model, data=run)) == to_json(found.diagnostics["2"])
    with pytest.raises(ConfigError, match="drawn from other shards"):
        diagnose(model, data=other)
    (model / "held_out.json").unlink()
    assert to_json(diagnose(model, data=run)) != to_json(found.diagnostics["2"])


def test_bits_per_byte_when_tokens_are_bytes_are_nats_over_log_two(tmp_path):
    run = make_run(tmp_path / "run")
    split = split_run(open_packed(run), n_held_out=20)
    token_bytes = read_token_bytes(write_tokenizer(tmp_path, length=3), vocab_size=VOCAB_SIZE)
    assert token_bytes[END] == 0 and set(np.delete(token_bytes, END)) == {3}
    held_out = build_held_out(split, batch_size=2, token_bytes=token_bytes)
    counts = token_counts(split, n_sequences=100, vocab_size=VOCAB_SIZE)
    floors = unigram_losses(held_out, counts)
    for floor in floors:
        n_ends = floor.n_tokens - floor.n_bytes // 3
        assert (0 if floor.group else 1) <= n_ends < floor.n_tokens / 10
        assert score(floor) == pytest.approx(floor.loss * floor.n_tokens / math.log(2) / floor.n_bytes)
    code = next(f for f in floors if (f.pool, f.group) == ("code", ""))
    smooth = (counts["code"] + 1) / (counts["code"] + 1).sum()
    targets = [b.targets_BT.numpy()[g >= 0] for b, g in zip(held_out.batches, held_out.piece_numbers, strict=True)]
    pool_of = np.array([held_out.groups[g][0] for g in held_out.piece_groups])
    pools = [pool_of[g[g >= 0]] for g in held_out.piece_numbers]
    wanted = np.concatenate([-np.log(smooth[t[p == "code"]]) for t, p in zip(targets, pools, strict=True)])
    assert code.loss == pytest.approx(wanted.mean())


def test_score_when_bytes_are_unknown_stays_in_nats(tmp_path):
    assert score(GroupLoss("code", "C", 10, 2.5)) == 2.5
    assert run_tokenizer(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {"type": "Unigram", "vocab": {"a": 0}}}'])
def test_tokenizer_when_of_another_kind_is_refused(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ConfigError, match=r"t\.json"):
        read_token_bytes(tmp_path / "t.json", vocab_size=10)


def _steps(losses):
    return tuple(TrainStep(i + 1, loss, 1e-3, 1.0, 0, 0) for i, loss in enumerate(losses))


def test_spikes_when_a_loss_stands_out_are_named():
    noisy = [5.0 + 0.05 * (i % 3) for i in range(60)]
    assert find_spikes(_steps(noisy)) == ()
    noisy[40] = 7.0
    noisy[50] = math.nan
    assert find_spikes(_steps(noisy[:50])) == (41,)
    assert 51 in find_spikes(_steps(noisy))


def test_budget_when_too_small_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--tokens 100 makes 0 steps"):
        validate_run(make_run(tmp_path / "run"), out=tmp_path / "v", options=ValidateOptions(n_tokens=100))


def test_page_when_a_language_has_a_hostile_name_shows_it_as_text(tmp_path):
    run, tokenizer = make_run(tmp_path / "run", n_rows=80), write_tokenizer(tmp_path)
    options = ValidateOptions(n_tokens=64 * 4 * 8, loops=(1,), config=tiny_config(), tokenizer=tokenizer)
    validate_run(run, out=tmp_path / "v", options=options)
    path = tmp_path / "v" / "validation.json"
    path.write_text(path.read_text().replace('"Python"', '"<img src=x onerror=alert(1)>"'))
    page = render(read_validation(path.parent)).decode()
    assert "<img" not in page and "&lt;img" in page
