import type { MlxArray } from "../mlx/array.js";
import type { NativeDistribution, RandomKey } from "../mlx/native.js";
import type { SharedKv } from "../target/target.js";

/** How the drafter picks: the most likely candidate, or a draw from its processed distribution. */
export type DraftPicker =
  | {
      readonly kind: "greedy";
      /** Given where somebody wants to know how likely the drafts were: float32 probabilities of logits (1, C). */
      readonly probabilities?: (logits: MlxArray) => MlxArray;
    }
  | {
      readonly kind: "sample";
      /** Turns logits (1, C) into float32 probabilities after temperature, top-k, top-p, min-p. */
      readonly probabilities: (logits: MlxArray) => MlxArray;
      /** Key of the draw for the token at absolute position `position`. */
      readonly key: (position: number) => RandomKey;
    };

/** Everything a proposal depends on; the drafter itself holds weights and configuration only. */
export interface DraftContext {
  /** The bonus token: the last accepted one, which the target has not processed. int32 (1, 1). */
  readonly bonus: MlxArray;
  /** `last_hidden` of the position before the bonus token, (1, 1, H_target). */
  readonly hidden: MlxArray;
  readonly sharedKv: SharedKv;
  /** Absolute position p of the bonus token; the same for all steps of the round. */
  readonly position: number;
  /** Number of tokens to propose, K ≥ 0. */
  readonly steps: number;
  readonly embed: (tokens: MlxArray) => MlxArray;
  readonly pick: DraftPicker;
}

/** The drafter's distribution of one step. */
export type DraftDistribution = NativeDistribution;

/** K lazy draft tokens. */
export interface Proposal {
  /** int32 (1, K); absent when nothing is proposed. */
  readonly tokens?: MlxArray;
  /** q of each step, where the picker has `probabilities`. */
  readonly distributions: readonly DraftDistribution[];
}

/** Proposes tokens as one lazy graph; never reads a value back. */
export interface Drafter extends Disposable {
  propose(context: DraftContext): Proposal;
}
