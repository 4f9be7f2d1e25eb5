/**
 * The hand-written contract of the native addon (`native/*.cpp`). C++ implements exactly this and nothing else;
 * TypeScript validates and explains, C++ asserts. Every entry throws a JavaScript `Error` on misuse.
 */

import type {
  Dtype,
  NativeArray,
  NativeMatrix,
  NativePackedWeight,
  QuantizationMode,
} from "./native-array.js";
import type { NativeTarget, NativeTargetConfig } from "./native-target.js";

export type * from "./native-array.js";
export type * from "./native-target.js";

/** Attention of a layer without keys and values of its own; names as in the checkpoint. */
export interface NativeAttentionWeights {
  readonly inputLayernorm: NativeArray;
  readonly qProj: NativeMatrix;
  readonly qNorm: NativeArray;
  readonly oProj: NativeMatrix;
  readonly postAttentionLayernorm: NativeArray;
  readonly numHeads: number;
  readonly eps: number;
  /** What scores are multiplied with. */
  readonly scale: number;
}

/** The MLP of a layer with its norms, and `layer_scalar` (1). */
export interface NativeFeedForwardWeights {
  readonly preFeedforwardLayernorm: NativeArray;
  readonly gateProj: NativeMatrix;
  readonly upProj: NativeMatrix;
  readonly downProj: NativeMatrix;
  readonly postFeedforwardLayernorm: NativeArray;
  readonly layerScalar: NativeArray;
  readonly eps: number;
}

/** A layer of `NativeDecoderLayers`. */
export interface NativeDecoderLayer {
  readonly attention: NativeAttentionWeights;
  readonly feedForward: NativeFeedForwardWeights;
  /** Which of the reads that `forward` is given. */
  readonly reads: number;
}

/** What layers read: the rope table (2, T, d / 2), and keys and values (1, kvHeads, S, d) that are all seen. */
export type NativeLayerReads = readonly [ropeTable: NativeArray, keys: NativeArray, values: NativeArray];

/** Decoder layers one after the other, without keys and values of their own: weights that are handed over once. */
export interface NativeDecoderLayers {
  /**
   * The layers for h (1, T, H), lazily. Each: with x = h + post_attention_layernorm(o_proj(attention(rope(q_norm(q_proj(
   * input_layernorm(h))))))), `(x + post_feedforward_layernorm(down(gelu_tanh(gate(y)) * up(y)))) * layer_scalar`,
   * y = pre_feedforward_layernorm(x).
   *
   * @returns (1, T, H)
   */
  forward(h: NativeArray, reads: readonly NativeLayerReads[]): NativeArray;
  /** Lets go of the weights. Twice is harmless. */
  dispose(): void;
}

/** `probabilities` float32 (1, C) over `tokens` int32 (1, C), or over the whole vocabulary. */
export interface NativeDistribution {
  readonly tokens?: NativeArray;
  readonly probabilities: NativeArray;
}

/** Two uint32 that a draw depends on. */
export type RandomKey = readonly [number, number];

