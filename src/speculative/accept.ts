/** A round's outcome in host numbers. */
export interface Verdict {
  /** The K tokens that were proposed. */
  readonly drafts: readonly number[];
  /** Whether each draft would be accepted if all before it were. */
  readonly accepted: readonly boolean[];
  /** For each of K+1 places, the token to go on with when the drafts end there. */
  readonly next: readonly number[];
}

/** What a round adds to the text. */
export interface Acceptance {
  /** Drafts kept: the longest prefix that was accepted, 0 … K. */
  readonly accepted: number;
  /** The accepted drafts and, after them, the target's own token: `accepted + 1` ids. The last is the new bonus token. */
  readonly tokens: readonly number[];
  /** The last of `tokens`. */
  readonly bonus: number;
}

/** The longest accepted prefix and the token after it. */
export function conclude({ drafts, accepted, next }: Verdict): Acceptance {
  const firstRejected = accepted.indexOf(false);
  const kept = firstRejected === -1 ? drafts.length : firstRejected;
  const bonus = next[kept];
  if (bonus === undefined)
    throw new RangeError(`verdict has ${next.length} next tokens for ${drafts.length} drafts`);
  return { accepted: kept, tokens: [...drafts.slice(0, kept), bonus], bonus };
}
