import type { DraftTokens } from "../options.js";
import type { AdaptiveStats } from "./draft-length.js";
import type { RoundResult, RoundTimes } from "./round.js";

/** Whether drafted and plain steps are known to give the same bits. Never claimed by assumption. */
export type Exactness = "by construction" | "measured" | "not exact";

/** The account of one generation. */
export interface GenerationStats {
  readonly promptTokens: number;
  /** Those of them whose keys and values a prompt cache had: they were not processed again. */
  readonly cachedPromptTokens: number;
  /** Tokens decided, the stop token included. */
  readonly tokens: number;
  /** Decoding alone: tokens after the first ÷ time after the first. */
  readonly tokensPerSecond: number;
  /** Of those that were processed. */
  readonly promptTokensPerSecond: number;
  /** From the call to the first token, loading excluded. */
  readonly timeToFirstTokenMs: number;
  /** Target steps after the prompt: one a round. */
  readonly targetSteps: number;
  readonly proposed: number;
  readonly accepted: number;
  /** accepted ÷ proposed; 0 when nothing was proposed. */
  readonly acceptanceRate: number;
  /** For each draft place 1 … K: accepted ÷ proposed there. */
  readonly acceptanceByPosition: readonly number[];
  /** For each draft place, how often there was one: with `auto` later ones are rarer. */
  readonly proposedByPosition: readonly number[];
  /** Rounds that were to propose 0, 1, 2 … drafts. */
  readonly roundsByDraftTokens: readonly number[];
  /** Tokens after the first ÷ target steps. */
  readonly tokensPerStep: number;
  /** K as asked for; 0 in plain decoding. */
  readonly draftTokens: DraftTokens;
  /** With `auto`: what K was chosen by; else null. */
  readonly adaptive: AdaptiveStats | null;
  readonly exact: Exactness;
  /** Where decoding's time went, in milliseconds. */
  readonly times: RoundTimes;
}

/** Sums up rounds. tokens = first + Σ(accepted + 1) - what the stop cut off. */
export class StatsCollector {
  #rounds = 0;
  #tokens = 0;
  #accepted = 0;
  readonly #proposedAt: number[] = [];
  readonly #acceptedAt: number[] = [];
  readonly #roundsOf: number[] = [];
  readonly #times = { draft: 0, verify: 0, accept: 0, rest: 0 };

  get rounds(): number {
    return this.#rounds;
  }

  /** Rounds that proposed nothing. */
  get plainRounds(): number {
    return this.#roundsOf[0] ?? 0;
  }

  /** Counts the first token, which comes from the prompt's own step. */
  addFirst(): void {
    this.#tokens += 1;
  }

  /**
   * @param emitted How many of the round's tokens are part of the answer: fewer than all only at a stop. Drafts past
   * it count neither as proposed nor as accepted.
   */
  addRound(round: Pick<RoundResult, "proposed" | "accepted" | "times">, emitted: number): void {
    this.#rounds += 1;
    for (let k = this.#roundsOf.length; k <= round.proposed; k++) this.#roundsOf.push(0);
    this.#roundsOf[round.proposed] = (this.#roundsOf[round.proposed] ?? 0) + 1;
    this.#tokens += emitted;
    this.#accepted += Math.min(round.accepted, emitted);
    const places = emitted > round.accepted ? round.proposed : emitted;
    for (let place = 0; place < places; place++) {
      this.#proposedAt[place] = (this.#proposedAt[place] ?? 0) + 1;
      this.#acceptedAt[place] = (this.#acceptedAt[place] ?? 0) + (place < round.accepted ? 1 : 0);
    }
    for (const part of ["draft", "verify", "accept", "rest"] as const) this.#times[part] += round.times[part];
  }

  summarize(run: {
    readonly promptTokens: number;
    readonly cachedPromptTokens: number;
    readonly prefillMs: number;
    readonly timeToFirstTokenMs: number;
    readonly decodeMs: number;
    readonly draftTokens: DraftTokens;
    readonly adaptive: AdaptiveStats | null;
    readonly exact: Exactness;
  }): GenerationStats {
    const proposed = this.#proposedAt.reduce((sum, n) => sum + n, 0);
    const afterFirst = Math.max(0, this.#tokens - 1);
    const ratio = (a: number, b: number) => (b > 0 ? a / b : 0);
    return {
      promptTokens: run.promptTokens,
      cachedPromptTokens: run.cachedPromptTokens,
      tokens: this.#tokens,
      tokensPerSecond: ratio(afterFirst * 1000, run.decodeMs),
      promptTokensPerSecond: ratio((run.promptTokens - run.cachedPromptTokens) * 1000, run.prefillMs),
      timeToFirstTokenMs: run.timeToFirstTokenMs,
      targetSteps: this.#rounds,
      proposed,
      accepted: this.#accepted,
      acceptanceRate: ratio(this.#accepted, proposed),
      acceptanceByPosition: this.#proposedAt.map((n, place) => ratio(this.#acceptedAt[place] ?? 0, n)),
      proposedByPosition: [...this.#proposedAt],
      roundsByDraftTokens: [...this.#roundsOf],
      tokensPerStep: ratio(afterFirst, this.#rounds),
      draftTokens: run.draftTokens,
      adaptive: run.adaptive,
      exact: run.exact,
      times: { ...this.#times },
    };
  }
}
