"""Exports: the released keys and names, round trips, and what is refused."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import torch
from plt_runs import (
    END,
    awake_model,
    documents_of,
    make_run,
    random_tokens,
    tiny_config,
    tiny_model,
    write_loadable_tokenizer,
)
from safetensors.torch import load_file, save_file

import pipeline.plt
from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt import Started, diagnose, export, load, train
from pipeline.plt.vocabulary import END_NAMES, end_of_document
from pipeline.plt.weights import CODE_NAMES, from_released, gather, read_model, to_released, write_model
from tokenizer import encode

RELEASED_KEYS = {
    "architectures", "attention_bias", "attention_dropout", "auto_map", "bos_token_id", "dtype", "eos_token_id",
    "head_dim", "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "max_position_embeddings",
    "mlp_bias", "model_type", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "plt_emb_scale",
    "plt_gate_use_hidden_states", "plt_hidden_scale", "plt_normalize_per_loop", "plt_num_loops", "plt_window_size",
    "rms_norm_eps", "rope_scaling", "rope_theta", "tie_word_embeddings", "transformers_version", "use_cache",
    "vocab_size",
}  # fmt: skip
PLT_KEYS = {key for key in RELEASED_KEYS if key.startswith("plt_")}


def _names(n_layers: int, *, gate: tuple[str, ...]) -> set[str]:
    layer = ["input_layernorm.weight", "post_attention_layernorm.weight"]
    layer += [f"self_attn.{x}_proj.weight" for x in "qkvo"] + [f"mlp.{x}_proj.weight" for x in ("gate", "up", "down")]
    layer += [f"self_attn.plt_gate.{x}" for x in gate]
    outer = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    return outer | {f"model.layers.{i}.{name}" for i in range(n_layers) for name in layer}


def _write(model, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    write_model(model.config, folder, tensors=gather(model), dtype=dtype)


@pytest.fixture
def trained(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "model"
    train(tiny_config(n_steps=3), data=run, out=out)
    return run, out


def test_export_when_loaded_gives_the_logits_of_the_checkpoint(trained, tmp_path):
    _, folder = trained
    out = export(folder, out=tmp_path / "export")
    tokens, documents = random_tokens(2, 30), documents_of(10, 20).expand(2, -1)
    exported, original = load(out), load(folder)
    with torch.no_grad():
        assert torch.equal(exported(tokens, documents), original(tokens, documents))
    assert exported.config == original.config
    assert exported.config.max_positions == 64
    assert sorted(p.name for p in out.iterdir()) == sorted(["config.json", "model.safetensors", *CODE_NAMES])
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    export(folder, out=out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


@pytest.mark.parametrize(
    ("gate", "suffixes", "width"),
    [("hidden", ("weight", "bias", "gate_norm.weight"), 32), ("query", ("weight", "bias"), 8)],
)
def test_export_when_looped_has_exactly_the_released_keys_and_names(tmp_path, gate, suffixes, width):
    _write(awake_model(tiny_model(n_loops=2, gate=gate), dtype=torch.float32), tmp_path, dtype=torch.bfloat16)
    keys = json.loads((tmp_path / "config.json").read_text())
    assert set(keys) == RELEASED_KEYS
    assert keys["architectures"] == ["IQuestPLTCoderForCausalLM"]
    assert keys["model_type"] == "iquestpltcoder"
    assert keys["dtype"] == "bfloat16"
    assert {key: keys[key] for key in PLT_KEYS} == {
        "plt_emb_scale": 0.707,
        "plt_hidden_scale": 0.053,
        "plt_num_loops": 2,
        "plt_normalize_per_loop": True,
        "plt_gate_use_hidden_states": gate == "hidden",
        "plt_window_size": [5, 0],
    }
    tensors = load_file(tmp_path / "model.safetensors")
    assert set(tensors) == _names(2, gate=suffixes)
    assert tensors["model.layers.1.self_attn.plt_gate.weight"].shape == (4, width)
    assert tensors["model.embed_tokens.weight"].dtype == torch.bfloat16


def test_export_when_there_is_one_loop_is_a_plain_llama(tmp_path):
    model = awake_model(tiny_model(n_loops=1), dtype=torch.float32)
    _write(model, tmp_path)
    keys = json.loads((tmp_path / "config.json").read_text())
    assert keys["architectures"] == ["LlamaForCausalLM"]
    assert keys["model_type"] == "llama"
    assert set(keys) == RELEASED_KEYS - PLT_KEYS - {"auto_map"}
    assert set(load_file(tmp_path / "model.safetensors")) == _names(2, gate=())
    tokens = random_tokens(1, 12)
    with torch.no_grad():
        assert torch.equal(load(tmp_path)(tokens, documents_of(12)), model(tokens, documents_of(12)))


def test_one_loop_export_when_read_by_transformers_gives_the_same_logits(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = awake_model(tiny_model(n_loops=1, max_positions=64), dtype=torch.float32)
    _write(model, tmp_path)
    llama = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True).eval()
    tokens = random_tokens(1, 30)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens, documents_of(30)), llama(tokens).logits, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("n_loops", [1, 2, 4])
def test_released_keys_when_read_back_give_the_config(n_loops):
    config = tiny_model(n_loops=n_loops, max_positions=128, eos_token_id=3, gate="hidden")
    back = from_released(to_released(config, dtype=torch.float32), where="x")
    if n_loops == 1:  # a Llama says nothing about loops
        assert back == tiny_model(n_loops=1, max_positions=128, eos_token_id=3).model_copy(update={"window": 64})
    else:
        assert back == config
    assert back.max_positions == 128


def test_released_keys_when_a_scale_is_null_mean_one():
    keys = to_released(tiny_model(max_positions=8), dtype=torch.float32)
    assert from_released(keys | {"plt_emb_scale": None}, where="x").embedding_scale == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2'"),
        ({"plt_window_size": [64, 1]}, "no tokens to the right"),
        ({"attention_bias": True}, "attention_bias"),
        ({"head_dim": 64}, "head_dim is 64, expected .* 8"),
        ({"vocab_size": "many"}, "vocab_size"),
    ],
)
def test_released_keys_when_of_another_architecture_are_refused(change, message):
    keys = to_released(tiny_model(max_positions=8), dtype=torch.float32)
    with pytest.raises(CheckpointError, match=message):
        from_released(keys | change, where="x")
    del keys["plt_num_loops"]
    with pytest.raises(CheckpointError, match=r"\['plt_num_loops'\] are missing"):
        from_released(keys, where="x")


def test_load_when_files_are_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        load(tmp_path)
    _write(awake_model(tiny_model(), dtype=torch.float32), tmp_path)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: t for name, t in tensors.items() if name != "lm_head.weight"}, weights)
    with pytest.raises(CheckpointError, match=r"1 tensors missing \['lm_head.weight'\]"):
        read_model(tmp_path)
    save_file(tensors | {"lm_head.weight": torch.zeros(3, 4)}, weights)
    with pytest.raises(CheckpointError, match=r"\(3, 4\), \(260, 32\)"):
        read_model(tmp_path)
    weights.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="missing or damaged"):
        read_model(tmp_path)


def test_load_when_training_has_no_checkpoint_yet_is_refused(tmp_path):
    class StopError(Exception):
        pass

    def stop(event):
        if isinstance(event, Started):
            raise StopError

    run, out = make_run(tmp_path / "run"), tmp_path / "model"
    with pytest.raises(StopError):
        train(tiny_config(), data=run, out=out, on_event=stop)
    with pytest.raises(CheckpointError, match="has not reached its first checkpoint"):
        load(out)


def test_export_when_the_folder_holds_other_files_is_refused(trained):
    run, folder = trained
    with pytest.raises(CheckpointError, match=r"holds \['packed'\]"):
        export(folder, out=run)


def test_export_when_the_tokenizer_ends_documents_says_so(trained, tmp_path):
    _, folder = trained
    out = export(folder, out=tmp_path / "export", tokenizer=write_loadable_tokenizer(tmp_path / "tokenizer.json"))
    keys = json.loads((out / "generation_config.json").read_text())
    assert keys == {"eos_token_id": END, "pad_token_id": END}
    assert load(out).config.eos_token_id == END
    assert json.loads((out / "tokenizer_config.json").read_text())["eos_token"] == "<|endoftext|>"
    without = export(folder, out=out)
    assert not (without / "generation_config.json").exists()


def test_export_when_the_training_file_names_the_end_takes_it(tmp_path):
    run, tokenizer = make_run(tmp_path / "run"), write_loadable_tokenizer(tmp_path / "tokenizer.json")
    for end, folder in ((END, tmp_path / "one"), (7, tmp_path / "two")):
        train(tiny_config(n_steps=1, model={"eos_token_id": end, "bos_token_id": 5}), data=run, out=folder)
    out = export(tmp_path / "one", out=tmp_path / "export", tokenizer=tokenizer)
    keys = json.loads((out / "generation_config.json").read_text())
    assert keys == {"eos_token_id": END, "pad_token_id": END, "bos_token_id": 5}
    with pytest.raises(ConfigError, match=r"eos_token_id is 7, which is none of its added tokens .*endoftext"):
        export(tmp_path / "two", out=tmp_path / "other", tokenizer=tokenizer)
    assert json.loads((export(tmp_path / "two", out=tmp_path / "other") / "generation_config.json").read_text())


def test_end_of_document_when_a_tokenizer_has_several_names_is_the_encoders(tmp_path):
    assert END_NAMES == encode.END_NAMES
    path = write_loadable_tokenizer(tmp_path / "tokenizer.json")
    keys = json.loads(path.read_text())
    added = keys["added_tokens"][0]
    path.write_text(json.dumps(keys | {"added_tokens": [added | {"id": 258, "content": "<s>"}, added]}))
    assert end_of_document(path) == encode.load(path, fast=False).eos_id == END
    path.write_text(json.dumps(keys | {"added_tokens": [added | {"content": "<s>"}]}))
    with pytest.raises(ConfigError, match="no added token can end a document"):
        end_of_document(path)


def test_diagnose_when_given_folder_or_export_measures_the_same(trained, tmp_path):
    run, folder = trained
    from_folder = diagnose(folder, data=run, n_sequences=3)
    assert from_folder.n_sequences == 3
    saved = json.loads((folder / "result.json").read_text())["diagnostics"]
    assert saved["loops"][1]["output_shift"]["mean"] == from_folder.loops[1].output_shift.mean
    out = export(folder, out=tmp_path / "export")
    assert diagnose(out, data=run).n_sequences == 16


def test_imports_when_read_from_the_source_are_only_those_of_a_gpu_host():
    allowed = {
        "torch",
        "numpy",
        "pyarrow",
        "safetensors",
        "pydantic",
        "pydantic_core",
        "yaml",
        *__import__("sys").stdlib_module_names,
    }
    common_names = ("errors", "schema", "features", "fields", "globs", "listed", "sealed", "sequences", "slips")
    ours = {f"pipeline.{name}" for name in (*common_names, "yaml_file", "arrow_files", "arrow_bodies")}
    optional = {
        "tensorboard.py": "tensorboardX",
        "globs.py": "pathspec",
        "fields.py": "pycld2",
    }  # imported in the function that needs them
    # These two look at documents with the package's kernels and tokenizers; `validate` alone loads them, and late.
    looking, of_looking = {"inspect_run.py", "reference.py"}, ("pipeline.ruin", "tokenizer")
    root = Path(pipeline.plt.__file__).parent
    common = [root.parent / f"{name.partition('.')[2]}.py" for name in sorted(ours)]
    for path in [*sorted(root.glob("*.py")), *sorted((root.parent / "results").glob("*.py")), *common]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                late = node not in tree.body and top == optional.get(path.name)
                if path.name in looking and name.startswith(of_looking):
                    continue
                if path.name not in looking and name.rpartition(".")[2] in ("inspect_run", "reference"):
                    assert node not in tree.body, f"{path} loads {name} at once"
                assert (
                    late or name in ours or name.startswith(("pipeline.plt", "pipeline.results")) or top in allowed
                ), f"{path}: {name}"
