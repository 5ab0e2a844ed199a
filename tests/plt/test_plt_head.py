"""The head and its loss as one function: exact against the open form, and nothing of the size of the logits is kept."""

from __future__ import annotations

import gc

import pytest
import torch
from plt_runs import documents_of, random_tokens, tiny_model
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from pipeline.plt.head import NO_TARGET, _losses_and_gradients, head_losses
from pipeline.plt.model import build_model

N_TOKENS, WIDE, VOCAB = 23, 8, 41


@pytest.fixture(autouse=True)
def chunks_of_seven(monkeypatch):
    monkeypatch.setattr("pipeline.plt.head._CHUNK_LOGITS", {"cpu": 7 * VOCAB, "cuda": 7 * VOCAB})


def _inputs(dtype: torch.dtype) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    head = nn.Linear(WIDE, VOCAB, bias=False, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(torch.randn(VOCAB, WIDE, generator=generator))
    hidden = (2 * torch.randn(1, N_TOKENS, WIDE, generator=generator)).to(dtype).requires_grad_()
    targets = torch.randint(0, VOCAB, (1, N_TOKENS), generator=generator)
    targets[0, ::5] = NO_TARGET
    return head, hidden, targets


def _openly(head: nn.Linear, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = head(hidden).flatten(0, 1)
    losses = functional.cross_entropy(logits, targets.flatten(), ignore_index=NO_TARGET, reduction="none")
    return losses.view_as(targets)


def _gradients(losses, head, hidden, *, weights=None):
    total = losses.sum() if weights is None else (losses * weights).sum()
    return torch.autograd.grad(total * 0.25, (hidden, head.weight))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_gradients_when_in_chunks_are_those_of_open_logits(weighted, fused, monkeypatch):
    if fused:  # what a CUDA device compiles, as it is written
        monkeypatch.setattr("pipeline.plt.head._fuses", lambda logits: True)
        monkeypatch.setattr("pipeline.plt.head._fused", lambda: _losses_and_gradients)
    head, hidden, targets = _inputs(torch.float32)
    weights = torch.linspace(-1, 2, N_TOKENS)[None] if weighted else None
    ours, openly = head_losses(head, hidden, targets_BT=targets), _openly(head, hidden, targets)
    torch.testing.assert_close(ours, openly, rtol=1e-6, atol=1e-6)
    assert (ours[0, ::5] == 0).all()
    expected = _gradients(openly, head, hidden, weights=weights)
    for found, of_open in zip(_gradients(ours, head, hidden, weights=weights), expected, strict=True):
        torch.testing.assert_close(found, of_open, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_when_checked_by_differences_are_right(weighted):
    head, hidden, targets = _inputs(torch.float64)
    weights = torch.linspace(-1, 2, N_TOKENS, dtype=torch.float64)[None] if weighted else None

    def total(hidden_BTD, weight_VD):
        head.weight = nn.Parameter(weight_VD, requires_grad=False)
        del head.weight
        head.weight = weight_VD
        losses = head_losses(head, hidden_BTD, targets_BT=targets)
        return losses.sum() if weights is None else (losses * weights).sum()

    weight = head.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(total, (hidden, weight))


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean])
def test_product_when_losses_are_summed_is_made_three_times_and_no_more(reduce):
    head, hidden, targets = _inputs(torch.float32)
    with FlopCounterMode(display=False) as counter:
        reduce(head_losses(head, hidden, targets_BT=targets)).backward()
    assert counter.get_total_flops() == 3 * 2 * N_TOKENS * WIDE * VOCAB
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        head_losses(head, hidden, targets_BT=targets)
    assert counter.get_total_flops() == 2 * N_TOKENS * WIDE * VOCAB


def test_gradients_when_asked_for_twice_are_the_same():
    head, hidden, targets = _inputs(torch.float32)
    total = head_losses(head, hidden, targets_BT=targets).sum()
    first = torch.autograd.grad(3 * total, (hidden, head.weight), retain_graph=True)
    for once, again in zip(first, torch.autograd.grad(total, (hidden, head.weight)), strict=True):
        assert once.data_ptr() != again.data_ptr()
        torch.testing.assert_close(3 * again, once, rtol=1e-6, atol=1e-7)


def test_gradients_when_nothing_is_a_target_are_zero():
    head, hidden, targets = _inputs(torch.float32)
    losses = head_losses(head, hidden, targets_BT=torch.full_like(targets, NO_TARGET))
    assert (losses == 0).all()
    assert all((g == 0).all() for g in _gradients(losses, head, hidden))


def test_losses_when_products_are_in_bfloat16_follow_the_wide_ones():
    head, hidden, targets = _inputs(torch.float32)
    openly = _openly(head, hidden, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = head_losses(head, hidden, targets_BT=targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, openly, rtol=2e-2, atol=5e-2)
    expected = _gradients(openly, head, hidden)
    for found, of_open in zip(_gradients(losses, head, hidden), expected, strict=True):
        assert found.dtype == torch.float32
        assert float((found - of_open).norm() / of_open.norm()) < 1e-2


@pytest.mark.parametrize("recompute", [False, True])
def test_saved_bytes_when_the_vocabulary_is_large_hold_no_logits(monkeypatch, recompute):
    """The released vocabulary: logits of 256 tokens are 75 MiB, the head's gradient 4.7 MiB."""
    monkeypatch.undo()
    vocab_size, n_tokens, wide = 76_800, 256, 16
    model = build_model(tiny_model(vocab_size=vocab_size, hidden_size=wide), seed=0)
    model.model.recompute_layers = recompute
    tokens = random_tokens(1, n_tokens, vocab_size=vocab_size)
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}
    before = _large(4 * vocab_size * wide)

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = model(tokens, documents_of(n_tokens), tokens.roll(-1, dims=1))
    of_logits, of_head = 4 * n_tokens * vocab_size, 4 * vocab_size * wide
    assert sum(saved.values()) < of_head
    # The head keeps its gradients by itself, where those hooks do not look.
    assert sum(size for place, size in _large(of_head).items() if place not in before) == of_head < of_logits / 8
    losses.sum().backward()
    assert model.lm_head.weight.grad.abs().sum() > 0


def _large(n_bytes: int) -> dict[int, int]:
    """Place and bytes of what plain tensors of at least `n_bytes` are alive."""
    stores = [x.untyped_storage() for x in gc.get_objects() if type(x) is torch.Tensor]
    return {store.data_ptr(): store.nbytes() for store in stores if store.nbytes() >= n_bytes}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("default")  # torch's compiler warns of its own code
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
def test_losses_and_gradients_when_fused_on_cuda_are_those_of_open_logits(dtype, tolerance):
    head, hidden, targets = _inputs(torch.float32)
    expected = (_openly(head, hidden, targets), *_gradients(_openly(head, hidden, targets), head, hidden))
    on_cuda = head.cuda(), hidden.detach().cuda().requires_grad_()
    with torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
        losses = head_losses(*on_cuda, targets_BT=targets.cuda())
    for found, of_open in zip((losses, *_gradients(losses, *on_cuda)), expected, strict=True):
        assert float((found.detach().cpu() - of_open).abs().max()) <= tolerance * float(of_open.detach().abs().max())
