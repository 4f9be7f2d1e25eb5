"""The target: `gemma4_text` with per-layer inputs and KV-shared layers, for training on whole rows of tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts import MLP, RMSNorm, banded_attention, full_attention, linear, rope_table, rotate, unit_rms
from .shapes import FULL, TextShape

SharedKV = dict[str, tuple[Tensor, Tensor]]  # by layer type: K after norm and rope, and V; (B, T, 1, d)


class TargetOutput(NamedTuple):
    last_hidden: Tensor  # (B, T, H), after the final norm: what the drafter gets
    shared_kv: SharedKV


class Attention(nn.Module):
    def __init__(self, shape: TextShape, layer: int) -> None:
        super().__init__()
        self.shape = shape
        self.layer_type = shape.layer_types[layer]
        self.shares_kv = layer >= shape.first_shared
        dim = shape.head_dim_of(self.layer_type)
        heads = shape.num_attention_heads
        # Attention is not scaled by d^-0.5 (Gemma 4): the norms start there instead.
        start = dim**-0.25
        self.q_proj = linear(shape.hidden_size, heads * dim)
        self.q_norm = RMSNorm(dim, shape.rms_norm_eps, start)
        if not self.shares_kv:
            self.k_proj = linear(shape.hidden_size, dim)
            self.v_proj = linear(shape.hidden_size, dim)
            self.k_norm = RMSNorm(dim, shape.rms_norm_eps, start)
        self.o_proj = linear(heads * dim, shape.hidden_size)

    def queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = self.q_proj(x).unflatten(-1, (self.shape.num_attention_heads, -1))
        return rotate(self.q_norm(q), cos, sin)

    def keys_values(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        k = rotate(self.k_norm(self.k_proj(x).unsqueeze(-2)), cos, sin)
        v = unit_rms(self.v_proj(x).unsqueeze(-2), self.shape.rms_norm_eps)
        return k, v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, shared: SharedKV, strict: bool = False) -> Tensor:
        """Reads `shared` in KV-shared layers and writes it elsewhere, so that the last producer of a type stays in it."""
        if not self.shares_kv:
            shared[self.layer_type] = self.keys_values(x, cos, sin)
        q = self.queries(x, cos, sin)
        k, v = shared[self.layer_type]
        if self.layer_type == FULL:
            out = full_attention(q, k, v, strict)
        else:
            out = banded_attention(q, k, v, self.shape.sliding_window, strict)
        return self.o_proj(out.flatten(-2))


class Layer(nn.Module):
    def __init__(self, shape: TextShape, layer: int) -> None:
        super().__init__()
        size, eps = shape.hidden_size, shape.rms_norm_eps
        # Small first steps: a residual stream to which each block adds a quarter of a unit.
        self.self_attn = Attention(shape, layer)
        self.mlp = MLP(shape)
        self.input_layernorm = RMSNorm(size, eps)
        self.post_attention_layernorm = RMSNorm(size, eps, 0.25)
        self.pre_feedforward_layernorm = RMSNorm(size, eps)
        self.post_feedforward_layernorm = RMSNorm(size, eps, 0.25)
        self.layer_scalar = nn.Parameter(torch.ones(1))
        self.per_layer = shape.hidden_size_per_layer_input > 0
        if self.per_layer:
            self.per_layer_input_gate = linear(size, shape.hidden_size_per_layer_input)
            self.per_layer_projection = linear(shape.hidden_size_per_layer_input, size)
            self.post_per_layer_input_norm = RMSNorm(size, eps, 0.25)

    def forward(
        self, h: Tensor, per_layer: Tensor | None, cos: Tensor, sin: Tensor, shared: SharedKV, strict: bool = False
    ) -> Tensor:
        h = h + self.post_attention_layernorm(self.self_attn(self.input_layernorm(h), cos, sin, shared, strict))
        h = h + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(h)))
        if per_layer is not None:
            gated = F.gelu(self.per_layer_input_gate(h), approximate="tanh") * per_layer
            h = h + self.post_per_layer_input_norm(self.per_layer_projection(gated))
        return h * self.layer_scalar


class Target(nn.Module):
    """Parameter names are the reference's below `model.`."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.shape = shape
        size, per_layer = shape.hidden_size, shape.hidden_size_per_layer_input
        packed = shape.num_hidden_layers * per_layer
        self.embed_tokens = nn.Embedding(shape.vocab_size, size)
        self.embed_tokens_per_layer = nn.Embedding(shape.vocab_size, packed)
        self.per_layer_model_projection = linear(size, packed)
        self.per_layer_projection_norm = RMSNorm(per_layer, shape.rms_norm_eps)
        self.layers = nn.ModuleList(Layer(shape, i) for i in range(shape.num_hidden_layers))
        self.norm = RMSNorm(size, shape.rms_norm_eps)
        nn.init.normal_(self.embed_tokens.weight, std=size**-0.5)
        nn.init.normal_(self.embed_tokens_per_layer.weight, std=per_layer**-0.5)

    def embed(self, ids: Tensor) -> Tensor:
        return self.embed_tokens(ids) * self.shape.hidden_size**0.5

    def per_layer_inputs(self, ids: Tensor, h: Tensor) -> Tensor:
        size = self.shape.hidden_size_per_layer_input
        split = (self.shape.num_hidden_layers, size)
        tokens = (self.embed_tokens_per_layer(ids) * size**0.5).unflatten(-1, split)
        context = (self.per_layer_model_projection(h) * self.shape.hidden_size**-0.5).unflatten(-1, split)
        return (self.per_layer_projection_norm(context) + tokens) * 2**-0.5  # (B, T, L, P)

    def forward(self, ids: Tensor) -> TargetOutput:
        h = self.embed(ids)  # (B, T, H)
        per_layer = self.per_layer_inputs(ids, h)
        ropes = {kind: rope_table(self.shape, kind, ids.shape[1]) for kind in set(self.shape.layer_types)}
        shared: SharedKV = {}
        for i, layer in enumerate(self.layers):
            cos, sin = ropes[self.shape.layer_types[i]]
            h = layer(h, per_layer[:, :, i], cos, sin, shared)
        return TargetOutput(self.norm(h), shared)

    def logits(self, last_hidden: Tensor) -> Tensor:
        cap = self.shape.final_logit_softcapping
        logits = last_hidden @ self.embed_tokens.weight.T
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def loss(self, ids: Tensor) -> Tensor:
        """Next-token cross entropy; `ids` has one token more than the row the model reads."""
        last_hidden = self(ids[:, :-1]).last_hidden
        return F.cross_entropy(self.logits(last_hidden).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
