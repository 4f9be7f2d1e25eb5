// Configs of the published models, in every form that a folder may have, and their tensors without their bytes.
import type { ExpectedWeight } from "../../src/checkpoint/expected-weights.js";
import type { StoredDtype, TensorInfo } from "../../src/checkpoint/types.js";
import type { NativeQuantization } from "../../src/mlx/native.js";

export type Json = Readonly<Record<string, unknown>>;

interface Model {
  readonly modelType: "gemma4" | "gemma4_unified";
  readonly every: 5 | 6;
  readonly text: Json & { readonly num_hidden_layers: number };
  readonly kEqV: boolean;
  readonly globalKvHeads: number;
  /** Of the text model, in billions, rounded down and up. */
  readonly billions: readonly [number, number];
}

const COMMON = { vocab_size: 262_144, head_dim: 256, final_logit_softcapping: 30, rms_norm_eps: 1e-6 };

function model(
  [hidden, layers, every, intermediate]: readonly [number, number, 5 | 6, number],
  [heads, kvHeads, globalKvHeads]: readonly [number, number, number],
  rest: Partial<Model> & { readonly billions: readonly [number, number] },
  more: Json,
): Model {
  return {
    modelType: "gemma4",
    kEqV: false,
    every,
    globalKvHeads,
    ...rest,
    text: {
      ...COMMON,
      hidden_size: hidden,
      num_hidden_layers: layers,
      intermediate_size: intermediate,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      ...more,
    },
  };
}

const EXPERTS = {
  enable_moe_block: true,
  num_experts: 128,
  top_k_experts: 8,
  moe_intermediate_size: 704,
};
const LARGE = { sliding_window: 1024, hidden_size_per_layer_input: 0, num_kv_shared_layers: 0 };

export const MODELS = {
  E2B: model(
    [1536, 35, 5, 6144],
    [8, 1, 1],
    { billions: [4, 5] },
    {
      sliding_window: 512,
      num_kv_shared_layers: 20,
      use_double_wide_mlp: true,
      hidden_size_per_layer_input: 256,
    },
  ),
  E4B: model(
    [2560, 42, 6, 10_240],
    [8, 2, 2],
    { billions: [7, 8] },
    {
      sliding_window: 512,
      num_kv_shared_layers: 18,
    },
  ),
  "12B": model(
    [3840, 48, 6, 15_360],
    [16, 8, 1],
    { billions: [11, 12], modelType: "gemma4_unified", kEqV: true },
    {},
  ),
  "26B-A4B": model(
    [2816, 30, 6, 2112],
    [16, 8, 2],
    { billions: [25, 26], kEqV: true },
    {
      ...LARGE,
      ...EXPERTS,
    },
  ),
  "31B": model([5376, 60, 6, 21_504], [32, 16, 4], { billions: [30, 31], kEqV: true }, LARGE),
} as const satisfies Readonly<Record<string, Model>>;

export type ModelName = keyof typeof MODELS;
export const MODEL_NAMES = Object.keys(MODELS) as ModelName[];

/** Which form of each key with two of them a config has. */
export interface Form {
  /** `per_layer_config` rather than `global_head_dim` and `num_global_key_value_heads`. */
  readonly perLayer: boolean;
  /** `layer_types` written out; absent where the pattern is the default's. */
  readonly layerTypes: boolean;
  readonly rope: boolean;
  /** The text model alone, rather than inside a multimodal config. */
  readonly textOnly: boolean;
  /** The text part says its own model_type. */
  readonly typed: boolean;
}

/** Every combination of forms. */
export const FORMS: readonly Form[] = Array.from({ length: 32 }, (_, bits) => ({
  perLayer: (bits & 1) > 0,
  layerTypes: (bits & 2) > 0,
  rope: (bits & 4) > 0,
  textOnly: (bits & 8) > 0,
  typed: (bits & 16) > 0,
}));

const ROPE = {
  sliding_attention: { rope_type: "default", rope_theta: 10_000 },
  full_attention: { rope_type: "proportional", rope_theta: 1_000_000, partial_rotary_factor: 0.25 },
};

/** Layer types with a full layer at every `every`th place and at the end. */
export function pattern(count: number, every: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    (i + 1) % every === 0 || i === count - 1 ? "full_attention" : "sliding_attention",
  );
}

