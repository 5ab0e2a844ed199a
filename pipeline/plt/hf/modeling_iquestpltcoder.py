"""Parallel Loop Transformer for the transformers library: what `auto_map` in config.json points at.

This file stands alone: it goes with an exported model and needs torch and transformers (4.57 to 5.x), nothing else.

    model = AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

The rules, in short: loop 1 is a plain decoder pass whose keys and values every later loop attends to; a later loop
reads a * embedding + b * (state of the loop before, one token to the right), attends to loop 1's keys globally and to
its own within a window, mixed per head by a gate. Only the last loop is read out.

Decoding keeps, per sequence: loop 1's keys and values, a ring of `window` entries per later loop and layer, and one
saved state per loop but the last. The loops of a step run one after the other here, so a step costs R passes; the
design allows a server to run them as one batch, which this file does not do.

Batches may be padded on the left; `attention_mask` says where. Sequences packed into one row are not supported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_outputs import CausalLMOutputWithPast

KeyValues = tuple[Tensor, Tensor]
_CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"  # by version


class IQuestPLTCoderConfig(PretrainedConfig):
    """The released keys. `plt_window_size` is [left, right]: that many keys before the token, besides itself."""

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
        }
        for name, default in defaults.items():
            setattr(self, name, keys.pop(name, default))
        theta = keys.pop("rope_theta", None) or (keys.get("rope_parameters") or {}).get("rope_theta", 500_000.0)
        self.rope_theta = theta
        super().__init__(**{"tie_word_embeddings": False} | keys)


class PLTCache(Cache):
    """Everything a sequence needs to go on: loop 1's keys and values, rings of the later loops, saved states."""

    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        n_layers, n_later = config.num_hidden_layers, config.plt_num_loops - 1
        super().__init__(layers=[DynamicLayer() for _ in range(n_layers)])
        # The last keys and values of each later loop (from 0) and layer.
        self.rings: list[list[KeyValues | None]] = [[None] * n_layers for _ in range(n_later)]
        self.states: list[Tensor | None] = [None] * n_later

    def keep(self, loop: int, layer: int, *, keys: Tensor, values: Tensor, size: int) -> None:
        """Keep the newest `size` entries."""
        first = max(0, keys.shape[2] - size)
        self.rings[loop][layer] = (keys[:, :, first:].contiguous(), values[:, :, first:].contiguous())

    def _each(self, change: Any) -> None:
        self.rings = [[None if kv is None else (change(kv[0]), change(kv[1])) for kv in loop] for loop in self.rings]
        self.states = [None if state is None else change(state) for state in self.states]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._each(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._each(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._each(lambda x: x[indices, ...])

    def reset(self) -> None:
        super().reset()
        self.rings = [[None] * len(loop) for loop in self.rings]
        self.states = [None] * len(self.states)

    @property
    def is_croppable(self) -> bool:
        return False

    def crop(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("a PLT cache cannot be cropped: states of earlier tokens are gone; prefill again")


@dataclass
class _Places:
    """What positions and padding decide for one forward pass. N new tokens, S tokens with those before."""

    cos: Tensor  # (B, 1, N, C)
    sin: Tensor
    linked: Tensor  # (B, N, 1): the token before exists
    everything: Tensor  # (B, 1, N, S)
    near: Tensor  # (B, 1, N, S): the same within the window


def _places(config: IQuestPLTCoderConfig, *, n_new: int, real: Tensor, dtype: torch.dtype) -> _Places:
    n_all = real.shape[1]
    n_past = n_all - n_new
    positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)[:, n_past:]
    wide = torch.promote_types(dtype, torch.float32)
    exponent = torch.arange(0, config.head_dim, 2, device=real.device, dtype=wide) / config.head_dim
    angle = positions[:, :, None].to(wide) * config.rope_theta**-exponent
    angle = torch.cat((angle, angle), dim=-1)[:, None]
    before = functional.pad(real, (1, 0))[:, :-1]
    column = torch.arange(n_all, device=real.device)
    distance = column[n_past:, None] - column[None, :]
    # A pad sees itself, or its softmax would have nothing to see; nothing sees a pad.
    seen = ((distance >= 0) & real[:, None, :]) | (distance == 0)
    near = seen & (distance <= config.plt_window_size[0])
    linked = (real & before)[:, n_past:, None]
    return _Places(angle.cos(), angle.sin(), linked, seen[:, None], near[:, None])


def _rotate(x: Tensor, places: _Places) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return (x * places.cos + torch.cat((-second, first), dim=-1) * places.sin).to(x.dtype)


def _attend(q: Tensor, keys: Tensor, values: Tensor, *, allowed: Tensor) -> Tensor:
    n_repeats = q.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(n_repeats, dim=1), values.repeat_interleave(n_repeats, dim=1)
    return functional.scaled_dot_product_attention(q, keys, values, attn_mask=allowed)


class PLTNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)


class PLTGate(nn.Module):
    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        super().__init__()
        self.reads_hidden = config.plt_gate_use_hidden_states
        width = config.hidden_size if self.reads_hidden else config.head_dim
        self.weight = nn.Parameter(torch.zeros(config.num_attention_heads, width))
        self.bias = nn.Parameter(torch.zeros(config.num_attention_heads))
        if self.reads_hidden:
            self.gate_norm = PLTNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        if self.reads_hidden:
            return functional.linear(self.gate_norm(x), self.weight, self.bias).transpose(1, 2).sigmoid()
        return (torch.einsum("bhtc,hc->bht", q, self.weight) + self.bias[:, None]).sigmoid()


class PLTAttention(nn.Module):
    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        super().__init__()
        self.head_dim, self.window = config.head_dim, config.plt_window_size[0]
        q_size, kv_size = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q_proj = nn.Linear(config.hidden_size, q_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(q_size, config.hidden_size, bias=False)
        self.plt_gate = PLTGate(config)

    def project(self, normed: Tensor, places: _Places) -> tuple[Tensor, Tensor, Tensor]:
        shape = (*normed.shape[:2], -1, self.head_dim)
        q, k, v = (p(normed).view(shape).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        return _rotate(q, places), _rotate(k, places), v

    def merge(self, y: Tensor) -> Tensor:
        return self.o_proj(y.transpose(1, 2).flatten(2))


class PLTMLP(nn.Module):
    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class PLTLayer(nn.Module):
    def __init__(self, config: IQuestPLTCoderConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.input_layernorm = PLTNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = PLTAttention(config)
        self.post_attention_layernorm = PLTNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = PLTMLP(config)

    def first(self, x: Tensor, places: _Places, cache: PLTCache | None) -> tuple[Tensor, KeyValues]:
        attn = self.self_attn
        q, k, v = attn.project(self.input_layernorm(x), places)
        if cache is not None:
            k, v = cache.update(k, v, self.index)
        x = x + attn.merge(_attend(q, k, v, allowed=places.everything))
        return self._feed(x), (k, v)

    def again(self, x: Tensor, places: _Places, *, kept: KeyValues, cache: PLTCache | None, loop: int) -> Tensor:
        attn = self.self_attn
        q, k, v = attn.project(self.input_layernorm(x), places)
        ring = cache.rings[loop][self.index] if cache is not None else None
        if ring is not None:
            k, v = torch.cat((ring[0], k), dim=2), torch.cat((ring[1], v), dim=2)
        if cache is not None:
            cache.keep(loop, self.index, keys=k, values=v, size=attn.window)
        everything = _attend(q, *kept, allowed=places.everything)
        nearby = _attend(q, k, v, allowed=places.near[..., -k.shape[2] :])
        gate = attn.plt_gate(x, q)[..., None]
        x = x + attn.merge(gate * everything + (1 - gate) * nearby)
        return self._feed(x)

    def _feed(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.post_attention_layernorm(x))


class PLTModel(nn.Module):
    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(PLTLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = PLTNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, embeddings: Tensor, places: _Places, cache: PLTCache | None) -> Tensor:
        kept: list[KeyValues] = []
        z = embeddings
        layers: list[Any] = list(self.layers)
        for layer in layers:
            z, of_layer = layer.first(z, places, cache)
            kept.append(of_layer)
        for loop in range(self.config.plt_num_loops - 1):
            z = self._mix(embeddings, z, places, cache=cache, loop=loop)
            for layer, of_layer in zip(layers, kept, strict=True):
                z = layer.again(z, places, kept=of_layer, cache=cache, loop=loop)
        return self.norm(z)

    def _mix(self, embeddings: Tensor, z: Tensor, places: _Places, *, cache: PLTCache | None, loop: int) -> Tensor:
        """The input of a later loop; the state of the last token is saved for the step after."""
        config = self.config
        z = self.norm(z) if config.plt_normalize_per_loop else z
        saved = cache.states[loop] if cache is not None else None
        if cache is not None:
            cache.states[loop] = z[:, -1:]
        shifted = torch.cat((torch.zeros_like(z[:, :1]) if saved is None else saved, z[:, :-1]), dim=1)
        shifted = torch.where(places.linked, shifted, 0.0)
        a = 1.0 if config.plt_emb_scale is None else config.plt_emb_scale
        b = 1.0 if config.plt_hidden_scale is None else config.plt_hidden_scale
        return a * embeddings + b * shifted


class IQuestPLTCoderForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = IQuestPLTCoderConfig
    base_model_prefix = "model"
    _no_split_modules = ["PLTLayer"]  # noqa: RUF012
    _supports_sdpa = True

    def __init__(self, config: IQuestPLTCoderConfig) -> None:
        super().__init__(config)
        self.model = PLTModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, self.config.initializer_range)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # `forward` makes the cache that this design needs

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        cache: Any = None,
        past_key_values: Any = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the new tokens. `attention_mask` (B, all tokens so far) is 0 at padding, left of all tokens."""
        cache = cache if cache is not None else past_key_values
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if not use_cache or (labels is not None and cache is None):
            cache = None
        elif not isinstance(cache, PLTCache):
            if cache is not None and cache.get_seq_length():
                raise ValueError(f"the cache is a {type(cache).__name__}; PLT needs the one that its forward returns")
            cache = PLTCache(self.config)
        n_past = cache.get_seq_length() if cache is not None else 0
        n_rows, n_new = input_ids.shape
        real = attention_mask
        if real is None:
            real = input_ids.new_ones(n_rows, n_past + n_new)
        if real.shape != (n_rows, n_past + n_new):
            raise ValueError(f"attention_mask has shape {tuple(real.shape)}, expected {(n_rows, n_past + n_new)}")
        places = _places(self.config, n_new=n_new, real=real.bool(), dtype=self.dtype)
        hidden = self.model(self.model.embed_tokens(input_ids), places, cache)
        logits = self.lm_head(hidden[:, -logits_to_keep:] if logits_to_keep else hidden)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{_CACHE: cache})

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        cache: PLTCache | None = None,
        past_key_values: PLTCache | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Only the tokens that the cache has not seen."""
        cache = cache if cache is not None else past_key_values
        n_seen = cache.get_seq_length() if cache is not None else 0
        only_new = attention_mask is not None and attention_mask.shape[1] > input_ids.shape[1]
        new_ids = input_ids if only_new else input_ids[:, n_seen:]
        return {"input_ids": new_ids, "attention_mask": attention_mask, "cache": cache, "use_cache": use_cache}
