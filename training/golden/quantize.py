"""Quantized pairs: a trained pair packed with MLX as its conversions pack it, and read back dequantized for the reference."""

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

from checkpoint import EXTRAS, to_global_form, write_json
from families import FAMILIES
from pairs import Pair

TARGET_PREFIX = "language_model.model."
SPLIT = {"gate_proj": 0, "up_proj": 1}  # halves of experts.gate_up_proj


def to_mlx(tensor: torch.Tensor) -> mx.array:
    if not tensor.is_floating_point():
        return mx.array(tensor.to(torch.int32).numpy())
    return mx.array(tensor.float().numpy()).astype(mx.bfloat16)


def to_torch(array: mx.array) -> torch.Tensor:
    return torch.from_numpy(np.array(array.astype(mx.float32)))


def canonical(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """A state dict by MLX's names without prefix: experts split, the tied head left out."""
    out = {}
    for name, tensor in state.items():
        if name == "lm_head.weight":
            continue
        name = name.removeprefix(prefix)
        if name.endswith(".experts.gate_up_proj"):
            for part, half in zip(SPLIT, tensor.chunk(2, dim=1)):
                out[name.replace("gate_up_proj", f"switch_glu.{part}.weight")] = half
        elif name.endswith(".experts.down_proj"):
            out[name.replace("down_proj", "switch_glu.down_proj.weight")] = tensor
        else:
            out[name] = tensor
    return out


def pack(state: dict[str, torch.Tensor], scheme: dict) -> tuple[dict[str, mx.array], dict]:
    """Packed tensors, and what stands in the `quantization` block beside the defaults."""
    default = {key: value for key, value in scheme.items() if key != "overrides"}
    overrides, unknown = {}, dict(scheme["overrides"])
    tensors = {}
    for name, tensor in state.items():
        module = name.removesuffix(".weight")
        if name == module or tensor.ndim < 2 or module.endswith("centroids"):
            tensors[name] = to_mlx(tensor)
            continue
        own = unknown.pop(module, default)
        if own != default:
            overrides[module] = own
        if own is False or tensor.shape[-1] % own["group_size"] != 0:  # the latter as MLX's own conversion
            tensors[name] = to_mlx(tensor)
            continue
        parts = mx.quantize(to_mlx(tensor), own["group_size"], own["bits"], mode=own.get("mode", "affine"))
        tensors |= {f"{module}.{part}": value for part, value in zip(("weight", "scales", "biases"), parts)}
    assert not unknown, f"overrides of modules that there are not: {sorted(unknown)}"
    return tensors, default | overrides


def write_quantized(pair: Pair, target, assistant, folder: Path) -> None:
    """`target` and `assistant`: as trained, or as `load_pair` reads them."""
    prefix = "model.language_model." if hasattr(target.model, "language_model") else "model."
    tensors, block = pack(canonical(target.state_dict(), prefix), pair.quantized["target"])
    extras = {name.removeprefix("model."): shape for name, shape in EXTRAS[pair.family].items()}
    whole = {TARGET_PREFIX + name: value for name, value in tensors.items()}
    whole |= {name: mx.random.normal(shape, key=mx.random.key(i)).astype(mx.bfloat16) for i, (name, shape) in enumerate(extras.items())}
    defaults = set(pair.quantized["target"])
    block = {key if key in defaults else TARGET_PREFIX + key: value for key, value in block.items()}
    text_config = target.config.get_text_config()
    outer = FAMILIES[pair.family].config(text_config=text_config, vision_config=None, audio_config=None)
    write_part(folder / "target", whole, outer, block, pair.target, target.generation_config, (1, 3))

    tensors, block = pack(canonical(assistant.state_dict(), ""), pair.quantized["assistant"])
    write_part(folder / "assistant", tensors, assistant.config, block, pair.assistant_text, assistant.generation_config, 1)


def write_part(folder: Path, tensors, config, block: dict, arguments: dict, generation_config, eos) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    config.dtype = "bfloat16"
    config.save_pretrained(folder)
    to_global_form(folder / "config.json", arguments, ())
    saved = json.loads((folder / "config.json").read_text())
    # Twice, as mlx-lm and mlx-vlm write it.
    write_json(folder / "config.json", saved | {"quantization": block, "quantization_config": block})
    generation_config.eos_token_id = list(eos) if isinstance(eos, tuple) else eos
    generation_config.save_pretrained(folder)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "mlx"})


def scheme_of(module: str, block: dict) -> dict:
    own = block.get(module, block)
    return {"group_size": own["group_size"], "bits": own["bits"], "mode": own.get("mode", "affine")}


def dequantized(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder in float32, packed ones dequantized in float32."""
    block = json.loads((folder / "config.json").read_text())["quantization"]
    stored = mx.load(str(folder / "model.safetensors"))
    out = {}
    for name, array in stored.items():
        module, _, part = name.rpartition(".")
        if part in ("scales", "biases"):
            continue
        if (scales := stored.get(f"{module}.scales")) is not None:
            biases = stored.get(f"{module}.biases")
            wide = scales if biases is None else scales.astype(mx.float32)
            array = mx.dequantize(
                array, wide, None if biases is None else biases.astype(mx.float32), **scheme_of(module, block)
            )
        out[name] = torch.from_numpy(np.array(array)) if array.dtype == mx.int32 else to_torch(array)
    return out


def reference_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names and experts as the reference has them; other parts than the text model left out."""
    out = {}
    for name, tensor in tensors.items():
        if not name.startswith(TARGET_PREFIX):
            continue
        name = f"model.language_model.{name.removeprefix(TARGET_PREFIX)}"
        if ".switch_glu.up_proj" in name:
            continue
        if ".switch_glu.gate_proj" in name:
            up = tensors[TARGET_PREFIX + name.removeprefix("model.language_model.").replace("gate_proj", "up_proj")]
            out[name.replace("switch_glu.gate_proj.weight", "gate_up_proj")] = torch.cat([tensor, up], dim=1)
        else:
            out[name.replace("switch_glu.down_proj.weight", "down_proj")] = tensor
    return out


def load_quantized(pair: Pair, folder: Path, dtype=torch.float32):
    """The reference's models with the dequantized weights of a folder."""
    family = FAMILIES[pair.family]
    parts = []
    for part, cls, config_cls in (
        ("target", family.model, family.config),
        ("assistant", family.assistant, family.assistant_config),
    ):
        config = json.loads((folder / part / "config.json").read_text())
        config = {key: value for key, value in config.items() if not key.startswith("quantization")}
        model = cls(config_cls.from_dict(config)).float()
        tensors = dequantized(folder / part)
        state = reference_names(tensors) if part == "target" else tensors
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert set(missing) <= {"lm_head.weight"} and not unexpected, (missing, unexpected)
        model.tie_weights()
        if part == "target":
            model.set_experts_implementation("eager")
            model.generation_config.eos_token_id = [1, 3]
        parts.append(model.to(dtype).eval())
    return tuple(parts)


def bits_per_weight(folder: Path) -> float:
    """Of the packed modules, scales and biases counted."""
    block = json.loads((folder / "config.json").read_text())["quantization"]
    stored = mx.load(str(folder / "model.safetensors"))
    bits = weights = 0
    for name, array in stored.items():
        module, _, part = name.rpartition(".")
        if f"{module}.scales" not in stored:
            continue
        bits += array.nbytes * 8
        if part == "weight":
            weights += math.prod(array.shape) * 32 // scheme_of(module, block)["bits"]
    return round(bits / weights, 3)
