import type { GenerationEvent, TracedRound } from "../generate.js";
import type { TokenProbability } from "../speculative/probabilities.js";
import type { Detokenizer } from "../text/detokenizer.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { FORMAT, type Trace, type TraceDraft, type TraceRound, type TraceToken, VERSION } from "./schema.js";

type EndEvent = Extract<GenerationEvent, { readonly type: "end" }>;

/** What a trace says beside its rounds and what the end event tells. */
export type TraceFacts = Pick<Trace, "about" | "settings" | "prompt">;

/** Listens to a generation with `trace` and writes down its rounds. */
export class TraceRecorder {
  readonly #rounds: TraceRound[] = [];
  readonly #tokenizer: Pick<Tokenizer, "decode"> | undefined;
  readonly #detokenizer: Detokenizer | undefined;

  /** Without a tokenizer tokens have no text. */
  constructor(tokenizer: Pick<Tokenizer, "decode" | "detokenizer"> | undefined) {
    this.#tokenizer = tokenizer;
    this.#detokenizer = tokenizer?.detokenizer();
  }

  /** Hands the events on. */
  async *listen(events: AsyncIterable<GenerationEvent>): AsyncGenerator<GenerationEvent, void> {
    for await (const event of events) {
      if (event.type === "tokens" && event.round) this.#add(event.round, event.ids);
      yield event;
    }
  }

  /** What was heard. */
  trace({ text, stopReason, stats }: EndEvent, facts: TraceFacts): Trace {
    return {
      format: FORMAT,
      version: VERSION,
      ...facts,
      answer: { text, stopReason },
      stats,
      rounds: this.#rounds,
    };
  }

  /** @param ids those that belong to the answer: accepted drafts, and the target's own unless it ended in them */
  #add(
    { drafts, accepted, probabilities, position, startMs, times }: TracedRound,
    ids: readonly number[],
  ): void {
    const own = ids[accepted];
    const outcomeOf = (index: number): TraceDraft["outcome"] => {
      if (index < Math.min(accepted, ids.length)) return "accepted";
      return index === accepted && own !== undefined ? "rejected" : "dropped";
    };
    const judged = drafts.map((id, index) => {
      const outcome = outcomeOf(index);
      const token = this.#token(id, probabilities.drafts[index], outcome === "accepted");
      return { ...token, place: index + 1, outcome };
    });
    this.#rounds.push({
      position,
      startMs,
      times,
      drafts: judged,
      own: own === undefined ? null : this.#token(own, probabilities.next[accepted], true),
    });
  }

  #token(id: number, probability: TokenProbability | undefined, inAnswer: boolean): TraceToken {
    const text = inAnswer ? this.#detokenizer?.push(id) : this.#tokenizer?.decode([id]);
    const drafter = probability?.drafter ?? null;
    return {
      id,
      text: text ?? null,
      probability: share(probability?.target ?? 0),
      draftProbability: drafter === null ? null : share(drafter),
    };
  }
}

/** Sums in float32 may come out a little above 1. */
function share(probability: number): number {
  return Math.min(1, probability);
}
