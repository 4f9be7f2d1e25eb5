import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedPair, load } from "../../src/load.js";
import type { DtypeName } from "../../src/options.js";
import { firstDifference, run } from "./generation.js";
import { heldOutIds } from "./held-out.js";

const TOKENS = 200;
const DRAFTS = [1, 3, 6];

/** Drafted text is plain text; a dtype a file, so that two processes share the work. */
export function describeExactness(dtype: DtypeName): void {
  describe(`the embedded pair in ${dtype}`, () => {
    let pair: LoadedPair;
    let prompts: number[][];
    let plain: (readonly number[])[];

    beforeAll(async () => {
      pair = await load({ draft: "assistant", dtype, threads: 1 });
      prompts = await heldOutIds(pair);
      expect(prompts).toHaveLength(20);
      plain = [];
      for (const promptIds of prompts) plain.push((await generated(promptIds, 0)).tokenIds);
    });

    afterAll(() => pair[Symbol.dispose]());

    const generated = (promptIds: readonly number[], draftTokens: number) =>
      run(pair, { promptIds, draftTokens, maxTokens: TOKENS, ignoreEos: true });

    it.each(DRAFTS)(`writes the same ${TOKENS} tokens with K = %d as without drafts`, async (draftTokens) => {
      const differing: string[] = [];
      let accepted = 0;
      for (const [index, promptIds] of prompts.entries()) {
        const { tokenIds, stats } = await generated(promptIds, draftTokens);
        expect(tokenIds).toHaveLength(TOKENS);
        accepted += stats.accepted;
        const difference = firstDifference(tokenIds, plain[index] ?? []);
        if (difference) differing.push(`prompt ${index}, ${difference}`);
      }
      console.log(
        `${dtype}, K = ${draftTokens}: ${differing.length} of ${prompts.length} runs differ from plain decoding`,
      );
      // Drafts must have mattered, or the same text proves nothing.
      expect(accepted).toBeGreaterThan((TOKENS * prompts.length) / 4);
      expect(differing).toEqual([]);
    });
  });
}
