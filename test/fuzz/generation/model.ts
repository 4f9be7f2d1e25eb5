import { VOCAB_SIZE } from "../../text/tiny-tokenizer.js";
import { type Configuration, type ModelShape, promptLength } from "./configuration.js";

const CENTROIDS = 16;
/** Ids of the models: those of the tiny tokenizer, and a few that it does not know. */
export const VOCAB = Math.ceil((VOCAB_SIZE + 1) / CENTROIDS) * CENTROIDS;
const EXPERTS = 4;
/** Room for any prompt and answer. */
const POSITIONS = 4096;

const TYPES = { f: "full_attention", s: "sliding_attention" } as const;
export type Letter = keyof typeof TYPES;

/** What the letters of a configuration come to: every layer's type, and how many of the last ones share K/V. */
export function layersOf({ family, producers, shared }: ModelShape): {
  readonly letters: readonly Letter[];
  readonly shared: number;
} {
  const sharing = family === "e-style" ? shared : [];
  // The last layer is full, and a full layer that shares needs one that produces.
  const tail: Letter[] = sharing.length > 0 ? [...sharing.slice(0, -1), "f"] : [];
  const missing = [...new Set(tail)].filter((letter) => !producers.includes(letter));
  const own: Letter[] = tail.length > 0 ? [...missing, ...producers] : [...producers.slice(0, -1), "f"];
  return { letters: [...own, ...tail], shared: tail.length };
}

/** The assistant's layers: of types that the target produces; the reference forces the last one to be full here, too. */
export function assistantLettersOf(model: ModelShape): Letter[] {
  const { letters, shared } = layersOf(model);
  const produced = letters.slice(0, letters.length - shared);
  return [...model.assistantLayers.filter((letter) => produced.includes(letter)).slice(0, -1), "f"];
}

/** The config.json of both parts, without `quantization`. */
export function configsOf(configuration: Configuration): {
  readonly target: Record<string, unknown>;
  readonly assistant: Record<string, unknown>;
} {
  const { model } = configuration;
  const unified = model.family === "unified";
  const name = unified ? "gemma4_unified" : "gemma4";
  const { letters, shared } = layersOf(model);
  const target = {
    ...textConfig(configuration, letters),
    ...familyKeys(model),
    num_kv_shared_layers: shared,
    final_logit_softcapping: model.softcap ? 30 : null,
  };
  const assistantLetters = assistantLettersOf(model);
  const centroids = model.head === "centroid";
  return {
    target:
      model.packaging === "text"
        ? { ...target, architectures: [unified ? "Gemma4UnifiedForCausalLM" : "Gemma4ForCausalLM"] }
        : { model_type: name, tie_word_embeddings: true, text_config: target },
    assistant: {
      model_type: `${name}_assistant`,
      tie_word_embeddings: true,
      backbone_hidden_size: model.hidden,
      use_ordered_embeddings: centroids,
      ...(centroids ? { num_centroids: CENTROIDS, centroid_intermediate_top_k: model.topExperts } : {}),
      text_config: {
        ...textConfig(configuration, assistantLetters),
        hidden_size: 32,
        intermediate_size: 32,
        num_kv_shared_layers: assistantLetters.length,
        ...(unified ? {} : { hidden_size_per_layer_input: 0, vocab_size_per_layer_input: 0 }),
        attention_k_eq_v: keyEqualsValue(model),
      },
    },
  };
}

/** The MoE and 12B-like share keys and values of full layers by nature, the dense one where it is asked for. */
function keyEqualsValue({ family, keyEqualsValue: asked }: ModelShape): boolean {
  return family !== "e-style" && asked;
}

function textConfig(configuration: Configuration, letters: readonly Letter[]): Record<string, unknown> {
  const { model, run } = configuration;
  const globalKvHeads = keyEqualsValue(model) ? model.globalKvHeads : model.kvHeads;
  const published = {
    head_dim: model.headDim,
    global_head_dim: model.globalHeadDim,
    num_global_key_value_heads: keyEqualsValue(model) ? model.globalKvHeads : null,
  };
  // transformers' own `save_pretrained` writes this one.
  const perLayer = {
    head_dim: model.headDim,
    per_layer_config: Object.fromEntries(
      letters.flatMap((letter, index) =>
        letter === "f"
          ? [[index, { head_dim: model.globalHeadDim, num_key_value_heads: globalKvHeads }] as const]
          : [],
      ),
    ),
  };
  const rope = (theta: number) => ({ rope_type: "default", rope_theta: theta });
  return {
    model_type: model.family === "unified" ? "gemma4_unified_text" : "gemma4_text",
    vocab_size: VOCAB,
    hidden_size: model.hidden,
    intermediate_size: model.intermediate,
    num_hidden_layers: letters.length,
    layer_types: letters.map((letter) => TYPES[letter]),
    num_attention_heads: model.heads,
    num_key_value_heads: model.kvHeads,
    ...(model.configForm === "published" ? published : perLayer),
    sliding_window: model.window,
    rms_norm_eps: 1e-6,
    hidden_activation: "gelu_pytorch_tanh",
    ...(model.ropeGiven
      ? { rope_parameters: { sliding_attention: rope(100), full_attention: rope(3000) } }
      : {}),
    max_position_embeddings:
      run.end === "context full" ? promptLength(configuration) + 1 + (run.endAt % 40) : POSITIONS,
    tie_word_embeddings: true,
    eos_token_id: null,
    bos_token_id: 2,
    pad_token_id: 0,
    dtype: "bfloat16",
  };
}

function familyKeys(model: ModelShape): Record<string, unknown> {
  if (model.family === "unified") return { attention_k_eq_v: keyEqualsValue(model) };
  const eStyle = model.family === "e-style";
  return {
    hidden_size_per_layer_input: eStyle ? model.perLayerInput : 0,
    vocab_size_per_layer_input: VOCAB,
    use_double_wide_mlp: eStyle && model.doubleWide,
    attention_k_eq_v: keyEqualsValue(model),
    ...(model.family === "moe"
      ? {
          enable_moe_block: true,
          num_experts: EXPERTS,
          top_k_experts: model.topExperts,
          moe_intermediate_size: 32,
        }
      : {}),
  };
}
