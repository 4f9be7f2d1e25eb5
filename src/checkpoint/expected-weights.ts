import type { NativeExpertsConfig, NativeLayerConfig } from "../mlx/native.js";
import type { AssistantConfig, TargetConfig } from "./types.js";

/** A weight that a model needs. */
export interface ExpectedWeight {
  /** Canonical name, as in {@link WeightPlan}. */
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * `matrix`: of a module that may be packed, (…, out, in); `float`: norms, scalars and the like, never packed;
   * `index`: an integer table, never packed.
   */
  readonly kind: "matrix" | "float" | "index";
}

/** Where the experts of a target stand: reference checkpoints stack gate and up, MLX conversions split them. */
export type ExpertsPackaging = "stacked" | "split";

const float = (name: string, ...shape: number[]): ExpectedWeight => ({ name, shape, kind: "float" });
/** The weight of a linear module or an embedding. */
const matrix = (module: string, ...shape: number[]): ExpectedWeight => ({
  name: `${module}.weight`,
  shape,
  kind: "matrix",
});

/** The weights of a target, by canonical name. Shapes are (out, in) for projections. */
export function targetWeights(
  config: TargetConfig,
  packaging: ExpertsPackaging = "stacked",
): ExpectedWeight[] {
  const { hiddenSize: H, vocabSize: V, hiddenSizePerLayerInput: P, vocabSizePerLayerInput: VP } = config;
  const L = config.layers.length;
  const perLayer =
    P > 0
      ? [
          matrix("embed_tokens_per_layer", VP, L * P),
          matrix("per_layer_model_projection", L * P, H),
          float("per_layer_projection_norm.weight", P),
        ]
      : [];
  return [
    matrix("embed_tokens", V, H),
    ...perLayer,
    ...config.layers.flatMap((layer, index) => targetLayerWeights(config, layer, index, packaging)),
    float("norm.weight", H),
  ];
}

function targetLayerWeights(
  config: TargetConfig,
  layer: NativeLayerConfig,
  index: number,
  packaging: ExpertsPackaging,
): ExpectedWeight[] {
  const { hiddenSize: H, hiddenSizePerLayerInput: P } = config;
  const { headDim: d, numKvHeads, keyEqualsValue } = layer;
  const prefix = `layers.${index}.`;
  const weights = queryLayerWeights(prefix, H, config.numHeads, d, layer.intermediateSize);
  if (layer.kvSource === index) {
    weights.push(
      matrix(`${prefix}self_attn.k_proj`, numKvHeads * d, H),
      float(`${prefix}self_attn.k_norm.weight`, d),
    );
    if (!keyEqualsValue) weights.push(matrix(`${prefix}self_attn.v_proj`, numKvHeads * d, H));
  }
  if (P > 0) {
    weights.push(
      matrix(`${prefix}per_layer_input_gate`, P, H),
      matrix(`${prefix}per_layer_projection`, H, P),
      float(`${prefix}post_per_layer_input_norm.weight`, H),
    );
  }
  if (config.experts) weights.push(...expertsWeights(config.experts, H, prefix, packaging));
  return weights;
}

/** What a layer with a mixture of experts has more: 8 or 9 tensors. */
function expertsWeights(
  { count: E, intermediateSize: M }: NativeExpertsConfig,
  H: number,
  prefix: string,
  packaging: ExpertsPackaging,
): ExpectedWeight[] {
  const split = `${prefix}experts.switch_glu.`;
  return [
    float(`${prefix}router.scale`, H),
    matrix(`${prefix}router.proj`, E, H),
    float(`${prefix}router.per_expert_scale`, E),
    ...(packaging === "stacked"
      ? [float(`${prefix}experts.gate_up_proj`, E, 2 * M, H), float(`${prefix}experts.down_proj`, E, H, M)]
      : [
          matrix(`${split}gate_proj`, E, M, H),
          matrix(`${split}up_proj`, E, M, H),
          matrix(`${split}down_proj`, E, H, M),
        ]),
    float(`${prefix}pre_feedforward_layernorm_2.weight`, H),
    float(`${prefix}post_feedforward_layernorm_1.weight`, H),
    float(`${prefix}post_feedforward_layernorm_2.weight`, H),
  ];
}

/** What every layer has, of a target or an assistant: 11 tensors. */
function queryLayerWeights(prefix: string, H: number, heads: number, d: number, I: number): ExpectedWeight[] {
  return [
    float(`${prefix}input_layernorm.weight`, H),
    matrix(`${prefix}self_attn.q_proj`, heads * d, H),
    float(`${prefix}self_attn.q_norm.weight`, d),
    matrix(`${prefix}self_attn.o_proj`, H, heads * d),
    float(`${prefix}post_attention_layernorm.weight`, H),
    float(`${prefix}pre_feedforward_layernorm.weight`, H),
    matrix(`${prefix}mlp.gate_proj`, I, H),
    matrix(`${prefix}mlp.up_proj`, I, H),
    matrix(`${prefix}mlp.down_proj`, H, I),
    float(`${prefix}post_feedforward_layernorm.weight`, H),
    float(`${prefix}layer_scalar`, 1),
  ];
}

/** The weights of an assistant, by canonical name. */
export function assistantWeights(config: AssistantConfig): ExpectedWeight[] {
  const { hiddenSize: H, backboneHiddenSize: B, vocabSize: V, centroidHead } = config;
  const head: ExpectedWeight[] = centroidHead
    ? [
        matrix("masked_embedding.centroids", centroidHead.numCentroids, H),
        { name: "masked_embedding.token_ordering", shape: [V], kind: "index" },
      ]
    : [];
  return [
    matrix("pre_projection", H, 2 * B),
    matrix("post_projection", B, H),
    ...head,
    matrix("model.embed_tokens", V, H),
    ...config.layers.flatMap((layer, index) =>
      queryLayerWeights(`model.layers.${index}.`, H, config.numHeads, layer.headDim, layer.intermediateSize),
    ),
    float("model.norm.weight", H),
  ];
}
