import { MlxGemmaError } from "../errors.js";
import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";

/** How a distribution is cut before a token is drawn from it. Applied to target and drafter alike. */
export interface SamplingOptions {
  /** 0: greedy. Default 0. */
  readonly temperature: number;
  /** Keeps the k most likely tokens; 0: all. Default 0. */
  readonly topK: number;
  /** Keeps the smallest set of most likely tokens with at least this probability; 1: all. Default 1. */
  readonly topP: number;
  /** Drops tokens less likely than this share of the most likely one; 0: none. Default 0. */
  readonly minP: number;
  /** 32 bits; the same seed and settings give the same draws. */
  readonly seed: number;
}

export const GREEDY: SamplingOptions = { temperature: 0, topK: 0, topP: 1, minP: 0, seed: 0 };

/** @throws MlxGemmaError `usage` that names the option, what it may be and what it was. */
export function checkSampling(options: SamplingOptions): SamplingOptions {
  const within = (name: string, value: number, low: number, high: number, integer = false) => {
    if (!(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
      const kind = integer ? "a whole number" : "a number";
      const bounds = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
      throw new MlxGemmaError("usage", `${name} must be ${kind} ${bounds}; got ${value}`);
    }
  };
  within("temperature", options.temperature, 0, 100);
  within("top-k", options.topK, 0, Number.MAX_SAFE_INTEGER, true);
  within("top-p", options.topP, 0, 1);
  if (options.topP === 0) throw new MlxGemmaError("usage", "top-p must be above 0; got 0");
  within("min-p", options.minP, 0, 1);
  within("seed", options.seed, 0, 2 ** 32 - 1, true);
  return options;
}

/** Which of a position's independent draws a key is for. */
export const DRAW = { draft: 0, accept: 1, target: 2 } as const;

/** The key of one draw: depends on seed, absolute position and purpose alone, so runs can be repeated. */
export function drawKey(seed: number, position: number, purpose: number): readonly [number, number] {
  return [seed, position * 4 + purpose];
}

/**
 * Log probabilities of logits (N, V) after temperature, top-k, top-p and min-p, in float32; -inf where cut.
 * The cuts are thresholds, so equal logits stay or go together.
 */
export function logProbabilities(logits: MlxArray, options: SamplingOptions): MlxArray {
  let x = ops.divide(ops.astype(logits, "float32"), ops.scalar(options.temperature, "float32"));
  const [rows = 1, width = 1] = x.shape;
  const cut = (threshold: MlxArray) =>
    ops.where(ops.less(x, threshold), ops.scalar(Number.NEGATIVE_INFINITY, "float32"), x);
  if (options.topK > 0 && options.topK < width) {
    const ascending = ops.sort(x, -1);
    x = cut(ops.slice(ascending, [0, width - options.topK], [rows, width - options.topK + 1]));
  }
  if (options.topP < 1) {
    const ascending = ops.sort(x, -1);
    const upTo = ops.cumsum(ops.softmax(ascending, -1), -1);
    const outside = ops.greaterEqual(ops.scalar(1 - options.topP, "float32"), upTo);
    const kept = ops.where(outside, ops.scalar(Number.POSITIVE_INFINITY, "float32"), ascending);
    // Rounding of the sum must not cut the most likely token too.
    x = cut(ops.minimum(ops.min(kept, -1, true), ops.max(x, -1, true)));
  }
  if (options.minP > 0) {
    x = cut(ops.add(ops.max(x, -1, true), ops.scalar(Math.log(options.minP), "float32")));
  }
  return ops.log(ops.softmax(x, -1));
}
