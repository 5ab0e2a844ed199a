"""PLT, the parallel loop transformer of LoopCoder-v2, as one readable module.

The loop rules, for token i of document d, with E the token embeddings, N the final norm and f the shared layers:

1. Loop 1 is a plain Llama pass over E. Every layer keeps its keys and values (after rotation) for all later loops.
2. Loop r >= 2 reads a*E_i + b*shift(N(z(r-1)))_i. The shift moves states one token to the right; at the first token of
   every document it is zero, so nothing crosses a document boundary. Positions do not move with it.
3. In loops >= 2 each layer attends twice with the same query: globally to the keys and values that the *same layer*
   kept in loop 1, and locally to this loop's own, at most `window` tokens back (64 to the left and the token itself).
4. A gate per head and token mixes the two before the output projection: g * global + (1 - g) * local. It starts at 0.5.
5. All loops share all weights; loops >= 2 share the gates, which loop 1 does not have. With one loop there are none.
6. Only the last loop is read out: logits = Head(N(z(R))). Gradients flow into loop-1 keys and values and into E.
7. Documents attend to themselves only, in every branch, and each counts its positions from zero.

Sources: the LoopCoder-v2 report (arXiv 2606.18023); a, b and the norm between loops come from its released inference
code and config.json. Rules 2 and 7 at document starts are ours: the report does not say how it packs, and this is the
packing that agrees with its inference code, where every request starts from a zero state.

Shapes: B batch, T tokens, D hidden, H heads, K kv heads, V vocab, C head dim. State names are Llama's, plus `plt_gate`.
"""

# ruff: noqa: N815 (shape suffixes)

import hashlib
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.plt.attention import Backend, BatchLayout, KeyValues, attend_global, attend_local, build_layout, rotate
from pipeline.plt.config import ModelConfig
from pipeline.plt.head import head_losses
from pipeline.plt.recompute import keep_expensive
from pipeline.plt.varlen import DocumentBounds


@dataclass(frozen=True)
class Passes:
    """What the loops leave behind; `states_BTD[r - 1]` is z(r), before the final norm."""

    embeddings_BTD: Tensor
    states_BTD: tuple[Tensor, ...]
    gates_BHT: tuple[tuple[Tensor, ...], ...]  # per loop (none in loop 1) and layer: weight of the global branch
    kept: tuple[KeyValues, ...]
    layout: BatchLayout


class Norm(nn.Module):
    """Root-mean-square norm with a learned scale."""

    def __init__(self, size: int, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x_BTD: Tensor) -> Tensor:
        # A sharded model gathers its scales in bfloat16, the residual stream stays wide.
        return functional.rms_norm(x_BTD, self.weight.shape, self.weight.to(x_BTD.dtype), self.eps)


