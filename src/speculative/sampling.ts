import { MlxGemmaError } from "../errors.js";
import type { RandomKey } from "../mlx/native.js";
import type { Cuts } from "../mlx/ops.js";

/**
 * How a distribution is cut before a token is drawn from it. Applied to target and drafter alike. The cuts are
 * thresholds, one after the other, so equal logits stay or go together.
 */
export interface SamplingOptions extends Cuts {
  /** 0: greedy. Default 0. */
  readonly temperature: number;
  /** Keeps the k most likely tokens; 0: all. Default 0. */
  readonly topK: number;
  /** Keeps the smallest set of most likely tokens with at least this probability; 1: all. Default 1. */
  readonly topP: number;
  /** Drops tokens less likely than this share of the most likely one; 0: none. Default 0. */
  readonly minP: number;
  /** 32 bits; the same seed and settings give the same draws. Default 0. */
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
export function drawKey(seed: number, position: number, purpose: number): RandomKey {
  return [seed, position * 4 + purpose];
}
