import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { quantized } from "./quantize/helpers.js";

const PROGRAM = fileURLToPath(new URL("../bench/perplexity.mjs", import.meta.url));

/** Of transformers in float32 on the same weights; made by training/check_perplexity.py. */
const reference: { readonly tokens: number; readonly perplexity: number } = JSON.parse(
  readFileSync(new URL("golden/perplexity.json", import.meta.url), "utf8"),
);

/** How far ours is from it, as a share. */
function distance(...flags: string[]): number {
  const found: { readonly ids: readonly number[]; readonly perplexity: number } = JSON.parse(
    execFileSync(process.execPath, [PROGRAM, "--json", ...flags], { encoding: "utf8" }),
  );
  expect(found.ids).toHaveLength(reference.tokens + 1);
  return Math.abs(found.perplexity / reference.perplexity - 1);
}

describe("the embedded target's perplexity on a held-out text", () => {
  it.each([
    ["bf16", 1e-3],
    ["f16", 2e-4],
    ["f32", 1e-6],
  ])("in %s is that of transformers in float32, within %d", (dtype, most) => {
    expect(distance("--dtype", dtype)).toBeLessThan(most);
  });

  it("is another one in 4 bits (negative control)", async () => {
    const { output } = await quantized({ bits: 4 });
    expect(distance("--model", output, "--dtype", "f32")).toBeGreaterThan(1e-3);
  });
});
