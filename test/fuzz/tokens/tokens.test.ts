import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { addon } from "../../../src/mlx/addon.js";
import { PAIR } from "../../quantize/helpers.js";
import { compareTokens } from "./tokens.js";

const work = mkdtempSync(join(tmpdir(), "mlx-gemma-tokens-"));
afterAll(() => rmSync(work, { recursive: true }));

const PROMPTS = 24;
const TOKENS = 30;

// `npm run fuzz:tokens` writes 50,000 tokens.
describe.runIf(addon().kernels() !== "mlx")("the embedded pair in every dtype, plain and packed", () => {
  it(`writes drafted what it writes plain, ${PROMPTS} prompts`, { timeout: 600_000 }, async () => {
    const rows = await compareTokens({
      target: join(PAIR, "target"),
      assistant: join(PAIR, "assistant"),
      work,
      prompts: PROMPTS,
      tokens: TOKENS,
      kind: "text",
      packings: ["plain", "affine 3", "affine 4", "nvfp4"],
    });
    expect(rows).toHaveLength(12);
    expect(rows.flatMap(({ differing }) => differing)).toEqual([]);
    expect(rows.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(PROMPTS * TOKENS);
    // Drafts must have mattered.
    expect(rows.reduce((sum, { accepted }) => sum + accepted, 0)).toBeGreaterThan((PROMPTS * TOKENS) / 4);
  });
});
