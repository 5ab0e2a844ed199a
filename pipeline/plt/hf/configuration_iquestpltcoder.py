"""Configuration of the Parallel Loop Transformer for the transformers library. Travels with every looped export."""

from __future__ import annotations

from typing import Any

from transformers.configuration_utils import PretrainedConfig


class IQuestPLTCoderConfig(PretrainedConfig):
    """The released keys. `plt_window_size` is [left, right]: that many keys before the token, besides itself.

    `batch_invariant` says whether the rows of a batch are computed one at a time, each without its padding, so that a
    row has the bits it would have alone whatever stands beside it. A kernel may round by the shapes it is given, so no
    padded batch can promise that. None: padded batches on the CPU, where rows in turn cost little; True: always.
    """

    model_type = "iquestpltcoder"
    keys_to_ignore_at_inference = ["past_key_values", "cache"]  # noqa: RUF012

    def __init__(self, **keys: Any) -> None:
        defaults: dict[str, Any] = {
            "vocab_size": 76_800,
            "hidden_size": 5_120,
            "intermediate_size": 27_648,
            "num_hidden_layers": 14,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "initializer_range": 0.02,
            "use_cache": True,
            "plt_num_loops": 2,
            "plt_emb_scale": None,
            "plt_hidden_scale": None,
            "plt_normalize_per_loop": False,
            "plt_gate_use_hidden_states": False,
            "plt_window_size": [64, 0],
            "batch_invariant": None,
        }
        for name, default in defaults.items():
            setattr(self, name, keys.pop(name, default))
        theta = keys.pop("rope_theta", None) or (keys.get("rope_parameters") or {}).get("rope_theta", 500_000.0)
        self.rope_theta = theta
        super().__init__(**{"tie_word_embeddings": False} | keys)
