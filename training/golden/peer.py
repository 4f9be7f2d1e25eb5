"""Greedy ids of mlx-vlm on a quantized pair, activations in float32: a second implementation over the same packed bytes."""

import json
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_vlm.models.gemma4.config import TextConfig
from mlx_vlm.models.gemma4.language import LanguageModel

from quantize import TARGET_PREFIX

PREFIX = "language_model."


def load_language_model(folder: Path) -> LanguageModel:
    """The text part alone: mlx-vlm's container needs a vision tower, which the fixture has not."""
    config = json.loads((folder / "config.json").read_text())
    stored = mx.load(str(folder / "model.safetensors"))
    model = LanguageModel(TextConfig.from_dict(config["text_config"]))
    block = config["quantization"]
    default = {key: block[key] for key in ("group_size", "bits")}

    def predicate(path: str, module: nn.Module):
        if not hasattr(module, "to_quantized") or f"{PREFIX}{path}.scales" not in stored:
            return False
        return block.get(PREFIX + path, True)

    nn.quantize(model, **default, mode=block.get("mode", "affine"), class_predicate=predicate)
    weights = {name.removeprefix(PREFIX): value for name, value in stored.items() if name.startswith(TARGET_PREFIX)}
    model.load_weights(list(weights.items()), strict=True)
    model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    return model.eval() or model


def greedy(folder: Path, prompt: list[int], steps: int) -> list[int]:
    model = load_language_model(folder)
    cache = model.make_cache()
    token, ids = mx.array([prompt]), []
    for _ in range(steps):
        logits = model(token, cache=cache).logits
        token = logits[:, -1:].argmax(-1)
        ids.append(token.item())
    return ids


def compare(folder: Path, prompt: list[int], expected: list[int]) -> dict:
    found = greedy(folder, prompt, len(expected))
    first = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), None)
    return {"mlxVlm": version("mlx-vlm"), "mlx": version("mlx"), "firstDifference": first}
