"""Packed float32 against an independent float64 pass over each document alone: logits and gradients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from plt_reference import reference_logits
from plt_runs import awake_model, documents_of, random_tokens, tiny_model

LENGTHS = (13, 1, 9)
SCALES = {"released": (0.707, 0.053), "null": (1.0, 1.0)}  # null in config.json means 1
CASES = [
    pytest.param(n, gate, scales, normalize, id=f"R{n}-{gate}-{scales}-{'normed' if normalize else 'raw'}")
    for n, gate, scales, normalize in product((1, 2, 3, 4), ("hidden", "query"), SCALES, (True, False))
    if n > 1 or (gate, scales, normalize) == ("hidden", "released", True)
]


def _model(n_loops, gate, scales, normalize):
    a, b = SCALES[scales]
    loops = {"n_loops": n_loops, "gate": gate, "normalize_per_loop": normalize, "window": 3}
    config = tiny_model(**loops, embedding_scale=a, hidden_scale=b, n_heads=2, n_kv_heads=1)
    model = awake_model(config, seed=n_loops)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(0.5)
    return model


def _reference(weights, *, config, tokens):
    ends = np.cumsum(LENGTHS)
    parts = zip(ends - LENGTHS, ends, strict=True)
    return np.concatenate([reference_logits(weights, config=config, tokens=tokens[a:b]) for a, b in parts])


@pytest.mark.parametrize(("n_loops", "gate", "scales", "normalize"), CASES)
def test_logits_when_packed_in_float32_are_those_of_each_document_alone(n_loops, gate, scales, normalize):
    model = _model(n_loops, gate, scales, normalize)
    tokens = random_tokens(1, sum(LENGTHS), seed=4)
    weights = {name: t.detach().numpy().copy() for name, t in model.state_dict().items()}
    expected = _reference(weights, config=model.config, tokens=tokens[0].tolist())
    with torch.no_grad():
        packed = model.float()(tokens, documents_of(*LENGTHS))[0].numpy()
    assert np.abs(packed - expected).max() < 1e-4


@pytest.mark.parametrize(("n_loops", "gate", "scales", "normalize"), CASES)
def test_gradient_when_packed_is_the_slope_of_the_reference(n_loops, gate, scales, normalize):
    """Along a random direction through every weight at once, so no path of any loop can be missing."""
    model = _model(n_loops, gate, scales, normalize)
    tokens = random_tokens(1, sum(LENGTHS), seed=5)
    weigh = torch.randn(sum(LENGTHS), model.config.vocab_size, generator=torch.Generator().manual_seed(1)).double()
    (model(tokens, documents_of(*LENGTHS))[0] * weigh).sum().backward()
    rng = np.random.default_rng(2)
    weights = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    along = {name: rng.standard_normal(w.shape) for name, w in weights.items()}
    slope = sum(float((p.grad.numpy() * along[name]).sum()) for name, p in model.named_parameters())

    def value(step):
        moved = {name: w + step * along[name] for name, w in weights.items()}
        return float((_reference(moved, config=model.config, tokens=tokens[0].tolist()) * weigh.numpy()).sum())

    step = 1e-6
    measured = (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step)
    assert slope == pytest.approx(measured, rel=1e-5)
