"""Trains the target on chats and prose."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import progress
from .optimizer import Optimizer
from .rows import ROW, RowMaker
from .shapes import TARGET
from .target import Target

ROWS_PER_STEP = 8


def layer_matrices(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [p for name, p in model.named_parameters() if name.startswith("layers.") and p.dim() == 2]


def train_target(work: Path, minutes: float | None, steps: int | None, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    model = Target(TARGET)
    optimizer = Optimizer(model, layer_matrices(model))
    budget = progress.Budget(minutes, steps)
    path = work / "target.pt"
    saved = progress.load(path)
    if saved:
        model.load_state_dict(saved["model"])
        optimizer.restore(saved["optimizer"])
        budget.used, budget.step = saved["used"], saved["step"]
    # A continued run reads other rows than those it has seen.
    rows = RowMaker(tokenizer, seed + 1000 * budget.step)
    last_save = time.monotonic()
    average = 0.0
    while budget.progress < 1:
        ids = torch.from_numpy(rows.batch(ROWS_PER_STEP))
        started = time.monotonic()
        loss = model.loss(ids)
        loss.backward()
        norm = optimizer.step(budget.progress)
        average = loss.item() if budget.step == 0 else 0.95 * average + 0.05 * loss.item()
        budget.tick()
        if budget.step % 10 == 0:
            speed = ROWS_PER_STEP * ROW / (time.monotonic() - started)
            print(
                f"{time.strftime('%H:%M:%S')} step {budget.step} progress {budget.progress:.3f} loss {average:.3f}"
                f" norm {norm:.2f} {speed:.0f} tokens/s", flush=True,
            )
        if time.monotonic() - last_save > 180 or budget.progress >= 1:
            progress.save(path, {
                "model": model.state_dict(), "optimizer": optimizer.state(), "used": budget.used, "step": budget.step,
            })
            last_save = time.monotonic()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(2)
    train_target(options.work, options.minutes, options.steps, options.seed)
