"""Writes a trained pair as checkpoint folders, in the two packagings that real checkpoints come in, and loads them back."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma4AssistantForCausalLM,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
)

from pairs import F, Pair

EXTRA_SHARD = "model-extra.safetensors"


def write_pair(pair: Pair, target: Gemma4ForCausalLM, assistant: Gemma4AssistantForCausalLM, folder: Path) -> None:
    for part in ("target", "assistant"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for old in (folder / part).iterdir():
            old.unlink()
    target.generation_config.eos_token_id = [1, 3]  # as in real folders, generation_config names one more
    if pair.packaging == "nested-sharded":
        write_nested(pair, target, folder / "target")
        assistant.save_pretrained(folder / "assistant")
    else:
        target.save_pretrained(folder / "target")
        to_global_form(folder / "target" / "config.json", pair.target, pair.drop_keys)
        assistant.save_pretrained(folder / "assistant")
        to_global_form(folder / "assistant" / "config.json", pair.assistant_text, ())


def write_nested(pair: Pair, target: Gemma4ForCausalLM, folder: Path) -> None:
    """A multimodal outer config, shards, prefix `model.language_model.`, and tensors that a text loader must leave alone."""
    config = Gemma4Config(text_config=target.config, vision_config=None, audio_config=None)
    outer = Gemma4ForConditionalGeneration(config).float()
    outer.model.language_model.load_state_dict(target.model.state_dict())
    outer.tie_weights()
    outer.generation_config = target.generation_config
    outer.save_pretrained(folder, max_shard_size="700KB")

    generator = torch.Generator().manual_seed(pair.seed + 4)
    extra = {"model.vision_tower.patch_embedder.input_proj.weight": (16, 12), "model.embed_vision.embedding_projection.weight": (64, 16)}
    first_shared = pair.target["num_hidden_layers"] - pair.target["num_kv_shared_layers"]
    for layer in range(first_shared, pair.target["num_hidden_layers"]):
        full = pair.target["layer_types"][layer] == F
        d = pair.target["global_head_dim" if full else "head_dim"]
        rows = pair.target["num_key_value_heads"] * d
        attn = f"model.language_model.layers.{layer}.self_attn"
        extra |= {f"{attn}.{x}_proj.weight": (rows, pair.target["hidden_size"]) for x in "kv"} | {f"{attn}.k_norm.weight": (d,)}
    tensors = {name: torch.randn(shape, generator=generator).bfloat16().float() for name, shape in extra.items()}
    save_file(tensors, folder / EXTRA_SHARD, metadata={"format": "pt"})
    index_path = folder / "model.safetensors.index.json"
    index = json.loads(index_path.read_text())
    index["weight_map"] |= {name: EXTRA_SHARD for name in tensors}
    index["metadata"]["total_size"] += sum(t.numel() * 4 for t in tensors.values())
    write_json(index_path, index)


def to_global_form(path: Path, arguments: dict, drop: tuple[str, ...]) -> None:
    """The published checkpoints' form: `global_head_dim` and `num_global_key_value_heads` instead of `per_layer_config`."""
    config = json.loads(path.read_text())
    text = config.get("text_config", config)
    del text["per_layer_config"]
    for key in ("global_head_dim", "num_global_key_value_heads"):
        text[key] = arguments[key]
    for key in drop:
        del text[key]
    write_json(path, config)


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def load_pair(pair: Pair, folder: Path, dtype=torch.float32):
    """The pair as the reference reads it from disk."""
    cls = Gemma4ForConditionalGeneration if pair.packaging == "nested-sharded" else Gemma4ForCausalLM
    target = cls.from_pretrained(folder / "target", dtype=dtype).eval()
    assistant = Gemma4AssistantForCausalLM.from_pretrained(folder / "assistant", dtype=dtype).eval()
    return target, assistant


def check_same_weights(target, folder: Path) -> None:
    """Every text weight on disk is the one in memory: `from_pretrained` only warns where it finds none."""
    stored = {}
    for shard in (folder / "target").glob("*.safetensors"):
        stored |= load_file(shard)
    for name, tensor in target.state_dict().items():
        if name != "lm_head.weight":  # tied, never stored
            assert torch.equal(stored[name].to(tensor.dtype), tensor), f"{name} differs from what is on disk"
