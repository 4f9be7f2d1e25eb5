"""Writes a trained pair as checkpoint folders, in the two packagings that real checkpoints come in, and loads them back."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from families import FAMILIES
from pairs import F, Pair

EXTRA_SHARD = "model-extra.safetensors"
# Of the containers' vision and audio parts: a text loader must leave them alone.
EXTRAS = {
    "gemma4": {
        "model.vision_tower.patch_embedder.input_proj.weight": (16, 12),
        "model.embed_vision.embedding_projection.weight": (64, 16),
    },
    "gemma4_unified": {
        "model.vision_embedder.patch_dense.weight": (16, 12),
        "model.vision_embedder.patch_dense.bias": (16,),
        "model.embed_audio.embedding_projection.weight": (80, 16),
    },
}


def write_pair(pair: Pair, target, assistant, folder: Path) -> None:
    for part in ("target", "assistant"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for old in (folder / part).iterdir():
            old.unlink()
    target.generation_config.eos_token_id = [1, 3]  # as in real folders, generation_config names one more
    dtype = getattr(torch, pair.stored_as)
    if pair.packaging == "flat-single":
        target.to(dtype).save_pretrained(folder / "target")
    else:
        write_nested(pair, target, folder / "target", dtype)
    assistant.to(dtype).save_pretrained(folder / "assistant")
    if pair.global_form:
        to_global_form(folder / "target" / "config.json", pair.target, pair.drop_keys)
        to_global_form(folder / "assistant" / "config.json", pair.assistant_text, ())


def write_nested(pair: Pair, target, folder: Path, dtype: torch.dtype) -> None:
    """A multimodal outer config, prefix `model.language_model.`, and tensors that a text loader must leave alone."""
    family = FAMILIES[pair.family]
    config = family.config(text_config=target.config, vision_config=None, audio_config=None)
    outer = family.model(config).float()
    outer.model.language_model.load_state_dict(target.model.state_dict())
    outer.tie_weights()
    outer.generation_config = target.generation_config
    sharded = pair.packaging == "nested-sharded"
    outer.to(dtype).save_pretrained(folder, max_shard_size="700KB" if sharded else "1GB")

    generator = torch.Generator().manual_seed(pair.seed + 4)
    extra = EXTRAS[pair.family] | unused_kv(pair)
    tensors = {name: torch.randn(shape, generator=generator).bfloat16().to(dtype) for name, shape in extra.items()}
    if not sharded:
        path = folder / "model.safetensors"
        save_file(load_file(path) | tensors, path, metadata={"format": "pt"})
        return
    save_file(tensors, folder / EXTRA_SHARD, metadata={"format": "pt"})
    index_path = folder / "model.safetensors.index.json"
    index = json.loads(index_path.read_text())
    index["weight_map"] |= {name: EXTRA_SHARD for name in tensors}
    index["metadata"]["total_size"] += sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(index_path, index)


def unused_kv(pair: Pair) -> dict[str, tuple[int, ...]]:
    """K/V weights of KV-shared layers, which no model has and real checkpoints may carry all the same."""
    extra = {}
    count = pair.target["num_hidden_layers"]
    for layer in range(count - pair.target.get("num_kv_shared_layers", 0), count):
        full = pair.target["layer_types"][layer] == F
        d = pair.target["global_head_dim" if full else "head_dim"]
        rows = pair.target["num_key_value_heads"] * d
        attn = f"model.language_model.layers.{layer}.self_attn"
        extra |= {f"{attn}.{x}_proj.weight": (rows, pair.target["hidden_size"]) for x in "kv"} | {f"{attn}.k_norm.weight": (d,)}
    return extra


def to_global_form(path: Path, arguments: dict, drop: tuple[str, ...]) -> None:
    """The published checkpoints' form: `global_head_dim` and `num_global_key_value_heads` instead of `per_layer_config`."""
    config = json.loads(path.read_text())
    text = config.get("text_config", config)
    del text["per_layer_config"]
    for key in ("global_head_dim", "num_global_key_value_heads"):
        if key in arguments:
            text[key] = arguments[key]
    for key in drop:
        del text[key]
    write_json(path, config)


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def load_pair(pair: Pair, folder: Path, dtype=torch.float32):
    """The pair as the reference reads it from disk."""
    family = FAMILIES[pair.family]
    cls = family.text_model if pair.packaging == "flat-single" else family.model
    # The plain loop over experts, whose order of sums the others only imitate.
    target = cls.from_pretrained(folder / "target", dtype=dtype, experts_implementation="eager").eval()
    assistant = family.assistant.from_pretrained(folder / "assistant", dtype=dtype).eval()
    return target, assistant


def check_same_weights(target, folder: Path) -> None:
    """Every text weight on disk is the one in memory: `from_pretrained` only warns where it finds none."""
    stored = {}
    for shard in (folder / "target").glob("*.safetensors"):
        stored |= load_file(shard)
    for name, tensor in target.state_dict().items():
        if name != "lm_head.weight":  # tied, never stored
            assert torch.equal(stored[name].to(tensor.dtype), tensor), f"{name} differs from what is on disk"
