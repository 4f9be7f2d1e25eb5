"""Greedy generation of many rows at once, one position per step, with K/V caches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .parts import rope_table, rotate
from .shapes import FULL, SLIDING
from .target import Target


class Decoder:
    """All rows stand at the same position; what a row is fed there is the caller's business."""

    def __init__(self, model: Target, rows: int, length: int) -> None:
        self.model, self.shape = model, model.shape
        self.position = 0
        self.ropes = {kind: rope_table(self.shape, kind, length) for kind in (SLIDING, FULL)}
        self.keys, self.values = (
            [torch.zeros(rows, length, self.shape.head_dim_of(kind)) for kind in self.shape.layer_types[: self.shape.first_shared]]
            for _ in range(2)
        )

    @torch.no_grad()
    def step(self, ids: Tensor) -> Tensor:
        """(B,) tokens at the current position -> (B, V) logits of the next."""
        model, at = self.model, self.position
        h = model.embed(ids[:, None])
        per_layer = model.per_layer_inputs(ids[:, None], h)
        last: dict[str, int] = {}
        for i, layer in enumerate(model.layers):
            kind = self.shape.layer_types[i]
            cos, sin = (table[at : at + 1] for table in self.ropes[kind])
            attention = layer.self_attn
            x = layer.input_layernorm(h)
            if not attention.shares_kv:
                k, v = attention.keys_values(x, cos, sin)
                self.keys[i][:, at], self.values[i][:, at] = k[:, 0, 0], v[:, 0, 0]
                last[kind] = i
            source = last[kind]
            start = 0 if kind == FULL else max(0, at + 1 - self.shape.sliding_window)
            keys, values = self.keys[source][:, start : at + 1], self.values[source][:, start : at + 1]
            q = rotate(attention.q_norm(attention.q_proj(x).unflatten(-1, (self.shape.num_attention_heads, -1))), cos, sin)
            mixed = (q[:, 0] @ keys.transpose(1, 2)).softmax(-1) @ values  # (B, heads, d)
            h = h + layer.post_attention_layernorm(attention.o_proj(mixed.flatten(1)[:, None]))
            h = h + layer.post_feedforward_layernorm(layer.mlp(layer.pre_feedforward_layernorm(h)))
            gated = F.gelu(layer.per_layer_input_gate(h), approximate="tanh") * per_layer[:, :, i]
            h = (h + layer.post_per_layer_input_norm(layer.per_layer_projection(gated))) * layer.layer_scalar
        self.position += 1
        return model.logits(model.norm(h))[:, 0]


def continue_rows(model: Target, prompts: list[list[int]], new_tokens: int) -> list[list[int]]:
    """Each prompt with `new_tokens` greedy tokens behind it; a stop token does not stop, the caller cuts."""
    length = max(map(len, prompts)) + new_tokens
    decoder = Decoder(model, len(prompts), length)
    rows = [list(prompt) for prompt in prompts]
    for at in range(length - 1):
        best = decoder.step(torch.tensor([row[at] for row in rows])).argmax(-1).tolist()
        for row, prompt, token in zip(rows, prompts, best, strict=True):
            if len(row) == at + 1 and len(row) < len(prompt) + new_tokens:
                row.append(token)
            elif len(row) == at + 1:
                row.append(0)  # this row is done; the others go on
    return [row[: len(prompt) + new_tokens] for row, prompt in zip(rows, prompts, strict=True)]
