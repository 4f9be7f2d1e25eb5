import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CentroidHead } from "../../src/drafter/centroid-head.js";
import type { Gemma4Assistant } from "../../src/drafter/gemma4-assistant.js";
import type { DraftHead, HeadScores } from "../../src/drafter/head.js";
import { evaluate, fromInt32, type MlxArray, readInt32 } from "../../src/mlx/array.js";
import type { LayerType } from "../../src/mlx/native.js";
import type { Gemma4Target } from "../../src/target/gemma4-target.js";
import {
  type GoldenDrafts,
  type GoldenRound,
  goldenHidden,
  goldenKv,
  loadAssistant,
  readDrafts,
  type Visible,
  visibleAt,
} from "../support/golden-drafts.js";
import { overVocabulary } from "../support/over-vocabulary.js";
import {
  argmax,
  distance,
  goldenMatrix,
  loadGolden,
  type Matrix,
  PAIRS,
  valuesOf,
} from "../target/helpers.js";

/** Against the reference in float32. */
const TOLERANCE = 1e-4;
const STEPS = 6;

/** What a mistake changes in a round. */
interface Mistake {
  readonly visible?: Visible;
  readonly position?: number;
  readonly swapped?: true;
}

describe.each(PAIRS)("the drafter against the reference: %s", (name) => {
  const golden: GoldenDrafts = readDrafts(name);
  const rounds = golden.draft.map((round, index): [number, GoldenRound, number] => [
    round.position,
    round,
    index,
  ]);
  let target: Gemma4Target;
  let assistant: Gemma4Assistant;
  let cut: Awaited<ReturnType<typeof goldenKv>>;
  let hiddenAt: Awaited<ReturnType<typeof goldenHidden>>;

  beforeAll(async () => {
    target = await loadGolden(name, { dtype: "float32" });
    assistant = await loadAssistant(name);
    cut = await goldenKv(name);
    hiddenAt = await goldenHidden(name);
  });

  afterAll(() => {
    assistant[Symbol.dispose]();
    target[Symbol.dispose]();
  });

  const visible = (position: number) => visibleAt(position, golden.slidingWindow);

  /** Six chained steps on the reference's tokens, evaluated. */
  async function chain(round: GoldenRound, mistake: Mistake = {}) {
    const sharedKv = cut(mistake.visible ?? visible(round.position));
    const position = mistake.position ?? round.position;
    const steps: { scores: HeadScores; logits: Float32Array; hidden: Float32Array; h: MlxArray }[] = [];
    let hidden = hiddenAt(round.position - 1);
    for (const token of [round.bonus, ...round.tokens.slice(0, -1)]) {
      const embedding = target.embed(fromInt32(Int32Array.of(token), [1, 1]));
      const inputs = mistake.swapped ? { embedding: hidden, hidden: embedding } : { embedding, hidden };
      const output = assistant.step({ ...inputs, sharedKv, position });
      const scores = assistant.head.scores(output.h);
      steps.push({
        scores,
        h: output.h,
        logits: await overVocabulary(scores, target.vocabSize),
        hidden: await valuesOf(output.hidden),
      });
      hidden = output.hidden;
    }
    return steps;
  }

  /** Largest relative gap of six steps to the reference's. */
  async function gap(round: GoldenRound, index: number, mistake: Mistake = {}): Promise<number> {
    const steps = await chain(round, mistake);
    const expected = await goldenRound(name, index);
    return Math.max(
      distance(join(steps.map(({ logits }) => logits)), expected.logits.values),
      distance(join(steps.map(({ hidden }) => hidden)), expected.hidden.values),
    );
  }

  it.each(rounds)("gives the reference's logits and hidden at position %d", async (_, round, index) => {
    const steps = await chain(round);
    const expected = await goldenRound(name, index);
    expect(steps).toHaveLength(STEPS);
    for (const [step, { logits, hidden }] of steps.entries()) {
      const rows: [string, Float32Array, Matrix][] = [
        ["logits", logits, expected.logits],
        ["hidden", hidden, expected.hidden],
      ];
      for (const [what, found, matrix] of rows) {
        expect(distance(found, matrix.rows(step, step + 1)), `${what} of step ${step}`).toBeLessThan(
          TOLERANCE,
        );
      }
      expect(argmax(logits)).toBe(round.tokens[step]);
    }
  });

  it.each(rounds)("proposes the reference's tokens at position %d", async (_, round) => {
    const found = await proposed(round, STEPS);
    expect(found).toEqual(round.tokens);
    // Fewer steps are the beginning of more.
    expect(await proposed(round, 2)).toEqual(round.tokens.slice(0, 2));
  });

  async function proposed(round: GoldenRound, steps: number): Promise<number[]> {
    const { tokens, distributions } = assistant.propose({
      bonus: fromInt32(Int32Array.of(round.bonus), [1, 1]),
      hidden: hiddenAt(round.position - 1),
      sharedKv: cut(visible(round.position)),
      position: round.position,
      steps,
      embed: (ids) => target.embed(ids),
      pick: { kind: "greedy" },
    });
    if (!tokens) throw new Error("nothing was proposed");
    expect(tokens.shape).toEqual([1, steps]);
    expect(distributions).toEqual([]);
    await evaluate([[tokens]]);
    return [...readInt32(tokens)];
  }

  it("scores the reference's clusters and their tokens alone", async () => {
    const { head } = assistant;
    expect(isCentroidHead(head)).toBe(golden.draft[0]?.candidates !== undefined);
    if (!isCentroidHead(head)) return;
    for (const [position, round] of rounds) {
      for (const [step, { scores, h }] of (await chain(round)).entries()) {
        const clusters = head.clusters(h);
        if (!scores.tokens) throw new Error("a centroid head names its candidates");
        const found = { clusters: await valuesOf(clusters), tokens: await valuesOf(scores.tokens) };
        const where = `step ${step} at position ${position}`;
        expect(sorted(found.clusters), where).toEqual(sorted(round.centroidTopK?.[step] ?? []));
        expect(sorted(found.tokens), where).toEqual(sorted(round.candidates?.[step] ?? []));
      }
    }
  });

  describe("notices on purpose (negative controls)", () => {
    // Past the window, so that each mistake is one.
    const late = rounds.filter(([position]) => position >= golden.slidingWindow);
    const mistakes: [string, (position: number) => Mistake][] = [
      ["rope one position earlier", (position) => ({ position: position - 1 })],
      ["one sliding key more", (position) => shifted(position, { sliding_attention: [-1, 0] })],
      ["one sliding key less", (position) => shifted(position, { sliding_attention: [1, 0] })],
      ["rejected keys on full layers", (position) => shifted(position, { full_attention: [0, 3] })],
      ["hidden before embedding", () => ({ swapped: true })],
    ];
    const shifted = (position: number, by: Partial<Visible>): Mistake => {
      const right = visible(position);
      const moved = (type: LayerType): readonly [number, number] => {
        const [first, end] = right[type];
        const [more, past] = by[type] ?? [0, 0];
        return [first + more, Math.min(end + past, golden.promptIds.length + golden.greedyIds.length)];
      };
      return {
        visible: {
          full_attention: moved("full_attention"),
          sliding_attention: moved("sliding_attention"),
        },
      };
    };

    it.each(mistakes)("%s", async (_, mistake) => {
      const gaps: number[] = [];
      for (const [position, round, index] of late) gaps.push(await gap(round, index, mistake(position)));
      expect(Math.max(...gaps)).toBeGreaterThan(50 * TOLERANCE);
    });
  });
});

async function goldenRound(name: string, index: number): Promise<{ logits: Matrix; hidden: Matrix }> {
  return {
    logits: await goldenMatrix(name, `draft.${index}.logits`),
    hidden: await goldenMatrix(name, `draft.${index}.hidden`),
  };
}

function isCentroidHead(head: DraftHead): head is CentroidHead {
  return "clusters" in head;
}

function join(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

function sorted(ids: Iterable<number>): number[] {
  return [...ids].sort((a, b) => a - b);
}
