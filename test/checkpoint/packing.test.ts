import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import { assistantWeights, targetWeights } from "../../src/checkpoint/expected-weights.js";
import { openTarget } from "../../src/checkpoint/index.js";
import { packingRules } from "../../src/checkpoint/packing-rules.js";
import type { TensorInfo } from "../../src/checkpoint/types.js";
import { planAssistant, planTarget } from "../../src/checkpoint/weights.js";
import type { NativeQuantization, QuantizationMode } from "../../src/mlx/native.js";
import { safetensors, temporaryFolder, thrown, writeJson } from "./helpers.js";
import { type Change, expected, FOUR, type How, PREFIX, plan, quantization, TEXT } from "./packed-plan.js";
import { block, type Json, tensor, tensorsOf } from "./real-models.js";

const MODES: readonly (readonly [QuantizationMode, number, number])[] = [
  ...[2, 3, 4, 5, 6, 8].flatMap((bits) =>
    [32, 64, 128].map((groupSize) => ["affine", bits, groupSize] as const),
  ),
  ["mxfp4", 4, 32],
  ["mxfp8", 8, 32],
  ["nvfp4", 4, 16],
];

describe("packed weights", () => {
  it.each(MODES)("of mode %s, %i bits, groups of %i", (mode, bits, groupSize) => {
    const how = { mode, bits, groupSize };
    const { tensors, quantization: record, dtype, bytes } = plan(quantization({}, how), () => how);
    expect(new Set(Object.values(record).map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ groupSize, bits, mode })]),
    );
    expect(record).toHaveProperty(["layers.5.experts.switch_glu.down_proj"]);
    expect(dtype).toBe("bfloat16");
    expect(tensors.get("embed_tokens.weight")).toMatchObject({
      dtype: "uint32",
      shape: [512, (256 * bits) / 32],
      name: `${PREFIX}embed_tokens.weight`,
    });
    expect(tensors.get("layers.0.experts.switch_glu.up_proj.scales")?.shape).toEqual([
      4,
      128,
      256 / groupSize,
    ]);
    expect(tensors.has("embed_tokens.biases")).toBe(mode === "affine");
    expect(bytes).toBe([...tensors.values()].reduce((sum, one) => sum + one.bytes, 0));
  });

  it("need no mode, and are found under both names of the block, in either part of the config", () => {
    const bare = { group_size: 64, bits: 4 };
    const record = plan({ quantization: bare, quantization_config: bare }).quantization;
    expect(plan({ quantization_config: bare }).quantization).toEqual(record);
    expect(plan({ text_config: { quantization_config: bare } }).quantization).toEqual(record);
    expect(plan({ quantization: bare, quantization_config: { quant_method: "awq" } }).quantization).toEqual(
      record,
    );
    expect(plan({ quantization: null }, () => undefined).quantization).toEqual({});
    // A block alone packs nothing: what counts is whether scales are there.
    expect(plan({ quantization: bare }, () => undefined).quantization).toEqual({});
  });

  it.each(["", "model.", "language_model.model.", "model.language_model."])(
    "take entries by module under the prefix %j",
    (prefix) => {
      const eight = { group_size: 32, bits: 8 };
      const entries = {
        [`${prefix}layers.0.router.proj`]: eight,
        [`${prefix}embed_tokens`]: false,
        [`${prefix}layers.1.mlp.down_proj`]: { ...block({ bits: 4, groupSize: 32, mode: "mxfp4" }) },
        [`${prefix}layers.2.mlp.down_proj`]: true,
        "vision_tower.encoder": { bits: 77 },
      };
      const how: How = (module) => {
        if (module === "layers.0.router.proj") return { bits: 8, groupSize: 32, mode: "affine" };
        if (module === "embed_tokens") return undefined;
        if (module === "layers.1.mlp.down_proj") return { bits: 4, groupSize: 32, mode: "mxfp4" };
        return FOUR;
      };
      const { quantization: record } = plan(quantization(entries), how);
      expect(record["layers.0.router.proj"]).toEqual({ bits: 8, groupSize: 32, mode: "affine" });
      expect(record).not.toHaveProperty("embed_tokens");
      expect(record["layers.1.mlp.down_proj"]?.mode).toBe("mxfp4");
      expect(record["layers.2.mlp.down_proj"]).toEqual(FOUR);
    },
  );

  it("of an entry without a mode are affine, whatever the block's mode", () => {
    const mxfp4: NativeQuantization = { bits: 4, groupSize: 32, mode: "mxfp4" };
    const router: NativeQuantization = { bits: 8, groupSize: 64, mode: "affine" };
    const json = quantization(
      { "language_model.model.layers.0.router.proj": { group_size: 64, bits: 8 } },
      mxfp4,
    );
    const how: How = (module) => (module === "layers.0.router.proj" ? router : mxfp4);
    expect(plan(json, how).quantization["layers.0.router.proj"]).toEqual(router);
  });

  it("leave the dtype to the embedding, its scales, or the norm", () => {
    const f32: Change = (tensors) => {
      for (const [name, info] of tensors) {
        if (name.endsWith("norm.weight")) tensors.set(name, tensor("float32", info.shape));
      }
    };
    expect(plan(quantization(), undefined, f32).dtype).toBe("bfloat16");
    const plainEmbedding: How = (module) => (module === "embed_tokens" ? undefined : FOUR);
    expect(plan(quantization(), plainEmbedding, f32).dtype).toBe("bfloat16");
    const nvfp4: NativeQuantization = { bits: 4, groupSize: 16, mode: "nvfp4" };
    expect(plan(quantization({}, nvfp4), () => nvfp4, f32).dtype).toBe("float32");
  });
});

