"""The loop rules once more, written for clarity: one document, one token and one loop at a time, in numpy.

Nothing is masked here, because nothing is packed: a later token does not exist yet. Shares no code with the model.
"""

from __future__ import annotations

import numpy as np

from pipeline.plt.config import ModelConfig

Array = np.ndarray


def reference_logits(weights: dict[str, Array], *, config: ModelConfig, tokens: list[int]) -> Array:
    """Logits (tokens, vocab) of one document, fed token by token with what each loop must remember."""
    caches = [[_Cache() for _ in range(config.n_layers)] for _ in range(config.n_loops)]
    before: list[Array] = []  # what each loop handed on at the token before; nothing at the first token
    out = []
    for position, token in enumerate(tokens):
        embedding = weights["model.embed_tokens.weight"][token]
        handed: list[Array] = []
        for loop in range(config.n_loops):
            x = embedding
            if loop > 0:
                x = config.embedding_scale * embedding
                if before:
                    x = x + config.hidden_scale * before[loop - 1]
            for layer in range(config.n_layers):
                x = _layer(
                    x,
                    weights=weights,
                    config=config,
                    name=f"model.layers.{layer}",
                    position=position,
                    own=caches[loop][layer],
                    first=None if loop == 0 else caches[0][layer],
                )
            handed.append(_norm(x, weights["model.norm.weight"], config) if config.normalize_per_loop else x)
        before = handed
        out.append(weights["lm_head.weight"] @ _norm(x, weights["model.norm.weight"], config))
    return np.array(out)


class _Cache:
    def __init__(self) -> None:
        self.keys: list[Array] = []  # each (kv heads, head dim)
        self.values: list[Array] = []


def _layer(x, *, weights, config, name, position, own, first):
    normed = _norm(x, weights[f"{name}.input_layernorm.weight"], config)
    attn = f"{name}.self_attn"
    q = _rotate((weights[f"{attn}.q_proj.weight"] @ normed).reshape(config.n_heads, -1), position, config)
    k = _rotate((weights[f"{attn}.k_proj.weight"] @ normed).reshape(config.n_kv_heads, -1), position, config)
    v = (weights[f"{attn}.v_proj.weight"] @ normed).reshape(config.n_kv_heads, -1)
    own.keys.append(k)
    own.values.append(v)
    if first is None:
        y = _attend(q, own.keys, own.values, config)
    else:
        everything = _attend(q, first.keys, first.values, config)
        nearby = _attend(q, own.keys[-config.window - 1 :], own.values[-config.window - 1 :], config)
        g = _gate(x, q, weights=weights, config=config, name=f"{attn}.plt_gate")[:, None]
        y = g * everything + (1 - g) * nearby
    x = x + weights[f"{attn}.o_proj.weight"] @ y.reshape(-1)
    normed = _norm(x, weights[f"{name}.post_attention_layernorm.weight"], config)
    gate = weights[f"{name}.mlp.gate_proj.weight"] @ normed
    up = weights[f"{name}.mlp.up_proj.weight"] @ normed
    return x + weights[f"{name}.mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * up)


def _gate(x, q, *, weights, config, name):
    if config.gate == "hidden":
        raw = weights[f"{name}.weight"] @ _norm(x, weights[f"{name}.gate_norm.weight"], config)
    else:
        raw = (weights[f"{name}.weight"] * q).sum(axis=1)
    return 1 / (1 + np.exp(-(raw + weights[f"{name}.bias"])))


def _attend(q, keys, values, config):
    out = []
    for head in range(config.n_heads):
        kv = head // (config.n_heads // config.n_kv_heads)
        scores = np.array([q[head] @ k[kv] for k in keys]) / np.sqrt(config.head_dim)
        share = np.exp(scores - scores.max())
        share /= share.sum()
        out.append(sum(s * v[kv] for s, v in zip(share, values, strict=True)))
    return np.array(out)


def _rotate(x, position, config):
    half = config.head_dim // 2
    angle = position * config.rope_theta ** (-np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], axis=1)


def _norm(x, scale, config):
    return x / np.sqrt((x * x).mean() + config.norm_eps) * scale
