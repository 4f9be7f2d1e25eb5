"""Loads the pair in transformers and in mlx-vlm and compares greedy ids, in float32, with those of the recipe.

    python training/check_peers.py models/tiny-gemma4
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from evaluate import load_pair, prompt_ids
from recipe.decode import continue_rows

NEW_TOKENS = 200


def transformers_ids(folder: Path, prompts: list[list[int]], assisted: bool) -> list[list[int]]:
    """Greedy ids of the reference, on its own or with the assistant drafting."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / "target", dtype=torch.float32)
    drafter = AutoModelForCausalLM.from_pretrained(folder / "assistant", dtype=torch.float32) if assisted else None
    result = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), assistant_model=drafter, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None
        )
        result.append(out[0, len(prompt) :].tolist())
    return result


def mlx_vlm_ids(folder: Path, prompts: list[list[int]]) -> list[list[int]]:
    import mlx.core as mx
    from mlx.utils import tree_map
    from mlx_vlm.utils import load_model

    model = load_model(folder / "target")
    model.update(tree_map(lambda a: a.astype(mx.float32) if mx.issubdtype(a.dtype, mx.floating) else a, model.parameters()))
    result = []
    for prompt in prompts:
        cache = model.make_cache()
        ids, new = mx.array([prompt]), []
        while len(new) < NEW_TOKENS:
            logits = model.language_model(ids, cache=cache).logits[:, -1]
            new.append(int(logits.argmax(-1).item()))
            ids = mx.array([new[-1:]])
        result.append(new)
    return result


def report(name: str, ours: list[list[int]], theirs: list[list[int]]) -> None:
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    first = [next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a)) for a, b in zip(ours, theirs, strict=True)]
    print(f"{name}: {same} of {len(ours)} texts equal over {NEW_TOKENS} tokens; first difference at the earliest at {min(first)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    target, _, tokenizer = load_pair(folder)
    prompts = prompt_ids(tokenizer, "chat")[:10] + prompt_ids(tokenizer, "prose")[:10]
    ours = [row[len(p) :] for row, p in zip(continue_rows(target, prompts, NEW_TOKENS), prompts, strict=True)]
    report("transformers", ours, transformers_ids(folder, prompts, assisted=False))
    report("mlx-vlm", ours, mlx_vlm_ids(folder, prompts))
    try:
        report("transformers, assisted", ours, transformers_ids(folder, prompts, assisted=True))
    except Exception as error:  # noqa: BLE001 - a report of what the peer does, whatever it is
        print(f"transformers, assisted: {type(error).__name__}: {error}")
