"""Exports under the transformers library: our logits, generation with and without a cache, padding, beams."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from plt_runs import awake_model, documents_of, random_tokens, tiny_model, write_loadable_tokenizer

from pipeline.plt.export import export
from pipeline.plt.weights import CODE_NAMES, gather, write_model

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("default::FutureWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def own_module_cache(tmp_path, monkeypatch):
    """Code of a model is copied into a cache before it is imported; not into the user's."""
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)  # of a test before, whose cache is gone
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


def _both(folder: Path, **changes):
    config = tiny_model(window=4, max_positions=128, **changes)
    ours = awake_model(config, seed=3, dtype=torch.float32)
    write_model(config, _made(folder), tensors=gather(ours), dtype=torch.float32)
    return ours, _loaded(folder)


def _cache_of(output):
    """Versions of transformers differ in its name."""
    return output["cache"] if "cache" in output else output["past_key_values"]


@pytest.mark.parametrize("n_loops", [2, 3, 4])
@pytest.mark.parametrize("gate", ["hidden", "query"])
@pytest.mark.parametrize("normalize_per_loop", [True, False])
def test_logits_when_read_by_transformers_are_ours(tmp_path, n_loops, gate, normalize_per_loop):
    scale = 0.4 if normalize_per_loop else 0.053
    ours, theirs = _both(
        tmp_path / "hf", n_loops=n_loops, gate=gate, normalize_per_loop=normalize_per_loop, hidden_scale=scale
    )
    tokens = random_tokens(2, 30)
    ours, theirs = ours.double(), theirs.double()
    with torch.no_grad():
        expected = ours(tokens, documents_of(30).expand(2, -1))
        torch.testing.assert_close(theirs(tokens).logits, expected, rtol=1e-9, atol=1e-9)
        cache, pieces = None, []
        for start, end in ((0, 7), (7, 8), (8, 9), (9, 20), (20, 30)):
            out = theirs(tokens[:, start:end], past_key_values=cache, use_cache=True)
            cache = _cache_of(out)
            pieces.append(out.logits)
        torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=1e-9, atol=1e-9)
    assert cache.get_seq_length() == 30
    assert all(ring[0].shape[2] == 4 for loop in cache.rings for ring in loop)
    assert [state.shape for state in cache.states] == [(2, 1, 32)] * (n_loops - 1)


def test_generation_when_greedy_is_the_argmax_of_our_full_forward(tmp_path):
    ours, theirs = _both(tmp_path / "hf", n_loops=3, hidden_scale=0.4)
    tokens = random_tokens(1, 9)
    wanted = tokens
    with torch.no_grad():
        for _ in range(15):
            logits = ours(wanted, documents_of(wanted.shape[1]))
            wanted = torch.cat((wanted, logits[:, -1:].argmax(dim=-1)), dim=1)
    for use_cache in (True, False):
        found = theirs.generate(tokens, max_new_tokens=15, do_sample=False, use_cache=use_cache, pad_token_id=0)
        assert found.tolist() == wanted.tolist()


def test_generation_when_rows_are_padded_on_the_left_equals_each_row_alone(tmp_path):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    tokens = random_tokens(2, 12)
    mask = torch.ones_like(tokens)
    mask[1, :5] = 0
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    together = theirs.generate(tokens, attention_mask=mask, **options)
    assert together[0, 12:].tolist() == theirs.generate(tokens[:1], **options)[0, 12:].tolist()
    assert together[1, 12:].tolist() == theirs.generate(tokens[1:, 5:], **options)[0, 7:].tolist()


def test_generation_when_beams_are_searched_gives_the_same_with_and_without_cache(tmp_path):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    options = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False, "pad_token_id": 0}
    with_cache, without = (theirs.generate(random_tokens(2, 6), use_cache=c, **options) for c in (True, False))
    assert with_cache.tolist() == without.tolist()


def test_cache_when_cropped_is_refused(tmp_path):
    _, theirs = _both(tmp_path / "hf")
    cache = _cache_of(theirs(random_tokens(1, 5), use_cache=True))
    with pytest.raises(NotImplementedError, match="cannot be cropped"):
        cache.crop(3)


def test_logits_when_documents_are_packed_by_positions_are_ours(tmp_path):
    ours, theirs = _both(tmp_path / "hf", n_loops=3, hidden_scale=0.4)
    ours, theirs = ours.double(), theirs.double()
    tokens, documents = random_tokens(2, 30), torch.cat((documents_of(9, 1, 20), documents_of(14, 16)))
    positions = _positions(documents)
    with torch.no_grad():
        expected = ours(tokens, documents)
        torch.testing.assert_close(theirs(tokens, position_ids=positions).logits, expected, rtol=1e-9, atol=1e-9)
        cache, pieces = None, []
        for start, end in ((0, 12), (12, 13), (13, 30)):  # a document goes on behind each cut, and one starts inside
            out = theirs(
                tokens[:, start:end], position_ids=positions[:, start:end], past_key_values=cache, use_cache=True
            )
            cache = _cache_of(out)
            pieces.append(out.logits)
        torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=1e-9, atol=1e-9)
        elsewhere = theirs(tokens, position_ids=positions + 7).logits  # only differences of positions count
    torch.testing.assert_close(elsewhere, expected, rtol=1e-9, atol=1e-9)


