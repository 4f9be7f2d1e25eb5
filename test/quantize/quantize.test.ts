import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openAssistant, openTarget } from "../../src/checkpoint/index.js";
import { type LoadedPair, load } from "../../src/load.js";
import { evaluate, fromBytes, readBytes } from "../../src/mlx/array.js";
import type { NativeQuantization } from "../../src/mlx/native.js";
import * as ops from "../../src/mlx/ops.js";
import { rejected, temporaryFolder, writeJson } from "../checkpoint/helpers.js";
import { run } from "../support/generation.js";
import { bytesOf, GOLDEN, jsonOf, PAIR, quantized, tensorsOf } from "./helpers.js";

const TARGET = join(PAIR, "target");
const ASSISTANT = join(PAIR, "assistant");

async function packedByMlx(name: string, quantization: NativeQuantization): Promise<Buffer[]> {
  const info = tensorsOf(TARGET).get(`model.${name}`);
  if (!info) throw new Error(name);
  const parts = ops.quantize(fromBytes(bytesOf(info), info.shape, "bfloat16"), quantization);
  await evaluate([parts]);
  return parts.map((part) => Buffer.from(readBytes(part)));
}

describe("the weights", () => {
  it.each<[Parameters<typeof quantized>[0], NativeQuantization]>([
    [{}, { groupSize: 64, bits: 4, mode: "affine" }],
    [
      { bits: 3, groupSize: 32 },
      { groupSize: 32, bits: 3, mode: "affine" },
    ],
    [{ mode: "nvfp4" }, { groupSize: 16, bits: 4, mode: "nvfp4" }],
  ])(
    "%j: are what MLX makes of the whole, though they are packed in blocks",
    async (options, quantization) => {
      // 40 kB: 78 rows of the embedding, which a block does not divide.
      const { output } = await quantized(options, { blockBytes: 40_000 });
      const tensors = tensorsOf(output);
      for (const module of ["embed_tokens", "layers.0.self_attn.q_proj", "layers.9.mlp.down_proj"]) {
        const expected = await packedByMlx(`${module}.weight`, quantization);
        const parts = quantization.mode === "affine" ? ["weight", "scales", "biases"] : ["weight", "scales"];
        expect(expected).toHaveLength(parts.length);
        for (const [index, part] of parts.entries()) {
          const info = tensors.get(`model.${module}.${part}`);
          expect(info && bytesOf(info).equals(expected[index] ?? Buffer.of())).toBe(true);
        }
      }
    },
  );

  it("norms, scalars and the table of tokens stay as they are; centroids too", async () => {
    for (const folder of [TARGET, ASSISTANT]) {
      const { output } = await quantized({ model: folder });
      const before = tensorsOf(folder);
      const kept = [...tensorsOf(output)].filter(
        ([name, { dtype }]) => dtype !== "uint32" && !/\.(scales|biases)$/.test(name),
      );
      expect(kept.length).toBeGreaterThan(30);
      for (const [name, info] of kept) {
        const source = before.get(name);
        expect(source && bytesOf(source).equals(bytesOf(info)), name).toBe(true);
      }
      const names = kept.map(([name]) => name);
      if (folder === ASSISTANT) {
        expect(names).toEqual(
          expect.arrayContaining([
            "masked_embedding.centroids.weight",
            "masked_embedding.token_ordering",
            "model.embed_tokens.weight",
          ]),
        );
      } else
        expect(names).toEqual(expect.arrayContaining(["model.norm.weight", "model.layers.0.layer_scalar"]));
    }
  });

  it("several files with an index hold the same tensors as one", async () => {
    const one = await quantized();
    const many = await quantized({}, { shardBytes: 1_000_000 });
    expect(many.shards).toBeGreaterThan(3);
    const files = readdirSync(many.output).filter((name) => name.endsWith(".safetensors"));
    expect(files[0]).toBe(`model-00001-of-0000${many.shards}.safetensors`);
    const index = jsonOf(many.output, "model.safetensors.index.json");
    expect(index.metadata).toEqual({ total_size: many.bytes, total_parameters: many.parameters });
    const whole = tensorsOf(one.output);
    const parts = tensorsOf(many.output);
    expect(Object.keys(index.weight_map ?? {}).sort()).toEqual([...whole.keys()].sort());
    for (const [name, info] of whole) {
      const other = parts.get(name);
      expect(other && bytesOf(other).equals(bytesOf(info)), name).toBe(true);
    }
  });

  it("lie at multiples of their element's size, and the file says that it is MLX's", async () => {
    const { output } = await quantized({ model: ASSISTANT, groupSize: 32 });
    const size = { uint32: 4, int32: 4, float32: 4, int64: 8, bfloat16: 2 } as Record<string, number>;
    for (const { dtype, offset } of tensorsOf(output).values()) expect(offset % (size[dtype] ?? 1)).toBe(0);
    expect(readFileSync(join(output, "model.safetensors")).toString("latin1", 8, 60)).toMatch(
      /^\{"__metadata__":\{"format":"mlx"\}/,
    );
  });

  it("--dtype casts what stays floats, and scales", async () => {
    const { output } = await quantized({ dtype: "f32" });
    const tensors = tensorsOf(output);
    expect(tensors.get("model.norm.weight")?.dtype).toBe("float32");
    expect(tensors.get("model.embed_tokens.scales")?.dtype).toBe("float32");
    expect(jsonOf(output).dtype).toBe("float32");
  });
});

describe("the folder", () => {
  it("keeps tokenizer, template and generation config, and says how it was packed", async () => {
    const result = await quantized({ mixed: "mixed_3_6", groupSize: 32 });
    for (const name of [
      "tokenizer.json",
      "tokenizer_config.json",
      "chat_template.jinja",
      "generation_config.json",
    ]) {
      expect(readFileSync(join(result.output, name)).equals(readFileSync(join(TARGET, name)))).toBe(true);
    }
    const config = jsonOf(result.output);
    expect(config.quantization).toEqual(config.quantization_config);
    expect(config.quantization).toMatchObject({
      group_size: 32,
      bits: 3,
      mode: "affine",
      "model.embed_tokens": { group_size: 32, bits: 6, mode: "affine" },
    });
    expect(result.bitsPerWeight).toBeGreaterThan(3);
    expect(result.bitsPerWeight).toBeLessThan(result.bitsPerWeightBefore);
    expect(openTarget(result.output).config.quantization?.embed_tokens).toEqual({
      groupSize: 32,
      bits: 6,
      mode: "affine",
    });
  });

  it("keeps floats of the config floats, which readers in Python insist on", async () => {
    const { output } = await quantized();
    const text = readFileSync(join(output, "config.json"), "utf8");
    expect(text).toContain('"final_logit_softcapping": 30.0');
    expect(text).toContain('"rope_theta": 1000000.0');
    expect(text).toContain('"rms_norm_eps": 1e-06');
  });

  it("says sizes that the config had in per_layer_config alone, and nests the text model's names", async () => {
    const { output } = await quantized({ model: join(GOLDEN, "e-style/target"), groupSize: 32 });
    const config = jsonOf(output);
    expect(config).toMatchObject({ vocab_size: 320, text_config: { global_head_dim: 32, head_dim: 16 } });
    expect([...tensorsOf(output).keys()].every((name) => name.startsWith("language_model.model."))).toBe(
      true,
    );
  });

  it.each(["dense-k-eq-v", "e-style", "moe", "unified"])(
    "%s: is read back as the source's, from what it says and what it leaves to defaults",
    async (pair) => {
      for (const [part, open] of [
        ["target", openTarget],
        ["assistant", openAssistant],
      ] as const) {
        const model = join(GOLDEN, pair, part);
        const { output } = await quantized({ model, groupSize: 32 });
        const { quantization, ...config } = open(output).config;
        expect(quantization).toBeDefined();
        expect(config).toEqual(open(model).config);
      }
    },
  );
});

describe("the quantized pair", () => {
  const texts = async (pair: LoadedPair, draftTokens: number): Promise<readonly number[]> => {
    const promptIds = await pair.encodePrompt("Tell me a story about a fox.");
    return (await run(pair, { promptIds, maxTokens: 32, ignoreEos: true, draftTokens })).tokenIds;
  };

  it.each([{ bits: 4, groupSize: 32 }, { mode: "mxfp8" }, { mixed: "mixed_4_8", groupSize: 32 }])(
    "%j: drafted text is plain text",
    async (how) => {
      const { output: model } = await quantized({ ...how, model: TARGET });
      const { output: draft } = await quantized({ ...how, model: ASSISTANT, quantizeEmbedding: true });
      using pair = await load({ model, draft });
      const plain = await texts(pair, 0);
      expect(plain).toHaveLength(32);
      for (const k of [1, 5]) expect(await texts(pair, k)).toEqual(plain);
    },
  );
});

describe("what is refused", () => {
  it("a source that is quantized already", async () => {
    const { output } = await quantized();
    const { message } = await rejected("usage", quantized({ model: output }));
    expect(message).toMatch(
      /config.json: expected a checkpoint with float weights .*, found a quantized one \(quantization\)/,
    );
  });

  it("a source with packed tensors that its config says nothing of", async () => {
    const { output } = await quantized();
    const folder = temporaryFolder();
    const { quantization: _, quantization_config: __, ...config } = jsonOf(output);
    writeJson(folder, "config.json", config);
    symlinkSync(join(output, "model.safetensors"), join(folder, "model.safetensors"));
    await expect(quantized({ model: folder })).rejects.toThrow();
  });

  it("a group size that divides no row", async () => {
    const model = join(GOLDEN, "dense-k-eq-v/assistant");
    const { message } = await rejected("usage", quantized({ model, groupSize: 128 }));
    expect(message).toMatch(
      /^--group-size: expected a divisor of the rows of some weight, found 128, which divides none/,
    );
  });
});
