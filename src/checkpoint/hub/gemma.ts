import { join } from "node:path";
import { isObject } from "../json.js";
import { readJson } from "../plain-file.js";
import { CONFIG } from "./selection.js";

/** What a Gemma 4 checkpoint is, as its config.json says. */
export interface CachedGemma {
  readonly kind: "target" | "assistant";
  /** `gemma4`, `gemma4_unified_assistant` … */
  readonly modelType: string;
  /** `4 bit`, `mxfp4`, or the dtype of weights that are not quantized; undefined when the config does not say. */
  readonly format: string | undefined;
}

/**
 * Looks into a folder's config.json; checks nothing else, so that a broken checkpoint is listed too.
 *
 * @returns undefined for what is no Gemma 4
 */
export function gemmaOf(folder: string): CachedGemma | undefined {
  let config: unknown;
  try {
    config = readJson(join(folder, CONFIG));
  } catch {
    return undefined;
  }
  const modelType = isObject(config) ? config.model_type : undefined;
  if (!isObject(config) || typeof modelType !== "string" || !/^gemma4(?:_[a-z]+)*$/.test(modelType))
    return undefined;
  const kind = modelType.endsWith("_assistant") ? "assistant" : "target";
  return { kind, modelType, format: quantized(config) ?? dtype(config) };
}

function quantized(config: Readonly<Record<string, unknown>>): string | undefined {
  const block = config.quantization ?? config.quantization_config;
  if (!isObject(block)) return undefined;
  const { mode, bits, quant_method: method } = block;
  if (typeof mode === "string" && mode !== "affine" && /^\w{1,16}$/.test(mode)) return mode;
  if (typeof bits === "number" && Number.isInteger(bits)) return `${bits} bit`;
  return typeof method === "string" && /^[\w-]{1,24}$/.test(method) ? method : "quantized";
}

function dtype(config: Readonly<Record<string, unknown>>): string | undefined {
  const text = isObject(config.text_config) ? config.text_config : {};
  const name = [config.dtype, config.torch_dtype, text.dtype, text.torch_dtype].find(
    (value) => typeof value === "string",
  );
  const known =
    typeof name === "string" ? /^(?:torch\.)?(bfloat16|float16|float32)$/.exec(name)?.[1] : undefined;
  return known;
}
