"""The verdict's checks on made-up records, and diagnostics on models whose loops are known."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from plt_runs import awake_model, make_run, tiny_model

from pipeline.plt.config import RunConfig
from pipeline.plt.data import batch_of, open_packed, read_rows, split_run
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.machine import choose_machine
from pipeline.plt.probe import record_inputs
from pipeline.plt.verdict import judge
from pipeline.results import Diagnostics, Evaluation, GroupLoss, LoopDiagnostics, Stat, TrainRecord, TrainStep, to_json


def _evaluation(step: int, *, code: float, text: float) -> Evaluation:
    pools = (GroupLoss("code", "", 600, code), GroupLoss("text", "", 600, text))
    groups = (GroupLoss("code", "C", 600, code), GroupLoss("text", "prose", 600, text))
    return Evaluation(step=step, n_tokens=1200, loss=(code + text) / 2, pools=pools, groups=groups)


def _loop(number: int, *, shift: float = 0.5, saturated: float = 0.0) -> LoopDiagnostics:
    stat = Stat(1.0, 0.1)
    looped = stat if number > 1 else None
    return LoopDiagnostics(
        loop=number,
        step_size=stat,
        step_size_normed=stat,
        alignment=looped,
        alignment_normed=looped,
        effective_rank=10.0,
        fixed_point_gap=stat,
        offset_cost=looped,
        offset_cost_normed=looped,
        gate_mean=Stat(0.6, 0.01) if number > 1 else None,
        gate_saturated_frac=saturated if number > 1 else None,
        layer_gate_means=(),
        output_shift=Stat(shift, 0.01),
        output_shift_frac=None,
        peak_frac=None,
        output_entropy=stat,
        loss=stat,
        median_target_rank=3.0,
    )


def _history(*losses: tuple[float, float]) -> tuple[Evaluation, ...]:
    """Evaluations with the given (code, text) losses."""
    return tuple(_evaluation(50 * k, code=code, text=text) for k, (code, text) in enumerate(losses))


def _diagnostics(*extra: LoopDiagnostics) -> Diagnostics:
    return Diagnostics(
        n_sequences=16, n_tokens=8000, n_rank_tokens=1024, n_sequence_rank_tokens=128, loops=(_loop(1), *extra)
    )


def _record(**changes: object) -> TrainRecord:
    steps = tuple(TrainStep(k + 1, 6.0 - 0.02 * k, 1e-3, 1.0, 512 * k, 512 * k) for k in range(100))
    record = TrainRecord(
        n_parameters=1000,
        n_loops=2,
        seq_len=512,
        n_steps=100,
        n_wanted_steps=100,
        n_epochs=0.9,
        n_tokens={"code": 51_200, "text": 51_000},
        parts={"code": 1, "text": 1},
        min_group_tokens=256,
        n_masked_pieces=0,
        unigram_entropies={"code": 6.0, "text": 6.5},
        unigram_losses=(),
        steps=steps,
        evaluations=_history((9, 9), (4, 4.5)),
        diagnostics=_diagnostics(_loop(2)),
    )
    return dataclasses.replace(record, **changes)


def _status(record: TrainRecord, name: str) -> str:
    return next(c.status for c in judge(record).checks if c.name == name)


def test_verdict_when_all_is_well_passes_and_every_check_has_a_sentence():
    verdict = judge(_record())
    assert verdict.status == "pass"
    assert verdict.message == "The mixture trains: all 9 checks passed."
    assert all(c.message.endswith(".") and len(c.message) > 20 for c in verdict.checks)
    assert len({c.name for c in verdict.checks}) == 9


def _losses(*tail: float) -> tuple[TrainStep, ...]:
    steps = list(_record().steps)
    for k, loss in enumerate(tail, start=len(steps) - len(tail)):
        steps[k] = dataclasses.replace(steps[k], loss=loss)
    return tuple(steps)


@pytest.mark.parametrize(
    ("name", "status", "changes"),
    [
        ("finite_loss", "fail", {"steps": _losses(math.nan)}),
        ("finite_loss", "fail", {"evaluations": _history((9, 9), (math.nan, 4))}),
        ("code_below_unigram", "fail", {"unigram_entropies": {"code": 3.9, "text": 6.5}}),
        ("code_below_unigram", "fail", {"evaluations": _history((9, 9), (math.nan, 1))}),
        ("text_below_unigram", "fail", {"unigram_entropies": {"code": 6.0}}),
        ("text_below_unigram", "warn", {"min_group_tokens": 601}),
        ("groups_improved", "fail", {"evaluations": _history((9, 4), (4, 4.5))}),
        ("groups_improved", "warn", {"evaluations": _history((9, 9))}),
        ("groups_held", "warn", {"evaluations": _history((9, 9), (3.7, 4.6), (4, 4.5))}),
        ("balance", "fail", {"n_tokens": {"code": 51_200, "text": 50_000}}),
        ("balance", "pass", {"n_tokens": {"code": 51_200, "text": 50_200}, "n_epochs": 1.5}),
        ("balance", "pass", {"n_tokens": {"code": 30_000, "text": 60_000}, "parts": {"code": 1, "text": 2}}),
        ("balance", "fail", {"n_tokens": {"code": 30_000, "text": 30_000}, "parts": {"code": 1, "text": 2}}),
        ("no_spike_at_end", "fail", {"steps": _losses(*[5.0] * 10)}),
        ("no_spike_at_end", "warn", {"steps": _losses(5.5)}),
        ("no_spike_at_end", "warn", {"steps": _record().steps[:39]}),
        ("loops_change_output", "fail", {"diagnostics": _diagnostics(_loop(2), _loop(3, shift=0.0))}),
        ("loops_change_output", "fail", {"diagnostics": _diagnostics(_loop(2, shift=math.nan))}),
        ("gates_open", "warn", {"diagnostics": _diagnostics(_loop(2, saturated=0.7))}),
    ],
)  # fmt: skip
def test_check_when_its_number_is_bad_says_so(name, status, changes):
    record = _record(**changes)
    assert _status(record, name) == status
    if status == "fail":
        assert judge(record).status == "fail"
        assert name in judge(record).message
    assert "NaN" not in to_json(judge(record))


def test_verdict_when_there_is_one_loop_has_no_loop_checks():
    names = {c.name for c in judge(_record(n_loops=1, diagnostics=_diagnostics())).checks}
    assert not names & {"loops_change_output", "gates_open"}


@pytest.fixture
def split(tmp_path):
    return split_run(open_packed(make_run(tmp_path)), n_held_out=8)


def _diagnose(model, split):
    return diagnose_split(model, split, n_sequences=4, machine=choose_machine(RunConfig(device="cpu")))


def test_diagnostics_when_recomputed_by_hand_agree(split):
    model = awake_model(tiny_model(n_loops=3), dtype=torch.float32)
    found = _diagnose(model, split)
    assert (found.n_sequences, [loop.loop for loop in found.loops]) == (4, [1, 2, 3])
    steps, shifts, omegas, cosines = [], [], [], []
    for index in list(split.held_out)[:4]:
        batch = batch_of(list(read_rows(split.run, index, stop=index + 1)))
        with torch.no_grad():
            passes = model.model.passes(batch.tokens_BT, batch.doc_index_BT)
            z1, z2, z3 = (s[0] for s in passes.states_BTD)
            p2, p3 = (model.lm_head(model.model.norm(z)).softmax(-1) for z in (z2, z3))
        documents = batch.doc_index_BT[0]
        inner = [i for i in range(1, 64) if documents[i] == documents[i - 1] >= 0]
        steps.append(sum(float((z3[i] - z2[i]).norm()) for i in inner) / len(inner))
        shifts.append(sum(float((p3[i] * (p3[i] / p2[i]).log()).sum()) for i in inner) / len(inner))
        omegas.append(sum(float((z2[i] - z2[i - 1]).norm()) for i in inner) / len(inner))
        cosines.append(
            sum(float(torch.cosine_similarity(z3[i] - z2[i], z2[i] - z1[i], dim=0)) for i in inner) / len(inner)
        )
    last = found.loops[2]
    for stat, expected in (
        (last.step_size, steps),
        (last.output_shift, shifts),
        (last.offset_cost, omegas),
        (last.alignment, cosines),
    ):
        assert stat.mean == pytest.approx(sum(expected) / 4, rel=1e-4)
    assert found.loops[0].gate_mean is None
    assert sum(loop.output_shift_frac for loop in found.loops[1:]) == pytest.approx(1)
    assert sum(loop.peak_frac for loop in found.loops[1:]) == pytest.approx(1)
    assert sum(loop.output_shift_share.mean for loop in found.loops[1:]) == pytest.approx(1)
    assert sum(loop.attention_change_share.mean for loop in found.loops[1:]) == pytest.approx(1)
    assert all(1 <= loop.effective_rank <= 32 for loop in found.loops)
    assert len(last.layer_gate_means) == 2


def test_diagnostics_when_loops_repeat_the_first_show_no_shift(split):
    """With a = 1, b = 0 and the gate on the global branch, every loop is loop 1 again."""
    model = awake_model(tiny_model(n_loops=3, embedding_scale=1.0, hidden_scale=0.0), dtype=torch.float32)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.plt_gate.weight.zero_()
            layer.self_attn.plt_gate.bias.fill_(100.0)
    loops = _diagnose(model, split).loops
    for loop in loops[1:]:
        assert loop.output_shift.mean == pytest.approx(0, abs=1e-6)
        assert loop.step_size.mean == pytest.approx(0, abs=1e-4)
        assert loop.gate_mean.mean == pytest.approx(1)
        assert loop.gate_saturated_frac == 1.0
    assert loops[0].step_size.mean > 0.1


def test_diagnostics_when_there_is_one_loop_measure_it(split):
    (loop,) = _diagnose(awake_model(tiny_model(n_loops=1), dtype=torch.float32), split).loops
    assert loop.output_shift.mean > 0
    assert loop.gate_mean is None
    assert loop.output_shift_frac is None


def test_attention_measures_when_recomputed_by_hand_agree(split):
    """One layer, one sequence: the mixed map written out key by key."""
    model = awake_model(tiny_model(n_loops=3, n_layers=1, window=3), dtype=torch.float32)
    batch = batch_of(list(read_rows(split.run, split.n_train, stop=split.n_train + 1)))
    block, attn = model.model, model.model.layers[0].self_attn
    with torch.no_grad(), record_inputs(block) as inputs:
        passes = block.passes(batch.tokens_BT, batch.doc_index_BT)
        maps = []
        for loop, x in enumerate(list(inputs)):
            q, (k, _) = attn.project(block.layers[0].input_layernorm(x), passes.layout)
            first = passes.kept[0][0]
            maps.append(_by_hand(q[0], k[0], first[0], None if loop == 0 else passes.gates_BHT[loop - 1][0][0], batch))
    linked = [i for i in range(1, 64) if batch.doc_index_BT[0, i] == batch.doc_index_BT[0, i - 1] >= 0]
    places = [linked[i] for i in torch.linspace(0, len(linked) - 1, min(64, len(linked))).round().long().tolist()]
    found = diagnose_split(model, split, n_sequences=1, machine=choose_machine(RunConfig(device="cpu"))).loops
    entropy = [-sum(float(torch.special.xlogy(m[h, i], m[h, i]).sum()) for h in range(4) for i in places) for m in maps]
    n = 4 * len(places)
    assert [loop.attention_entropy.mean for loop in found] == pytest.approx([e / n for e in entropy], rel=1e-4)
    change = [
        sum(float((a[h, i] * (a[h, i] / b[h, i]).log())[a[h, i] > 0].sum()) for h in range(4) for i in places) / n
        for b, a in pairwise(maps)
    ]
    assert found[0].attention_change is None
    assert [loop.attention_change.mean for loop in found[1:]] == pytest.approx(change, rel=1e-4)
    cosines = [
        sum(float(torch.cosine_similarity(m[g, i], m[h, i], dim=0)) for i in places for g in range(4) for h in range(g))
        for m in maps
    ]
    assert [loop.head_similarity.mean for loop in found] == pytest.approx(
        [c / 6 / len(places) for c in cosines], rel=1e-4
    )
    ranks = []
    for m in maps:
        shares = [s / s.sum() for s in (torch.linalg.svdvals(m[:, i].double()) for i in places)]
        ranks.append(sum(float((-torch.special.xlogy(s, s).sum()).exp()) for s in shares) / len(places))
    assert [loop.head_rank.mean for loop in found] == pytest.approx(ranks, rel=1e-4)


def _by_hand(q, k, first, gate, batch):
    """[heads, queries, keys]"""
    documents, n = batch.doc_index_BT[0], q.shape[1]
    whole = torch.zeros(4, n, n)
    for h in range(4):
        for i in range(n):
            seen = [j for j in range(i + 1) if documents[j] == documents[i] >= 0] or [i]
            whole[h, i, seen] = ((first[h // 2][seen] @ q[h, i]) / 8**0.5).softmax(-1)
            if gate is not None:
                near = [j for j in seen if i - j <= 3]
                mixed = gate[h, i] * whole[h, i]
                mixed[near] += (1 - gate[h, i]) * ((k[h // 2][near] @ q[h, i]) / 8**0.5).softmax(-1)
                whole[h, i] = mixed
    return whole
