import type { LoadedPair } from "../load.js";
import { disposeAll, evaluate, fromInt32, readFloat32, scope } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { TargetSession } from "../target/target.js";
import { rowsOfBlock } from "./generation.js";
import type { Job } from "./plan.js";
import type { Difference } from "./report.js";

/** Where two answers part; undefined where they are the same. */
export function firstDifference(
  job: Job,
  expected: readonly number[],
  found: readonly number[],
): Omit<Difference, "logits"> | undefined {
  const longest = Math.max(expected.length, found.length);
  for (let position = 0; position < longest; position++) {
    if (expected[position] === found[position]) continue;
    const { group, prompt, draftTokens } = job;
    return {
      suite: group.suite,
      context: group.context,
      sampling: group.sampling.name,
      prompt: prompt + 1,
      draftTokens,
      position,
      expected: expected[position] ?? null,
      found: found[position] ?? null,
    };
  }
  return undefined;
}

/** Computes both tokens' logits at a difference: alone, and in a block as a round has it. */
export async function withLogits(
  pair: LoadedPair,
  job: Job,
  difference: Omit<Difference, "logits">,
  answer: readonly number[],
): Promise<Difference> {
  const { expected, found, position, draftTokens } = difference;
  if (expected === null || found === null) return { ...difference, logits: null };
  const prompt = Int32Array.from(job.group.prompts[job.prompt] ?? []);
  const before = Int32Array.from(answer.slice(0, position));
  const of = (logits: Float32Array): [number, number] => [
    logits[expected] ?? Number.NaN,
    logits[found] ?? Number.NaN,
  ];
  const alone = await lastLogits(pair, prompt, before, 1);
  const inBlock = await lastLogits(pair, prompt, before, rowsOfBlock(draftTokens));
  return { ...difference, logits: { alone: of(alone), inBlock: of(inBlock) } };
}

/** Logits after a prompt and an answer's beginning, whose last `rows` tokens go through the target as one block. */
async function lastLogits(
  pair: LoadedPair,
  prompt: Int32Array,
  answer: Int32Array,
  rows: number,
): Promise<Float32Array> {
  using session = pair.target.openSession(rows);
  const { logits, lastHidden } = await session.prefill(prompt);
  lastHidden.dispose();
  const last = scope(() => ops.reshape(ops.astype(logits, "float32"), [-1]));
  await evaluate([[last]]);
  let values = readFloat32(last);
  disposeAll([logits, last]);
  const single = Math.max(0, answer.length - rows);
  for (let at = 0; at < single; at++) await step(session, answer.subarray(at, at + 1));
  if (answer.length > 0) values = await step(session, answer.subarray(single));
  return values;
}

/** The last row's logits of one step. */
async function step(session: TargetSession, ids: Int32Array): Promise<Float32Array> {
  const { last, pending } = scope(() => {
    const { logits } = session.step(fromInt32(ids, [1, ids.length]));
    const [, count = 1, vocab = 1] = logits.shape;
    const row = ops.slice(logits, [0, count - 1, 0], [1, count, vocab]);
    return { last: ops.reshape(ops.astype(row, "float32"), [-1]), pending: session.pending() };
  });
  try {
    await evaluate([[last, ...pending]]);
    session.keep(ids.length);
    return readFloat32(last);
  } finally {
    disposeAll([last, ...pending]);
  }
}
