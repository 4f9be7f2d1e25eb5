"""Muon for the matrices of the layers, AdamW for the rest.

Muon (Jordan et al. 2024) makes each update of a matrix orthogonal, which its authors report to need fewer tokens than
AdamW alone (not measured here). torch's own version iterates in bfloat16, which processors without such units run at a crawl: this one
iterates in float32, and all matrices of a shape at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonal(update: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration on (N, rows, columns) towards the nearest orthogonal matrices."""
    tall = update.shape[1] > update.shape[2]
    x = update.transpose(1, 2) if tall else update
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    def __init__(self, parameters: Iterable[nn.Parameter], momentum: float = 0.95) -> None:
        self.momentum = momentum
        by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            by_shape[parameter.shape].append(parameter)
        self.groups = list(by_shape.values())
        self.averages = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group, average in zip(self.groups, self.averages, strict=True):
            gradient = torch.stack([parameter.grad for parameter in group])
            average.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(average, self.momentum))
            rows, columns = group[0].shape
            scale = lr * max(1.0, rows / columns) ** 0.5
            for parameter, direction in zip(group, update, strict=True):
                parameter.mul_(1 - 0.1 * lr).sub_(direction, alpha=scale)


class Optimizer:
    """Both rules under one schedule: a short warm-up, then a cosine down to nothing."""

    MATRIX_LR, OTHER_LR = 0.015, 3e-3

    def __init__(self, model: nn.Module, matrices: Iterable[nn.Parameter]) -> None:
        self.model = model
        matrix_list = list(matrices)
        chosen = set(map(id, matrix_list))
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
        self.muon = Muon(matrix_list)
        decayed = [p for p in rest if p.dim() > 1]
        plain = [p for p in rest if p.dim() <= 1]
        self.adam = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
            lr=self.OTHER_LR, betas=(0.9, 0.97), fused=True,
        )

    def step(self, progress: float, warm_up: float = 0.02) -> float:
        """Clips, updates and clears; `progress` goes from 0 to 1. Returns the norm of the gradient."""
        factor = min(1.0, (progress + 1e-4) / warm_up)
        if progress > warm_up:
            turn = (progress - warm_up) / (1 - warm_up)
            factor = 0.5 * (1 + torch.cos(torch.tensor(min(turn, 1.0) * torch.pi)).item())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.muon.step(self.MATRIX_LR * factor)
        for group in self.adam.param_groups:
            group["lr"] = self.OTHER_LR * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        for parameter in self.model.parameters():
            parameter.grad = None
        return norm.item()

    def state(self) -> dict[str, object]:
        return {"muon": self.muon.averages, "adam": self.adam.state_dict()}

    def restore(self, state: dict[str, object]) -> None:
        self.muon.averages = state["muon"]
        self.adam.load_state_dict(state["adam"])
