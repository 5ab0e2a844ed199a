"""The model against the loop rules: documents apart, causality, a naive reference, Llama at one loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plt_reference import reference_logits
from plt_runs import VOCAB_SIZE, awake_model, documents_of, random_tokens, tiny_model

from pipeline.plt.attention import attend_local, build_layout
from pipeline.plt.model import build_model

LOOPS = [1, 2, 3, 4]


@pytest.mark.parametrize("n_loops", LOOPS)
@pytest.mark.parametrize("gate", ["hidden", "query"])
def test_packed_forward_when_two_documents_equals_them_apart(n_loops, gate):
    model = awake_model(tiny_model(n_loops=n_loops, gate=gate))
    tokens = random_tokens(1, 40)
    with torch.no_grad():
        packed = model(tokens, documents_of(17, 23))
        first, second = model(tokens[:, :17], documents_of(17)), model(tokens[:, 17:], documents_of(23))
    torch.testing.assert_close(packed, torch.cat((first, second), dim=1), rtol=0, atol=1e-11)


@pytest.mark.parametrize("n_loops", LOOPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_second_document_when_first_changes_keeps_its_bits(n_loops, dtype):
    model = awake_model(tiny_model(n_loops=n_loops, window=7), dtype=dtype)
    model.model.query_block = 32
    tokens, documents = random_tokens(2, 150), documents_of(60, 70, padding=20).expand(2, -1)
    changed = tokens.clone()
    changed[:, :60] = random_tokens(2, 60, seed=9)
    with torch.no_grad():
        before, after = model(tokens, documents), model(changed, documents)
    assert not torch.equal(before[:, :60], after[:, :60])
    assert torch.equal(before[:, 60:130], after[:, 60:130])


@pytest.mark.parametrize("n_loops", LOOPS)
def test_gradient_when_loss_is_of_second_document_is_zero_in_first(n_loops):
    model = awake_model(tiny_model(n_loops=n_loops))
    tokens = torch.cat((torch.arange(0, 20), torch.arange(100, 118)))[None]  # no token stands in both documents
    model(tokens, documents_of(20, 18))[:, 20:].logsumexp(dim=-1).sum().backward()
    gradient = model.model.embed_tokens.weight.grad
    assert gradient is not None
    assert (gradient[:20] == 0).all()
    assert (gradient[100:118].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("n_loops", LOOPS)
def test_logits_when_padding_moves_or_changes_stay(n_loops):
    model = awake_model(tiny_model(n_loops=n_loops))
    tokens = random_tokens(1, 30)
    documents = documents_of(12, 18)
    pads = random_tokens(1, 9, seed=3)
    outside = torch.full((1, 9), -1)
    with torch.no_grad():
        bare = model(tokens, documents)
        right = model(torch.cat((tokens, pads), dim=1), torch.cat((documents, outside), dim=1))
        left = model(torch.cat((pads, tokens), dim=1), torch.cat((outside, documents), dim=1))
        changed = torch.cat((tokens, (pads + 1) % VOCAB_SIZE), dim=1)
        other = model(changed, torch.cat((documents, outside), dim=1))
    torch.testing.assert_close(right[:, :30], bare, rtol=0, atol=1e-11)
    torch.testing.assert_close(left[:, 9:], bare, rtol=0, atol=1e-11)
    assert torch.equal(other[:, :30], right[:, :30])
    assert right.isfinite().all() and left.isfinite().all()


@pytest.mark.parametrize("n_loops", LOOPS)
def test_logits_when_a_later_token_changes_keep_their_bits(n_loops):
    model = awake_model(tiny_model(n_loops=n_loops), dtype=torch.float32)
    tokens, documents = random_tokens(1, 33), documents_of(33)
    with torch.no_grad():
        before = model(tokens, documents)
        for j in (0, 1, 5, 6, 16, 32):
            changed = tokens.clone()
            changed[0, j] = (changed[0, j] + 1) % VOCAB_SIZE
            after = model(changed, documents)
            assert torch.equal(after[:, :j], before[:, :j])
            assert not torch.equal(after[:, j], before[:, j])


@pytest.mark.parametrize("n_loops", LOOPS)
@pytest.mark.parametrize("gate", ["hidden", "query"])
@pytest.mark.parametrize("normalize_per_loop", [True, False])
def test_logits_when_computed_token_by_token_are_the_same(n_loops, gate, normalize_per_loop):
    config = tiny_model(n_loops=n_loops, gate=gate, normalize_per_loop=normalize_per_loop, window=3, hidden_scale=0.4)
    model = awake_model(config)
    tokens = random_tokens(1, 20, seed=4)
    with torch.no_grad():
        packed = model(tokens, documents_of(11, 8, padding=1))[0].numpy()
    weights = {name: t.detach().numpy() for name, t in model.state_dict().items()}
    for start, end in ((0, 11), (11, 19)):
        expected = reference_logits(weights, config=config, tokens=tokens[0, start:end].tolist())
        np.testing.assert_allclose(packed[start:end], expected, rtol=1e-9, atol=1e-9)


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), window=st.integers(1, 9), padding=st.integers(0, 4)
)
@settings(deadline=None, max_examples=25)
def test_packed_forward_when_lengths_are_any_equals_them_apart(lengths, window, padding):
    model = awake_model(tiny_model(n_loops=3, n_layers=1, window=window))
    tokens = random_tokens(1, sum(lengths) + padding, seed=sum(lengths))
    with torch.no_grad():
        packed = model(tokens, documents_of(*lengths, padding=padding))
        start = 0
        for length in lengths:
            alone = model(tokens[:, start : start + length], documents_of(length))
            torch.testing.assert_close(packed[:, start : start + length], alone, rtol=0, atol=1e-11)
            start += length


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), size=st.integers(1, 50), padding=st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_logits_when_queries_go_in_blocks_are_the_same(lengths, size, padding):
    model = awake_model(tiny_model(n_loops=2, n_layers=1))
    n_tokens = sum(lengths) + padding
    tokens = random_tokens(2, n_tokens, seed=size)
    documents = torch.cat((documents_of(*lengths, padding=padding), documents_of(n_tokens)))
    with torch.no_grad():
        model.model.query_block = None
        whole = model(tokens, documents)
        model.model.query_block = size
        blocks = model(tokens, documents)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-11)


def test_query_blocks_when_documents_are_short_see_few_keys():
    options = {"window": 4, "head_dim": 8, "rope_theta": 100.0, "dtype": torch.float64, "query_block": 10}
    layout = build_layout(documents_of(7, 5, 20, padding=3), **options)
    assert [(b.start, b.stop, b.first_key) for b in layout.causal] == [
        (0, 10, 0),
        (10, 20, 7),
        (20, 30, 12),
        (30, 35, 12),
    ]


def test_document_when_its_index_returns_later_is_another_document():
    model = awake_model(tiny_model())
    tokens = random_tokens(1, 30)
    with torch.no_grad():
        repeated = model(tokens, torch.tensor([[0] * 10 + [1] * 10 + [0] * 10]))
        numbered = model(tokens, documents_of(10, 10, 10))
    assert torch.equal(repeated, numbered)


def test_positions_when_documents_are_packed_restart_at_each():
    options = {"window": 4, "head_dim": 8, "rope_theta": 100.0, "dtype": torch.float64}
    packed = build_layout(documents_of(7, 5, padding=3), **options)
    alone = build_layout(documents_of(7), **options)
    for table, expected in ((packed.cos_B1TC, alone.cos_B1TC), (packed.sin_B1TC, alone.sin_B1TC)):
        assert torch.equal(table[0, 0, :7], expected[0, 0])
        assert torch.equal(table[0, 0, 7:12], expected[0, 0, :5])
        assert torch.equal(table[0, 0, 12:], expected[0, 0, :1].expand(3, -1))
    assert packed.linked_BT1[0, :, 0].tolist() == [False, *[True] * 6, False, *[True] * 4, False, False, False]


def test_local_branch_when_window_is_64_sees_64_to_the_left_and_itself():
    n_tokens = 200
    layout = build_layout(documents_of(n_tokens), window=64, head_dim=2, rope_theta=1e4, dtype=torch.float64)
    nothing = torch.zeros(1, 1, n_tokens, 2, dtype=torch.float64)
    # With equal scores each visible key has the share 1 / n; one-hot values show which keys those are.
    for j in (0, 1, 63, 64, 65, 130):
        values = nothing.clone()
        values[0, 0, j] = 1.0
        share = attend_local(nothing, (nothing, values), layout=layout)[0, 0, :, 0]
        seen = torch.arange(n_tokens)
        share_of_one = 1 / (seen + 1).clamp(max=65).double()
        expected = torch.where((seen >= j) & (seen <= j + 64), share_of_one, 0.0)
        torch.testing.assert_close(share, expected, rtol=0, atol=1e-15)


def test_gate_when_model_is_fresh_is_one_half():
    for gate in ("hidden", "query"):
        model = build_model(tiny_model(n_loops=3, gate=gate), seed=0)
        passes = model.model.passes(random_tokens(1, 12), documents_of(12))
        assert len(passes.gates_BHT) == 2
        assert all((g == 0.5).all() for loop in passes.gates_BHT for g in loop)


def test_gradient_when_loops_share_keys_flows_into_first_loop_keys_and_embeddings():
    model = awake_model(tiny_model(n_layers=1, hidden_scale=0.0))
    block = model.model
    with torch.no_grad():
        block.layers[0].self_attn.plt_gate.bias.fill_(60.0)  # all weight on the global branch
    passes = block.passes(random_tokens(1, 12), documents_of(12))
    keys, values = passes.kept[0]
    of_keys, of_values, of_embeddings = torch.autograd.grad(
        passes.states_BTD[-1].square().sum(), (keys, values, passes.embeddings_BTD)
    )
    assert of_keys.abs().sum() > 0
    assert of_values.abs().sum() > 0
    assert of_embeddings.abs().sum() > 0


def test_gradient_when_only_the_injected_embedding_is_read_flows_into_it():
    model = awake_model(tiny_model(n_layers=1, hidden_scale=0.0))
    block = model.model
    with torch.no_grad():
        block.layers[0].self_attn.plt_gate.bias.fill_(-60.0)  # no weight on the global branch
    tokens = random_tokens(1, 12)
    block.passes(tokens, documents_of(12)).states_BTD[-1].square().sum().backward()
    assert (block.embed_tokens.weight.grad[tokens[0]].abs().sum(dim=1) > 0).all()


def test_activation_checkpointing_when_on_gives_the_same_gradients():
    gradients = []
    for recompute in (False, True):
        model = awake_model(tiny_model(n_loops=3))
        model.model.recompute_layers = recompute
        model(random_tokens(2, 25), documents_of(10, 15).expand(2, -1)).square().mean().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_weights_when_only_the_number_of_loops_differs_are_equal():
    one, four = (build_model(tiny_model(n_loops=n), seed=5).state_dict() for n in (1, 4))
    assert {name for name in four if name not in one} == {name for name in four if "plt_gate" in name}
    assert all(torch.equal(tensor, four[name]) for name, tensor in one.items())
    other = build_model(tiny_model(n_loops=1), seed=6).state_dict()
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])


def test_forward_when_shapes_differ_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 8\).*\(1, 7\)"):
        build_model(tiny_model(), seed=0)(random_tokens(1, 8), documents_of(7))


def test_one_loop_when_given_llama_weights_equals_transformers():
    transformers = pytest.importorskip("transformers")
    config = tiny_model(n_loops=1)
    model = awake_model(config, dtype=torch.float32)
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            rms_norm_eps=config.norm_eps,
            rope_theta=config.rope_theta,
            tie_word_embeddings=False,
        )
    ).eval()
    llama.load_state_dict(model.state_dict(), strict=True)
    tokens = random_tokens(2, 50)
    with torch.no_grad():
        expected = llama(tokens).logits
        found = model(tokens, documents_of(50).expand(2, -1))
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4)
