import type { LayerType, NativeLayerConfig } from "../mlx/native.js";
import { checkpointError, describe, isObject } from "./json.js";
import { kvSources, type LayerShape, layerShapes } from "./layers.js";
import { assistantType, isUnifiedText, targetType } from "./model-type.js";
import { refuseUnsupported } from "./refusals.js";
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

/** The reference's defaults that differ between the families. */
interface Defaults {
  /** hidden_size_per_layer_input, of targets; an assistant's is 0. */
  readonly perLayerInput: number;
  readonly slidingWindow: number;
  readonly maxPositionEmbeddings: number;
}

const DEFAULTS: Defaults = { perLayerInput: 256, slidingWindow: 512, maxPositionEmbeddings: 131_072 };
const UNIFIED: Defaults = { perLayerInput: 0, slidingWindow: 1024, maxPositionEmbeddings: 262_144 };
/** The reference's defaults of backbone_hidden_size. */
const BACKBONE = { gemma4_assistant: 1536, gemma4_unified_assistant: 3840 } as const;

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
  const textOnly = modelType === "gemma4_text" || modelType === "gemma4_unified_text";
  const outer = parse(outerConfig, config, root);
  const place = textOnly ? root : { ...root, path: "text_config" };
  const { text, defaults } = parseText(textOnly ? config : config.text_config, modelType, place);
  if (!(textOnly ? text : outer).tie_word_embeddings) {
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
  const perLayerInput = text.hidden_size_per_layer_input ?? defaults.perLayerInput;
  checkPerLayerVocabulary(text, perLayerInput, place);
  return {
    modelType,
    vocabSize: text.vocab_size,
    hiddenSize: text.hidden_size,
    numHeads: text.num_attention_heads,
    hiddenSizePerLayerInput: perLayerInput,
    vocabSizePerLayerInput: perLayerInput > 0 ? text.vocab_size_per_layer_input : 0,
    rmsNormEps: text.rms_norm_eps,
    slidingWindow: slidingWindow(text, defaults),
    finalLogitSoftcapping: text.final_logit_softcapping ?? 0,
    layers: shapes.map((shape, index) => targetLayer(text, shape, index, sources[index] ?? index)),
    ...experts(text, place),
    ...ropeOf(text, shapes, place),
    eosTokenIds: eosTokenIds(outer.eos_token_id, text.eos_token_id, files),
    bosTokenId: text.bos_token_id,
    maxPositionEmbeddings: text.max_position_embeddings ?? defaults.maxPositionEmbeddings,
    declaredDtype: declaredDtype(outer) ?? declaredDtype(text),
    tieWordEmbeddings: true,
    mediaTokenIds: textOnly ? {} : mediaTokenIds(outer),
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
  const outer = parse(assistantConfig, config, root);
  const place = { ...root, path: "text_config" };
  const { text, defaults } = parseText(config.text_config, modelType, place);
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
    backboneHiddenSize: outer.backbone_hidden_size ?? BACKBONE[modelType],
    hiddenSize: text.hidden_size,
    vocabSize: text.vocab_size,
    numHeads: text.num_attention_heads,
    rmsNormEps: text.rms_norm_eps,
    slidingWindow: slidingWindow(text, defaults),
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

function parseText(
  value: unknown,
  outerType: string,
  place: Place,
): { readonly text: TextConfig; readonly defaults: Defaults } {
  if (!isObject(value)) {
    throw checkpointError(
      at(place),
      `expected the text model's config, found ${describe(value)}; download the checkpoint again`,
    );
  }
  const defaults = isUnifiedText(value, outerType, place) ? UNIFIED : DEFAULTS;
  refuseUnsupported(value, place);
  return { text: parse(textConfig, value, place), defaults };
}

/** More positions than any memory holds keys of; twice as many still are an `int` in C++. */
const MAX_WINDOW = 2 ** 29;

/** A larger window hides no more. */
function slidingWindow(text: TextConfig, defaults: Defaults): number {
  return Math.min(text.sliding_window ?? defaults.slidingWindow, MAX_WINDOW);
}

function experts(text: TextConfig, place: Place): Pick<TargetConfig, "experts"> {
  if (!text.enable_moe_block) return {};
  const required = (key: "num_experts" | "top_k_experts" | "moe_intermediate_size"): number => {
    const value = text[key];
    if (typeof value === "number") return value;
    throw checkpointError(
      at(place, key),
      `expected a whole number, since enable_moe_block is true, found ${describe(value)}; download config.json again`,
    );
  };
  const count = required("num_experts");
  const topK = required("top_k_experts");
  if (topK > count) {
    throw checkpointError(
      at(place, "top_k_experts"),
      `expected at most num_experts (${count}), found ${topK}; download config.json again`,
    );
  }
  return { experts: { count, topK, intermediateSize: required("moe_intermediate_size") } };
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
  if (text.enable_moe_block) throw must("enable_moe_block", "false", true);
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

function mediaTokenIds(outer: Readonly<Record<string, unknown>>): TargetConfig["mediaTokenIds"] {
  const kinds = { image: outer.image_token_id, audio: outer.audio_token_id, video: outer.video_token_id };
  return Object.fromEntries(Object.entries(kinds).filter(([, id]) => Number.isInteger(id)));
}

function declaredDtype(config: {
  dtype?: string | null | undefined;
  torch_dtype?: string | null | undefined;
}): FloatDtype | null {
  const name = (config.dtype ?? config.torch_dtype)?.replace(/^torch\./, "");
  return name === "bfloat16" || name === "float16" || name === "float32" ? name : null;
}
