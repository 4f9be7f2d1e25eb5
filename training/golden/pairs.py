"""The pairs: every number that shapes a checkpoint, and nothing else.

All are small enough for git and still carry the traits of a real family, so that a mistake in any of them shows:
`e-style` those of E2B/E4B, `dense-k-eq-v` those of the 31B, `moe` those of the 26B-A4B, `unified` those of the 12B.
`quantized` and `moe-quantized` are such pairs packed as conversions of MLX pack them.
Layer scalars and norm weights start away from 1.
"""

from dataclasses import dataclass, field, replace
from typing import Any

S, F = "sliding_attention", "full_attention"


@dataclass(frozen=True)
class Pair:
    name: str
    packaging: str  # "nested-sharded", "nested-single" (a multimodal container), "flat-single" (text only), "mlx"
    seed: int
    target: dict[str, Any]  # Gemma4TextConfig arguments
    assistant: dict[str, Any]  # Gemma4AssistantConfig arguments, text_config apart
    assistant_text: dict[str, Any]  # Gemma4TextConfig arguments of the assistant
    prompt_length: int
    target_steps: int
    assistant_steps: int
    family: str = "gemma4"  # of FAMILIES
    stored_as: str = "float32"  # dtype of the files; the values are always such as bfloat16 holds
    global_form: bool = False  # config.json with `global_head_dim`, as published; else transformers' `per_layer_config`
    drop_keys: tuple[str, ...] = field(default=())  # keys left out of the target's config.json: defaults must fill them
    # By part: the defaults of the `quantization` block, and `overrides` by module (False: not packed).
    quantized: dict[str, dict] | None = None
    trained: str | None = None  # another pair's checkpoints are taken instead of training

    @property
    def window(self) -> int:
        return self.target["sliding_window"]

    @property
    def draft_positions(self) -> list[int]:
        """One key only; before, at and just past the window; around the end of the prompt; far past the window."""
        w, t = self.window, self.prompt_length
        return [1, w - 4, w - 1, w, w + 1, 2 * w, t, t + 3, t + 90, t + 190]


