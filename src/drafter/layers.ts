import type { AssistantConfig } from "../checkpoint/types.js";
import { addon } from "../mlx/addon.js";
import { guarded, type MlxArray, track } from "../mlx/array.js";
import type {
  LayerType,
  NativeAttentionWeights,
  NativeFeedForwardWeights,
  NativeLayerReads,
} from "../mlx/native.js";
import type { SharedKv } from "../target/target.js";
import type { WeightReader } from "./weights.js";

/** What the layers read beside their input. */
export interface LayerContext {
  readonly sharedKv: SharedKv;
  /** By layer type: `ops.ropeTable` of the query's position, the bonus token's. */
  readonly ropeTables: RopeTables;
}

export type RopeTables = { readonly [T in LayerType]?: MlxArray };

/** The decoder layers, which have queries only: their K/V are the target's of the same layer type. */
export interface DraftLayers extends Disposable {
  /** h (1, 1, hidden_size) → the same shape, lazily. */
  forward(h: MlxArray, reads: readonly NativeLayerReads[]): MlxArray;
  /** What `forward` reads; the same for all steps of a round. */
  readsOf(context: LayerContext): NativeLayerReads[];
}

/** Gemma 4's attention scale. */
const SCALE = 1;

/**
 * Builds the layers (reference: `Gemma4TextDecoderLayer` with shared K/V).
 *
 * @param weightsOf the weights of layer `index`
 */
export function draftLayers(
  config: AssistantConfig,
  weightsOf: (index: number) => WeightReader,
): DraftLayers {
  const types = [...new Set(config.layers.map(({ type }) => type))];
  const layers = config.layers.map(({ type }, index) => ({
    ...weightsOfLayer(config, weightsOf(index)),
    reads: types.indexOf(type),
  }));
  const { DecoderLayers } = addon();
  const native = guarded(() => new DecoderLayers(layers));
  return {
    forward: (h, reads) => track(guarded(() => native.forward(h, reads))),
    readsOf: ({ sharedKv, ropeTables }) =>
      types.map((type) => {
        const shared = sharedKv[type];
        const table = ropeTables[type];
        if (!shared || !table) throw new RangeError(`the target exports no ${type} K/V`);
        return [table, shared.keys, shared.values];
      }),
    [Symbol.dispose]: () => native.dispose(),
  };
}

function weightsOfLayer(
  { numHeads, rmsNormEps: eps }: AssistantConfig,
  { tensor, matrix }: WeightReader,
): { attention: NativeAttentionWeights; feedForward: NativeFeedForwardWeights } {
  return {
    attention: {
      inputLayernorm: tensor("input_layernorm.weight"),
      qProj: matrix("self_attn.q_proj"),
      qNorm: tensor("self_attn.q_norm.weight"),
      oProj: matrix("self_attn.o_proj"),
      postAttentionLayernorm: tensor("post_attention_layernorm.weight"),
      numHeads,
      eps,
      scale: SCALE,
    },
    feedForward: {
      preFeedforwardLayernorm: tensor("pre_feedforward_layernorm.weight"),
      gateProj: matrix("mlp.gate_proj"),
      upProj: matrix("mlp.up_proj"),
      downProj: matrix("mlp.down_proj"),
      postFeedforwardLayernorm: tensor("post_feedforward_layernorm.weight"),
      layerScalar: tensor("layer_scalar"),
      eps,
    },
  };
}
