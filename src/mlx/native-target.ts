// Of the addon's contract (native.ts): the target, its sessions and what it is made of.
import type { NativeArray, NativeQuantization } from "./native-array.js";

/** Keys and values of one layer type, each (1, kv_heads, S, head_dim). */
export interface NativeKeysValues {
  readonly keys: NativeArray;
  readonly values: NativeArray;
}

/** What the target exports for its drafter: the last producer layer of each type. */
export interface NativeSharedKv {
  readonly full_attention?: NativeKeysValues;
  readonly sliding_attention?: NativeKeysValues;
}

export type LayerType = "full_attention" | "sliding_attention";

/** One decoder layer, as `checkpoint/config.ts` resolved it: nothing is left to guess in C++. */
export interface NativeLayerConfig {
  readonly type: LayerType;
  readonly headDim: number;
  readonly numKvHeads: number;
  readonly intermediateSize: number;
  /** Index of the layer whose K/V this layer reads: its own, or the last producer of its type. */
  readonly kvSource: number;
  /** No `v_proj`: values are the normed raw key projection. */
  readonly keyEqualsValue: boolean;
}

/** The mixture of experts that every layer has beside its dense MLP (26B-A4B). */
export interface NativeExpertsConfig {
  /** `num_experts`. */
  readonly count: number;
  /** `top_k_experts`: how many of them a token goes through. */
  readonly topK: number;
  /** `moe_intermediate_size`. */
  readonly intermediateSize: number;
}

export interface NativeTargetConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly hiddenSizePerLayerInput: number;
  readonly rmsNormEps: number;
  readonly slidingWindow: number;
  /** 0: none. */
  readonly finalLogitSoftcapping: number;
  readonly layers: readonly NativeLayerConfig[];
  /** Absent: no layer has experts. */
  readonly experts?: NativeExpertsConfig;
  /**
   * Packed modules by canonical name, `.weight` left out: `embed_tokens`, `layers.3.mlp.gate_proj`,
   * `layers.3.router.proj`, `layers.3.experts.switch_glu.gate_proj` …; a module that is not here is not packed.
   */
  readonly quantization?: Readonly<Record<string, NativeQuantization>>;
  /** By layer type, float32 (head_dim / 2). */
  readonly inverseFrequencies: { readonly [T in LayerType]?: Float32Array };
}

/** Which rows get logits and `lastHidden`: `none` writes the K/V cache only (prefill). */
export type OutputRows = "all" | "last" | "none";

export interface NativeForward {
  /** (1, T′, vocab), after the softcap. */
  readonly logits: NativeArray;
  /** (1, T′, hidden_size), after the final norm. */
  readonly lastHidden: NativeArray;
}

/** One generation's K/V caches on a target. */
export interface NativeSession {
  /** Tokens that are processed and kept. */
  readonly position: number;
  /** Processes T tokens at `position`, lazily. `null` for rows "none": then evaluate `pending()`. */
  forward(tokens: NativeArray, rows: OutputRows): NativeForward | null;
  /** Of the last `forward`'s T tokens keeps the first n; the others will never be seen again. */
  keep(n: number): void;
  /** From now on `rewind` can come back to `position`, whatever is processed in between. One mark at a time. */
  mark(): void;
  /** Keeps the first `position` tokens, or none where a sliding layer no longer has the window before them. */
  rewind(position: number): void;
  /** The K/V that a query at `position` may see, lazily: all of full layers, the window of sliding ones. */
  sharedKv(): NativeSharedKv;
  /** The cache arrays, to be evaluated with each step (or alone after rows "none"). */
  pending(): NativeArray[];
  dispose(): void;
}

/** The target's weights and graph builder. */
export interface NativeTarget {
  /** `maxBlock`: the most tokens of one `forward` that `keep` may drop (K + 1). */
  createSession(maxBlock: number): NativeSession;
  /** `embed_tokens[ids] * sqrt(hidden_size)`, the drafter's view of a token: ids int32 (1, T) → (1, T, H). */
  embed(ids: NativeArray): NativeArray;
  dispose(): void;
}