describe("weights and config.json that disagree", () => {
  const drop = (name: string) => (tensors: Map<string, TensorInfo>) => void tensors.delete(PREFIX + name);
  const put = (name: string, info: TensorInfo) => (tensors: Map<string, TensorInfo>) =>
    void tensors.set(PREFIX + name, info);
  const bf16 = (...shape: number[]) => tensor("bfloat16", shape);
  const u32 = (...shape: number[]) => tensor("uint32", shape);
  const nvfp4: NativeQuantization = { bits: 4, groupSize: 16, mode: "nvfp4" };

  it.each<[string, string[], Json, How, Change]>([
    [
      "no block",
      ["embed_tokens.weight", "expected a quantization block", "found none"],
      {},
      () => FOUR,
      () => {},
    ],
    [
      "false, and scales",
      [
        "expected it not packed, as config.json: quantization.embed_tokens says (false)",
        "embed_tokens.scales",
      ],
      quantization({ embed_tokens: false }),
      () => FOUR,
      () => {},
    ],
    [
      "an entry, and no scales",
      [
        "expected it packed as config.json: quantization.model.embed_tokens says (8 bits in groups of 64, affine)",
        "found bfloat16 without scales",
      ],
      quantization({ "model.embed_tokens": { bits: 8 } }),
      (module) => (module === "embed_tokens" ? undefined : FOUR),
      () => {},
    ],
    [
      "other bits",
      ["embed_tokens.weight: expected shape [512, 64], found [512, 32] for 8 bits in groups of 64, affine"],
      quantization({}, { ...FOUR, bits: 8 }),
      () => FOUR,
      () => {},
    ],
    [
      "another group size",
      ["embed_tokens.scales: expected shape [512, 8], found [512, 4] for 4 bits in groups of 32, affine"],
      quantization({}, { ...FOUR, groupSize: 32 }),
      () => FOUR,
      () => {},
    ],
    [
      "another mode",
      ["embed_tokens.scales: expected uint8 for 4 bits in groups of 32, mxfp4", "found bfloat16"],
      quantization({}, { bits: 4, groupSize: 32, mode: "mxfp4" }),
      () => ({ ...FOUR, groupSize: 32 }),
      (tensors) => {
        for (const name of [...tensors.keys()]) if (name.endsWith(".biases")) tensors.delete(name);
      },
    ],
    [
      "biases too many",
      ["expected no language_model.model.embed_tokens.biases for 4 bits in groups of 16, nvfp4", "found it"],
      quantization({}, nvfp4),
      () => nvfp4,
      put("embed_tokens.biases", bf16(512, 16)),
    ],
    [
      "no biases",
      ["expected language_model.model.embed_tokens.biases for 4 bits in groups of 64, affine", "found none"],
      quantization(),
      () => FOUR,
      drop("embed_tokens.biases"),
    ],
    [
      "no scales",
      ["expected language_model.model.embed_tokens.scales beside packed weights (uint32)"],
      quantization(),
      () => FOUR,
      drop("embed_tokens.scales"),
    ],
    [
      "floats with scales",
      ["embed_tokens.weight: expected uint32 for", "found bfloat16"],
      quantization(),
      () => FOUR,
      put("embed_tokens.weight", bf16(512, 256)),
    ],
    [
      "a packed norm",
      ["layers.0.input_layernorm.weight: expected no", "input_layernorm.scales", "never packed"],
      quantization(),
      () => FOUR,
      put("layers.0.input_layernorm.scales", bf16(4)),
    ],
    [
      "a packed scalar",
      ["layers.0.layer_scalar: expected no", "never packed"],
      quantization(),
      () => FOUR,
      put("layers.0.layer_scalar.scales", bf16(1)),
    ],
    [
      "experts of another shape",
      ["experts.switch_glu.up_proj.weight: expected shape [4, 128, 32], found [3, 128, 32]"],
      quantization(),
      () => FOUR,
      put("layers.2.experts.switch_glu.up_proj.weight", u32(3, 128, 32)),
    ],
  ])("%s", (_, words, json, how, change) => {
    const { message } = thrown("checkpoint", () => plan(json, how, change));
    for (const part of words) expect(message).toContain(part);
  });

  it("with rows that are no whole groups", () => {
    const narrow = resolveTarget({
      file: "config.json",
      config: { ...TEXT, hidden_size_per_layer_input: 64 },
    });
    const tensors = tensorsOf(targetWeights(narrow, "split"), PREFIX, () => FOUR);
    const json = {
      ...TEXT,
      ...quantization({ "layers.0.per_layer_projection": { group_size: 128, bits: 4 } }),
    };
    const packing = packingRules({ file: "config.json", config: json }, "target");
    expect(
      thrown("checkpoint", () => planTarget({ folder: "/model", config: narrow, tensors, packing })).message,
    ).toContain(
      "layers.0.per_layer_projection.weight: expected rows of whole groups for 4 bits in groups of 128",
    );
  });

  it.each(["weight_scale_2", "weight_global_scale", "weight_scale", "input_scale"])(
    "with a %s beside the weight",
    (part) => {
      const change = put(`layers.0.mlp.up_proj.${part}`, bf16());
      for (const how of [() => FOUR, () => undefined]) {
        expect(thrown("unsupported", () => plan(quantization(), how, change)).message).toContain(part);
      }
    },
  );
});