E_STYLE = Pair(
    name="e-style",
    packaging="nested-sharded",
    seed=20,
    target=dict(
        vocab_size=320,
        vocab_size_per_layer_input=320,
        hidden_size=64,
        intermediate_size=64,
        # 11 layers, so that save_pretrained pads its per_layer_config keys ("02") here and not in the assistant ("3").
        num_hidden_layers=11,
        # Two producers of either type before the sharing starts, so that "the last producer of its type" is a real choice.
        layer_types=[S, S, F, S, S, F, S, S, S, S, F],
        num_kv_shared_layers=5,
        use_double_wide_mlp=True,
        hidden_size_per_layer_input=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        global_head_dim=32,
        sliding_window=16,
        final_logit_softcapping=30.0,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    assistant=dict(
        backbone_hidden_size=64,
        use_ordered_embeddings=True,
        num_centroids=32,
        centroid_intermediate_top_k=6,
    ),
    assistant_text=dict(
        vocab_size=320,
        vocab_size_per_layer_input=0,
        hidden_size_per_layer_input=0,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        layer_types=[S, S, S, F],
        num_kv_shared_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        global_head_dim=32,
        sliding_window=16,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    prompt_length=61,
    target_steps=450,
    assistant_steps=250,
)

DENSE_K_EQ_V = Pair(
    name="dense-k-eq-v",
    packaging="flat-single",
    seed=31,
    target=dict(
        vocab_size=288,
        hidden_size=80,
        intermediate_size=96,
        # No layer_types: every 6th is full, and the last one is forced to be (layers 5 and 7 here).
        num_hidden_layers=8,
        hidden_size_per_layer_input=0,
        attention_k_eq_v=True,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=48,
        sliding_window=24,
        final_logit_softcapping=30.0,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    assistant=dict(backbone_hidden_size=80, use_ordered_embeddings=False),
    assistant_text=dict(
        vocab_size=288,
        vocab_size_per_layer_input=0,
        hidden_size_per_layer_input=0,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        layer_types=[S, S, S, F],
        num_kv_shared_layers=4,
        attention_k_eq_v=True,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=48,
        sliding_window=24,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    prompt_length=67,
    target_steps=600,
    assistant_steps=130,
    global_form=True,
    drop_keys=("layer_types", "rope_parameters"),
)

MOE = Pair(
    name="moe",
    packaging="nested-sharded",
    seed=26,
    target=dict(
        vocab_size=288,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=6,
        layer_types=[S, S, F, S, S, F],
        hidden_size_per_layer_input=0,
        attention_k_eq_v=True,
        enable_moe_block=True,
        num_experts=8,
        top_k_experts=3,
        moe_intermediate_size=32,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=32,
        sliding_window=20,
        final_logit_softcapping=30.0,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    assistant=dict(backbone_hidden_size=64, use_ordered_embeddings=False),
    assistant_text=dict(
        vocab_size=288,
        vocab_size_per_layer_input=0,
        hidden_size_per_layer_input=0,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        layer_types=[S, S, S, F],
        num_kv_shared_layers=4,
        attention_k_eq_v=True,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=32,
        sliding_window=20,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    prompt_length=63,
    target_steps=450,
    assistant_steps=200,
    stored_as="bfloat16",
    global_form=True,
)

UNIFIED = Pair(
    name="unified",
    packaging="nested-single",
    seed=12,
    target=dict(
        vocab_size=288,
        hidden_size=80,
        intermediate_size=96,
        num_hidden_layers=7,
        layer_types=[S, S, F, S, S, S, F],
        attention_k_eq_v=True,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=48,
        sliding_window=22,
        final_logit_softcapping=30.0,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    assistant=dict(backbone_hidden_size=80, use_ordered_embeddings=False),
    assistant_text=dict(
        vocab_size=288,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        layer_types=[S, S, S, F],
        num_kv_shared_layers=4,
        attention_k_eq_v=True,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        head_dim=16,
        global_head_dim=48,
        sliding_window=22,
        max_position_embeddings=2048,
        eos_token_id=1,
    ),
    prompt_length=65,
    target_steps=500,
    assistant_steps=150,
    family="gemma4_unified",
    stored_as="bfloat16",
)

# Per-layer inputs are 8 wide: their table and projections do not divide into groups and stay as they are.
QUANTIZED = replace(
    E_STYLE,
    name="quantized",
    packaging="mlx",
    trained="e-style",
    quantized={
        part: dict(group_size=32, bits=4, mode="affine", overrides={}) for part in ("target", "assistant")
    },
)

# Every width and mode, and modules left as they are. The router as mlx-vlm packs it.
MOE_QUANTIZED = replace(
    MOE,
    name="moe-quantized",
    packaging="mlx",
    trained="moe",
    quantized={
        "target": dict(
            group_size=32,
            bits=4,
            mode="affine",
            overrides={f"layers.{i}.router.proj": dict(group_size=64, bits=8) for i in range(6)}
            | {
                "embed_tokens": dict(group_size=64, bits=6),
                "layers.0.mlp.down_proj": dict(group_size=32, bits=6),
                "layers.1.mlp.up_proj": dict(group_size=32, bits=5),
                "layers.1.self_attn.v_proj": dict(group_size=32, bits=3),
                "layers.2.self_attn.q_proj": dict(group_size=64, bits=8),
                "layers.2.self_attn.k_proj": False,
                "layers.3.experts.switch_glu.down_proj": dict(group_size=32, bits=8),
                "layers.3.experts.switch_glu.up_proj": False,
                "layers.4.mlp.gate_proj": dict(group_size=32, bits=4, mode="mxfp4"),
                "layers.4.experts.switch_glu.gate_proj": dict(group_size=16, bits=4, mode="nvfp4"),
                "layers.5.self_attn.o_proj": dict(group_size=32, bits=8, mode="mxfp8"),
            },
        ),
        "assistant": dict(
            group_size=32,
            bits=8,
            mode="affine",
            overrides={
                "pre_projection": dict(group_size=64, bits=4),
                "post_projection": False,
                "model.layers.3.mlp.down_proj": dict(group_size=32, bits=4, mode="mxfp4"),
            },
        ),
    },
)

PAIRS = {pair.name: pair for pair in (E_STYLE, DENSE_K_EQ_V, MOE, UNIFIED, QUANTIZED, MOE_QUANTIZED)}