def test_generation_when_the_prompt_is_packed_goes_on_with_its_last_document(tmp_path):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    tokens, options = random_tokens(1, 20), {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    alone = theirs.generate(tokens[:, 8:], **options)[:, 12:]
    packed = theirs.generate(tokens, position_ids=_positions(documents_of(8, 12)), **options)[:, 20:]
    assert packed.tolist() == alone.tolist()
    assert theirs.generate(tokens, **options)[:, 20:].tolist() != alone.tolist()


def test_loss_when_documents_are_packed_is_ours(tmp_path):
    ours, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    tokens, documents = random_tokens(2, 20), torch.cat((documents_of(9, 11), documents_of(3, 13, padding=4)))
    linked = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] >= 0)
    targets = torch.where(linked, tokens[:, 1:], -100)
    with torch.no_grad():
        losses = ours(tokens[:, :-1], documents[:, :-1], targets)
        given = {"position_ids": _positions(documents), "attention_mask": (documents >= 0).long()}
        mean = theirs(tokens, labels=tokens, **given).loss
        part = theirs(tokens, labels=tokens, num_items_in_batch=torch.tensor(100), **given).loss
    torch.testing.assert_close(mean, losses.sum() / linked.sum(), rtol=1e-5, atol=0)
    torch.testing.assert_close(part, losses.sum() / 100, rtol=1e-5, atol=0)


def test_hidden_states_when_asked_are_those_of_every_layer_of_every_loop(tmp_path):
    ours, theirs = _both(tmp_path / "hf", n_loops=3, hidden_scale=0.4)
    tokens = random_tokens(2, 12)
    with torch.no_grad():
        passes = ours.model.passes(tokens, documents_of(12).expand(2, -1))
        found = theirs(tokens, output_hidden_states=True).hidden_states
        assert theirs(tokens).hidden_states is None
    assert len(found) == 3 * 2 + 1
    expected = [passes.embeddings_BTD, *passes.states_BTD[:2], ours.model.norm(passes.states_BTD[2])]
    for number, state in zip((0, 2, 4, 6), expected, strict=True):
        torch.testing.assert_close(found[number], state, rtol=1e-4, atol=1e-4)


def test_embeddings_when_given_instead_of_ids_give_the_same(tmp_path):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    tokens, options = random_tokens(2, 9), {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    embeddings = theirs.get_input_embeddings()(tokens)
    with torch.no_grad():
        assert torch.equal(theirs(inputs_embeds=embeddings).logits, theirs(tokens).logits)
    found = theirs.generate(inputs_embeds=embeddings, **options)
    assert found.tolist() == theirs.generate(tokens, **options)[:, 9:].tolist()


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_gradients_when_checkpointed_are_the_same_and_layers_run_twice(tmp_path, use_reentrant):
    _, theirs = _both(tmp_path / "hf", n_loops=3, hidden_scale=0.4)
    theirs.train()
    tokens, found, n_calls = random_tokens(2, 16), [], []
    for checkpointed in (False, True):
        if checkpointed:  # versions differ in its name
            enable = getattr(theirs, "activation_checkpointing_enable", None) or theirs.gradient_checkpointing_enable
            enable({"use_reentrant": use_reentrant})
        theirs.zero_grad()
        calls = []
        handle = theirs.model.layers[0].mlp.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        theirs(tokens, use_cache=True).logits.square().mean().backward()
        handle.remove()
        found.append([p.grad.clone() for p in theirs.parameters()])
        n_calls.append(len(calls))
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-6)
        assert again.abs().sum() > 0
    assert n_calls == [3, 6]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_row_when_padded_on_the_left_has_the_bits_it_has_alone(tmp_path, dtype):
    _, theirs = _both(tmp_path / "hf", n_loops=3, hidden_scale=0.4)
    theirs = theirs.to(dtype)
    tokens, mask = random_tokens(3, 21), torch.ones((3, 21), dtype=torch.long)
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "return_dict_in_generate": True}
    options |= {"output_logits": True}
    n_pads = (0, 5, 18)
    for row, n in enumerate(n_pads):
        mask[row, :n] = 0
    with torch.no_grad():
        together = theirs(tokens, attention_mask=mask, output_hidden_states=True)
        written = theirs.generate(tokens, attention_mask=mask, **options)
        for row, n in enumerate(n_pads):
            alone = theirs(tokens[row : row + 1, n:], output_hidden_states=True)
            assert torch.equal(together.logits[row, n:], alone.logits[0])
            assert torch.equal(together.hidden_states[3][row, n:], alone.hidden_states[3][0])
            by_itself = theirs.generate(tokens[row : row + 1, n:], **options)
            assert written.sequences[row, 21:].tolist() == by_itself.sequences[0, 21 - n :].tolist()
            assert all(torch.equal(a[row], b[0]) for a, b in zip(written.logits, by_itself.logits, strict=True))