describe("an assistant's weights", () => {
  const json = {
    model_type: "gemma4_assistant",
    use_ordered_embeddings: true,
    num_centroids: 64,
    centroid_intermediate_top_k: 4,
    backbone_hidden_size: 256,
    text_config: {
      vocab_size: 512,
      hidden_size: 128,
      intermediate_size: 256,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      head_dim: 64,
      global_head_dim: 64,
    },
    ...quantization(),
  };
  const resolved = resolveAssistant({ file: "config.json", config: json });
  const of = (how: How, change: Change = () => {}) => {
    const tensors = tensorsOf(assistantWeights(resolved), "", how);
    change(tensors);
    const packing = packingRules({ file: "config.json", config: json }, "assistant");
    return planAssistant({ folder: "/assistant", config: resolved, tensors, packing });
  };

  it("with packed centroids are read, and warned about", () => {
    const { warnings, quantization: record } = of(() => FOUR);
    expect(record["masked_embedding.centroids"]).toEqual(FOUR);
    expect(warnings).toEqual([
      {
        code: "packed-centroids",
        message: expect.stringContaining("/assistant: the assistant's centroids are packed in 4 bits"),
      },
    ]);
    const plain = of((module) => (module.includes("centroids") ? undefined : FOUR));
    expect(plain.warnings).toEqual([]);
    expect(plain.quantization).toHaveProperty(["model.embed_tokens"]);
  });

  it("with a packed ordering are refused", () => {
    const change: Change = (tensors) =>
      void tensors.set("masked_embedding.token_ordering.scales", tensor("bfloat16", [8]));
    expect(thrown("checkpoint", () => of(() => FOUR, change)).message).toContain(
      "token_ordering: expected no masked_embedding.token_ordering.scales, since index tables are never packed",
    );
  });
});

it("a packed folder opens, with its modules in the config", () => {
  const folder = temporaryFolder();
  writeJson(folder, "config.json", {
    model_type: "gemma4",
    text_config: TEXT,
    ...quantization({ "language_model.model.layers.0.router.proj": { group_size: 64, bits: 8 } }),
    quantization_config: { whatever: true },
  });
  const how: How = (module) => (module === "layers.0.router.proj" ? { ...FOUR, bits: 8 } : FOUR);
  const names: Readonly<Record<string, string>> = { bfloat16: "BF16", uint32: "U32", float32: "F32" };
  const raw = [...tensorsOf(expected, PREFIX, how)].map(
    ([name, { dtype, shape }]) => [name, { dtype: names[dtype] ?? "U8", shape }] as const,
  );
  const vision = { "vision_tower.patch.weight": { dtype: "F32", shape: [3, 3] } };
  writeFileSync(join(folder, "model.safetensors"), safetensors({ ...Object.fromEntries(raw), ...vision }));
  const target = openTarget(folder);
  expect(target.config.quantization).toEqual(target.weights.quantization);
  expect(target.config.quantization?.["layers.0.router.proj"]?.bits).toBe(8);
  expect(target.config.experts).toEqual({ count: 4, topK: 2, intermediateSize: 128 });
  expect([...target.weights.tensors.keys()].some((name) => name.includes("vision"))).toBe(false);
  expect(openTarget().config).not.toHaveProperty("quantization");
});
