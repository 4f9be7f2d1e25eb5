import type { MlxArray } from "../mlx/array.js";

/** Keys and values of one layer type, each (1, kv_heads, S, head_dim), lazily. */
export interface KeysValues {
  readonly keys: MlxArray;
  readonly values: MlxArray;
}

/** K/V that the target exports, of the last producer layer of each type it has; keys after norm and rope. */
export interface SharedKv {
  readonly full_attention?: KeysValues;
  readonly sliding_attention?: KeysValues;
}

/** What a target step gives, lazily. */
export interface StepOutput {
  /** (1, T, vocab_size), after the softcap. */
  readonly logits: MlxArray;
  /** (1, T, hidden_size), after the final norm. */
  readonly lastHidden: MlxArray;
}

export interface PrefillOptions {
  /** Tokens of one evaluation. Default 512. */
  readonly chunkSize?: number;
  /** Called after each chunk with the number of prompt tokens done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Looked at between chunks. */
  readonly signal?: AbortSignal;
}

/** One generation's state on a target: its K/V caches and position. */
export interface TargetSession extends Disposable {
  /** Tokens that are processed and kept; the position of the next one. */
  readonly position: number;
  /** Processes the prompt; resolves to the (evaluated) output of its last position. */
  prefill(tokens: Int32Array, options?: PrefillOptions): Promise<StepOutput>;
  /** Processes tokens, int32 (1, T), as one graph; nothing is evaluated here. */
  step(tokens: MlxArray): StepOutput;
  /** Arrays to evaluate together with the last step's output, so that the caches are written. */
  pending(): MlxArray[];
  /** Of the last step's T tokens keeps the first `n`: all, or all but at most `maxBlock`. */
  keep(n: number): void;
  /**
   * From now on `rewind` can come back to here, and mostly to a few tokens before, whatever is processed in between.
   * Replaces the mark that there was.
   */
  mark(): void;
  /**
   * Forgets all but the first `position` tokens; all of them where a sliding layer no longer has the window before that
   * position. What is left is at the session's `position`. The last step must have been evaluated.
   */
  rewind(position: number): void;
  /** The K/V that a query at `position` may see. */
  sharedKv(): SharedKv;
}

/** A Gemma 4 target. Several sessions may be open at once. */
export interface Target extends Disposable {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxPositionEmbeddings: number;
  /** `maxBlock`: the most tokens of a step that `keep` may drop; K + 1 is enough. */
  openSession(maxBlock: number): TargetSession;
  /** `embed_tokens[ids] * sqrt(hidden_size)`: int32 (1, T) → (1, T, H). */
  embed(tokens: MlxArray): MlxArray;
}
