"""The reference's classes of each family: gemma4 (E2B, E4B, 26B-A4B, 31B) and gemma4_unified (12B)."""

from dataclasses import dataclass

from transformers import (
    Gemma4AssistantConfig,
    Gemma4AssistantForCausalLM,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    Gemma4UnifiedAssistantConfig,
    Gemma4UnifiedAssistantForCausalLM,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForCausalLM,
    Gemma4UnifiedForConditionalGeneration,
    Gemma4UnifiedTextConfig,
)


@dataclass(frozen=True)
class Family:
    text_config: type
    text_model: type  # the text part alone, prefix `model.`
    config: type
    model: type  # the multimodal container, prefix `model.language_model.`
    assistant_config: type
    assistant: type


FAMILIES = {
    "gemma4": Family(
        Gemma4TextConfig,
        Gemma4ForCausalLM,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4AssistantConfig,
        Gemma4AssistantForCausalLM,
    ),
    "gemma4_unified": Family(
        Gemma4UnifiedTextConfig,
        Gemma4UnifiedForCausalLM,
        Gemma4UnifiedConfig,
        Gemma4UnifiedForConditionalGeneration,
        Gemma4UnifiedAssistantConfig,
        Gemma4UnifiedAssistantForCausalLM,
    ),
}
