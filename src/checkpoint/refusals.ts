import { describe, isObject } from "./json.js";
import { LAYER_TYPES } from "./layers.js";
import { at, type Place, unsupported } from "./schema.js";

type Json = Readonly<Record<string, unknown>>;

/** A key and the values with which it changes nothing, beside null and its absence. */
type Neutral = Readonly<Record<string, readonly unknown[]>>;

/**
 * Keys of a text config that would change what the model computes, with the values under which they do not. Those of
 * `Gemma4TextConfig` that this version does not act on, and those by which relatives of Gemma 4 and other readers
 * name a part that Gemma 4 lacks. A key that is not here is ignored, and told by `unknownKeys`.
 */
const TEXT: Neutral = {
  // Attention.
  attention_bias: [false],
  attention_chunk_size: [],
  attention_multiplier: [],
  attention_scale: [1],
  attention_sinks: [false],
  attn_logit_softcapping: [0],
  attn_logit_soft_cap: [0],
  attention_logit_cap: [0],
  attention_logit_softcapping: [0],
  is_causal: [true],
  no_rope_layers: [],
  qk_norm: [true],
  query_pre_attn_scalar: [1],
  use_qk_norm: [true],
  use_sliding_window: [true],
  // "vision" concerns image tokens alone, and prompts here are text.
  use_bidirectional_attention: [false, "vision"],
  use_bidirectional_attn: [false],
  // Rope outside rope_parameters: the reference ignores it, its author did not mean that.
  rope_scaling: [],
  rope_traditional: [false],
  rope_interleaved: [false],
  // The feed-forward part.
  activation_sparsity_pattern: [],
  hidden_act: ["gelu_pytorch_tanh"],
  hidden_activation: ["gelu_pytorch_tanh"],
  mlp_bias: [false],
  use_second_mlp_block: [false],
  // Mixture of experts.
  decoder_sparse_step: [1],
  first_k_dense_replace: [0],
  mlp_only_layers: [],
  moe_layer_freq: [1],
  n_group: [1],
  n_shared_experts: [0],
  norm_topk_prob: [true],
  num_shared_experts: [0],
  router_logit_softcapping: [0],
  routed_scaling_factor: [1],
  scoring_func: ["softmax"],
  shared_expert_intermediate_size: [0],
  topk_method: ["greedy"],
  // The stream between layers.
  altup_num_inputs: [],
  embedding_multiplier: [],
  laurel_rank: [],
  logits_scaling: [1],
  residual_multiplier: [1],
};

/** As {@link TEXT}, of one layer type's entry of `rope_parameters`. */
const ROPE: Neutral = {
  attention_factor: [1],
  attention_scaling: [1],
  beta_fast: [],
  beta_slow: [],
  high_freq_factor: [],
  long_factor: [],
  low_freq_factor: [],
  mrope_section: [],
  mscale: [1],
  mscale_all_dim: [],
  rope_scaling: [],
  short_factor: [],
};

/** Keys that are looked at here, of a text config and of one layer type's rope. */
export const REFUSED_TEXT = Object.keys(TEXT);
export const REFUSED_ROPE = Object.keys(ROPE);

/**
 * Refuses a text config whose keys ask for something that this version does not compute.
 *
 * @throws MlxGemmaError `unsupported` with the key and its value.
 */
export function refuseUnsupported(text: Json, place: Place): void {
  refuse(text, TEXT, place);
  // The reference knows no such pattern; a reader that does would put full layers elsewhere.
  const pattern = text.sliding_window_pattern ?? text._sliding_window_pattern;
  if ((text.layer_types ?? null) === null && (pattern ?? 6) !== 6) {
    throw unsupported(
      at(place, "sliding_window_pattern"),
      `full layers stand by a pattern of ${describe(pattern)} instead of layer_types`,
    );
  }
  const ropes = isObject(text.rope_parameters) ? text.rope_parameters : {};
  for (const type of LAYER_TYPES) {
    const rope = ropes[type];
    const path = [place.path, "rope_parameters", type].filter((key) => key !== "").join(".");
    if (isObject(rope)) refuse(rope, ROPE, { file: place.file, path });
  }
}

function refuse(object: Json, keys: Neutral, place: Place): void {
  for (const [key, neutral] of Object.entries(keys)) {
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    if (value === undefined || value === null || neutral.includes(value)) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    throw unsupported(at(place, key), `the model asks for ${key} ${describe(value)}`);
  }
}
