import { MlxGemmaError } from "../errors.js";
import type { LayerType, NativeLayerConfig } from "../mlx/native.js";
import { checkpointError, describe, isObject } from "./json.js";
import { kvSources, type LayerShape, layerShapes } from "./layers.js";
import { inverseFrequencies, ropeParameters } from "./rope.js";
import {
  assistantConfig,
  at,
  outerConfig,
  type Place,
  parse,
  type TextConfig,
  textConfig,
  tokenIds,
  unsupported,
} from "./schema.js";
import type { AssistantConfig, FloatDtype, RopeParameters, TargetConfig } from "./types.js";

/** The reference's default of a target; an assistant's is 0. */
const PER_LAYER_INPUT = 256;

/** The files of a folder that a config comes from, parsed. */
export interface ConfigFiles {
  /** Path of config.json, for errors. */
  readonly file: string;
  readonly config: unknown;
  /** Path of generation_config.json, for errors. */
  readonly generationFile?: string;
  /** Absent: the folder has none. */
  readonly generation?: unknown;
}

/**
 * Resolves a target's config.json: every default filled in, nothing left to guess.
 *
 * @throws MlxGemmaError `checkpoint` for a broken or foreign config (with its JSON path), `unsupported` for what a
 * later version will run, `usage` for an assistant.
 */
export function resolveTarget(files: ConfigFiles): TargetConfig {
  const root: Place = { file: files.file, path: "" };
  const config = objectOf(files.config, root);
  const modelType = targetType(config, root);
  refuseQuantized(config, root);
  const outer = parse(outerConfig, config, root);
  const place = modelType === "gemma4" ? { ...root, path: "text_config" } : root;
  const text = parseText(modelType === "gemma4" ? config.text_config : config, place);
  refuseUnsupported(text, place);
  if (!(modelType === "gemma4" ? outer : text).tie_word_embeddings) {
    throw unsupported(
      at(root, "tie_word_embeddings"),
      "the model has a head of its own (tie_word_embeddings is false)",
    );
  }
  const shapes = layerShapes(text, place);
  const sources = kvSources(
    shapes.map(({ type }) => type),
    text.num_kv_shared_layers,
    place,
  );
  const perLayerInput = text.hidden_size_per_layer_input ?? PER_LAYER_INPUT;
  checkPerLayerVocabulary(text, perLayerInput, place);
  return {
    modelType,
    vocabSize: text.vocab_size,
    hiddenSize: text.hidden_size,
    numHeads: text.num_attention_heads,
    hiddenSizePerLayerInput: perLayerInput,
    vocabSizePerLayerInput: perLayerInput > 0 ? text.vocab_size_per_layer_input : 0,
    rmsNormEps: text.rms_norm_eps,
    slidingWindow: text.sliding_window,
    finalLogitSoftcapping: text.final_logit_softcapping ?? 0,
    layers: shapes.map((shape, index) => targetLayer(text, shape, index, sources[index] ?? index)),
    ...ropeOf(text, shapes, place),
    eosTokenIds: eosTokenIds(outer.eos_token_id, text.eos_token_id, files),
    bosTokenId: text.bos_token_id,
    maxPositionEmbeddings: text.max_position_embeddings,
    declaredDtype: declaredDtype(outer) ?? declaredDtype(text),
    tieWordEmbeddings: true,
  };
}

/**
 * Resolves an assistant's config.json.
 *
 * @throws MlxGemmaError as {@link resolveTarget}, `usage` for a target.
 */
export function resolveAssistant(files: ConfigFiles): AssistantConfig {
  const root: Place = { file: files.file, path: "" };
  const config = objectOf(files.config, root);
  const modelType = assistantType(config, root);
  refuseQuantized(config, root);
  const outer = parse(assistantConfig, config, root);
  const place = { ...root, path: "text_config" };
  const text = parseText(config.text_config, place);
  refuseUnsupported(text, place);
  if (!outer.tie_word_embeddings) {
    throw unsupported(
      at(root, "tie_word_embeddings"),
      "the assistant has a head of its own (tie_word_embeddings is false)",
    );
  }
  requireAssistantText(text, place);
  const shapes = layerShapes(text, place);
  return {
    modelType,
    backboneHiddenSize: outer.backbone_hidden_size,
    hiddenSize: text.hidden_size,
    vocabSize: text.vocab_size,
    numHeads: text.num_attention_heads,
    rmsNormEps: text.rms_norm_eps,
    slidingWindow: text.sliding_window,
    layers: shapes.map((shape) => ({ ...shape, intermediateSize: text.intermediate_size })),
    ...ropeOf(text, shapes, place),
    ...centroidHead(outer, text, root),
    declaredDtype: declaredDtype(outer) ?? declaredDtype(text),
  };
}

