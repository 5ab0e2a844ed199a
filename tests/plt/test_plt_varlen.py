"""Variable-length attention: bounds, window and heads against the masked reference, through a stand-in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plt_runs import awake_model, documents_of, random_tokens, tiny_model
from torch.nn import functional

from pipeline.errors import ConfigError
from pipeline.plt import varlen
from pipeline.plt.config import RunConfig
from pipeline.plt.machine import Machine, choose_backend


def stand_in(q, k, v, cu_q, cu_k, max_q, max_k, *, window_size, enable_gqa):
    """The kernel's contract, one sequence at a time: (tokens, heads, width), `window_size` (left, right; -1: all)."""
    assert torch.equal(cu_q, cu_k) and cu_q.dtype == torch.int32
    assert window_size[1] == 0 and enable_gqa == (q.shape[1] != k.shape[1])
    parts = []
    for start, end in zip(cu_q[:-1].tolist(), cu_q[1:].tolist(), strict=True):
        assert end - start <= min(max_q, max_k)
        distance = torch.arange(end - start)[:, None] - torch.arange(end - start)
        allowed = (distance >= 0) & ((distance <= window_size[0]) | (window_size[0] < 0))
        one = (x[start:end].transpose(0, 1)[None] for x in (q, k, v))
        y = functional.scaled_dot_product_attention(*one, attn_mask=allowed, enable_gqa=enable_gqa)
        parts.append(y[0].transpose(0, 1))
    return torch.cat(parts)


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), window=st.integers(1, 9), padding=st.integers(0, 4)
)
@settings(deadline=None, max_examples=15)
def test_logits_and_gradients_when_varlen_are_those_of_the_reference(lengths, window, padding):
    n_tokens = sum(lengths) + padding
    documents = torch.cat((documents_of(*lengths, padding=padding), documents_of(n_tokens)))
    tokens, found = random_tokens(2, n_tokens, seed=window), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varlen, "find_kernel", lambda: stand_in)
        for backend, bounds in (("sdpa", None), ("varlen", None), ("varlen", varlen.build_bounds(documents))):
            model = awake_model(tiny_model(n_loops=3, n_layers=1, window=window))
            model.model.backend = backend
            real = model.model(tokens, documents, bounds)[documents >= 0]
            real.square().sum().backward()
            found.append((real, model.model.layers[0].self_attn.k_proj.weight.grad))
    for reference, *others in zip(*found, strict=True):
        for other in others:
            torch.testing.assert_close(other, reference, rtol=1e-9, atol=1e-9)


def test_bounds_when_counts_differ_come_in_few_shapes():
    shapes = set()
    for n in range(1, 41):
        bounds = varlen.build_bounds(documents_of(*[2] * n, padding=100 - 2 * n))
        assert bounds.max_length == 100
        assert bounds.bounds_N[: n + 1].tolist() == list(range(0, 2 * n + 1, 2))
        assert bounds.bounds_N[-1] == 100
        shapes.add(len(bounds.bounds_N))
    assert shapes == {3, 5, 9, 17, 33, 65}


def test_varlen_when_it_cannot_run_is_refused(monkeypatch):
    config, on_cpu = RunConfig(attention="varlen"), Machine(torch.device("cpu"), torch.float32)
    with pytest.raises(ConfigError, match=r"needs CUDA, bfloat16 .* here it is 8, torch.float32 on cpu"):
        choose_backend(config, model=tiny_model(), machine=on_cpu)
    on_cuda = Machine(torch.device("cuda"), torch.bfloat16)
    assert choose_backend(config, model=tiny_model(), machine=on_cuda) == "varlen"
    monkeypatch.setattr("pipeline.plt.machine.find_kernel", lambda: None)
    with pytest.raises(ConfigError, match="has no varlen_attn"):
        choose_backend(config, model=tiny_model(), machine=on_cuda)


def test_kernel_when_torch_has_one_takes_what_we_give():
    kernel = varlen.find_kernel()
    if kernel is None:
        pytest.skip(f"torch {torch.__version__} has no varlen_attn with a window and shared key heads")
    assert kernel is torch.nn.attention.varlen.varlen_attn


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.skipif(varlen.find_kernel() is None, reason=f"torch {torch.__version__} has no varlen_attn with a window")
def test_logits_when_varlen_runs_on_cuda_follow_the_masked_reference():
    config, found = tiny_model(n_loops=3, hidden_size=128, window=64), []
    tokens, documents = random_tokens(2, 512).cuda(), documents_of(100, 300, 50, padding=62).expand(2, -1).cuda()
    for backend in ("sdpa", "varlen"):
        model = awake_model(config, dtype=torch.float32).cuda()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(0.3)
        model.model.backend = backend
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found.append(model(tokens, documents)[documents >= 0].float())
    assert float((found[0] - found[1]).abs().max()) <= 3e-2 * float(found[0].abs().max())
