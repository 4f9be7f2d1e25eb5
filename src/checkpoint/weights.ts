import type { NativeLayerConfig } from "../mlx/native.js";
import { checkpointError, quote } from "./json.js";
import { unsupported } from "./schema.js";
import type {
  AssistantConfig,
  FloatDtype,
  StoredDtype,
  TargetConfig,
  TensorInfo,
  WeightPlan,
  WeightSource,
} from "./types.js";

/** Prefixes of the text model: of the reference, of MLX conversions, of text-only checkpoints. */
const PREFIXES = ["model.language_model.", "language_model.model.", "model."];

/** A weight that a model needs. */
export interface ExpectedWeight {
  /** Canonical name, as in {@link WeightPlan}. */
  readonly name: string;
  readonly shape: readonly number[];
  /** `index`: an integer table. */
  readonly kind: "float" | "index";
}

const float = (name: string, ...shape: number[]): ExpectedWeight => ({ name, shape, kind: "float" });

/** The weights of a target, by canonical name. Shapes are (out, in) for projections. */
export function targetWeights(config: TargetConfig): ExpectedWeight[] {
  const { hiddenSize: H, vocabSize: V, hiddenSizePerLayerInput: P, vocabSizePerLayerInput: VP } = config;
  const L = config.layers.length;
  const perLayer =
    P > 0
      ? [
          float("embed_tokens_per_layer.weight", VP, L * P),
          float("per_layer_model_projection.weight", L * P, H),
          float("per_layer_projection_norm.weight", P),
        ]
      : [];
  return [
    float("embed_tokens.weight", V, H),
    ...perLayer,
    ...config.layers.flatMap((layer, index) => targetLayerWeights(config, layer, index)),
    float("norm.weight", H),
  ];
}

function targetLayerWeights(config: TargetConfig, layer: NativeLayerConfig, index: number): ExpectedWeight[] {
  const { hiddenSize: H, hiddenSizePerLayerInput: P } = config;
  const { headDim: d, numKvHeads, keyEqualsValue } = layer;
  const prefix = `layers.${index}.`;
  const weights = queryLayerWeights(prefix, H, config.numHeads, d, layer.intermediateSize);
  if (layer.kvSource === index) {
    weights.push(
      float(`${prefix}self_attn.k_proj.weight`, numKvHeads * d, H),
      float(`${prefix}self_attn.k_norm.weight`, d),
    );
    if (!keyEqualsValue) weights.push(float(`${prefix}self_attn.v_proj.weight`, numKvHeads * d, H));
  }
  if (P > 0) {
    weights.push(
      float(`${prefix}per_layer_input_gate.weight`, P, H),
      float(`${prefix}per_layer_projection.weight`, H, P),
      float(`${prefix}post_per_layer_input_norm.weight`, H),
    );
  }
  return weights;
}

/** What every layer has, of a target or an assistant: 11 tensors. */
function queryLayerWeights(prefix: string, H: number, heads: number, d: number, I: number): ExpectedWeight[] {
  return [
    float(`${prefix}input_layernorm.weight`, H),
    float(`${prefix}self_attn.q_proj.weight`, heads * d, H),
    float(`${prefix}self_attn.q_norm.weight`, d),
    float(`${prefix}self_attn.o_proj.weight`, H, heads * d),
    float(`${prefix}post_attention_layernorm.weight`, H),
    float(`${prefix}pre_feedforward_layernorm.weight`, H),
    float(`${prefix}mlp.gate_proj.weight`, I, H),
    float(`${prefix}mlp.up_proj.weight`, I, H),
    float(`${prefix}mlp.down_proj.weight`, H, I),
    float(`${prefix}post_feedforward_layernorm.weight`, H),
    float(`${prefix}layer_scalar`, 1),
  ];
}

/** The weights of an assistant, by canonical name. */
export function assistantWeights(config: AssistantConfig): ExpectedWeight[] {
  const { hiddenSize: H, backboneHiddenSize: B, vocabSize: V, centroidHead } = config;
  const head: ExpectedWeight[] = centroidHead
    ? [
        float("masked_embedding.centroids.weight", centroidHead.numCentroids, H),
        { name: "masked_embedding.token_ordering", shape: [V], kind: "index" },
      ]
    : [];
  return [
    float("pre_projection.weight", H, 2 * B),
    float("post_projection.weight", B, H),
    ...head,
    float("model.embed_tokens.weight", V, H),
    ...config.layers.flatMap((layer, index) =>
      queryLayerWeights(`model.layers.${index}.`, H, config.numHeads, layer.headDim, layer.intermediateSize),
    ),
    float("model.norm.weight", H),
  ];
}

