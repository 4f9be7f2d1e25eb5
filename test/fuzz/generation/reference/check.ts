import type { TracedRound } from "../../../../src/generate.js";
import type { Configuration } from "../configuration.js";
import { assistantLettersOf } from "../model.js";
import type { writePair } from "../write-pair.js";
import { draftScores } from "./assistant.js";
import { best, weightsOf } from "./numbers.js";
import { runReference } from "./target.js";

/**
 * A token may lie so far below the best one in float64: float32 decides near ties otherwise. Where experts or clusters of
 * a centroid head are as near, nothing that depends on the choice is compared.
 */
const TIE = 5e-3;
/** Draft rounds that are computed again: as many of each run, from the last one on. */
const ROUNDS = 4;
/** Steps of a round that are: each reads the one before, and after ten the rounding of random weights reaches 0.1. */
const STEPS = 3;

/** A comparison with float64: rows that were compared, and the first difference in words. */
export interface ReferenceCheck {
  readonly rows: number;
  readonly difference?: string;
}

/** A float32 answer and its drafts, held against float64 on the values that were written to disk. */
export class Reference {
  readonly #model: Configuration["model"];
  readonly #ids: readonly number[];
  readonly #prompt: number;
  readonly #parts: Parameters<typeof draftScores>[2];

  /** @param tokenIds a plain answer to `promptIds` */
  constructor(
    { model }: Configuration,
    written: ReturnType<typeof writePair>,
    promptIds: readonly number[],
    tokenIds: readonly number[],
  ) {
    this.#model = model;
    this.#ids = [...promptIds, ...tokenIds];
    this.#prompt = promptIds.length;
    const target = weightsOf(written.target.values);
    this.#parts = {
      target,
      assistant: written.assistant.values,
      run: runReference(model, target, this.#ids),
    };
  }

  /** Positions before the first tie of experts. */
  get certain(): number {
    const { expertMargins } = this.#parts.run;
    const tie = expertMargins.findIndex((margin) => margin < TIE);
    return tie < 0 ? expertMargins.length : tie;
  }

  /** Each token must be the argmax of its row, ties apart. */
  checkText(): ReferenceCheck {
    const answer = this.#ids.slice(this.#prompt, Math.max(this.#prompt, this.certain + 1));
    for (const [place, id] of answer.entries()) {
      const found = this.behind(place, id);
      if (found.margin > TIE) {
        const difference = `token ${place} is ${id}, in float64 ${found.index} by ${found.margin.toFixed(4)}`;
        return { rows: place, difference };
      }
    }
    return { rows: answer.length };
  }

  /** The best token at a place of the answer, and how far it is above another. */
  behind(place: number, id: number): ReturnType<typeof best> {
    const row = this.#parts.run.logits[this.#prompt - 1 + place];
    if (!row) throw new RangeError(`the answer has no place ${place}`);
    return best(row, id);
  }

  /** Each draft must be the argmax of its step, after the drafts before it. */
  checkDrafts(rounds: readonly Pick<TracedRound, "position" | "drafts">[]): ReferenceCheck {
    const letters = assistantLettersOf(this.#model);
    let rows = 0;
    const certain = rounds.filter(({ position }) => position - 1 <= this.certain);
    for (const { position, drafts } of certain.slice(-ROUNDS)) {
      const first = drafts.slice(0, STEPS);
      const tokens = [this.#ids[position - 1] ?? 0, ...first.slice(0, -1)];
      const steps = draftScores(this.#model, letters, this.#parts, { position: position - 1, tokens });
      for (const [step, draft] of first.entries()) {
        const { scores, clusterMargin } = steps[step] ?? { scores: new Float64Array(), clusterMargin: 0 };
        if (clusterMargin < TIE) continue;
        const { index, margin } = best(scores, draft);
        if (margin > TIE) {
          const where = `draft ${step} at position ${position - 1}`;
          return { rows, difference: `${where} is ${draft}, in float64 ${index} by ${margin.toFixed(4)}` };
        }
        rows += 1;
      }
    }
    return { rows };
  }
}
