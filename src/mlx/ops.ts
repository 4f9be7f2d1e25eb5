import { addon } from "./addon.js";
import { guarded, type MlxArray, track } from "./array.js";
import type {
  Dtype,
  NativeDistribution,
  NativeMatrix,
  NativeOps,
  NativePackedWeight,
  NativeQuantization,
  RandomKey,
} from "./native.js";

// Each function builds one node of the graph, as `NativeOps` says, and hands it to the scope that is open.

function build(make: (ops: NativeOps) => MlxArray): MlxArray {
  return track(guarded(() => make(addon().ops)));
}

function buildList(make: (ops: NativeOps) => MlxArray[]): MlxArray[] {
  return guarded(() => make(addon().ops)).map(track);
}

export const add = (a: MlxArray, b: MlxArray): MlxArray => build((ops) => ops.add(a, b));

export const multiply = (a: MlxArray, b: MlxArray): MlxArray => build((ops) => ops.multiply(a, b));

export const divide = (a: MlxArray, b: MlxArray): MlxArray => build((ops) => ops.divide(a, b));

export const exp = (a: MlxArray): MlxArray => build((ops) => ops.exp(a));

/** A scalar of `dtype`, shape (). */
export const scalar = (value: number, dtype: Dtype): MlxArray => build((ops) => ops.scalar(value, dtype));

export const zeros = (shape: readonly number[], dtype: Dtype): MlxArray =>
  build((ops) => ops.zeros(shape, dtype));

export const astype = (a: MlxArray, dtype: Dtype): MlxArray => build((ops) => ops.astype(a, dtype));

export const reshape = (a: MlxArray, shape: readonly number[]): MlxArray =>
  build((ops) => ops.reshape(a, shape));

/** Half-open ranges for every axis, stride 1. */
export const slice = (a: MlxArray, start: readonly number[], stop: readonly number[]): MlxArray =>
  build((ops) => ops.slice(a, start, stop));

export const concatenate = (arrays: readonly MlxArray[], axis: number): MlxArray =>
  build((ops) => ops.concatenate(arrays, axis));

/** Rows of `a` along `axis` at `indices`. */
export const take = (a: MlxArray, indices: MlxArray, axis: number): MlxArray =>
  build((ops) => ops.take(a, indices, axis));

export const takeAlongAxis = (a: MlxArray, indices: MlxArray, axis: number): MlxArray =>
  build((ops) => ops.takeAlongAxis(a, indices, axis));

export const putAlongAxis = (a: MlxArray, indices: MlxArray, values: MlxArray, axis: number): MlxArray =>
  build((ops) => ops.putAlongAxis(a, indices, values, axis));

export const max = (a: MlxArray, axis: number, keepdims: boolean): MlxArray =>
  build((ops) => ops.max(a, axis, keepdims));

export const min = (a: MlxArray, axis: number, keepdims: boolean): MlxArray =>
  build((ops) => ops.min(a, axis, keepdims));

/** Place of the largest value of each row, the first among equals: floats (…, n) → int32 (…). */
export const argmax = (a: MlxArray): MlxArray => build((ops) => ops.argmax(a));

/** What `tokens`, int32 (1, C), has at the place of the largest of `scores` (1, C) → int32 (1, 1). */
export const largestToken = (scores: MlxArray, tokens: MlxArray): MlxArray =>
  build((ops) => ops.largestToken(scores, tokens));

/** `x · weightᵀ`: x (…, I), weight (O, I) → (…, O). On CPU each row's bits depend on that row alone. */
export const linear = (x: MlxArray, weight: NativeMatrix): MlxArray => build((ops) => ops.linear(x, weight));

/** `linear` of `parts` side by side along the last axis. */
export const joinedLinear = (parts: readonly MlxArray[], weight: NativeMatrix): MlxArray =>
  build((ops) => ops.joinedLinear(parts, weight));

/** The values of a packed weight in `dtype`, leading axes kept. */
export const dequantize = (packed: NativePackedWeight, dtype: Dtype): MlxArray =>
  build((ops) => ops.dequantize(packed, dtype));

/** RMSNorm in float32 over the last axis, times `weight` (or nothing), cast back to x's dtype. */
export const rmsNorm = (x: MlxArray, weight: MlxArray | null, eps: number): MlxArray =>
  build((ops) => ops.rmsNorm(x, weight, eps));

/** Cosines and sines of one position: `inverseFrequencies` float32 (d/2) → (2, 1, d/2). */
export const ropeTable = (inverseFrequencies: MlxArray, position: number, dtype: Dtype): MlxArray =>
  build((ops) => ops.ropeTable(inverseFrequencies, position, dtype));

/** uint32 (k): the k rows of `centroids` (C, H) with the largest products with h (1, 1, H), in no set order. */
export const topClusters = (h: MlxArray, centroids: MlxArray, k: number): MlxArray =>
  build((ops) => ops.topClusters(h, centroids, k));

/** `[logits, tokens]`, each (1, k · size): the rows of `table` (C · size, H) of h's `topClusters` times h (1, 1, H). */
export const clusterScores = (
  h: MlxArray,
  centroids: MlxArray,
  k: number,
  table: NativeMatrix,
  ordering: MlxArray,
): MlxArray[] => buildList((ops) => ops.clusterScores(h, centroids, k, table, ordering));

/** The token of the largest of `clusterScores`: int32 (1, 1). */
export const bestClusterToken = (
  h: MlxArray,
  centroids: MlxArray,
  k: number,
  table: NativeMatrix,
  ordering: MlxArray,
): MlxArray => build((ops) => ops.bestClusterToken(h, centroids, k, table, ordering));

/** What of a distribution is left before a token is drawn; see `SamplingOptions`. */
export interface Cuts {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

const LARGEST_INT32 = 2 ** 31 - 1;

/** `softmax(logits / temperature)` after the cuts: (…, n) → float32 (…, n), 0 where they cut. */
export const probabilities = (logits: MlxArray, { temperature, topK, topP, minP }: Cuts): MlxArray =>
  build((ops) => ops.probabilities(logits, temperature, Math.min(topK, LARGEST_INT32), topP, minP));

/** A token with the probability that it has: float32 (1, C), and int32 (1, C) or null for the place itself → int32 (1, 1). */
export const draw = (probabilities: MlxArray, tokens: MlxArray | null, key: RandomKey): MlxArray =>
  build((ops) => ops.draw(probabilities, tokens, key));

/**
 * Speculative sampling of K drafts against p, float32 (…, K + 1, V): the drafts, a flag for each, the K + 1 tokens to go
 * on with → int32 (3K + 1).
 */
export const judge = (
  p: MlxArray,
  drafts: { readonly tokens?: MlxArray; readonly distributions: readonly NativeDistribution[] },
  keys: { readonly accept: readonly RandomKey[]; readonly next: readonly RandomKey[] },
): MlxArray =>
  build((ops) => ops.judge(p, drafts.tokens ?? null, drafts.distributions, keys.accept, keys.next));

/** Packs (…, I) in groups along the last axis: `[weight, scales]`, and `biases` third in affine mode. */
export const quantize = (weight: MlxArray, { groupSize, bits, mode }: NativeQuantization): MlxArray[] =>
  buildList((ops) => ops.quantize(weight, groupSize, bits, mode));