def test_rows_when_the_model_is_batch_invariant_have_the_bits_they_have_alone(tmp_path):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    tokens = random_tokens(3, 3)
    theirs.config.batch_invariant = True
    with torch.no_grad():
        together = theirs(tokens).logits
        assert all(torch.equal(together[i], theirs(tokens[i : i + 1]).logits[0]) for i in range(3))
        theirs.config.batch_invariant = False
        torch.testing.assert_close(theirs(tokens).logits, together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch_invariant", [None, False])
def test_beams_when_rows_are_padded_are_those_of_each_row_alone(tmp_path, batch_invariant):
    _, theirs = _both(tmp_path / "hf", n_loops=2, hidden_scale=0.4)
    theirs.config.batch_invariant = batch_invariant
    tokens, mask = random_tokens(2, 8), torch.ones((2, 8), dtype=torch.long)
    mask[1, :3] = 0
    options = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False, "pad_token_id": 0}
    together = theirs.generate(tokens, attention_mask=mask, **options)
    assert together[0, 8:].tolist() == theirs.generate(tokens[:1], **options)[0, 8:].tolist()
    assert together[1, 8:].tolist() == theirs.generate(tokens[1:, 3:], **options)[0, 5:].tolist()


def test_forward_when_it_cannot_do_as_told_is_refused(tmp_path):
    _, theirs = _both(tmp_path / "hf")
    tokens, whole = random_tokens(1, 6), torch.ones((1, 6), dtype=torch.long)
    hole = torch.tensor([[0, 1, 0, 1, 1, 1]])
    cases = [
        ({"attention_mask": hole}, "padding between tokens"),
        ({"attention_mask": whole[:, :5]}, r"shape \(1, 5\), expected \(1, 6\)"),
        ({"output_attentions": True}, "never formed"),
        ({"inputs_embeds": torch.zeros(1, 6, 32)}, "either input_ids or inputs_embeds"),
        ({"cu_seq_lens_q": torch.tensor([0, 6])}, "give position_ids too"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            theirs(tokens, **options)
    cache = _cache_of(theirs(tokens, use_cache=True))
    with pytest.raises(ValueError, match="hides tokens that the cache holds"):
        theirs(tokens[:, :1], past_key_values=cache, attention_mask=torch.tensor([[0, 1, 1, 1, 1, 1, 1]]))
    other = transformers.DynamicCache()
    other.update(torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 3, 8), 0)
    with pytest.raises(ValueError, match="PLT needs the one that its forward returns"):
        theirs(tokens, past_key_values=other)


@pytest.mark.parametrize("n_loops", [1, 2])
def test_export_when_given_a_tokenizer_is_whole_and_ends(tmp_path, n_loops):
    config = tiny_model(max_positions=64, n_loops=n_loops)
    model = awake_model(config, dtype=torch.float32)
    write_model(config, _made(tmp_path / "model"), tensors=gather(model), dtype=torch.float32)
    tokens, options = random_tokens(1, 5), {"max_new_tokens": 20, "do_sample": False}
    written = _loaded(tmp_path / "model").generate(tokens, pad_token_id=0, **options)[0, 5:].tolist()
    end = written[7]
    out = export(
        tmp_path / "model",
        out=tmp_path / "hf",
        tokenizer=write_loadable_tokenizer(tmp_path / "tokenizer.json", end=end),
    )
    names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*names, *(CODE_NAMES if n_loops > 1 else ())])
    tokenizer = transformers.AutoTokenizer.from_pretrained(out, local_files_only=True)
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.model_max_length) == (end, end, 64)
    theirs = _loaded(out)
    assert theirs.config.eos_token_id == theirs.generation_config.eos_token_id == end
    assert n_loops == 1 or theirs.config.plt_window_size == [5, 0]
    assert theirs.generate(tokens, **options)[0, 5:].tolist() == written[: written.index(end) + 1]


def _loaded(folder: Path):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, local_files_only=True
    ).eval()


def _positions(documents: torch.Tensor) -> torch.Tensor:
    """Place of each token in its document."""
    same = documents[:, :, None] == documents[:, None, :]
    return same.tril(-1).sum(dim=-1)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
