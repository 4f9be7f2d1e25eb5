import { existsSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { isObject } from "../checkpoint/json.js";
import { readText } from "../checkpoint/plain-file.js";
import { parse, textConfig } from "../checkpoint/schema.js";
import type { NativeQuantization } from "../mlx/native.js";
import type { DtypeName } from "../options.js";
import { float, parseLiterally, stringifyLiterally } from "./literals.js";
import { FLOAT_OF, type QuantizePlan } from "./plan.js";
import type { Source } from "./source.js";

/**
 * config.json of the output: the source's, with the `quantization` block that mlx-lm, mlx-vlm and this program read,
 * and with every size said that they would guess otherwise.
 *
 * @param output the final folder, for a path to the assistant
 */
export function outputConfig(
  source: Source,
  base: NativeQuantization,
  plan: QuantizePlan,
  options: { readonly output: string; readonly dtype?: DtypeName | undefined },
): string {
  const { config, text: ownText } = literally(source);
  const { _name_or_path: _, torch_dtype: declared, ...rest } = config;
  // The older name of `dtype`, which mlx-lm and mlx-vlm drop.
  const dtype = options.dtype
    ? { dtype: FLOAT_OF[options.dtype] }
    : declared === undefined
      ? {}
      : { dtype: declared };
  const said = spelledOut(source);
  const text = { ...ownText, ...said, ...(options.dtype ? dtype : {}) };
  const quantization = {
    ...block(base),
    ...Object.fromEntries([...plan.overrides].map(([module, own]) => [module, block(own)])),
  };
  const output = {
    ...rest,
    ...(rest.dtype === undefined || options.dtype ? dtype : {}),
    ...(ownText === config ? said : { ...outerSizes(source, text), text_config: text }),
    ...assistantPath(source, options.output),
    quantization,
    // The name that transformers and the hub's pages look for.
    quantization_config: quantization,
  };
  return `${stringifyLiterally(output)}\n`;
}

/** config.json once more, with its numbers as they are spelled. */
function literally({ folder }: Source): { readonly config: Json; readonly text: Json } {
  const config = parseLiterally(readText(join(folder, "config.json")).replace(/^\ufeff/, ""));
  const outer = isObject(config) ? config : {};
  return { config: outer, text: isObject(outer.text_config) ? outer.text_config : outer };
}

type Json = Readonly<Record<string, unknown>>;

function block({ groupSize, bits, mode }: NativeQuantization) {
  return { group_size: groupSize, bits, mode };
}

/**
 * What peers ask of a container: mlx-lm takes the vocabulary from the outside, 262144 where nothing is said; mlx-vlm
 * wants a vision part of `gemma4`, and drops it again where no weights belong to it.
 */
function outerSizes({ kind, config }: Source, text: Json): Record<string, unknown> {
  if (kind === "assistant") return {};
  return {
    ...(config.vocab_size === undefined ? { vocab_size: text.vocab_size } : {}),
    ...(config.model_type === "gemma4" && !isObject(config.vision_config) ? { vision_config: {} } : {}),
  };
}

/**
 * Keys of the text model that the config leaves to defaults, or says in `per_layer_config` alone. mlx-lm and mlx-vlm
 * have other defaults than the reference, and do not read `per_layer_config`.
 */
function spelledOut({ kind, text, shapes, sizes, folder, layers }: Source): Record<string, unknown> {
  const resolved = parse(textConfig, text, { file: join(folder, "config.json"), path: "" });
  const full = shapes.find(({ type }) => type === "full_attention");
  const assistant = kind === "assistant";
  const values: Record<string, unknown> = {
    vocab_size: resolved.vocab_size,
    hidden_size: resolved.hidden_size,
    intermediate_size: resolved.intermediate_size,
    num_hidden_layers: layers,
    num_attention_heads: resolved.num_attention_heads,
    num_key_value_heads: resolved.num_key_value_heads,
    head_dim: resolved.head_dim,
    global_head_dim: full?.headDim ?? resolved.global_head_dim,
    num_global_key_value_heads: resolved.attention_k_eq_v ? (full?.numKvHeads ?? null) : null,
    num_kv_shared_layers: assistant ? layers : resolved.num_kv_shared_layers,
    hidden_size_per_layer_input: sizes.hiddenSizePerLayerInput,
    vocab_size_per_layer_input: resolved.vocab_size_per_layer_input,
    layer_types: shapes.map(({ type }) => type),
    rope_parameters: {
      sliding_attention: { rope_type: "default", rope_theta: float(10_000) },
      full_attention: {
        rope_type: "proportional",
        partial_rotary_factor: 0.25,
        rope_theta: float(1_000_000),
      },
    },
    rms_norm_eps: float(resolved.rms_norm_eps),
    sliding_window: sizes.slidingWindow,
    max_position_embeddings: sizes.maxPositionEmbeddings,
    final_logit_softcapping: resolved.final_logit_softcapping
      ? float(resolved.final_logit_softcapping)
      : null,
    attention_k_eq_v: resolved.attention_k_eq_v,
    use_double_wide_mlp: resolved.use_double_wide_mlp,
    enable_moe_block: resolved.enable_moe_block,
    tie_word_embeddings: true,
  };
  const unsaid = Object.entries(values).filter(([key]) => text[key] === undefined);
  return Object.fromEntries(unsaid);
}

/** A relative path to the assistant goes on to lead there from the new folder. */
function assistantPath({ config, folder }: Source, output: string): Record<string, unknown> {
  const path = config.assistant;
  if (typeof path !== "string" || isAbsolute(path)) return {};
  const place = resolve(folder, path);
  return existsSync(place) ? { assistant: relative(output, place) } : {};
}
