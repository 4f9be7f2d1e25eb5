"""A run that can be stopped and taken up again: how far it is, and its checkpoint file."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Budget:
    """A run ends after so many minutes of its own work, or so many steps, whichever is given."""

    minutes: float | None
    steps: int | None
    used: float = 0.0  # seconds, over all starts
    step: int = 0

    def __post_init__(self) -> None:
        self.since = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        self.used += now - self.since
        self.since = now
        self.step += 1

    @property
    def progress(self) -> float:
        if self.steps is not None:
            return self.step / self.steps
        return self.used / (60 * (self.minutes or 1))


def save(path: Path, content: dict[str, object]) -> None:
    """Never leaves half a file under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(content, part)
    os.replace(part, path)


def load(path: Path) -> dict[str, object] | None:
    return torch.load(path, weights_only=True) if path.exists() else None
