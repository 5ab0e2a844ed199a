"""FlexAttention's block lists against the dense masks, and its forward pass against the masked reference."""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plt_runs import awake_model, documents_of, make_run, random_tokens, tiny_model
from torch._dynamo.testing import CompileCounter

from pipeline.plt.attention import attend_global, attend_local, build_layout
from pipeline.plt.data import open_packed, split_run
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.evaluate import build_held_out, evaluate
from pipeline.plt.flex import BLOCK, build_flex_masks
from pipeline.plt.machine import Machine
from pipeline.plt.model import build_model

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def _allowed(documents, *, window):
    layout = build_layout(documents, window=window, head_dim=2, rope_theta=1e4, dtype=torch.float32)
    same = layout.segment_BT[:, :, None] == layout.segment_BT[:, None, :]
    place = torch.arange(documents.shape[1])
    distance = place[:, None] - place[None, :]
    return layout.segment_BT, same & (distance >= 0), same & (distance >= 0) & (distance <= window)


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=6),
    window=st.sampled_from([1, 5, 64, 127, 128, 129, 300]),
    padding=st.integers(0, 200),
)
@settings(deadline=None, max_examples=40)
def test_block_lists_when_documents_are_any_hold_every_allowed_pair(lengths, window, padding):
    documents = documents_of(*lengths, padding=padding)
    segment, causal, local = _allowed(documents, window=window)
    masks = build_flex_masks(segment, window=window)
    n_blocks = -(-documents.shape[1] // BLOCK)
    for mask, wanted in ((masks.causal, causal), (masks.local, local)):
        square = torch.zeros(1, n_blocks * BLOCK, n_blocks * BLOCK, dtype=torch.bool)
        square[:, : wanted.shape[1], : wanted.shape[2]] = wanted
        blocks = square.view(n_blocks, BLOCK, n_blocks, BLOCK).transpose(1, 2)
        listed, full = (
            _dense(mask.kv_num_blocks, mask.kv_indices),
            _dense(mask.full_kv_num_blocks, mask.full_kv_indices),
        )
        assert not (listed & full).any()
        assert ((listed | full) >= blocks.any(dim=-1).any(dim=-1)).all(), "an allowed pair lies in no listed block"
        square[:, wanted.shape[1] :] = True  # queries past the end of the row do not exist
        assert (full <= blocks.all(dim=-1).all(dim=-1)).all(), "a full block hides a pair that is not allowed"
        q, k = torch.meshgrid(torch.arange(wanted.shape[1]), torch.arange(wanted.shape[2]), indexing="ij")
        assert torch.equal(mask.mask_mod(torch.tensor(0), torch.tensor(0), q, k), wanted[0])


def _dense(counts, indices):
    n = indices.shape[-1]
    out = torch.zeros(n, n, dtype=torch.bool)
    for row in range(n):
        out[row, indices[0, 0, row, : int(counts[0, 0, row])].long()] = True
    return out


def test_block_lists_when_documents_are_short_skip_most_of_the_square():
    segment, _, _ = _allowed(documents_of(*[128] * 32), window=64)
    masks = build_flex_masks(segment, window=64)
    assert int(masks.causal.kv_num_blocks.sum() + masks.causal.full_kv_num_blocks.sum()) == 32
    segment, _, _ = _allowed(documents_of(4096), window=64)
    masks = build_flex_masks(segment, window=64)
    assert int(masks.causal.full_kv_num_blocks.sum()) == 32 * 31 // 2
    assert int(masks.local.kv_num_blocks.sum()) == 63


@pytest.mark.filterwarnings("default:.*flex_attention called without torch.compile.*")
def test_forward_when_flex_runs_on_the_cpu_equals_the_masked_reference():
    documents = documents_of(70, 200, 1, 90, padding=39)
    options = {"window": 64, "head_dim": 16, "rope_theta": 1e4, "dtype": torch.float32}
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, n, 400, 16, generator=generator) for n in (4, 2, 2))
    with torch.no_grad():
        for attend in (attend_global, attend_local):
            reference = attend(q, (k, v), layout=build_layout(documents, **options))
            flex = attend(q, (k, v), layout=build_layout(documents, **options, backend="flex"))
            torch.testing.assert_close(flex, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("default:.*flex_attention called without torch.compile.*")
def test_compilations_when_a_run_is_scored_and_looked_at_are_few(tmp_path, monkeypatch):
    """On the CPU the kernel has no backward pass, so what trains is left out, and the graph is run as it stands."""
    counter = CompileCounter()
    monkeypatch.setattr("pipeline.plt.flex._compiles_alone", lambda q: True)
    monkeypatch.setattr("pipeline.plt.flex._compiled", cache(partial(torch.compile, backend=counter, dynamic=False)))
    torch._dynamo.reset()
    machine = Machine(torch.device("cpu"), torch.float32)
    split = split_run(open_packed(make_run(tmp_path / "run")), n_held_out=7)
    # Of one function: a fourth shape would end the test.
    with torch._dynamo.config.patch(recompile_limit=3, fail_on_recompile_limit_hit=True):
        for n_loops in (1, 2):
            model = build_model(tiny_model(n_loops=n_loops), seed=0).eval()
            model.model.backend = "flex"
            held_out = build_held_out(split, batch_size=4)  # a batch of four and one of three
            for _ in range(2):
                evaluate(model, held_out, step=0, machine=machine)
            diagnose_split(model, split, n_sequences=3, machine=machine)
    assert counter.frame_count == 2 * 3  # both branches, for rows of four, of three and of one


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.filterwarnings("default")  # torch's compiler warns of its own code
def test_logits_and_gradients_when_flex_runs_on_cuda_equal_the_masked_reference(dtype, tolerance):
    config = tiny_model(n_loops=3, hidden_size=128, n_heads=4, n_kv_heads=2, window=64)
    found = []
    for backend in ("sdpa", "flex"):
        model = awake_model(config, dtype=torch.float32).cuda()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(0.3)
        model.model.backend = backend
        tokens, documents = random_tokens(2, 512).cuda(), documents_of(100, 300, 50, padding=62).expand(2, -1).cuda()
        with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
            logits = model(tokens, documents)
        logits.float().square().mean().backward()
        found.append((logits[documents >= 0].float(), model.model.layers[0].self_attn.k_proj.weight.grad))
    for reference, flex in zip(*found, strict=True):
        assert float((reference - flex).abs().max()) <= tolerance * float(reference.abs().max())
