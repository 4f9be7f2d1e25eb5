import type { Drafter } from "../../../src/drafter/drafter.js";
import { fromFloat32, fromInt32, scope } from "../../../src/mlx/array.js";
import * as ops from "../../../src/mlx/ops.js";

/** A text as an oracle knows it. */
export interface KnownText {
  /** Tokens before the answer. */
  readonly promptLength: number;
  /** The answer's ids. */
  readonly ids: readonly number[];
  readonly vocab: number;
  /** Whether the oracle errs at an absolute position. */
  readonly wrong: (position: number) => boolean;
}

/** What the oracle drafts for an absolute position; past the known text something. */
export function draftAt({ promptLength, ids, vocab, wrong }: KnownText, position: number): number {
  const right = ids[position - promptLength];
  if (right === undefined) return position % vocab;
  return wrong(position) ? (right + 1 + (position % (vocab - 1))) % vocab : right;
}

/**
 * A drafter that knows what plain decoding wrote, and errs where it is told to: random assistants have hardly a draft
 * accepted, and then no block is kept in part. Where a draft is sampled, its q is 1 for the token it gives.
 */
export function oracleDrafter(text: KnownText): Drafter {
  return {
    propose({ position, steps, pick }) {
      if (steps === 0) return { distributions: [] };
      return scope(() => {
        const drafts = Int32Array.from({ length: steps }, (_, step) => draftAt(text, position + 1 + step));
        const tokens = fromInt32(drafts, [1, steps]);
        const told = pick.kind === "sample" || pick.probabilities !== undefined;
        const distributions = Array.from({ length: told ? steps : 0 }, (_, step) => ({
          tokens: ops.slice(tokens, [0, step], [1, step + 1]),
          probabilities: fromFloat32(Float32Array.of(1), [1, 1]),
        }));
        return { tokens, distributions };
      });
    },
    [Symbol.dispose]() {},
  };
}

/** What greedy decoding with the oracle must come to: counted by walking the text, without a model. */
export function expectedRounds(
  text: KnownText,
  limits: { readonly draftTokens: number; readonly maxTokens: number; readonly positions: number },
): {
  readonly rounds: number;
  readonly proposed: number;
  readonly accepted: number;
  /** Rounds that keep some drafts and reject others. */
  readonly partly: number;
} {
  const { promptLength, ids } = text;
  const count = { rounds: 0, proposed: 0, accepted: 0, partly: 0 };
  // The first token is the prompt's.
  for (let decided = 1; decided < ids.length; ) {
    const bonus = promptLength + decided - 1;
    const room = limits.positions - bonus;
    if (room <= 0) break;
    const steps = Math.min(limits.draftTokens, limits.maxTokens - decided - 1, room - 1);
    let kept = 0;
    while (kept < steps && draftAt(text, bonus + 1 + kept) === ids[decided + kept]) kept++;
    const emitted = Math.min(kept + 1, ids.length - decided);
    count.rounds += 1;
    // Past the end of the answer nothing counts.
    count.proposed += emitted > kept ? steps : emitted;
    count.accepted += Math.min(kept, emitted);
    if (kept > 0 && kept < steps) count.partly += 1;
    decided += emitted;
  }
  return count;
}
