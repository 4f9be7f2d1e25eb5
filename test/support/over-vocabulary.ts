import type { HeadScores } from "../../src/drafter/head.js";
import { evaluate, readInt32 } from "../../src/mlx/array.js";
import { valuesOf } from "../target/helpers.js";

/**
 * Scores over the whole vocabulary, as the reference gives them: tokens that are no candidates have the smallest candidate's
 * score minus 1.
 */
export async function overVocabulary({ logits, tokens }: HeadScores, vocab: number): Promise<Float32Array> {
  const values = await valuesOf(logits);
  if (!tokens) return values;
  await evaluate([[tokens]]);
  const all = new Float32Array(vocab).fill(Math.min(...values) - 1);
  for (const [i, token] of readInt32(tokens).entries()) all[token] = values[i] ?? Number.NaN;
  return all;
}
