import type { SamplingOptions } from "../../src/speculative/sampling.js";

/**
 * Probabilities after temperature, top-k, top-p and min-p in plain numbers: each cut keeps a set of most likely
 * tokens, equals together, and the next looks at what is left.
 */
export function referenceProbabilities(logits: readonly number[], options: SamplingOptions): number[] {
  const { temperature, topK, topP, minP } = options;
  let kept = logits.map((logit) => logit / temperature);
  const cut = (threshold: number) => {
    kept = kept.map((x) => (x < threshold ? -Infinity : x));
  };
  const descending = () => [...kept].sort((a, b) => b - a);
  if (topK > 0) cut(descending()[topK - 1] ?? -Infinity);
  if (topP < 1) {
    // The smallest set of most likely tokens with at least this probability.
    let mass = 0;
    let threshold = Infinity;
    for (const x of descending()) {
      if (mass >= topP) break;
      mass += softmax(kept, x);
      threshold = x;
    }
    cut(threshold);
  }
  if (minP > 0) cut(Math.max(...kept) + Math.log(minP));
  return kept.map((x) => softmax(kept, x));
}

function softmax(all: readonly number[], x: number): number {
  const top = Math.max(...all);
  return Math.exp(x - top) / all.reduce((sum, other) => sum + Math.exp(other - top), 0);
}
