import type { Warning } from "../warnings.js";
import type { ConfigFiles } from "./config.js";
import { isObject, quote } from "./json.js";
import { LAYER_TYPES } from "./layers.js";
import { PACKING_OPTIONS } from "./packing-rules.js";
import { REFUSED_ROPE, REFUSED_TEXT } from "./refusals.js";
import { assistantConfig, outerConfig, rope, textConfig } from "./schema.js";

type Json = Readonly<Record<string, unknown>>;

/** Unknown keys that a warning names. */
const NAMED = 5;

/** What transformers, its older versions and trainers write into every config; it changes nothing here. */
const ANY = `_attn_implementation _attn_implementation_autoset _commit_hash _name_or_path add_cross_attention
architectures attn_implementation auto_map bad_words_ids begin_suppress_tokens chunk_size_feed_forward
cross_attention_hidden_size diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
experts_implementation exponential_decay_length_penalty finetuning_task id2label initializer_range is_decoder
is_encoder_decoder label2id length_penalty max_length min_length model_name model_type name_or_path no_repeat_ngram_size
num_beam_groups num_beams num_labels num_return_sequences output_attentions output_hidden_states output_scores prefix
problem_type pruned_heads remove_invalid_values repetition_penalty return_dict return_dict_in_generate suppress_tokens
task_specific_params temperature tf_legacy_loss tie_encoder_decoder tokenizer_class top_k top_p torchscript
transformers_version typical_p unsloth_fixed unsloth_version use_bfloat16 use_cache`.split(/\s+/);

/** Of training, or read where it stands. */
const TEXT = [
  "attention_dropout",
  "sliding_window_pattern",
  "_sliding_window_pattern",
  "router_aux_loss_coef",
];

/** Beside the text model; mlx-vlm writes two of its sizes there again. */
const OUTER =
  `assistant audio_config hidden_size ignore_index quantization quantization_config text_config vision_config
vocab_size`.split(/\s+/);

/** Of images, sound and video, and ids of tokens that prompts of text have no use for. */
const MEDIA = /^(?:vision|audio|image|video|mm|boi|eoi|boa|eoa)_|_token_(?:id|index)$/;

const KNOWN = {
  text: new Set([...ANY, ...TEXT, ...Object.keys(textConfig.shape), ...REFUSED_TEXT]),
  target: new Set([...ANY, ...OUTER, ...Object.keys(outerConfig.shape)]),
  assistant: new Set([...ANY, ...OUTER, ...Object.keys(assistantConfig.shape)]),
  rope: new Set([...Object.keys(rope.shape), ...REFUSED_ROPE]),
  ropeParameters: new Set<string>(LAYER_TYPES),
} as const;

/**
 * A warning of the keys of config.json that are not known: they may ask for something that is not done. Those that are
 * known and change nothing, and those of vision and sound, are not told, nor what is null.
 */
export function unknownKeys(
  { file, config }: Pick<ConfigFiles, "file" | "config">,
  of: "target" | "assistant",
): Warning[] {
  if (!isObject(config)) return [];
  const { text_config: inner } = config;
  const text = isObject(inner) ? inner : config;
  const root = (key: string) =>
    KNOWN[of].has(key) || MEDIA.test(key) || (text === config && KNOWN.text.has(key));
  const under = isObject(inner) ? "text_config." : "";
  const unknown = [
    ...strangers(config, "", root),
    ...(text === config ? [] : strangers(text, under, (key) => KNOWN.text.has(key) || MEDIA.test(key))),
    ...ropeKeys(text.rope_parameters, `${under}rope_parameters.`),
    ...[config, text === config ? {} : text].flatMap(packingKeys),
  ];
  if (unknown.length === 0) return [];
  const more = unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : "";
  const names = unknown.slice(0, NAMED).map(quote).join(", ");
  return [
    {
      code: "config-key",
      message: `${file}: expected keys that are known, found ${names}${more}: ignored, what they ask for is not done`,
    },
  ];
}

function strangers(object: Json, path: string, known: (key: string) => boolean): string[] {
  return Object.entries(object)
    .filter(([key, value]) => value !== null && !known(key))
    .map(([key]) => path + key);
}

function ropeKeys(parameters: unknown, path: string): string[] {
  if (!isObject(parameters)) return [];
  const entries = LAYER_TYPES.flatMap((type) => {
    const entry = parameters[type];
    return isObject(entry) ? strangers(entry, `${path}${type}.`, (key) => KNOWN.rope.has(key)) : [];
  });
  return [...strangers(parameters, path, (key) => KNOWN.ropeParameters.has(key)), ...entries];
}

/** Numbers and texts of MLX's block: what else is there belongs to modules. */
function packingKeys(config: Json): string[] {
  const { quantization } = config;
  if (!isObject(quantization)) return [];
  const options = Object.entries(quantization).filter(([, value]) => typeof value !== "object");
  return strangers(
    Object.fromEntries(options),
    "quantization.",
    (key) => PACKING_OPTIONS.has(key) || typeof quantization[key] === "boolean",
  );
}
