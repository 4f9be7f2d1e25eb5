import type { Detokenizer } from "./detokenizer.js";
import { StopMatcher } from "./stop.js";

/**
 * Why an answer ended: at an end-of-sequence token, before a `stop` text, at `maxTokens`, where the model has no more
 * positions, or by the caller's AbortSignal.
 */
export type StopReason = "eos" | "stop string" | "max tokens" | "context full" | "aborted";

/** A piece of text and where it came from. */
export interface TextPiece {
  readonly text: string;
  /** An accepted draft, rather than the target's own token. */
  readonly drafted: boolean;
}

/** When a {@link TokenSink} ends the answer. */
export interface StopRules {
  readonly eosTokenIds: readonly number[];
  /** Texts that end the answer and are not part of it; they need a tokenizer. */
  readonly stop: readonly string[];
  readonly maxTokens: number;
}

/** What one push decided. */
export interface SinkResult {
  /** The ids that belong to the answer: all of them, or those up to the stop. */
  readonly ids: readonly number[];
  readonly pieces: readonly TextPiece[];
  readonly stopReason?: StopReason;
}

/**
 * Takes decided tokens and gives the answer's text, up to where it stops. The stop depends on the tokens alone, not
 * on how rounds group them: the token that ends the answer (eos, the last of a stop text, the last allowed) is the
 * last id; nothing after it counts.
 */
export class TokenSink {
  /** The answer's ids so far; an eos that ended it included. */
  readonly ids: number[] = [];
  #text = "";
  readonly #rules: StopRules;
  readonly #eos: ReadonlySet<number>;
  readonly #detokenizer: Detokenizer | undefined;
  readonly #matcher: StopMatcher;
  /** Text that the matcher holds back, by origin. */
  #held: TextPiece[] = [];
  #tentative = 0;
  #stopped = false;

  /** Without a detokenizer there is no text, only ids. */
  constructor(detokenizer: Detokenizer | undefined, rules: StopRules) {
    this.#rules = rules;
    this.#eos = new Set(rules.eosTokenIds);
    this.#detokenizer = detokenizer;
    this.#matcher = new StopMatcher(rules.stop);
  }

  /** The answer's text so far. */
  get text(): string {
    return this.#text;
  }

  /** Takes one round's tokens, of which the first `drafted` are accepted drafts. Nothing once it has stopped. */
  push(ids: readonly number[], drafted: number): SinkResult {
    const kept: number[] = [];
    const pieces: TextPiece[] = [];
    for (const [index, id] of ids.entries()) {
      if (this.#stopped) break;
      kept.push(id);
      this.ids.push(id);
      const stopReason = this.#take(id, index < drafted, pieces);
      if (stopReason === undefined) continue;
      this.#stopped = true;
      return { ids: kept, pieces, stopReason };
    }
    return { ids: kept, pieces };
  }

  /** What was held back, when the generation has ended. */
  finish(): TextPiece[] {
    const pieces: TextPiece[] = [];
    this.#settle(this.#detokenizer?.flush() ?? "", false, pieces);
    this.#give(this.#matcher.flush().length, pieces);
    return pieces;
  }

  #take(id: number, drafted: boolean, pieces: TextPiece[]): StopReason | undefined {
    if (this.#eos.has(id)) return "eos";
    const detokenizer = this.#detokenizer;
    if (detokenizer) {
      if (this.#settle(detokenizer.push(id), drafted, pieces)) return "stop string";
      // A stop text inside a run of byte tokens must not wait for the run's end.
      const { tentative } = detokenizer;
      const fresh = tentative.length - this.#tentative;
      this.#tentative = tentative.length;
      if (fresh > 0 && this.#matcher.wouldStop(tentative, fresh)) {
        if (this.#settle(detokenizer.flush(), drafted, pieces)) return "stop string";
      }
    }
    return this.ids.length >= this.#rules.maxTokens ? "max tokens" : undefined;
  }

  /** Passes text through the matcher; true when it holds a stop text. */
  #settle(text: string, drafted: boolean, pieces: TextPiece[]): boolean {
    if (text !== "") this.#held.push({ text, drafted });
    const result = this.#matcher.push(text);
    this.#give(result.text.length, pieces);
    return result.stop !== undefined;
  }

  /** Moves the first `length` code units of the held text to `pieces`. */
  #give(length: number, pieces: TextPiece[]): void {
    let left = length;
    while (left > 0) {
      const first = this.#held.shift();
      if (!first) return;
      const text = first.text.slice(0, left);
      if (text.length < first.text.length) this.#held.unshift({ ...first, text: first.text.slice(left) });
      left -= text.length;
      this.#text += text;
      pieces.push({ ...first, text });
    }
  }
}