function objectOf(value: unknown, place: Place): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw checkpointError(
    at(place),
    `expected a JSON object, found ${describe(value)}; is this a model's config.json?`,
  );
}

function targetType(config: Readonly<Record<string, unknown>>, root: Place): TargetConfig["modelType"] {
  const type = config.model_type;
  const where = at(root, "model_type");
  if (type === "gemma4" || type === "gemma4_text") return type;
  if (type === "gemma4_assistant" || type === "gemma4_unified_assistant") {
    throw new MlxGemmaError(
      "usage",
      `${where}: expected a Gemma 4 target, found an assistant (${describe(type)}); give the target's folder as the model, and this one as its drafter`,
    );
  }
  throw foreignType(type, where, '"gemma4" or "gemma4_text"');
}

function assistantType(config: Readonly<Record<string, unknown>>, root: Place): AssistantConfig["modelType"] {
  const type = config.model_type;
  const where = at(root, "model_type");
  if (type === "gemma4_assistant") return type;
  if (type === "gemma4" || type === "gemma4_text") {
    throw new MlxGemmaError(
      "usage",
      `${where}: expected a Gemma 4 assistant, found a target (${describe(type)}); give the assistant's folder as the drafter`,
    );
  }
  throw foreignType(type, where, '"gemma4_assistant"');
}

function foreignType(type: unknown, where: string, expected: string): MlxGemmaError {
  if (typeof type === "string" && /^gemma4_unified(_text|_assistant)?$/.test(type)) {
    return unsupported(where, `the checkpoint is of type ${describe(type)}`);
  }
  return checkpointError(
    where,
    `expected ${expected}, found ${describe(type)}; give the folder of a Gemma 4 checkpoint`,
  );
}

function parseText(value: unknown, place: Place): TextConfig {
  if (!isObject(value)) {
    throw checkpointError(
      at(place),
      `expected the text model's config, found ${describe(value)}; download the checkpoint again`,
    );
  }
  if (value.model_type === "gemma4_unified_text") {
    throw unsupported(at(place, "model_type"), `the checkpoint is of type ${describe(value.model_type)}`);
  }
  if (value.model_type !== undefined && value.model_type !== "gemma4_text") {
    throw checkpointError(
      at(place, "model_type"),
      `expected "gemma4_text", found ${describe(value.model_type)}; give the folder of a Gemma 4 checkpoint`,
    );
  }
  refuseQuantized(value, place);
  return parse(textConfig, value, place);
}

function refuseQuantized(config: Readonly<Record<string, unknown>>, place: Place): void {
  for (const key of ["quantization", "quantization_config"]) {
    if (config[key] !== undefined && config[key] !== null)
      throw unsupported(at(place, key), "the weights are quantized");
  }
}

function refuseUnsupported(text: TextConfig, place: Place): void {
  if (text.enable_moe_block)
    throw unsupported(at(place, "enable_moe_block"), "the model has mixture-of-experts layers");
  if (text.attention_bias) throw unsupported(at(place, "attention_bias"), "attention has biases");
  if (text.hidden_activation !== "gelu_pytorch_tanh") {
    throw unsupported(
      at(place, "hidden_activation"),
      `the activation is ${describe(text.hidden_activation)}`,
    );
  }
  // "vision" concerns image tokens alone, and prompts here are text.
  const bidirectional = text.use_bidirectional_attention ?? "vision";
  if (bidirectional !== "vision") {
    throw unsupported(
      at(place, "use_bidirectional_attention"),
      `attention is bidirectional (${describe(bidirectional)})`,
    );
  }
}

