import { describe, expect, it } from "vitest";
import { type Module, packModule } from "../../src/quantize/modules.js";
import { packingOf, RECIPE_NAMES } from "../../src/quantize/options.js";
import { thrown } from "../checkpoint/helpers.js";

describe("what the options say of packing", () => {
  it.each([
    [{}, { groupSize: 64, bits: 4, mode: "affine" }],
    [
      { bits: 8, groupSize: 128 },
      { groupSize: 128, bits: 8, mode: "affine" },
    ],
    [{ mode: "mxfp4" }, { groupSize: 32, bits: 4, mode: "mxfp4" }],
    [
      { mode: "mxfp8", bits: 8 },
      { groupSize: 32, bits: 8, mode: "mxfp8" },
    ],
    [
      { mode: "nvfp4", groupSize: 16 },
      { groupSize: 16, bits: 4, mode: "nvfp4" },
    ],
  ])("%j", (options, base) => {
    expect(packingOf(options)).toEqual({ base });
  });

  it("a recipe has the lower bits as the base", () => {
    expect(packingOf({ mixed: "mixed_3_6", groupSize: 32 })).toEqual({
      base: { groupSize: 32, bits: 3, mode: "affine" },
      recipe: { name: "mixed_3_6", high: { groupSize: 32, bits: 6, mode: "affine" } },
    });
    for (const mixed of RECIPE_NAMES) expect(packingOf({ mixed }).recipe?.name).toBe(mixed);
  });

  it.each<[Parameters<typeof packingOf>[0], RegExp]>([
    [{ bits: 7 }, /^--bits: expected 2, 3, 4, 5, 6, 8, found "7"$/],
    [{ groupSize: 16 }, /^--group-size: expected 32, 64, 128, found "16"$/],
    [{ mode: "gguf" }, /^--mode: expected affine, mxfp4, mxfp8, nvfp4, found "gguf"$/],
    [{ mode: "mxfp4", bits: 8 }, /^--bits: expected 4 bits and groups of 32 with --mode mxfp4, found "8"$/],
    [{ mode: "nvfp4", groupSize: 32 }, /^--group-size: expected 4 bits and groups of 16 .* found "32"$/],
    [{ mixed: "mixed_5_6" }, /^--mixed: expected mixed_2_6, .*, found "mixed_5_6"$/],
    [{ mixed: "toString" }, /^--mixed: expected mixed_2_6/],
    [{ mixed: "mixed_4_6", bits: 4 }, /^--bits: expected no --bits beside --mixed/],
    [{ mixed: "mixed_4_6", mode: "mxfp8" }, /^--mixed: expected --mode affine \(mxfp8 has/],
  ])("%j is refused", (options, line) => {
    expect(thrown("usage", () => packingOf(options)).message).toMatch(line);
  });
});

describe("how a module is packed", () => {
  const context = { layers: 16, centroidHead: false, quantizeEmbedding: false };
  const module = (name: string, columns = 256): Module => ({ name, columns });
  const plain = packingOf({});
  const mixed = packingOf({ mixed: "mixed_3_6" });
  const bits = (name: string, layers = 16) => {
    const choice = packModule(module(name), mixed, { ...context, layers });
    return typeof choice === "string" ? choice : choice.bits;
  };

  it("the router has 8 bits in groups of 64, whatever the others have", () => {
    const router = { groupSize: 64, bits: 8, mode: "affine" };
    for (const packing of [plain, mixed, packingOf({ mode: "mxfp4" })]) {
      expect(packModule(module("layers.0.router.proj"), packing, context)).toEqual(router);
    }
  });

  it("rows that groups do not divide stay floats", () => {
    expect(packModule(module("layers.0.mlp.up_proj", 96), plain, context)).toBe("group size");
    expect(packModule(module("layers.0.router.proj", 96), packingOf({ groupSize: 32 }), context)).toBe(
      "group size",
    );
    expect(
      packModule(module("layers.0.mlp.up_proj", 96), packingOf({ groupSize: 32 }), context),
    ).toMatchObject({ bits: 4 });
  });

  it("centroids never, the rows of a centroid head only when asked", () => {
    const head = { ...context, centroidHead: true };
    expect(
      packModule(module("masked_embedding.centroids"), plain, { ...head, quantizeEmbedding: true }),
    ).toBe("never packed");
    expect(packModule(module("model.embed_tokens"), plain, head)).toBe("centroid head");
    expect(
      packModule(module("model.embed_tokens"), plain, { ...head, quantizeEmbedding: true }),
    ).toMatchObject({ bits: 4 });
    expect(packModule(module("model.embed_tokens"), plain, context)).toMatchObject({ bits: 4 });
  });

  it("a recipe spares embeddings, and values and down projections of some layers", () => {
    expect(bits("embed_tokens")).toBe(6);
    expect(bits("embed_tokens_per_layer")).toBe(6);
    expect(bits("per_layer_model_projection")).toBe(3);
    const spared = (name: string) =>
      Array.from({ length: 16 }, (_, i) => i).filter((i) => bits(`layers.${i}.${name}`) === 6);
    // Layers 0 and 1, 14 and 15, and of the others those with (i - 2) % 3 = 2.
    expect(spared("mlp.down_proj")).toEqual([0, 1, 4, 7, 10, 13, 14, 15]);
    expect(spared("self_attn.v_proj")).toEqual([0, 1, 4, 7, 10, 13, 14, 15]);
    expect(spared("experts.switch_glu.down_proj")).toEqual([0, 1, 4, 7, 10, 13, 14, 15]);
    expect(spared("self_attn.q_proj")).toEqual([]);
    expect(spared("mlp.up_proj")).toEqual([]);
  });

  it("an assistant of four layers spares the last two down projections", () => {
    expect([0, 1, 2, 3].map((i) => bits(`model.layers.${i}.mlp.down_proj`, 4))).toEqual([3, 3, 6, 6]);
  });
});
