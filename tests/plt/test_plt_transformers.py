"""Exports under the transformers library: our logits, generation with and without a cache, padding, beams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from plt_runs import VOCAB_SIZE, awake_model, documents_of, random_tokens, tiny_model

from pipeline.plt.export import export
from pipeline.plt.weights import gather, write_model

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.filterwarnings("default::FutureWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def own_module_cache(tmp_path, monkeypatch):
    """Code of a model is copied into a cache before it is imported; not into the user's."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


def _both(folder: Path, **changes):
    folder.mkdir()
    config = tiny_model(window=4, max_positions=128, **changes)
    ours = awake_model(config, seed=3, dtype=torch.float32)
    write_model(config, folder, tensors=gather(ours), dtype=torch.float32)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
    return ours, theirs.eval()


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


def test_export_when_given_a_tokenizer_is_whole(tmp_path):
    config = tiny_model(max_positions=64)
    write_model(config, _made(tmp_path / "model"), tensors=gather(awake_model(config)), dtype=torch.float32)
    spelled = {chr(0x100 + i): i for i in range(VOCAB_SIZE - 1)} | {"<|endoftext|>": VOCAB_SIZE - 1}
    special = {"id": VOCAB_SIZE - 1, "content": "<|endoftext|>", "special": True}
    special |= dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    file = tmp_path / "tokenizer.json"
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "added_tokens": [special], "pre_tokenizer": level, "decoder": level}
    file.write_text(json.dumps(tokenizer | {"model": {"type": "BPE", "vocab": spelled, "merges": []}}))
    out = export(tmp_path / "model", out=tmp_path / "hf", tokenizer=file)
    assert sorted(p.name for p in out.iterdir()) == [
        "config.json",
        "model.safetensors",
        "modeling_iquestpltcoder.py",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    loaded = transformers.AutoTokenizer.from_pretrained(out, local_files_only=True)
    assert loaded.eos_token_id == VOCAB_SIZE - 1
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out, trust_remote_code=True, local_files_only=True)
    assert theirs.config.plt_window_size == [5, 0]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