function targetLayer(
  text: TextConfig,
  shape: LayerShape,
  index: number,
  kvSource: number,
): NativeLayerConfig {
  const doubled = text.use_double_wide_mlp && kvSource !== index;
  return {
    ...shape,
    intermediateSize: text.intermediate_size * (doubled ? 2 : 1),
    kvSource,
    keyEqualsValue: text.attention_k_eq_v && shape.type === "full_attention",
  };
}

function checkPerLayerVocabulary(text: TextConfig, perLayerInput: number, place: Place): void {
  if (perLayerInput > 0 && text.vocab_size_per_layer_input < text.vocab_size) {
    throw checkpointError(
      at(place, "vocab_size_per_layer_input"),
      `expected at least vocab_size (${text.vocab_size}), found ${text.vocab_size_per_layer_input}; mend config.json`,
    );
  }
}

function requireAssistantText(text: TextConfig, place: Place): void {
  const must = (key: string, expected: string, found: unknown) =>
    checkpointError(
      at(place, key),
      `expected ${expected} in an assistant, found ${describe(found)}; download the assistant again`,
    );
  const perLayerInput = text.hidden_size_per_layer_input ?? 0;
  if (perLayerInput !== 0) throw must("hidden_size_per_layer_input", "0", perLayerInput);
  if (text.use_double_wide_mlp) throw must("use_double_wide_mlp", "false", true);
  const shared = text.num_kv_shared_layers;
  if (shared !== 0 && shared !== text.num_hidden_layers) {
    throw must("num_kv_shared_layers", `0 or num_hidden_layers (${text.num_hidden_layers})`, shared);
  }
}

function centroidHead(
  outer: { use_ordered_embeddings: boolean; num_centroids: number; centroid_intermediate_top_k: number },
  text: TextConfig,
  root: Place,
): Pick<AssistantConfig, "centroidHead"> {
  if (!outer.use_ordered_embeddings) return {};
  const { num_centroids: numCentroids, centroid_intermediate_top_k: topK } = outer;
  if (text.vocab_size % numCentroids !== 0) {
    throw checkpointError(
      at(root, "num_centroids"),
      `expected a divisor of vocab_size (${text.vocab_size}), found ${numCentroids}; download the assistant again`,
    );
  }
  if (topK > numCentroids) {
    throw checkpointError(
      at(root, "centroid_intermediate_top_k"),
      `expected at most num_centroids (${numCentroids}), found ${topK}; download the assistant again`,
    );
  }
  return { centroidHead: { numCentroids, topK } };
}

function ropeOf(
  text: TextConfig,
  shapes: readonly LayerShape[],
  place: Place,
): Pick<TargetConfig, "rope" | "inverseFrequencies"> {
  const rope: { [T in LayerType]?: RopeParameters } = {};
  const frequencies: { [T in LayerType]?: Float32Array } = {};
  for (const { type, headDim } of shapes) {
    if (rope[type]) continue;
    const parameters = ropeParameters(text, type, place);
    rope[type] = parameters;
    frequencies[type] = inverseFrequencies(parameters, headDim);
  }
  return { rope, inverseFrequencies: frequencies };
}

type TokenIds = number | readonly number[] | null | undefined;

function eosTokenIds(outer: TokenIds, text: TokenIds, files: ConfigFiles): number[] {
  let generation: TokenIds;
  if (files.generation !== undefined) {
    const place: Place = { file: files.generationFile ?? "generation_config.json", path: "" };
    const value = objectOf(files.generation, place).eos_token_id;
    if (value !== undefined && value !== null)
      generation = parse(tokenIds, value, { ...place, path: "eos_token_id" });
  }
  const ids = new Set([outer, text, generation].flatMap((value) => value ?? []));
  return [...ids].sort((a, b) => a - b);
}

function declaredDtype(config: {
  dtype?: string | null | undefined;
  torch_dtype?: string | null | undefined;
}): FloatDtype | null {
  const name = (config.dtype ?? config.torch_dtype)?.replace(/^torch\./, "");
  return name === "bfloat16" || name === "float16" || name === "float32" ? name : null;
}
