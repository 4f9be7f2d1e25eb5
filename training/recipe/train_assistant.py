"""Trains the assistant to say what the target will say next, three chained steps at a time."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from . import progress
from .assistant import Assistant, shifted
from .clusters import balanced_ordering
from .export import rounded
from .optimizer import Optimizer
from .rollouts import rollout_rows
from .rows import ROW, RowMaker
from .shapes import ASSISTANT, TARGET
from .target import Target

STEPS = 3
ROWS_PER_STEP = 6
# Of every batch, rows of the training text itself; the rest is the target's own text.
CORPUS_ROWS = 1
ROLLOUT_BATCHES, ROLLOUT_ROWS = 6, 128


def load_target(work: Path) -> Target:
    model = Target(TARGET)
    model.load_state_dict(rounded(progress.load(work / "target.pt")["model"]))
    return model.requires_grad_(False)


def draft_loss(target: Target, assistant: Assistant, ids: Tensor) -> tuple[Tensor, list[float]]:
    """Cross entropy of tokens and of clusters over the chained steps; also each step's share of right tokens.

    `ids` (B, T). A round that starts at position t is trained as far as the text goes where the target would take it.
    """
    with torch.no_grad():
        last_hidden, shared = target(ids)
        best = target.logits(last_hidden).argmax(-1)  # (B, T): what comes at t + 1
    cluster_of = assistant.cluster_of()
    follows = torch.ones_like(ids, dtype=torch.bool)
    follows[:, 0] = False  # there is no hidden before the first position
    token, hidden = ids, shifted(last_hidden)
    total = torch.zeros(())
    right: list[float] = []
    for j in range(STEPS):
        out = assistant.step(target.embed(token), hidden, shared)
        label = ahead(best, j)
        rows = out.hidden[follows]
        labels = label[follows]
        logits = assistant.logits(rows)
        total = total + F.cross_entropy(logits, labels)
        total = total + 0.5 * F.cross_entropy(assistant.centroid_scores(rows), cluster_of[labels])
        right.append((logits.detach().argmax(-1) == labels).float().mean().item())
        # The next step is fed with this label: it counts only where the row itself goes on that way.
        follows = follows & (label == ahead(ids, j + 1, fill=-1))
        token, hidden = label, out.projected
    return total, right


def ahead(ids: Tensor, by: int, fill: int = 0) -> Tensor:
    """Row t gets what stands at t + by; past the end, `fill`."""
    return F.pad(ids[:, by:], (0, by), value=fill) if by else ids


def train_assistant(work: Path, minutes: float | None, steps: int | None, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    target, assistant = load_target(work), Assistant(ASSISTANT)
    embedding = target.embed_tokens.weight
    assistant.start_from(embedding, balanced_ordering(embedding, ASSISTANT.num_centroids, seed=seed))
    matrices = [p for p in assistant.model.layers.parameters() if p.dim() == 2]
    optimizer = Optimizer(assistant, [*matrices, assistant.pre_projection.weight, assistant.post_projection.weight])
    budget = progress.Budget(minutes, steps)
    path = work / "assistant.pt"
    saved = progress.load(path)
    if saved:
        assistant.load_state_dict(saved["model"])
        optimizer.restore(saved["optimizer"])
        budget.used, budget.step = saved["used"], saved["step"]
    rows = RowMaker(tokenizer, seed + 7 + 1000 * budget.step, ROW)
    shuffle = np.random.default_rng(seed + budget.step)
    own = rollouts(work, target, tokenizer, seed)
    budget.since = time.monotonic()  # the text of the target is not part of the budget
    last_save = time.monotonic()
    while budget.progress < 1:
        mine = own[shuffle.integers(len(own), size=ROWS_PER_STEP - CORPUS_ROWS)]
        ids = torch.from_numpy(np.concatenate((mine, rows.batch(CORPUS_ROWS))))
        loss, right = draft_loss(target, assistant, ids)
        loss.backward()
        optimizer.step(budget.progress)
        budget.tick()
        if budget.step % 10 == 0:
            shares = " ".join(f"{share:.3f}" for share in right)
            print(f"{time.strftime('%H:%M:%S')} step {budget.step} progress {budget.progress:.3f} loss {loss.item():.3f} right {shares}", flush=True)
        if time.monotonic() - last_save > 60 or budget.progress >= 1:
            progress.save(path, {
                "model": assistant.state_dict(), "optimizer": optimizer.state(), "used": budget.used, "step": budget.step,
            })
            last_save = time.monotonic()


def rollouts(work: Path, target: Target, tokenizer: Tokenizer, seed: int) -> np.ndarray:
    """(ROLLOUT_BATCHES * ROLLOUT_ROWS, ROW) ids of the target's own text, made once."""
    path = work / "rollouts.npy"
    if not path.exists():
        batches = [rollout_rows(target, tokenizer, seed + 31 * (i + 1), ROLLOUT_ROWS, ROW) for i in range(ROLLOUT_BATCHES)]
        np.save(path, np.concatenate(batches))
    return np.load(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(2)
    train_assistant(options.work, options.minutes, options.steps, options.seed)
