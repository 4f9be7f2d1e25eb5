import type { AssistantConfig, AssistantLayerConfig } from "../checkpoint/types.js";
import { addon } from "../mlx/addon.js";
import { guarded, type MlxArray, track } from "../mlx/array.js";
import type { LayerType } from "../mlx/native.js";
import type { SharedKv } from "../target/target.js";
import type { WeightReader } from "./weights.js";

/** What a layer reads beside its input. */
export interface LayerContext {
  readonly sharedKv: SharedKv;
  /** By layer type: `ops.ropeTable` of the query's position, the bonus token's. */
  readonly ropeTables: RopeTables;
}

export type RopeTables = { readonly [T in LayerType]?: MlxArray };

/** One Q-only decoder layer: its K/V are the target's of the same layer type. */
export interface DraftLayer extends Disposable {
  /** h (1, 1, hidden_size) → the same shape, lazily. */
  forward(h: MlxArray, context: LayerContext): MlxArray;
}

/** Gemma 4's attention scale. */
const SCALE = 1;

/** Builds a layer (reference: `Gemma4TextDecoderLayer` with shared K/V). */
export function draftLayer(
  { numHeads, rmsNormEps: eps }: AssistantConfig,
  { type }: AssistantLayerConfig,
  { tensor, matrix }: WeightReader,
): DraftLayer {
  const attention = {
    inputLayernorm: tensor("input_layernorm.weight"),
    qProj: matrix("self_attn.q_proj"),
    qNorm: tensor("self_attn.q_norm.weight"),
    oProj: matrix("self_attn.o_proj"),
    postAttentionLayernorm: tensor("post_attention_layernorm.weight"),
    numHeads,
    eps,
    scale: SCALE,
  };
  const feedForward = {
    preFeedforwardLayernorm: tensor("pre_feedforward_layernorm.weight"),
    gateProj: matrix("mlp.gate_proj"),
    upProj: matrix("mlp.up_proj"),
    downProj: matrix("mlp.down_proj"),
    postFeedforwardLayernorm: tensor("post_feedforward_layernorm.weight"),
    layerScalar: tensor("layer_scalar"),
    eps,
  };
  const { DecoderLayer } = addon();
  const native = guarded(() => new DecoderLayer(attention, feedForward));
  return {
    forward(h, { sharedKv, ropeTables }) {
      const shared = sharedKv[type];
      const table = ropeTables[type];
      if (!shared || !table) throw new RangeError(`the target exports no ${type} K/V`);
      return track(guarded(() => native.forward(h, table, shared.keys, shared.values)));
    },
    [Symbol.dispose]: () => native.dispose(),
  };
}
