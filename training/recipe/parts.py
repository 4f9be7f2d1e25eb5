"""Pieces that target and assistant share: norm, rope, attention, MLP.

They mirror `transformers`' Gemma 4 classes number for number (`tests` in `check_peers.py`), but are written for speed on
a CPU: no masks of T x T for sliding layers, no dictionaries, everything that `torch.compile` can fuse.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .shapes import FULL, TextShape


class RMSNorm(nn.Module):
    """Normalizes in float32 and multiplies by `weight` itself, not by `1 + weight`."""

    def __init__(self, size: int, eps: float, start: float = 1.0) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.full((size,), start))

    def forward(self, x: Tensor) -> Tensor:
        return unit_rms(x, self.eps) * self.weight


def unit_rms(x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    return layer


def rope_table(shape: TextShape, layer_type: str, positions: int) -> tuple[Tensor, Tensor]:
    """cos and sin of shape (positions, head_dim), halves repeated."""
    dim = shape.head_dim_of(layer_type)
    pairs = torch.arange(dim // 2, dtype=torch.float64)
    if layer_type == FULL:
        # "proportional": a quarter of the pairs rotate, and the exponent divides by the whole head.
        frequency = 1_000_000.0 ** (-2 * pairs / dim)
        frequency[int(0.25 * dim / 2) :] = 0.0
    else:
        frequency = 10_000.0 ** (-2 * pairs / dim)
    angle = torch.arange(positions, dtype=torch.float32)[:, None] * frequency.float()[None]
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, T, heads, d); cos, sin (T, d) or (B, T, d)."""
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return x * cos.unsqueeze(-2) + turned * sin.unsqueeze(-2)


def banded_attention(q: Tensor, k: Tensor, v: Tensor, window: int, strict: bool) -> Tensor:
    """Sliding attention in blocks of one window: each block sees itself and the block before it.

    q (B, T, heads, d), k and v (B, T, 1, d) with T a multiple of `window`; returns (B, T, heads, d). `strict` hides the
    query's own position, which is the drafter's view: it may see only what the target has processed.
    """
    batch, length, heads, dim = q.shape
    blocks = length // window
    # All heads of a block of queries share one K/V head, so they are rows of one matrix product.
    rows = q.view(batch, blocks, window, heads, dim).transpose(2, 3).reshape(batch, blocks, heads * window, dim)
    keys = with_previous_block(k.view(batch, blocks, window, dim))
    values = with_previous_block(v.view(batch, blocks, window, dim))
    query = torch.arange(window)[:, None] + window
    key = torch.arange(2 * window)[None]
    seen = (key <= query - int(strict)) & (query - key < window)  # (window, 2 * window)
    bias = torch.zeros(window, 2 * window).masked_fill(~seen, -1e9)
    bias = bias.expand(blocks, heads, window, 2 * window).clone()
    bias[0, :, :, :window] = -1e9
    scores = rows @ keys.transpose(-1, -2) + bias.reshape(blocks, heads * window, 2 * window)
    out = scores.softmax(-1) @ values  # (B, blocks, heads * window, d)
    return out.view(batch, blocks, heads, window, dim).transpose(2, 3).reshape(batch, length, heads, dim)


def with_previous_block(x: Tensor) -> Tensor:
    """(B, blocks, window, d) -> (B, blocks, 2 * window, d)."""
    previous = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]
    return torch.cat((previous, x), dim=2)


def full_attention(q: Tensor, k: Tensor, v: Tensor, strict: bool) -> Tensor:
    """Causal attention over the whole row; shapes as in `banded_attention`."""
    batch, length, heads, dim = q.shape
    rows = q.transpose(1, 2).reshape(batch, heads * length, dim)
    position = torch.arange(length)
    seen = position[None] <= position[:, None] - int(strict)
    bias = torch.zeros(length, length).masked_fill(~seen, -1e9).repeat(heads, 1)
    scores = rows @ k.squeeze(2).transpose(-1, -2) + bias
    out = scores.softmax(-1) @ v.squeeze(2)
    return out.view(batch, heads, length, dim).transpose(1, 2)


class MLP(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.gate_proj = linear(shape.hidden_size, shape.intermediate_size)
        self.up_proj = linear(shape.hidden_size, shape.intermediate_size)
        self.down_proj = linear(shape.intermediate_size, shape.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x))
