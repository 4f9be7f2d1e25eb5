import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { load } from "../src/load.js";
import { addon } from "../src/mlx/addon.js";
import type { NativeQuantization } from "../src/mlx/native.js";
import { firstDifference, run } from "./support/generation.js";
import { writeAssistant, writeTarget } from "./support/tiny-checkpoint.js";
import { TINY, type TinyOptions } from "./support/tiny-target.js";
import type { Packing } from "./support/tiny-writer.js";

// Random pairs in the packaging of MLX conversions, from folders to text.
// Where MLX's own operations run, a prompt's logits depend on its chunks.
const anyChunk = addon().kernels() !== "mlx";
const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-pairs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TOKENS = 60;
const promptIds = Array.from({ length: 2 * TINY.window }, (_, i) => (i * 41 + 5) % TINY.vocab);

const four: NativeQuantization = { groupSize: 64, bits: 4, mode: "affine" };
const isTable = (module: string) => module.includes("masked_embedding");
/** What mlx-vlm writes for 4 bits: the router in 8. */
const usual: Packing = (module) => {
  if (isTable(module)) return undefined;
  return module.includes("router") ? { ...four, bits: 8 } : four;
};
const mixed: Packing = (module) => {
  if (isTable(module) || module.includes("v_proj")) return undefined;
  if (module.includes("down_proj")) return { groupSize: 32, bits: 6, mode: "affine" };
  return module.includes("embed") ? four : { groupSize: 32, bits: 4, mode: "mxfp4" };
};

const pairs: [string, TinyOptions, "dense" | "centroid", Packing | undefined][] = [
  ["experts, 4 bits", { experts: "split", packing: usual }, "dense", usual],
  ["experts, mixed packings, assistant of floats", { experts: "split", packing: mixed }, "dense", undefined],
  ["stacked experts of floats, packed assistant", { experts: "stacked" }, "dense", usual],
  ["per-layer inputs, 4 bits, centroids", { packing: usual }, "centroid", usual],
  ["per-layer inputs, mixed packings, centroids", { packing: mixed }, "centroid", mixed],
];

describe.each(pairs)("%s", (name, options, head, packing) => {
  const base = join(folder, name.replaceAll(/\W+/g, "-"));
  writeTarget(join(base, "target"), options);
  writeAssistant(join(base, "assistant"), {
    head,
    experts: options.experts !== undefined,
    ...(packing ? { packing } : {}),
  });

  it.each([undefined, "f32", "f16"] as const)("drafted text is plain text: %s", async (dtype) => {
    using pair = await load({
      model: join(base, "target"),
      draft: join(base, "assistant"),
      ...(dtype ? { dtype } : {}),
    });
    const generated = (draftTokens: number, chunkSize = 512) =>
      run(pair, { promptIds, draftTokens, chunkSize, maxTokens: TOKENS, ignoreEos: true });
    const plain = await generated(0);
    expect(plain.tokenIds).toHaveLength(TOKENS);
    expect(new Set(plain.tokenIds).size).toBeGreaterThan(2);
    for (const [draftTokens, chunkSize] of [
      [1, 512],
      [2, 5],
      [3, 1],
      [6, 7],
    ] as const) {
      const { tokenIds, stats } = await generated(draftTokens, anyChunk ? chunkSize : 512);
      expect(firstDifference(tokenIds, plain.tokenIds), `K = ${draftTokens}`).toBeUndefined();
      expect(stats.proposed).toBeGreaterThan(TOKENS / 2);
    }
  });
});
