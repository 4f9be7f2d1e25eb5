"""Tokens per target step of a pair, greedy, on the held-out prompts.

    python training/evaluate.py models/tiny-gemma4

Greedy drafting gives the target's own text, so the text is made first, plainly. Then the drafts of a round are known for
every position at which one could start: the K/V a round may see are those of the text before it. Walking from round to
round counts what the drafting loop would have accepted, exactly, cut at the stop token and at the limit as the loop cuts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from recipe.assistant import Assistant, drafts_everywhere
from recipe.decode import continue_rows
from recipe.shapes import ASSISTANT, TARGET
from recipe.target import Target
from recipe.vocabulary import END_OF_TURN, EOS
from safetensors.torch import load_file
from tokenizers import Tokenizer

EVAL = Path(__file__).parent / "eval"


def load_pair(folder: Path) -> tuple[Target, Assistant, Tokenizer]:
    """The checkpoint folders, in float32."""
    target, assistant = Target(TARGET), Assistant(ASSISTANT)
    stored = load_file(folder / "target" / "model.safetensors")
    target.load_state_dict({name.removeprefix("model."): tensor.float() for name, tensor in stored.items()})
    stored = load_file(folder / "assistant" / "model.safetensors")
    assistant.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in stored.items()})
    tokenizer = Tokenizer.from_file(str(folder / "target" / "tokenizer.json"))
    return target.requires_grad_(False), assistant.requires_grad_(False), tokenizer


def prompt_ids(tokenizer: Tokenizer, name: str) -> list[list[int]]:
    prompts = [row["prompt"] for row in json.loads((EVAL / f"prompts-{name}.json").read_text())]
    if name == "chat":
        prompts = [f"<|turn>user\n{prompt}<turn|>\n<|turn>model\n" for prompt in prompts]
    return [tokenizer.encode(prompt).ids for prompt in prompts]


def cut(tokens: list[int]) -> list[int]:
    """Up to and including the first stop token."""
    stop = next((i for i, token in enumerate(tokens) if token in (EOS, END_OF_TURN)), len(tokens) - 1)
    return tokens[: stop + 1]


@torch.no_grad()
def rounds(target: Target, assistant: Assistant, prompt: list[int], answer: list[int], steps: int) -> list[int]:
    """Tokens that each round of the loop emits; the prefill has emitted the first token of the answer."""
    ids = prompt + answer
    window = TARGET.sliding_window
    row = torch.tensor([ids + [0] * (-len(ids) % window)])
    last_hidden, shared = target(row)
    drafts = torch.stack(list(drafts_everywhere(assistant, target.embed, row, last_hidden, shared, steps)))[:, 0].tolist()
    at, emitted = len(prompt), []  # `at` is where the bonus token stands
    while at < len(ids) - 1:
        accepted = 0
        while accepted < steps and at + accepted + 1 < len(ids) and drafts[accepted][at] == ids[at + accepted + 1]:
            accepted += 1
        emitted.append(min(accepted + 1, len(ids) - 1 - at))
        at += emitted[-1]
    return emitted


def measure(folder: Path, name: str, steps: int, limit: int) -> dict[str, object]:
    target, assistant, tokenizer = load_pair(folder)
    prompts = prompt_ids(tokenizer, name)
    rows = continue_rows(target, prompts, limit)
    means, tokens, target_steps = [], 0, 0
    for prompt, row in zip(prompts, rows, strict=True):
        emitted = rounds(target, assistant, prompt, cut(row[len(prompt) :]), steps)
        if emitted:
            means.append(sum(emitted) / len(emitted))
            tokens, target_steps = tokens + sum(emitted), target_steps + len(emitted)
    return {
        "set": name, "prompts": len(prompts), "draft tokens": steps, "tokens": tokens, "target steps": target_steps,
        "tokens per step, mean of prompts": round(sum(means) / len(means), 3), "tokens per step, pooled": round(tokens / target_steps, 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draft-tokens", type=int, default=3)
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(2)
    for name in ("chat", "prose"):
        print(json.dumps(measure(options.folder, name, options.draft_tokens, options.limit)))
