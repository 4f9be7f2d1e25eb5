import { MlxGemmaError } from "./errors.js";
import { MAX_DRAFT_TOKENS } from "./options.js";
import type { PrefillOptions, StepOutput, Target, TargetSession } from "./target/target.js";

/** What one generation works with: a session on the target that holds the beginning of its prompt. */
export interface Lease extends Disposable {
  readonly session: TargetSession;
  /** Tokens of the prompt that the session holds already: fewer than all. */
  readonly reused: number;
  /** Processes the rest of the prompt; resolves to the (evaluated) output of its last position. */
  prefill(options: PrefillOptions): Promise<StepOutput>;
  /** Tells which ids a round has processed and kept. */
  wrote(ids: readonly number[]): void;
}

/**
 * K/V caches on a target that outlive a generation. A prompt that begins as the ids which are held goes on from there;
 * one that parts from them earlier takes the caches back to that place. Sliding layers can't always be taken back: to
 * the end of the last prompt (or a few tokens before), and as far as their buffers still have the window; where they
 * can't, all of the prompt is processed anew. `GenerationStats.cachedPromptTokens` tells what was held. The tokens of
 * an answer are those of an empty cache, wherever the kernels are exact.
 *
 * One generation at a time. Dispose it before its pair.
 */
export class PromptCache implements Disposable {
  readonly #target: Target;
  #session: TargetSession | undefined;
  #ids: number[] = [];
  #busy = false;
  #disposed = false;

  constructor({ target }: { readonly target: Target }) {
    this.#target = target;
  }

  /** The ids whose keys and values are held, by position. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /**
   * For `generate`: the session, taken back to what `prompt` has in common with it.
   *
   * @throws MlxGemmaError `usage` while another generation has it or for another target, `disposed`
   */
  lease(target: Target, prompt: Int32Array): Lease {
    if (this.#disposed) throw new MlxGemmaError("disposed", "the prompt cache is disposed");
    if (this.#busy) {
      throw new MlxGemmaError("usage", "the prompt cache is busy: expected one generation at a time");
    }
    if (target !== this.#target) {
      throw new MlxGemmaError("usage", "the prompt cache belongs to another pair: make one for this one");
    }
    this.#session ??= target.openSession(MAX_DRAFT_TOKENS + 1);
    const session = this.#session;
    // The last token is processed in any case: the first of the answer comes from it.
    const common = Math.min(commonPrefix(this.#ids, prompt), prompt.length - 1);
    if (common < session.position) session.rewind(common);
    const reused = session.position;
    this.#ids.length = reused;
    this.#busy = true;
    let prefilling = false;
    let ended = false;
    return {
      session,
      reused,
      prefill: async (options) => {
        const processed = () => {
          for (const id of prompt.subarray(reused, session.position)) this.#ids.push(id);
        };
        prefilling = true;
        try {
          const output = await session.prefill(prompt.subarray(reused), options);
          if (ended) return output;
          processed();
          session.mark();
          return output;
        } catch (error) {
          if (!ended && error instanceof MlxGemmaError && error.code === "aborted") processed();
          throw error;
        } finally {
          prefilling = false;
        }
      },
      wrote: (ids) => {
        this.#ids.push(...ids);
      },
      [Symbol.dispose]: () => {
        ended = true;
        this.#busy = false;
        // Left in the middle of a prompt, or by a round that failed: what the caches hold is not known.
        if (this.#disposed || prefilling || positionOf(session) !== this.#ids.length) this.#drop();
      },
    };
  }

  /** Frees the caches; at the end of a generation that has them. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (!this.#busy) this.#drop();
  }

  #drop(): void {
    this.#session?.[Symbol.dispose]();
    this.#session = undefined;
    this.#ids = [];
  }
}

/** A lease on `cache`, or on a session for this generation alone, whose steps have at most so many tokens. */
export function leaseOf(target: Target, prompt: Int32Array, cache: PromptCache | number): Lease {
  if (typeof cache !== "number") return cache.lease(target, prompt);
  const session = target.openSession(cache);
  return {
    session,
    reused: 0,
    prefill: (options) => session.prefill(prompt, options),
    wrote() {},
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

/** Undefined where the pair was disposed with its sessions. */
function positionOf(session: TargetSession): number | undefined {
  try {
    return session.position;
  } catch {
    return undefined;
  }
}

function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}
