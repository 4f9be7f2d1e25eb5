/** What {@link StopMatcher.push} found. */
export interface StopResult {
  /** Text that is decided: no stop string begins in it. */
  readonly text: string;
  /** The stop string that ended the text; nothing of it or after it is given. */
  readonly stop?: string;
}

/**
 * Cuts a stream of text before the first stop string, wherever chunks and tokens border. Of several the one that is
 * complete first counts, and of those the longest: the result does not depend on the chunks. Held back is only what
 * may be the beginning of a stop string.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  readonly #longest: number;
  #held = "";
  #stopped = false;

  /** `stops`: not empty texts; "" is ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
    this.#longest = Math.max(0, ...this.#stops.map((stop) => stop.length));
  }

  /** Takes the next piece of text. After a stop nothing more is given. */
  push(text: string): StopResult {
    if (this.#stopped) return { text: "" };
    const whole = this.#held + text;
    const match = this.#first(whole);
    if (match) {
      this.#stopped = true;
      this.#held = "";
      return { text: whole.slice(0, match.at), stop: match.stop };
    }
    const keep = this.#beginning(whole);
    this.#held = whole.slice(whole.length - keep);
    return { text: whole.slice(0, whole.length - keep) };
  }

  /** Whether `text`, pushed now, would hold a stop string that ends in its last `fresh` code units. Changes nothing. */
  wouldStop(text: string, fresh: number): boolean {
    if (this.#stopped || this.#stops.length === 0) return false;
    const reach = this.#longest - 1 + fresh;
    const tail = text.length >= reach ? text.slice(text.length - reach) : this.#held + text;
    return this.#first(tail) !== undefined;
  }

  /** What is held back, when no more text comes. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #first(text: string): { readonly at: number; readonly stop: string } | undefined {
    let best: { readonly at: number; readonly stop: string } | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at < 0) continue;
      const end = at + stop.length;
      const bestEnd = best ? best.at + best.stop.length : Number.POSITIVE_INFINITY;
      if (end < bestEnd || (end === bestEnd && best && at < best.at)) best = { at, stop };
    }
    return best;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #beginning(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
        if (text.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }
}
