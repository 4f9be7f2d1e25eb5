"""Sizes of the embedded pair: E4B's traits, small enough to train on two cores in an hour."""

from __future__ import annotations

from dataclasses import dataclass, field

SLIDING = "sliding_attention"
FULL = "full_attention"

VOCAB_SIZE = 4096


def four_to_one(layers: int) -> tuple[str, ...]:
    """E2B's pattern: every fifth layer, and so the last, looks at the whole context."""
    return tuple(FULL if (i + 1) % 5 == 0 else SLIDING for i in range(layers))


@dataclass(frozen=True)
class TextShape:
    """What `gemma4_text` needs to know, under the names of `config.json`."""

    vocab_size: int = VOCAB_SIZE
    hidden_size: int = 256
    intermediate_size: int = 512
    num_hidden_layers: int = 10
    num_attention_heads: int = 4
    num_key_value_heads: int = 1
    head_dim: int = 64
    global_head_dim: int = 128
    sliding_window: int = 64
    hidden_size_per_layer_input: int = 96
    # Producers are layers 0-4: the last two of them, 3 and 4, are one sliding and one full.
    num_kv_shared_layers: int = 5
    layer_types: tuple[str, ...] = field(default_factory=lambda: four_to_one(10))
    final_logit_softcapping: float | None = 30.0
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6

    def head_dim_of(self, layer_type: str) -> int:
        return self.global_head_dim if layer_type == FULL else self.head_dim

    @property
    def first_shared(self) -> int:
        return self.num_hidden_layers - self.num_kv_shared_layers


@dataclass(frozen=True)
class AssistantShape:
    """What `gemma4_assistant` adds to its own four-layer text stack."""

    text: TextShape
    backbone_hidden_size: int
    num_centroids: int = 128
    centroid_intermediate_top_k: int = 12


TARGET = TextShape()

ASSISTANT = AssistantShape(
    text=TextShape(
        hidden_size=160,
        intermediate_size=384,
        num_hidden_layers=4,
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=4,
        layer_types=(SLIDING, SLIDING, SLIDING, FULL),
        final_logit_softcapping=None,
    ),
    backbone_hidden_size=TARGET.hidden_size,
)
