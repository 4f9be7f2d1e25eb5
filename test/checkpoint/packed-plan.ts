// A small checkpoint with experts, as tensors without bytes, packed in any way.
import { resolveTarget } from "../../src/checkpoint/config.js";
import { targetWeights } from "../../src/checkpoint/expected-weights.js";
import { packingRules } from "../../src/checkpoint/packing-rules.js";
import type { TensorInfo, WeightPlan } from "../../src/checkpoint/types.js";
import { planTarget } from "../../src/checkpoint/weights.js";
import type { NativeQuantization } from "../../src/mlx/native.js";
import { block, type Json, tensorsOf } from "./real-models.js";

export const TEXT = {
  model_type: "gemma4_text",
  vocab_size: 512,
  hidden_size: 256,
  intermediate_size: 384,
  num_hidden_layers: 6,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 64,
  global_head_dim: 128,
  hidden_size_per_layer_input: 128,
  vocab_size_per_layer_input: 512,
  enable_moe_block: true,
  num_experts: 4,
  top_k_experts: 2,
  moe_intermediate_size: 128,
};
export const PREFIX = "language_model.model.";
export const FOUR: NativeQuantization = { bits: 4, groupSize: 64, mode: "affine" };
export const config = resolveTarget({ file: "config.json", config: TEXT });
export const expected = targetWeights(config, "split");

export type Change = (tensors: Map<string, TensorInfo>) => void;
export type How = (module: string) => NativeQuantization | undefined;

/** The plan of a checkpoint whose tensors are packed by `how` and whose config.json says `json`. */
export function plan(
  json: Json,
  how: How = () => FOUR,
  change: Change = () => {},
  prefix = PREFIX,
): WeightPlan {
  const tensors = tensorsOf(expected, prefix, how);
  change(tensors);
  const packing = packingRules({ file: "config.json", config: { ...TEXT, ...json } }, "target");
  return planTarget({ folder: "/model", config, tensors, packing });
}

export const quantization = (entries: Json = {}, base = FOUR) => ({
  quantization: { ...block(base), ...entries },
});
