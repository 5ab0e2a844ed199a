"""Parallel Loop Transformer for the transformers library: what `auto_map` in config.json points at.

This file and those that it imports from beside it go with an exported model; they need torch and transformers (4.57 to
5.x), nothing else.

    model = AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)

The rules, in short: loop 1 is a plain decoder pass whose keys and values every later loop attends to; a later loop
reads a * embedding + b * (state of the loop before, one token to the right), attends to loop 1's keys globally and to
its own within a window, mixed per head by a gate. Only the last loop is read out.

Documents may be packed into one row: wherever `position_ids` do not go on by one, a new document starts, and attention,
window and the shift between loops stay inside it. Rows may be padded at either end; `attention_mask` says where.

The loops of a decoding step run one after the other here, so a step costs R passes; the design allows a server to run
them as one batch, which this file does not do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .cache_iquestpltcoder import KeyValues, PLTCache
from .configuration_iquestpltcoder import IQuestPLTCoderConfig
from .places_iquestpltcoder import TokenPlaces, lay_out, linked_places, real_columns

_CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"  # by version
_NO_TARGET = -100  # what cross-entropy ignores


def _rotate(x: Tensor, places: TokenPlaces) -> Tensor:
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

    def project(self, normed: Tensor, places: TokenPlaces) -> tuple[Tensor, Tensor, Tensor]:
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

    # Tensors go in and come out flat: transformers may wrap these calls in torch's older kind of checkpoint, which
    # passes gradients through no others.
    def first(self, x: Tensor, places: TokenPlaces, cache: PLTCache | None) -> tuple[Tensor, Tensor, Tensor]:
        attn = self.self_attn
        q, k, v = attn.project(self.input_layernorm(x), places)
        if cache is not None:
            k, v = cache.update(k, v, self.index)
        x = x + attn.merge(_attend(q, k, v, allowed=places.everything))
        return self._feed(x), k, v

    def again(
        self, x: Tensor, keys: Tensor, values: Tensor, places: TokenPlaces, cache: PLTCache | None, loop: int
    ) -> Tensor:
        attn = self.self_attn
        q, k, v = attn.project(self.input_layernorm(x), places)
        ring = cache.rings[loop][self.index] if cache is not None else None
        if ring is not None:
            k, v = torch.cat((ring[0], k), dim=2), torch.cat((ring[1], v), dim=2)
        if cache is not None:
            cache.keep(loop, self.index, keys=k, values=v, size=attn.window)
        everything = _attend(q, keys, values, allowed=places.everything)
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
        self.gradient_checkpointing = False  # transformers sets both
        self._gradient_checkpointing_func: Any = checkpoint

    def forward(self, embeddings: Tensor, places: TokenPlaces, cache: PLTCache | None) -> list[Tensor]:
        """The embeddings and the state after each layer of each loop, the last one normalised: R * L + 1 tensors."""
        kept: list[KeyValues] = []
        states = [embeddings]
        layers: list[Any] = list(self.layers)
        for layer in layers:
            z, keys, values = self._call(layer.first, states[-1], places, cache)
            kept.append((keys, values))
            states.append(z)
        for loop in range(self.config.plt_num_loops - 1):
            z = self._mix(embeddings, states[-1], places, cache=cache, loop=loop)
            for layer, of_layer in zip(layers, kept, strict=True):
                z = self._call(layer.again, z, *of_layer, places, cache, loop)
                states.append(z)
        return [*states[:-1], self.norm(states[-1])]

    def _call(self, run: Any, *args: Any) -> Any:
        if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(run, *args)
        return run(*args)

    def _mix(self, embeddings: Tensor, z: Tensor, places: TokenPlaces, *, cache: PLTCache | None, loop: int) -> Tensor:
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
    supports_gradient_checkpointing = True
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
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        logits_to_keep: int = 0,
        return_dict: bool | None = None,
        **options: Any,
    ) -> Any:
        """Logits of the new tokens; zeros at padding where rows are computed apart (see `batch_invariant`).

        `attention_mask` (B, all tokens so far) is 0 at padding, before or after the tokens of a row.
        `position_ids` (B or 1, new tokens): a document starts wherever they do not go on by one.
        `labels`: those of a document's first token and of padding count for nothing, as in training. The loss is the
        mean over the others; `num_items_in_batch` divides their sum instead.
        Hidden states: the embeddings and the state after each layer of each loop, the last one normalised.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds")
        if output_attentions:
            raise ValueError("output_attentions: attention maps are never formed here; leave it out")
        if options.get("cu_seq_lens_q") is not None and position_ids is None:
            raise ValueError("cu_seq_lens_q: give position_ids too, which say where documents start")
        x = self.model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        cache = self._cache(cache if cache is not None else past_key_values, use_cache=use_cache, labels=labels)
        real, padded = real_columns(attention_mask, cache=cache, x=x)
        if position_ids is not None:
            position_ids = position_ids.to(x.device).expand(x.shape[:2])
        run = self._run_apart if self._goes_apart(cache, padded=padded, x=x) else self._run
        logits, states = run(x, real=real, position_ids=position_ids, cache=cache, n_logits=logits_to_keep)
        loss = None
        if labels is not None:
            place = real.long().cumsum(dim=1) if position_ids is None else position_ids
            labels = labels.masked_fill(~linked_places(real, place), _NO_TARGET)
            given = {name: options[name] for name in ("num_items_in_batch", "shift_labels") if name in options}
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **given)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        hidden_states = tuple(states) if wanted else None
        output = CausalLMOutputWithPast(loss=loss, logits=logits, hidden_states=hidden_states, **{_CACHE: cache})
        return output.to_tuple() if return_dict is False else output

    def _cache(self, given: Any, *, use_cache: bool | None, labels: Tensor | None) -> PLTCache | None:
        use_cache = self.config.use_cache if use_cache is None else use_cache
        # A layer that is computed again for its gradient would be cached twice.
        again = self.model.gradient_checkpointing and self.training and torch.is_grad_enabled()
        if given is not None and given.get_seq_length() and (again or not isinstance(given, PLTCache)):
            why = "layers are computed again" if again else "PLT needs the one that its forward returns"
            raise ValueError(f"a {type(given).__name__} of {given.get_seq_length()} tokens cannot be used here: {why}")
        if not use_cache or again or (labels is not None and given is None):
            return None
        return given if isinstance(given, PLTCache) else PLTCache(self.config)

    def _goes_apart(self, cache: PLTCache | None, *, padded: bool, x: Tensor) -> bool:
        """Whether rows are computed one at a time: as the cache began, else as the configuration says."""
        if cache is not None and cache.get_seq_length():
            return cache.rows is not None
        wanted = self.config.batch_invariant
        return len(x) > 1 and (padded and x.device.type == "cpu" if wanted is None else bool(wanted))

    def _run(
        self, x: Tensor, *, real: Tensor, position_ids: Tensor | None, cache: PLTCache | None, n_logits: int
    ) -> tuple[Tensor, list[Tensor]]:
        places = lay_out(self.config, real=real, position_ids=position_ids, cache=cache, dtype=x.dtype)
        states = self.model(x, places, cache)
        return self.lm_head(states[-1][:, -n_logits:] if n_logits else states[-1]), states

    def _run_apart(
        self, x: Tensor, *, real: Tensor, position_ids: Tensor | None, cache: PLTCache | None, n_logits: int
    ) -> tuple[Tensor, list[Tensor]]:
        """`_run` for each row's tokens alone, put together; zeros at padding."""
        if cache is not None:
            cache.rows = cache.rows or [PLTCache(self.config) for _ in x]
            cache.see(real)
        first = x.shape[1] - n_logits if n_logits else 0  # column of the first wanted logits
        logits = x.new_zeros((x.shape[0], x.shape[1] - first, self.config.vocab_size))
        states = [torch.zeros_like(x) for _ in range(self.config.plt_num_loops * self.config.num_hidden_layers + 1)]
        for row, mine in enumerate(real):
            n_wanted = int(mine[first:].sum())
            if not mine.any():
                continue
            found, of_row = self._run(
                x[row : row + 1, mine],
                real=mine[None, mine],
                position_ids=None if position_ids is None else position_ids[row : row + 1, mine],
                cache=None if cache is None or cache.rows is None else cache.rows[row],
                n_logits=n_wanted if n_logits else 0,
            )
            logits[row, mine[first:]] = found[0, found.shape[1] - n_wanted :]
            for state, part in zip(states, of_row, strict=True):
                state[row, mine] = part[0]
        return logits, states

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        cache: PLTCache | None = None,
        past_key_values: PLTCache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Only the tokens that the cache has not seen."""
        cache = cache if cache is not None else past_key_values
        n_seen = cache.get_seq_length() if cache is not None else 0
        # Of all tokens some of these are longer than others, by version and by what the prompt was given as.
        n_new = max(x.shape[1] for x in (input_ids, attention_mask, position_ids) if x is not None) - n_seen
        inputs = {"attention_mask": attention_mask, "cache": cache, "use_cache": use_cache}
        if inputs_embeds is not None and not n_seen:
            if use_cache is False:
                raise ValueError("generation from inputs_embeds needs the cache; leave use_cache out")
            return inputs | {"inputs_embeds": inputs_embeds, "position_ids": position_ids}
        if position_ids is not None:
            n_more = max(0, n_seen + n_new - position_ids.shape[1])
            more = position_ids[:, -1:] + torch.arange(1, n_more + 1, device=position_ids.device)
            position_ids = torch.cat((position_ids, more), dim=1)[:, -n_new:]
        return inputs | {"input_ids": input_ids[:, -n_new:], "position_ids": position_ids}
