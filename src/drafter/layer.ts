import type { AssistantConfig, AssistantLayerConfig } from "../checkpoint/types.js";
import type { MlxArray } from "../mlx/array.js";
import { multiplied } from "../mlx/matrix.js";
import * as ops from "../mlx/ops.js";
import type { SharedKv } from "../target/target.js";
import type { WeightReader } from "./weights.js";

/** What a layer reads beside its input. */
export interface LayerContext {
  readonly sharedKv: SharedKv;
  /** Position of the query: the bonus token's. */
  readonly position: number;
}

/** One Q-only decoder layer: its K/V are the target's of the same layer type. */
export type DraftLayer = (h: MlxArray, context: LayerContext) => MlxArray;

/** Gemma 4's attention scale. */
const SCALE = 1;

/**
 * Builds layer `index` (reference: `Gemma4TextDecoderLayer` with shared K/V).
 *
 * @returns h (1, 1, hidden_size) → the same shape
 */
export function draftLayer(
  config: AssistantConfig,
  layer: AssistantLayerConfig,
  weights: WeightReader,
  inverseFrequencies: MlxArray,
): DraftLayer {
  const { numHeads, rmsNormEps: eps } = config;
  const { type, headDim } = layer;
  const norm = (name: string) => {
    const weight = weights.tensor(`${name}.weight`);
    return (x: MlxArray) => ops.rmsNorm(x, weight, eps);
  };
  const projection = (name: string) => {
    const matrix = weights.matrix(name);
    return (x: MlxArray) => multiplied(x, matrix);
  };
  const inputNorm = norm("input_layernorm");
  const queries = projection("self_attn.q_proj");
  const queryNorm = norm("self_attn.q_norm");
  const output = projection("self_attn.o_proj");
  const postAttentionNorm = norm("post_attention_layernorm");
  const preFeedforwardNorm = norm("pre_feedforward_layernorm");
  const gate = projection("mlp.gate_proj");
  const up = projection("mlp.up_proj");
  const down = projection("mlp.down_proj");
  const postFeedforwardNorm = norm("post_feedforward_layernorm");
  const scalar = weights.tensor("layer_scalar");

  const attention = (x: MlxArray, { sharedKv, position }: LayerContext): MlxArray => {
    const shared = sharedKv[type];
    if (!shared) throw new RangeError(`the target exports no ${type} K/V`);
    // One query row: (1, 1, heads · d) and (1, heads, 1, d) have the same order in memory.
    const q = queryNorm(ops.reshape(queries(x), [1, numHeads, 1, headDim]));
    const rotated = ops.rope(q, inverseFrequencies, position, true);
    const seen = ops.attention(rotated, shared.keys, shared.values, SCALE);
    return output(ops.reshape(seen, [1, 1, numHeads * headDim]));
  };
  const mlp = (x: MlxArray) => down(ops.geluMultiply(gate(x), up(x)));

  return (h, context) => {
    const attended = ops.add(h, postAttentionNorm(attention(inputNorm(h), context)));
    const fed = ops.add(attended, postFeedforwardNorm(mlp(preFeedforwardNorm(attended))));
    return ops.multiply(fed, scalar);
  };
}
