import { cpSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { load } from "../../src/load.js";
import { evaluate, fromBytes, readBytes } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { copyOf, safetensors, writeJson } from "../checkpoint/helpers.js";
import { run } from "../support/generation.js";
import { bytesOf, GOLDEN, jsonOf, quantized, tensorsOf } from "./helpers.js";

const MOE = join(GOLDEN, "moe");

describe("a mixture of experts", () => {
  it("has its stacked gate_up_proj split as MLX keeps it, each expert packed", async () => {
    const { output } = await quantized({ model: join(MOE, "target"), groupSize: 32 }, { blockBytes: 1000 });
    const source = tensorsOf(join(MOE, "target"));
    const made = tensorsOf(output);
    const stacked = [...source.keys()].filter((name) => name.endsWith("experts.gate_up_proj"));
    expect(stacked.length).toBeGreaterThan(0);
    for (const name of stacked) {
      const info = source.get(name);
      if (!info || (info.dtype !== "float32" && info.dtype !== "bfloat16")) throw new Error(name);
      const [experts = 0, both = 0, columns = 0] = info.shape;
      const whole = fromBytes(bytesOf(info), info.shape, info.dtype);
      const layer = /layers\.\d+/.exec(name)?.[0];
      for (const [index, projection] of ["gate_proj", "up_proj"].entries()) {
        const from = (index * both) / 2;
        const half = ops.slice(whole, [0, from, 0], [experts, from + both / 2, columns]);
        const parts = ops.quantize(half, { groupSize: 32, bits: 4, mode: "affine" });
        await evaluate([parts]);
        for (const [place, part] of ["weight", "scales", "biases"].entries()) {
          const other = made.get(`language_model.model.${layer}.experts.switch_glu.${projection}.${part}`);
          const expected = parts[place];
          expect(other?.shape).toEqual(expected?.shape);
          expect(other && expected && bytesOf(other).equals(readBytes(expected))).toBe(true);
        }
      }
    }
    expect([...made.keys()].filter((name) => name.includes("gate_up_proj"))).toEqual([]);
  });

  it("has a router of 8 bits, which config.json says", async () => {
    const { output } = await quantized({ model: join(MOE, "target"), groupSize: 32 });
    expect(jsonOf(output).quantization).toMatchObject({
      group_size: 32,
      bits: 4,
      "language_model.model.layers.0.router.proj": { group_size: 64, bits: 8, mode: "affine" },
    });
    const router = tensorsOf(output).get("language_model.model.layers.0.router.proj.weight");
    expect(router).toMatchObject({ dtype: "uint32", shape: [8, 16] });
  });

  it("writes the same text drafted and plain", async () => {
    const { output: model } = await quantized({ model: join(MOE, "target"), groupSize: 32 });
    const { output: draft } = await quantized({ model: join(MOE, "assistant"), groupSize: 32 });
    using pair = await load({ model, draft });
    const texts: (readonly number[])[] = [];
    for (const draftTokens of [0, 1, 4]) {
      const how = { promptIds: [2, 8, 29], maxTokens: 40, ignoreEos: true, draftTokens };
      texts.push((await run(pair, how)).tokenIds);
    }
    expect(texts[0]).toHaveLength(40);
    expect(texts[1]).toEqual(texts[0]);
    expect(texts[2]).toEqual(texts[0]);
  });
});

describe("a container with vision", () => {
  /** The moe pair's target with some weights of a vision tower in a file of their own. */
  function withVision(config: object): { readonly folder: string; readonly shard: string } {
    const folder = copyOf(join(MOE, "target"));
    const shard = "model-vision.safetensors";
    const names = [
      "model.vision_tower.encoder.layers.0.mlp.up_proj.linear.weight",
      "model.embed_vision.embedding_projection.weight",
      "model.strange.weight",
    ];
    const bytes = safetensors(
      Object.fromEntries(names.map((name) => [name, { dtype: "BF16", shape: [64, 64] }])),
    );
    // Not all zeros: what is copied must be these.
    for (let i = 1; i <= 64 * 64 * 6; i++) bytes[bytes.length - i] = i % 251;
    writeFileSync(join(folder, shard), bytes);
    const index = jsonOf(folder, "model.safetensors.index.json");
    const added = Object.fromEntries(names.map((name) => [name, shard]));
    writeJson(folder, "model.safetensors.index.json", {
      ...index,
      weight_map: { ...Object(index.weight_map), ...added },
    });
    writeJson(folder, "config.json", { ...jsonOf(folder), ...config });
    return { folder, shard };
  }

  it("keeps what config.json describes, bit for bit, under MLX's names", async () => {
    const { folder } = withVision({ vision_config: { model_type: "gemma4_vision" } });
    const { output, notes } = await quantized({ model: folder, groupSize: 32 });
    const before = tensorsOf(folder);
    const after = tensorsOf(output);
    for (const name of [
      "vision_tower.encoder.layers.0.mlp.up_proj.linear.weight",
      "embed_vision.embedding_projection.weight",
    ]) {
      const [one, two] = [before.get(`model.${name}`), after.get(name)];
      expect(two).toMatchObject({ dtype: "bfloat16", shape: [64, 64] });
      expect(one && two && bytesOf(one).equals(bytesOf(two))).toBe(true);
    }
    expect(notes.join("\n")).toMatch(/tensors that no Gemma 4 reads are left out: .*model\.strange\.weight/);
    expect([...after.keys()].filter((name) => name.includes("strange"))).toEqual([]);
  });

  it("without a vision_config has none, and says so to mlx-vlm", async () => {
    const { folder } = withVision({ vision_config: null });
    const { output } = await quantized({ model: folder, groupSize: 32 });
    expect([...tensorsOf(output).keys()].filter((name) => !name.startsWith("language_model.model."))).toEqual(
      [],
    );
    expect(jsonOf(output).vision_config).toEqual({});
  });

  it("whose vision file was not downloaded leaves it out with a note", async () => {
    const { folder, shard } = withVision({ vision_config: { model_type: "gemma4_vision" } });
    rmSync(join(folder, shard));
    const { notes, output } = await quantized({ model: folder, groupSize: 32 });
    expect(notes.join("\n")).toMatch(
      /3 vision or audio tensors are left out, as their files are not there: model\./,
    );
    expect(readdirSync(output)).toContain("model.safetensors");
  });
});

it("a relative path to the assistant leads there from the new folder, too", async () => {
  const model = copyOf(join(MOE, "target"));
  writeJson(model, "config.json", { ...jsonOf(model), assistant: "drafter" });
  cpSync(join(MOE, "assistant"), join(model, "drafter"), { recursive: true });
  const { output } = await quantized({ model, groupSize: 32 });
  const path = String(jsonOf(output).assistant);
  expect(path).not.toBe("drafter");
  expect(realpathSync(resolve(output, path))).toBe(realpathSync(join(model, "drafter")));
});
