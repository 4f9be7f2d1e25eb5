import { MlxGemmaError } from "../errors.js";
import * as z from "../zod.js";
import { checkpointError, describe, isObject, quote } from "./json.js";

/** A value with a note of what was expected; the note becomes the error's text. */
function expecting<T>(expected: string, check: (value: unknown) => value is T) {
  return z.custom<T>(check, { error: expected });
}

/** A whole number in a closed range. */
export function whole(min: number, max: number) {
  return expecting(
    `a whole number from ${min} to ${max}`,
    (value): value is number => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  );
}

/** A finite number in `(0, max]`. */
export function positive(max: number) {
  return expecting(
    `a number above 0, at most ${max}`,
    (value): value is number => typeof value === "number" && value > 0 && value <= max,
  );
}

const flag = z.boolean({ error: "true or false" });
const text = z.string({ error: "a text" });
const tokenId = whole(0, 2 ** 31 - 1);
/** `eos_token_id`: an id, a list of ids, or null. */
export const tokenIds = z.union([tokenId, z.array(tokenId).max(1024)], {
  error: "a token id or a list of at most 1024 token ids",
});

const MAX_LAYERS = 1024;
const MAX_WIDTH = 2 ** 20;

/** Entries are looked at where there are no more than so many: zod keeps an issue for each wrong one of a million. */
function atMost(max: number, what: string) {
  return expecting(
    `${what} with at most ${max} entries`,
    (value): value is object =>
      typeof value === "object" &&
      value !== null &&
      (Array.isArray(value) ? value : Object.keys(value)).length <= max,
  );
}

/** Rope of one layer type. `type` is the older name of `rope_type`. */
export const rope = z.looseObject(
  {
    rope_type: text.optional(),
    type: text.optional(),
    rope_theta: positive(1e12),
    partial_rotary_factor: positive(1).nullish(),
    factor: positive(1e6).nullish(),
  },
  { error: "an object" },
);

/** Overrides of one layer, as transformers' own `save_pretrained` writes them. */
const layerOverrides = z.looseObject(
  { head_dim: whole(2, 8192).optional(), num_key_value_heads: whole(1, 4096).optional() },
  { error: "an object" },
);

/**
 * `gemma4_text` and `gemma4_unified_text`, with the reference's default for each absent key; where the two differ, the
 * key stays absent here.
 */
export const textConfig = z.looseObject(
  {
    model_type: text.optional(),
    vocab_size: whole(2, 2 ** 24).default(262_144),
    hidden_size: whole(1, MAX_WIDTH).default(2304),
    intermediate_size: whole(1, MAX_WIDTH).default(9216),
    num_hidden_layers: whole(1, MAX_LAYERS).default(30),
    num_attention_heads: whole(1, 4096).default(8),
    num_key_value_heads: whole(1, 4096).default(4),
    head_dim: whole(2, 8192).default(256),
    global_head_dim: whole(2, 8192).default(512),
    num_global_key_value_heads: whole(1, 4096).nullish(),
    per_layer_config: atMost(MAX_LAYERS, "an object by layer index")
      .pipe(z.record(z.string(), layerOverrides, { error: "an object by layer index" }))
      .nullish(),
    max_position_embeddings: whole(1, 2 ** 31 - 1).optional(),
    rms_norm_eps: positive(1).default(1e-6),
    eos_token_id: tokenIds.nullable().default(1),
    bos_token_id: tokenId.nullable().default(2),
    tie_word_embeddings: flag.default(true),
    rope_parameters: z
      .looseObject(
        { sliding_attention: rope.nullish(), full_attention: rope.nullish() },
        { error: "an object by layer type" },
      )
      .nullish(),
    sliding_window: whole(1, 2 ** 31 - 1).optional(),
    layer_types: atMost(MAX_LAYERS, "a list of layer types")
      .pipe(z.array(text, { error: "a list of layer types" }))
      .nullish(),
    final_logit_softcapping: positive(1e6).nullish(),
    vocab_size_per_layer_input: whole(0, 2 ** 24).default(262_144),
    hidden_size_per_layer_input: whole(0, MAX_WIDTH).optional(),
    attention_k_eq_v: flag.default(false),
    num_kv_shared_layers: whole(0, MAX_LAYERS).default(0),
    enable_moe_block: flag.default(false),
    num_experts: whole(1, 4096).nullish(),
    top_k_experts: whole(1, 4096).nullish(),
    moe_intermediate_size: whole(1, MAX_WIDTH).nullish(),
    use_double_wide_mlp: flag.default(false),
    dtype: text.nullish(),
    torch_dtype: text.nullish(),
  },
  { error: "an object" },
);

/** A parsed text config. */
export type TextConfig = z.infer<typeof textConfig>;

/** Keys of a target's outer config that matter here. */
export const outerConfig = z.looseObject({
  eos_token_id: tokenIds.nullish(),
  tie_word_embeddings: flag.default(true),
  dtype: text.nullish(),
  torch_dtype: text.nullish(),
});

/** `gemma4_assistant` and `gemma4_unified_assistant` without their text_config. */
export const assistantConfig = z.looseObject({
  backbone_hidden_size: whole(1, MAX_WIDTH).optional(),
  use_ordered_embeddings: flag.default(false),
  num_centroids: whole(1, 2 ** 24).default(2048),
  centroid_intermediate_top_k: whole(1, 2 ** 24).default(32),
  tie_word_embeddings: flag.default(true),
  dtype: text.nullish(),
  torch_dtype: text.nullish(),
});

/** Where a config stands: its file, and the JSON path of the object that is being read ("" for the whole). */
export interface Place {
  readonly file: string;
  readonly path: string;
}

/** `file: path.key`, for the beginning of an error. */
export function at(place: Place, ...keys: readonly PropertyKey[]): string {
  const path = [place.path, ...keys.map(String)].filter((key) => key !== "").map(quote);
  return path.length === 0 ? place.file : `${place.file}: ${path.join(".")}`;
}

/** An error that a real checkpoint needs something that is not there yet. */
export function unsupported(
  where: string,
  what: string,
  todo = "use a Gemma 4 checkpoint without it",
): MlxGemmaError {
  return new MlxGemmaError(
    "unsupported",
    `${where}: ${what}, which this version of mlx-gemma cannot run yet; ${todo}`,
  );
}

/**
 * Checks a value against a schema.
 *
 * @throws MlxGemmaError `checkpoint` with the JSON path, what was expected and what was found.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown, place: Place): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  let found: unknown = value;
  for (const key of path)
    found = Array.isArray(found) ? found[Number(key)] : isObject(found) ? found[String(key)] : undefined;
  throw checkpointError(
    at(place, ...path),
    `expected ${issue?.message ?? "a valid value"}, found ${describe(found)}; mend it or download the checkpoint again`,
  );
}
