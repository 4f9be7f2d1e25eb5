// The addon chooses its kernels once, when it is first asked.
process.env.MLX_GEMMA_ISA = "mlx";

import { expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromInt32, track } from "../../src/mlx/array.js";
import type { NativeSession, NativeTarget } from "../../src/mlx/native.js";
import { nativeTarget, TINY, tinyTarget } from "../support/tiny-target.js";
import { randoms, type StepValues, sameBits, stepValues } from "./helpers.js";

const BLOCK = 16;
/** Keys are given from multiples of this position on, and buffers are multiples of it. */
const KEY_STEP = 256;

/** The rows of a block on a session, and what is kept of it. */
async function step(session: NativeSession, ids: readonly number[], kept: number): Promise<StepValues> {
  const output = session.forward(fromInt32(Int32Array.from(ids), [1, ids.length]), "all");
  if (!output) throw new Error("no output");
  await evaluate([[track(output.logits), track(output.lastHidden), ...session.pending().map(track)]]);
  session.keep(kept);
  return stepValues(output);
}

async function prefilled(
  target: NativeTarget,
  ids: readonly number[],
  maxBlock: number,
): Promise<NativeSession> {
  const session = target.createSession(maxBlock);
  session.forward(fromInt32(Int32Array.from(ids), [1, ids.length]), "none");
  await evaluate([session.pending().map(track)]);
  return session;
}

// A block of 16 tokens is two steps of 8. Where the second of them needs another buffer, and its drafts are dropped, that
// buffer must have the keys of the position that the session goes back to.
it.each([256, 512])("blocks of two steps that are dropped leave what is seen: window %d", async (window) => {
  expect(addon().kernels()).toBe("mlx");
  const { config, plain } = tinyTarget({ layers: ["sliding_attention", "full_attention"], window });
  const target = nativeTarget(config, plain);
  const random = randoms(window);
  // The first step ends where the buffer does, and the keys that the second is given begin later than the first one's.
  const begin = window + KEY_STEP - BLOCK / 2;
  const end = begin + BLOCK / 2;
  const ids = Array.from({ length: end }, () => random(TINY.vocab));
  const alone = await prefilled(target, ids.slice(0, begin), 1);
  const drafted = await prefilled(target, ids.slice(0, begin), BLOCK);
  for (let position = begin; position < end; position++) {
    const block = ids.slice(position, position + 1);
    const expected = await step(alone, block, 1);
    while (block.length < BLOCK) block.push(random(TINY.vocab));
    const found = await step(drafted, block, 1);
    expect(sameBits(found.logits.rows(0, 1), expected.logits.values), `position ${position}`).toBe(true);
  }
});