function formed(text: Json, types: readonly string[], every: number, full: Json, form: Form): Json {
  const overrides = types.flatMap((type, i) =>
    type === "full_attention" ? [[String(i).padStart(2, "0"), full] as const] : [],
  );
  return {
    ...text,
    ...(form.layerTypes || every !== 6 ? { layer_types: types } : {}),
    ...(form.rope ? { rope_parameters: ROPE } : {}),
    ...(form.perLayer
      ? { per_layer_config: Object.fromEntries(overrides) }
      : { global_head_dim: full.head_dim, num_global_key_value_heads: full.num_key_value_heads ?? null }),
  };
}

/** A target's config.json. */
export function targetConfig(name: ModelName, form: Form): Json {
  const { modelType, every, text, kEqV, globalKvHeads }: Model = MODELS[name];
  const types = pattern(text.num_hidden_layers, every);
  const full = { head_dim: 512, ...(kEqV ? { num_key_value_heads: globalKvHeads } : {}) };
  const body = formed({ ...text, attention_k_eq_v: kEqV }, types, every, full, form);
  const inner = `${modelType}_text`;
  if (form.textOnly) return { ...body, model_type: inner };
  return {
    model_type: modelType,
    image_token_id: 258_880,
    audio_token_id: 258_881,
    video_token_id: 258_884,
    vision_config: { hidden_size: 768 },
    text_config: form.typed ? { ...body, model_type: inner } : body,
  };
}

/** The config.json of a target's assistant. */
export function assistantConfig(name: ModelName, form: Form): Json {
  const { modelType, text, kEqV, globalKvHeads }: Model = MODELS[name];
  const small = name === "E2B" || name === "E4B";
  const full = { head_dim: 512, ...(kEqV ? { num_key_value_heads: globalKvHeads } : {}) };
  const body = formed(
    {
      ...COMMON,
      hidden_size: small ? 256 : 1024,
      num_hidden_layers: 4,
      intermediate_size: small ? 2048 : 8192,
      num_attention_heads: text.num_attention_heads,
      num_key_value_heads: text.num_key_value_heads,
      attention_k_eq_v: kEqV,
      sliding_window: text.sliding_window ?? 1024,
      ...(form.typed ? { num_kv_shared_layers: 4 } : {}),
    },
    pattern(4, 4),
    6,
    full,
    form,
  );
  return {
    model_type: `${modelType}_assistant`,
    backbone_hidden_size: text.hidden_size,
    use_ordered_embeddings: small,
    text_config: form.typed ? { ...body, model_type: `${modelType}_text` } : body,
  };
}

const SIZES: Partial<Readonly<Record<StoredDtype, number>>> = {
  bfloat16: 2,
  float32: 4,
  uint32: 4,
  uint8: 1,
  int64: 8,
};

/** A tensor that lies nowhere. */
export function tensor(dtype: StoredDtype, shape: readonly number[]): TensorInfo {
  const bytes = shape.reduce((product, size) => product * size, SIZES[dtype] ?? 2);
  return { file: "/model.safetensors", dtype, shape, offset: 0, bytes, stamp: "" };
}

/** The tensors of a checkpoint, packed where `how` says so. */
export function tensorsOf(
  expected: readonly ExpectedWeight[],
  prefix: string,
  how: (module: string) => NativeQuantization | undefined = () => undefined,
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape, kind } of expected) {
    const module = name.replace(/\.weight$/, "");
    const packed = kind === "matrix" ? how(module) : undefined;
    if (!packed) {
      tensors.set(prefix + name, tensor(kind === "index" ? "int64" : "bfloat16", shape));
      continue;
    }
    const rows = shape.slice(0, -1);
    const width = shape.at(-1) ?? 0;
    const groups = [...rows, width / packed.groupSize];
    const affine = packed.mode === "affine";
    tensors.set(`${prefix}${module}.weight`, tensor("uint32", [...rows, (width * packed.bits) / 32]));
    tensors.set(`${prefix}${module}.scales`, tensor(affine ? "bfloat16" : "uint8", groups));
    if (affine) tensors.set(`${prefix}${module}.biases`, tensor("bfloat16", groups));
  }
  return tensors;
}

/** A module's parameters as config.json writes them. */
export function block({ bits, groupSize, mode }: NativeQuantization): Json {
  return { group_size: groupSize, bits, mode };
}