/** Graph-building operations. All are lazy; shapes are checked by MLX, its message becomes the error. */
export interface NativeOps {
  add(a: NativeArray, b: NativeArray): NativeArray;
  multiply(a: NativeArray, b: NativeArray): NativeArray;
  divide(a: NativeArray, b: NativeArray): NativeArray;
  exp(a: NativeArray): NativeArray;
  /** A scalar of `dtype`, shape (). */
  scalar(value: number, dtype: Dtype): NativeArray;
  zeros(shape: readonly number[], dtype: Dtype): NativeArray;
  astype(a: NativeArray, dtype: Dtype): NativeArray;
  reshape(a: NativeArray, shape: readonly number[]): NativeArray;
  /** Half-open ranges for every axis, stride 1. */
  slice(a: NativeArray, start: readonly number[], stop: readonly number[]): NativeArray;
  concatenate(arrays: readonly NativeArray[], axis: number): NativeArray;
  /** Rows of `a` along `axis` at `indices`. */
  take(a: NativeArray, indices: NativeArray, axis: number): NativeArray;
  takeAlongAxis(a: NativeArray, indices: NativeArray, axis: number): NativeArray;
  putAlongAxis(a: NativeArray, indices: NativeArray, values: NativeArray, axis: number): NativeArray;
  max(a: NativeArray, axis: number, keepdims: boolean): NativeArray;
  min(a: NativeArray, axis: number, keepdims: boolean): NativeArray;
  /** Place of the largest value of each row, the first among equals: floats (…, n) → int32 (…). */
  argmax(a: NativeArray): NativeArray;
  /** What `tokens`, int32 (1, C), has at the place of the largest of `scores` (1, C) → int32 (1, 1). */
  largestToken(scores: NativeArray, tokens: NativeArray): NativeArray;
  /** `x · weightᵀ`: x (…, I), weight (O, I) → (…, O). On CPU each row's bits depend on that row alone. */
  linear(x: NativeArray, weight: NativeMatrix): NativeArray;
  /** `linear` of arrays (…, I₁), (…, I₂), … side by side along the last axis; weight (O, I₁ + I₂ + …). */
  joinedLinear(parts: readonly NativeArray[], weight: NativeMatrix): NativeArray;
  /** The values of a packed weight in `dtype`: (…, I · bits / 32) → (…, I), leading axes kept. */
  dequantize(weight: NativePackedWeight, dtype: Dtype): NativeArray;
  /** Packs (…, I) in groups along the last axis: `[weight, scales]`, and `biases` third in affine mode. */
  quantize(weight: NativeArray, groupSize: number, bits: number, mode: QuantizationMode): NativeArray[];
  /** RMSNorm in float32 over the last axis, times `weight` (or nothing), cast back to x's dtype. */
  rmsNorm(x: NativeArray, weight: NativeArray | null, eps: number): NativeArray;
  /**
   * Cosines and sines of one position: `inverseFrequencies` float32 (d/2), 0 for pairs that do not turn → (2, 1, d/2).
   */
  ropeTable(inverseFrequencies: NativeArray, position: number, dtype: Dtype): NativeArray;
  /** uint32 (k): the k rows of `centroids` (C, H) that have the largest products with h (1, 1, H), in no set order. */
  topClusters(h: NativeArray, centroids: NativeArray, k: number): NativeArray;
  /**
   * Scores of all tokens of the k clusters that `topClusters` gives: `table` (C · size, H) and `ordering` int32
   * (C · size) cluster by cluster → `[logits (1, k · size), tokens int32 (1, k · size)]`.
   */
  clusterScores(
    h: NativeArray,
    centroids: NativeArray,
    k: number,
    table: NativeMatrix,
    ordering: NativeArray,
  ): NativeArray[];
  /** The token with the largest of the scores that `clusterScores` gives, int32 (1, 1). */
  bestClusterToken(
    h: NativeArray,
    centroids: NativeArray,
    k: number,
    table: NativeMatrix,
    ordering: NativeArray,
  ): NativeArray;
  /**
   * `softmax(logits / temperature)` after the cuts, each a threshold: top-k (0: none), then top-p (1: none), then min-p
   * (0: none). (…, n) → float32 (…, n), 0 where they cut.
   */
  probabilities(
    logits: NativeArray,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
  ): NativeArray;
  /**
   * A token with the probability that it has: `probabilities` float32 (1, C), `tokens` int32 (1, C), or null for the place
   * itself → int32 (1, 1). The same key (two uint32) draws the same.
   */
  draw(probabilities: NativeArray, tokens: NativeArray | null, key: RandomKey): NativeArray;
  /**
   * Speculative sampling of K drafts, int32 (1, K), or null for none, against p, float32 (…, K + 1, V): the drafts, a flag
   * for each, the K + 1 tokens to go on with → int32 (3K + 1).
   *
   * @param distributions what each draft was drawn from
   * @param accept a key for each draft, @param next one for each row of p
   */
  judge(
    p: NativeArray,
    drafts: NativeArray | null,
    distributions: readonly NativeDistribution[],
    accept: readonly RandomKey[],
    next: readonly RandomKey[],
  ): NativeArray;
}