class Gate(nn.Module):
    """Weight of the global branch, one number per head and token, from the layer's input or from the query."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.reads_query = config.gate == "query"
        width = config.head_dim if self.reads_query else config.hidden_size
        self.weight = nn.Parameter(torch.zeros(config.n_heads, width))
        self.bias = nn.Parameter(torch.zeros(config.n_heads))
        if not self.reads_query:
            self.gate_norm = Norm(config.hidden_size, eps=config.norm_eps)

    def forward(self, x_BTD: Tensor, *, q_BHTC: Tensor) -> Tensor:
        if self.reads_query:
            return (torch.einsum("bhtc,hc->bht", q_BHTC, self.weight) + self.bias[:, None]).sigmoid()
        return functional.linear(self.gate_norm(x_BTD), self.weight, self.bias).transpose(1, 2).sigmoid()


class Attention(nn.Module):
    """Projections of one layer, used by every loop; `first` serves loop 1 and `again` the others."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        kv_size = config.n_kv_heads * config.head_dim
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        if config.n_loops > 1:
            self.plt_gate = Gate(config)

    def first(self, normed_BTD: Tensor, *, layout: BatchLayout) -> tuple[Tensor, KeyValues]:
        q_BHTC, own = self.project(normed_BTD, layout)
        y_BHTC = attend_global(q_BHTC, own, layout=layout)
        return self._merge(y_BHTC), own

    def again(
        self, normed_BTD: Tensor, *, x_BTD: Tensor, kept: KeyValues, layout: BatchLayout
    ) -> tuple[Tensor, Tensor]:
        """`x_BTD` is the layer's input before its norm; the gate has a norm of its own."""
        q_BHTC, own = self.project(normed_BTD, layout)
        global_BHTC = attend_global(q_BHTC, kept, layout=layout)
        local_BHTC = attend_local(q_BHTC, own, layout=layout)
        gate_BHT = self.plt_gate(x_BTD, q_BHTC=q_BHTC)
        gate_BHT1 = gate_BHT[..., None]
        return self._merge(gate_BHT1 * global_BHTC + (1 - gate_BHT1) * local_BHTC), gate_BHT

    def project(self, normed_BTD: Tensor, layout: BatchLayout) -> tuple[Tensor, KeyValues]:
        q_BHTC = self._split(self.q_proj(normed_BTD))
        k_BKTC = self._split(self.k_proj(normed_BTD))
        v_BKTC = self._split(self.v_proj(normed_BTD))
        return rotate(q_BHTC, layout=layout), (rotate(k_BKTC, layout=layout), v_BKTC)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)

    def _merge(self, y_BHTC: Tensor) -> Tensor:
        y_BTD: Tensor = self.o_proj(y_BHTC.transpose(1, 2).flatten(2))
        return y_BTD


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down_proj(functional.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return y_BTD


class Layer(nn.Module):
    """Pre-norm attention and SwiGLU around the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input_layernorm = Norm(config.hidden_size, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = Norm(config.hidden_size, eps=config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x_BTD: Tensor, layout: BatchLayout, kept: KeyValues | None = None) -> tuple[Tensor, Any]:
        """Loop 1 gives the state and keys and values; with those of loop 1, a later loop: the state and the gate.

        One entry for both, because sharding and compiling hook into `forward`.
        """
        normed_BTD = self.input_layernorm(x_BTD)
        left: KeyValues | Tensor
        if kept is None:
            y_BTD, left = self.self_attn.first(normed_BTD, layout=layout)
        else:
            y_BTD, left = self.self_attn.again(normed_BTD, x_BTD=x_BTD, kept=kept, layout=layout)
        x_BTD = x_BTD + y_BTD
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD)), left


class LoopedBlock(nn.Module):
    """Embeddings, the shared layers and the final norm: everything but the head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = Norm(config.hidden_size, eps=config.norm_eps)
        # Activation checkpointing; loop-1 keys and values stay alive in any case.
        self.recompute_layers: bool | Literal["selective"] = False
        self.residual = torch.float32  # of the stream between layers, under autocast
        self.backend: Backend = "sdpa"
        # Queries of a block of the sdpa backend, on the CPU. Smaller blocks see fewer keys in vain, larger ones make
        # fewer calls; 256 is a plain choice between. None where block sizes must not vary.
        self.query_block: int | None = 256

    def forward(self, tokens_BT: Tensor, doc_index_BT: Tensor, bounds: DocumentBounds | None = None) -> Tensor:
        """The last loop's state, normalised: what the head reads."""
        z_BTD = self.passes(tokens_BT, doc_index_BT, bounds).states_BTD[-1]
        y_BTD: Tensor = self.norm(z_BTD)
        return y_BTD

    def passes(self, tokens_BT: Tensor, doc_index_BT: Tensor, bounds: DocumentBounds | None = None) -> Passes:
        """Run all loops and keep each one's state."""
        layout = self._layout(doc_index_BT, bounds)
        embeddings_BTD = self.embed_tokens(tokens_BT)
        if torch.is_autocast_enabled(embeddings_BTD.device.type):
            embeddings_BTD = embeddings_BTD.to(self.residual)  # a sharded model gathers bfloat16
        z_BTD, kept = self.loop(embeddings_BTD, layout=layout)
        states, gates = [z_BTD], []
        for _ in range(1, self.config.n_loops):
            z_BTD, loop_gates = self.loop(self.mix(embeddings_BTD, z_BTD, layout=layout), layout=layout, kept=kept)
            states.append(z_BTD)
            gates.append(loop_gates)
        return Passes(embeddings_BTD, tuple(states), tuple(gates), kept, layout)

    def loop(
        self, x_BTD: Tensor, *, layout: BatchLayout, kept: tuple[KeyValues, ...] | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """One pass through the layers: the state and, of each layer, its keys and values or, given those, its gate."""
        left = []
        for layer, layer_kept in zip(self.layers, kept or repeat(None), strict=False):
            x_BTD, of_layer = self._call(layer, x_BTD, layout, layer_kept)
            left.append(of_layer)
        return x_BTD, tuple(left)

    def mix(self, embeddings_BTD: Tensor, z_BTD: Tensor, *, layout: BatchLayout) -> Tensor:
        """The input of a loop >= 2 from the state of the loop before."""
        if self.config.normalize_per_loop:
            z_BTD = self.norm(z_BTD)
        # roll brings the row's last token to its front; that place never links, so it is zeroed like any other start.
        # where, not a product: a product would let an infinite state of another document through as NaN.
        shifted_BTD = torch.where(layout.linked_BT1, z_BTD.roll(1, dims=1), 0.0)
        return self.config.embedding_scale * embeddings_BTD + self.config.hidden_scale * shifted_BTD

    def _layout(self, doc_index_BT: Tensor, bounds: DocumentBounds | None) -> BatchLayout:
        config = self.config
        return build_layout(
            doc_index_BT,
            window=config.window,
            head_dim=config.head_dim,
            rope_theta=config.rope_theta,
            dtype=self.norm.weight.dtype,
            backend=self.backend,
            query_block=self.query_block if doc_index_BT.device.type == "cpu" else None,
            bounds=bounds,
        )

    def _call(self, layer: nn.Module, *args: Any) -> Any:
        if not self.recompute_layers or not torch.is_grad_enabled():
            return layer(*args)
        if self.recompute_layers == "selective":
            return checkpoint(layer, *args, use_reentrant=False, context_fn=keep_expensive)
        return checkpoint(layer, *args, use_reentrant=False)


class PLT(nn.Module):
    """The whole model: `forward(tokens_BT, doc_index_BT)` gives `logits_BTV`, with targets the loss of each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = LoopedBlock(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(
        self,
        tokens_BT: Tensor,
        doc_index_BT: Tensor,
        targets_BT: Tensor | None = None,
        bounds: DocumentBounds | None = None,
    ) -> Tensor:
        """`doc_index_BT` numbers the document of each token within its row; -1 is padding.

        With `targets_BT` the cross-entropy of each in nats, float32, zero where it is -100; logits are never held.
        `bounds` (of the varlen backend) spare it a question to the device.
        """
        if tokens_BT.ndim != 2 or tokens_BT.shape != doc_index_BT.shape:
            raise ValueError(
                f"tokens have shape {tuple(tokens_BT.shape)} and document indexes {tuple(doc_index_BT.shape)}; "
                "expected one shape (rows, tokens) for both"
            )
        hidden_BTD = self.model(tokens_BT, doc_index_BT, bounds)
        if targets_BT is not None:
            return head_losses(self.lm_head, hidden_BTD, targets_BT=targets_BT)
        logits_BTV: Tensor = self.lm_head(hidden_BTD)
        return logits_BTV


def build_model(config: ModelConfig, *, seed: int) -> PLT:
    """A fresh model. Each matrix draws from its own generator, keyed by seed and name.

    So models that differ only in the number of loops start from equal weights, on any device.
    """
    model = PLT(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(first_value(name, parameter.shape, config=config, seed=seed))
    return model


def first_value(name: str, shape: torch.Size, *, config: ModelConfig, seed: int) -> Tensor:
    """The value of a parameter at step 0: matrices are normal, norm scales one, gates zero."""
    if "plt_gate" in name and "norm" not in name:
        return torch.zeros(shape)
    if len(shape) != 2:
        return torch.ones(shape)
    key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little", signed=True))
    return torch.empty(shape).normal_(0.0, config.init_std, generator=generator)
