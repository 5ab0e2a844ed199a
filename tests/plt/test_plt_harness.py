"""An exported model under lm-evaluation-harness: choices, rolling likelihood and generation on a task made here.

Needs the extra `eval`; without it this file skips, and `pytest -ra` (the default here) says so.
"""

from __future__ import annotations

import json
import math

import pytest
import torch
from plt_runs import END, awake_model, documents_of, tiny_model, write_loadable_tokenizer

from pipeline.plt.export import export
from pipeline.plt.weights import gather, write_model

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install -e '.[eval]'")
pytestmark = [
    pytest.mark.filterwarnings("default::FutureWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::UserWarning"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]

QUESTIONS = (("def add(", ("a, b):", "}}}}", "lorem"), 0), ("for i in", (" the", " range", " x:"), 1))
TEXTS = ("def f():\n    return 1\n", "The river follows the road.\n")

CHOICES = """
task: loopmix_choices
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_target: "{{answer}}"
doc_to_choice: "{{choices}}"
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
ROLLING = """
task: loopmix_rolling
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: bits_per_byte}]
"""
WRITING = """
task: loopmix_writing
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: "{{answer}}"
generation_kwargs: {do_sample: false, max_gen_toks: 12, until: []}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """(our model, its export). Nothing may be fetched: libraries are told that there is no network."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    model = awake_model(tiny_model(max_positions=128, hidden_scale=0.4), seed=5, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight[END].mul_(3.0)  # likelier to end within a few tokens
        model.lm_head.weight[END + 1 :].zero_()  # ids that no byte has are never the likeliest
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(model.config, folder, tensors=gather(model), dtype=torch.float32)
    return model, export(
        folder, out=tmp_path / "harness", tokenizer=write_loadable_tokenizer(tmp_path / "tokenizer.json")
    )


def test_export_when_run_by_the_harness_scores_and_writes_as_our_model_does(exported, tmp_path):
    model, folder = exported
    questions = [{"text": text, "choices": choices, "answer": answer} for text, choices, answer in QUESTIONS]
    written = [_greedy(model, text) for text in TEXTS]
    assert any(END in ids for ids in written)  # some end before they are cut
    texts = [
        {"text": text, "answer": bytes(i for i in ids if i != END).decode(errors="replace")}
        for text, ids in zip(TEXTS, written, strict=True)
    ]
    for name, rows, task in (
        ("choices", questions, CHOICES),
        ("rolling", texts, ROLLING),
        ("writing", texts, WRITING),
    ):
        data = tmp_path / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / f"loopmix_{name}.yaml").write_text(task.replace("FILE", str(data)))
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(folder), "trust_remote_code": True, "dtype": "float32"},
        tasks=["loopmix_choices", "loopmix_rolling", "loopmix_writing"],
        task_manager=lm_eval.tasks.TaskManager(include_path=str(tmp_path), include_defaults=False),
        device="cpu",
        batch_size=2,
        bootstrap_iters=0,
        log_samples=True,
    )
    for sample, (text, choices, _) in zip(found["samples"]["loopmix_choices"], QUESTIONS, strict=True):
        theirs = [float(reply[0]) for reply in sample["filtered_resps"]]
        ours = [sum(_log_likelihoods(model, [*(text + choice).encode()])[len(text) - 1 :]) for choice in choices]
        assert theirs == pytest.approx(ours, rel=1e-4)
    n_bytes = sum(len(text) for text in TEXTS)
    nats = -sum(sum(_log_likelihoods(model, [END, *text.encode()])) for text in TEXTS)
    bits = found["results"]["loopmix_rolling"]["bits_per_byte,none"]
    assert bits == pytest.approx(nats / n_bytes / math.log(2), rel=1e-4)
    assert found["results"]["loopmix_writing"]["exact_match,none"] == 1.0


def _log_likelihoods(model, tokens: list[int]) -> list[float]:
    """Of each token but the first."""
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logs = model(ids[:, :-1], documents_of(ids.shape[1] - 1)).log_softmax(dim=-1)
    return logs.gather(2, ids[:, 1:, None])[0, :, 0].tolist()


def _greedy(model, text: str) -> list[int]:
    """Twelve tokens at most, ended by the token that ends documents."""
    ids = [*text.encode()]
    for _ in range(12):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]), documents_of(len(ids)))[0, -1].argmax()))
        if ids[-1] == END:
            break
    return ids[len(text) :]
