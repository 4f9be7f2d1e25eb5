import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isObject } from "../../src/checkpoint/json.js";
import { unknownKeys } from "../../src/checkpoint/known-keys.js";
import { assistantConfig, FORMS, MODEL_NAMES, targetConfig } from "./real-models.js";

type Json = Record<string, unknown>;

const file = "config.json";
const keysOf = (config: unknown, of: "target" | "assistant" = "target") => {
  const [warning, ...others] = unknownKeys({ file, config }, of);
  expect(others).toEqual([]);
  return warning && /found (.*): ignored/.exec(warning.message)?.[1];
};

/** Keys of the published configs and of their conversions that have nothing to do with the text model. */
const PUBLISHED = {
  architectures: ["Gemma4ForConditionalGeneration"],
  audio_config: { anything: 1 },
  audio_ms_per_token: 40,
  audio_soft_tokens_per_image: 750,
  boa_token_id: 256_000,
  boi_token_id: 255_999,
  dtype: "bfloat16",
  eoa_token_id: 258_883,
  eoa_token_index: 258_883,
  eoi_token_id: 258_882,
  eos_token_id: [1, 106],
  hidden_size: 1536,
  ignore_index: -100,
  initializer_range: 0.02,
  pad_token_id: 0,
  quantization: { group_size: 64, bits: 4, mode: "affine", "language_model.model.embed_tokens": { bits: 8 } },
  quantization_config: { group_size: 64, bits: 4, mode: "affine", "vision_tower.x": false },
  tie_word_embeddings: true,
  transformers_version: "5.7.0",
  unsloth_fixed: true,
  vision_soft_tokens_per_image: 280,
  vocab_size: 262_144,
};

describe("config-key", () => {
  it("is not told of any published model, its assistant, or what conversions write", () => {
    for (const name of MODEL_NAMES) {
      for (const form of FORMS) {
        const text = {
          expert_intermediate_size: null,
          attention_dropout: 0,
          use_cache: true,
          pad_token_id: 0,
        };
        const { text_config: inner, ...target } = targetConfig(name, form);
        const config = isObject(inner)
          ? { ...target, ...PUBLISHED, text_config: { ...inner, ...text } }
          : { ...target, ...text };
        expect(keysOf(config)).toBeUndefined();
        expect(keysOf({ ...assistantConfig(name, form), ...PUBLISHED }, "assistant")).toBeUndefined();
      }
    }
  });

  it.each(
    ["models/tiny-gemma4", ...readdirSync("test/golden").map((name) => `test/golden/${name}`)].filter(
      (folder) => !folder.endsWith(".json"),
    ),
  )("is not told of %s", (folder) => {
    for (const of of ["target", "assistant"] as const) {
      expect(keysOf(JSON.parse(readFileSync(`${folder}/${of}/config.json`, "utf8")), of)).toBeUndefined();
    }
  });

  const base = (): Json => JSON.parse(readFileSync("models/tiny-gemma4/target/config.json", "utf8"));

  it.each<[string, (config: Json) => unknown, string]>([
    ["of the whole", (config) => ({ ...config, flux: 1 }), "flux"],
    [
      "of the text model",
      () => ({ model_type: "gemma4", text_config: { rope_theta: 1e4, query_scale: 2 } }),
      "text_config.rope_theta, text_config.query_scale",
    ],
    [
      "of rope",
      () => ({
        model_type: "gemma4_text",
        rope_parameters: { full_attention: { rope_type: "default", warp: 9 }, linear_attention: {} },
      }),
      "rope_parameters.linear_attention, rope_parameters.full_attention.warp",
    ],
    [
      "of the packing",
      (config) => ({
        ...config,
        quantization: { bits: 4, group_size: 64, zero_point: 3, embed_tokens: true },
      }),
      "quantization.zero_point",
    ],
    ["of someone hostile", (config) => ({ ...config, "a\nb": 1 }), '"a\\nb"'],
    [
      "in any number",
      (config) => ({ ...config, ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 1])) }),
      "k0, k1, k2, k3, k4 and 4 more",
    ],
  ])("is told of a key %s", (_, change, expected) => {
    expect(keysOf(change(base()))).toBe(expected);
  });

  it("is not told of what is null: nothing is asked for", () => {
    expect(keysOf({ ...base(), flux: null })).toBeUndefined();
    expect(keysOf("no object")).toBeUndefined();
  });
});