/** Counters since the addon was loaded; each JavaScript environment has its own, but for `cacheCopies`. */
export interface NativeCounters {
  /** Calls of `evaluate`. */
  readonly evaluations: number;
  /** Calls that copied an array's values to JavaScript. */
  readonly readbacks: number;
  /** Array handles that are neither disposed nor collected. */
  readonly liveArrays: number;
  /** Times that a K/V buffer was copied though it had room, in the whole process (0 on CPU: writes are in place). */
  readonly cacheCopies: number;
}

/** Where a tensor's values lie, row-major and little-endian, and what becomes of them. */
export interface NativeTensor {
  readonly file: string;
  /** Of the first byte, from the beginning of the file. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** What it is cast to; `dtype` for no cast. */
  readonly as: Dtype;
}

/** Tensors that are being read. */
export interface NativeReading {
  /**
   * Evaluated arrays, in order. Rejects with an error that has `file` for one that can't be read or ends too early, and
   * with another when it was cancelled.
   */
  readonly arrays: Promise<NativeArray[]>;
  /** Ends the reading soon; harmless when it has ended. */
  cancel(): void;
}

export interface NativeModule {
  /** The addon's own version: package.json's, so that a stale build can be told. */
  readonly version: string;
  readonly mlxVersion: string;
  device(): "cpu" | "gpu";
  /** What the kernels use: `amx`, `avx512`, `avx2`, `neon`, `scalar`, or `mlx` where MLX's own operations run. */
  kernels(): string;
  /** Threads of the CPU kernels; 0: one for each physical core. */
  setThreads(n: number): void;
  counters(): NativeCounters;
  readonly ops: NativeOps;
  readonly DecoderLayers: new (layers: readonly NativeDecoderLayer[]) => NativeDecoderLayers;
  /** `dispose` of each. */
  disposeAll(arrays: readonly NativeArray[]): void;
  fromInt32(data: Int32Array, shape: readonly number[]): NativeArray;
  fromFloat32(data: Float32Array, shape: readonly number[]): NativeArray;
  /** An array of any dtype from its bytes, row-major, copied. */
  fromBytes(data: Uint8Array, shape: readonly number[], dtype: Dtype): NativeArray;
  /** Values of an evaluated array of exactly that dtype, copied. Throws when it was not evaluated. */
  readInt32(a: NativeArray): Int32Array;
  readFloat32(a: NativeArray): Float32Array;
  /** Bytes of an evaluated array of any dtype, row-major, copied. Throws when it was not evaluated. */
  readBytes(a: NativeArray): Uint8Array;
  /**
   * Evaluates stage after stage on a worker thread; one evaluation at a time in the process, others queue.
   * All stages are under way before the first is waited for. Resolves to each stage's milliseconds, from the end of the
   * one before.
   */
  evaluate(stages: readonly (readonly NativeArray[])[]): Promise<Float64Array>;
  /** Begins to read tensors off the JavaScript thread, on as many threads as the kernels have, but 8 at most; see `NativeReading`. */
  readTensors(tensors: readonly NativeTensor[]): NativeReading;
  /**
   * Weights by canonical name: the checkpoint's, without the prefix of the text model. A packed module X has `X.weight`
   * (uint32), `X.scales` and in affine mode `X.biases`.
   */
  createTarget(config: NativeTargetConfig, weights: Readonly<Record<string, NativeArray>>): NativeTarget;
  /** MLX's memory: bytes in arrays, bytes cached for reuse, peak. */
  memory(): { readonly active: number; readonly cache: number; readonly peak: number };
  /** Lets the peak begin anew at 0: at the next allocation it is what is active then. */
  resetPeakMemory(): void;
  /** Gives MLX's cached buffers, and with glibc the free pages of the heap, back to the system. */
  clearCache(): void;
}