/**
 * Finds a target's weights among a folder's tensors, under whichever prefix its packaging uses. Surplus tensors
 * (vision, audio, unused k/v of KV-shared layers) are ignored.
 *
 * @throws MlxGemmaError `checkpoint` for a weight that is missing, or of wrong shape or dtype; `unsupported` for
 * quantized weights.
 */
export function planTarget(
  folder: string,
  config: TargetConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
): WeightPlan {
  const prefix = PREFIXES.find((candidate) => tensors.has(`${candidate}embed_tokens.weight`));
  if (prefix === undefined) {
    const names = PREFIXES.map((candidate) => `${candidate}embed_tokens.weight`).join(", ");
    throw checkpointError(
      folder,
      `expected one of the tensors ${names}, found none of them; is this a Gemma 4 checkpoint?`,
    );
  }
  return plan(folder, targetWeights(config), prefix, tensors, "embed_tokens.weight");
}

/** Finds an assistant's weights; errors as in {@link planTarget}. */
export function planAssistant(
  folder: string,
  config: AssistantConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
): WeightPlan {
  return plan(folder, assistantWeights(config), "", tensors, "model.embed_tokens.weight");
}

function plan(
  folder: string,
  expected: readonly ExpectedWeight[],
  prefix: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  embedding: string,
): WeightPlan {
  const missing = expected.filter(({ name }) => !tensors.has(prefix + name));
  const first = missing[0];
  if (first) {
    const others = missing.length > 1 ? ` (and ${missing.length - 1} more)` : "";
    throw checkpointError(
      folder,
      `expected tensor ${quote(prefix + first.name)}${others}, found nothing of that name; download the weights again, or the config.json that belongs to them`,
    );
  }
  const sources = new Map<string, WeightSource>();
  let bytes = 0;
  let dtype: FloatDtype | undefined;
  for (const weight of expected) {
    const name = prefix + weight.name;
    const info = tensors.get(name);
    if (!info) continue;
    const stored = checkTensor(weight, name, info, tensors);
    if (weight.name === embedding && stored !== "index") dtype = stored;
    sources.set(weight.name, { file: info.file, name, shape: info.shape, dtype: info.dtype });
    bytes += info.bytes;
  }
  if (dtype === undefined)
    throw checkpointError(folder, `expected tensor ${embedding}, found nothing of that name`);
  return { tensors: sources, dtype, bytes };
}

/** Checks one tensor; returns its float dtype, or `index` for an integer table. */
function checkTensor(
  weight: ExpectedWeight,
  name: string,
  info: TensorInfo,
  tensors: ReadonlyMap<string, TensorInfo>,
): FloatDtype | "index" {
  const where = `${info.file}: tensor ${quote(name)}`;
  const dtype = weight.kind === "float" ? floatDtype(info.dtype) : indexDtype(info.dtype);
  if (dtype === undefined) {
    if (name.endsWith(".weight") && tensors.has(name.replace(/weight$/, "scales"))) {
      throw unsupported(where, "the weights are quantized");
    }
    const kinds = weight.kind === "float" ? "bfloat16, float16 or float32" : "int32 or int64";
    throw checkpointError(
      where,
      `expected ${kinds}, found ${info.dtype}; download a checkpoint in that type`,
    );
  }
  const { shape } = weight;
  if (shape.length !== info.shape.length || shape.some((size, axis) => size !== info.shape[axis])) {
    throw checkpointError(
      where,
      `expected shape [${shape.join(", ")}], found [${info.shape.join(", ")}]; is this config.json the one of these weights?`,
    );
  }
  return dtype;
}

function floatDtype(dtype: StoredDtype): FloatDtype | undefined {
  return dtype === "bfloat16" || dtype === "float16" || dtype === "float32" ? dtype : undefined;
}

function indexDtype(dtype: StoredDtype): "index" | undefined {
  return dtype === "int32" || dtype === "int64" ? "index" : undefined;
}
