import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedPair, load } from "../../src/load.js";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromInt32, readFloat32, scope } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import type { DtypeName } from "../../src/options.js";
import type { TargetSession } from "../../src/target/target.js";
import { sameBits } from "../target/helpers.js";
import { firstDifference, run } from "./generation.js";
import { heldOutIds } from "./held-out.js";

const TOKENS = 200;
const DRAFTS = [1, 3, 6];
/** The embedded target's. */
const WINDOW = 64;

// Where the kernels' law holds, no run may differ. On other devices ties may break otherwise: counted and told.
const exact = addon().kernels() !== "mlx";

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
      if (exact) expect(differing).toEqual([]);
    });

    // From well before the window to far past it, over a buffer's move.
    it.runIf(exact)("gives a row of a block the bits of a single step, K = 1 … 7", async () => {
      const ids = [...(prompts[0] ?? []), ...(plain[0] ?? []), ...(plain[1] ?? [])];
      expect(ids.length).toBeGreaterThan(5 * WINDOW);
      const single = pair.target.openSession(8);
      const { vocabSize } = pair.target;
      const rows: Float32Array[] = [];
      for (const id of ids) rows.push(await logitsOf(single, [id]));
      single[Symbol.dispose]();
      for (let drafts = 1; drafts <= 7; drafts++) {
        using session = pair.target.openSession(drafts + 1);
        while (session.position + drafts + 1 <= ids.length) {
          const position = session.position;
          const logits = await logitsOf(session, ids.slice(position, position + drafts + 1));
          // Keeps a varying part, so that blocks start everywhere.
          const kept = drafts + 1 - (position % Math.ceil((drafts + 1) / 2));
          for (let row = 0; row <= drafts; row++) {
            const found = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
            const same = sameBits(found, rows[position + row] ?? new Float32Array());
            if (!same) expect.fail(`K = ${drafts}, row ${row} of the block at ${position} has other bits`);
          }
          session.keep(kept);
        }
      }
    });
  });
}

/** One step as one evaluation: its logits in float32, which holds any of the dtypes exactly. */
async function logitsOf(session: TargetSession, ids: readonly number[]): Promise<Float32Array> {
  const { logits, pending } = scope(() => {
    const output = session.step(fromInt32(Int32Array.from(ids), [1, ids.length]));
    return { logits: ops.astype(output.logits, "float32"), pending: session.pending() };
  });
  await evaluate([[logits, ...pending]]);
  const values = readFloat32(logits);
  for (const array of [logits, ...pending]) array.dispose();
  return values;
}
