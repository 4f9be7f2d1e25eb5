"""Checkpoint folders in the reference's format: bf16 weights under its names, configuration with every key explicit."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .shapes import FULL, SLIDING, AssistantShape, TextShape
from .vocabulary import BOS, END_OF_TURN, EOS, PAD, SPECIAL

ROPE = {
    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
    FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0},
}


def text_config(shape: TextShape) -> dict[str, object]:
    """`gemma4_text` with `global_head_dim`, the form that transformers, mlx-vlm and llama.cpp all read."""
    per_layer = shape.hidden_size_per_layer_input
    return {
        "model_type": "gemma4_text",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "layer_types": list(shape.layer_types),
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "num_global_key_value_heads": None,
        "head_dim": shape.head_dim,
        "global_head_dim": shape.global_head_dim,
        "sliding_window": shape.sliding_window,
        "num_kv_shared_layers": shape.num_kv_shared_layers,
        "hidden_size_per_layer_input": per_layer,
        "vocab_size_per_layer_input": shape.vocab_size if per_layer else 0,
        "rope_parameters": ROPE,
        "max_position_embeddings": shape.max_position_embeddings,
        "rms_norm_eps": shape.rms_norm_eps,
        "final_logit_softcapping": shape.final_logit_softcapping,
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attention_k_eq_v": False,
        "use_bidirectional_attention": None,
        "use_double_wide_mlp": False,
        "enable_moe_block": False,
        "num_experts": None,
        "top_k_experts": None,
        "moe_intermediate_size": None,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "use_cache": True,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "bos_token_id": BOS,
        "dtype": "bfloat16",
    }


def export_target(state: dict[str, Tensor], shape: TextShape, tokenizer: Path, folder: Path) -> None:
    config = {"architectures": ["Gemma4ForCausalLM"], **text_config(shape)}
    tensors = {f"model.{name}": tensor for name, tensor in state.items()}
    write_checkpoint(folder, config, tensors, tokenizer)
    generation = {"bos_token_id": BOS, "eos_token_id": [EOS, END_OF_TURN], "pad_token_id": PAD, "do_sample": False}
    write_json(folder / "generation_config.json", generation)


def export_assistant(state: dict[str, Tensor], shape: AssistantShape, tokenizer: Path, folder: Path) -> None:
    config = {
        "architectures": ["Gemma4AssistantForCausalLM"],
        "model_type": "gemma4_assistant",
        "backbone_hidden_size": shape.backbone_hidden_size,
        "use_ordered_embeddings": True,
        "num_centroids": shape.num_centroids,
        "centroid_intermediate_top_k": shape.centroid_intermediate_top_k,
        "tie_word_embeddings": True,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "bos_token_id": BOS,
        "dtype": "bfloat16",
        "text_config": text_config(shape.text),
    }
    write_checkpoint(folder, config, state, tokenizer)
    generation = {"bos_token_id": BOS, "eos_token_id": [EOS, END_OF_TURN], "pad_token_id": PAD}
    # transformers has no default for these two and fails on their absence.
    generation |= {"num_assistant_tokens": 3, "num_assistant_tokens_schedule": "constant"}
    write_json(folder / "generation_config.json", generation)


def write_checkpoint(folder: Path, config: dict[str, object], tensors: dict[str, Tensor], tokenizer: Path) -> None:
    """Integer buffers stay integers; everything else is bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        name: (tensor.bfloat16() if tensor.is_floating_point() else tensor).contiguous().clone() for name, tensor in tensors.items()
    }
    part = folder / "model.safetensors.part"
    save_file(stored, part, metadata={"format": "pt"})
    os.replace(part, folder / "model.safetensors")
    write_json(folder / "config.json", config)
    for file in tokenizer.iterdir():
        shutil.copy(file, folder / file.name)


def write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights as the checkpoint will hold them, in float32: what the assistant has to follow."""
    return {name: t.bfloat16().float() if t.is_floating_point() else t for name, t in state.items()}


assert SPECIAL[EOS] == "<eos>"
