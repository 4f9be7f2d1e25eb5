"""The assistant: four layers without K/V of their own, in the form that drafts from every position of a row at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .parts import RMSNorm, linear, rope_table
from .shapes import AssistantShape
from .target import Layer, SharedKV


class DraftStep(NamedTuple):
    hidden: Tensor  # (B, T, h), after the assistant's norm: what the head reads
    projected: Tensor  # (B, T, H), what the next step gets as hidden


class Stack(nn.Module):
    """The text model below `model.`; its embedding serves nothing but the head."""

    def __init__(self, shape: AssistantShape) -> None:
        super().__init__()
        text = shape.text
        self.embed_tokens = nn.Embedding(text.vocab_size, text.hidden_size)
        self.layers = nn.ModuleList(Layer(text, i) for i in range(text.num_hidden_layers))
        self.norm = RMSNorm(text.hidden_size, text.rms_norm_eps)


class MaskedEmbedding(nn.Module):
    def __init__(self, shape: AssistantShape) -> None:
        super().__init__()
        self.centroids = linear(shape.text.hidden_size, shape.num_centroids)
        self.register_buffer("token_ordering", torch.arange(shape.text.vocab_size))


class Assistant(nn.Module):
    """Parameter names are the reference's."""

    def __init__(self, shape: AssistantShape) -> None:
        super().__init__()
        self.shape = shape
        size, backbone = shape.text.hidden_size, shape.backbone_hidden_size
        self.model = Stack(shape)
        self.pre_projection = linear(2 * backbone, size)
        self.post_projection = linear(size, backbone)
        self.masked_embedding = MaskedEmbedding(shape)

    @torch.no_grad()
    def start_from(self, target_embedding: Tensor, ordering: Tensor) -> None:
        """The target's embedding, squeezed into the assistant's width, is a better start than noise."""
        size, clusters = self.shape.text.hidden_size, self.shape.num_centroids
        _, _, directions = torch.linalg.svd(target_embedding - target_embedding.mean(0), full_matrices=False)
        squeezed = target_embedding @ directions[:size].T
        squeezed = squeezed / squeezed.std() * size**-0.5
        self.model.embed_tokens.weight.copy_(squeezed)
        self.masked_embedding.token_ordering.copy_(ordering)
        self.masked_embedding.centroids.weight.copy_(squeezed[ordering].view(clusters, -1, size).mean(1))

    def step(self, embedded: Tensor, hidden: Tensor, shared: SharedKV) -> DraftStep:
        """One draft step with the query of row t at position t, seeing keys < t alone.

        embedded (B, T, H): the target's scaled embedding of the token to go on from; hidden (B, T, H): the target's
        last_hidden of position t - 1 in the first step, the previous step's `projected` afterwards.
        """
        text = self.shape.text
        ropes = {kind: rope_table(text, kind, embedded.shape[1]) for kind in set(text.layer_types)}
        h = self.pre_projection(torch.cat((embedded, hidden), dim=-1))
        for layer, kind in zip(self.model.layers, text.layer_types, strict=True):
            h = layer(h, None, *ropes[kind], shared, strict=True)
        h = self.model.norm(h)
        return DraftStep(h, self.post_projection(h))

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.model.embed_tokens.weight.T

    def centroid_scores(self, hidden: Tensor) -> Tensor:
        return self.masked_embedding.centroids(hidden)

    def pick(self, hidden: Tensor) -> Tensor:
        """The best token of the best clusters, which is what the centroid head drafts."""
        shape = self.shape
        top = self.centroid_scores(hidden).topk(shape.centroid_intermediate_top_k, dim=-1).indices
        cluster_of = self.cluster_of()
        chosen = torch.zeros(*hidden.shape[:-1], shape.num_centroids, dtype=torch.bool).scatter_(-1, top, True)
        return self.logits(hidden).masked_fill(~chosen[..., cluster_of], -torch.inf).argmax(-1)

    def cluster_of(self) -> Tensor:
        """(V,): the cluster of each token, the inverse of `token_ordering`."""
        ordering = self.masked_embedding.token_ordering
        size = len(ordering) // self.shape.num_centroids
        return torch.empty_like(ordering).scatter_(0, ordering, torch.arange(len(ordering)) // size)


def shifted(last_hidden: Tensor) -> Tensor:
    """Row t gets the hidden of t - 1: the last position that the target has processed before the bonus token."""
    return torch.cat((torch.zeros_like(last_hidden[:, :1]), last_hidden[:, :-1]), dim=1)


def drafts_everywhere(assistant: Assistant, embed, ids: Tensor, last_hidden: Tensor, shared: SharedKV, steps: int) -> Iterator[Tensor]:
    """(B, T) per step: the tokens a round starting at each position would draft, each step fed with the one before."""
    token, hidden = ids, shifted(last_hidden)
    for _ in range(steps):
        out = assistant.step(embed(token), hidden, shared)
        token, hidden = assistant.pick(out.hidden), out.projected
        yield token
