"""Balanced k-means: clusters of similar tokens, all of one size."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced_ordering(points: Tensor, clusters: int, rounds: int = 8, seed: int = 0) -> Tensor:
    """(V,) token ids, those of cluster c at [c * size, (c + 1) * size)."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.nn.functional.normalize(points, dim=-1)
    centers = points[torch.randperm(len(points), generator=generator)[:clusters]]
    for _ in range(rounds):
        members = assign(torch.cdist(points, centers), len(points) // clusters)
        centers = points[members].mean(1)
    return members.flatten()


def assign(distance: Tensor, size: int) -> Tensor:
    """Nearest pairs first, each cluster until it is full. (V, C) -> (C, size)."""
    count, clusters = distance.shape
    order = distance.flatten().argsort().tolist()
    members: list[list[int]] = [[] for _ in range(clusters)]
    placed = [False] * count
    for pair in order:
        point, cluster = divmod(pair, clusters)
        if not placed[point] and len(members[cluster]) < size:
            members[cluster].append(point)
            placed[point] = True
    return torch.tensor(members)
