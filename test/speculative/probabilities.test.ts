import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, type TracedRound } from "../../src/generate.js";
import { type LoadedPair, load } from "../../src/load.js";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, readFloat32 } from "../../src/mlx/array.js";
import type { GenerateOptions } from "../../src/options.js";
import { readProbabilities, withProbabilities } from "../../src/speculative/probabilities.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import { greedyVerifier, samplingVerifier } from "../../src/speculative/verifier.js";
import { floats, ints, settledArrays } from "../mlx/helpers.js";
import { fakePair, scriptedDrafter, scriptedTarget, VOCAB } from "../support/fakes.js";

const softmax = (logits: readonly number[]) => {
  const all = logits.map(Math.exp);
  const sum = all.reduce((a, b) => a + b, 0);
  return all.map((value) => value / sum);
};

describe("probabilities of a verdict", () => {
  const ROWS = [
    [0, 3, 1, 2],
    [2, 0, 0, 1],
    [1, 1, 4, 0],
  ];
  const proposal = () => ({
    tokens: ints([1, 3], [1, 2]),
    distributions: [
      { probabilities: floats([0.25, 0.75], [1, 2]), tokens: ints([3, 1], [1, 2]) },
      { probabilities: floats([0.1, 0.2, 0.3, 0.4], [1, 4]) },
    ],
  });

  async function told(verifier = greedyVerifier, drafts: Parameters<typeof verifier.judge>[1] = proposal()) {
    const rows = drafts.tokens ? ROWS : ROWS.slice(0, 1);
    const logits = floats(rows.flat(), [1, rows.length, 4]);
    const observing = withProbabilities(verifier);
    const verdict = observing.judge(logits, drafts, 0);
    const array = observing.probabilities?.(logits, drafts, verdict);
    if (!array) throw new Error("nothing was told");
    await evaluate([[array]]);
    return readProbabilities(readFloat32(array));
  }

  it("are of each row's own distribution, over candidates or the whole vocabulary", async () => {
    const { drafts, next } = await told();
    const p = ROWS.map(softmax);
    const close = (value: number | undefined) => expect.closeTo(value ?? Number.NaN, 5);
    expect(drafts).toEqual([
      { target: close(p[0]?.[1]), drafter: close(0.75) },
      { target: close(p[1]?.[3]), drafter: close(0.4) },
    ]);
    // Greedy: the argmax of each row. Behind the last draft the drafter says nothing.
    expect(next).toEqual([
      { target: close(p[0]?.[1]), drafter: close(0.75) },
      { target: close(p[1]?.[0]), drafter: close(0.1) },
      { target: close(p[2]?.[2]), drafter: null },
    ]);
  });

  it("are after the cuts where tokens are sampled", async () => {
    const verifier = samplingVerifier({ ...GREEDY, temperature: 2, topK: 1 });
    const { drafts, next } = await told(verifier);
    expect(drafts.map(({ target }) => target)).toEqual([1, 0]);
    expect(next.map(({ target }) => target)).toEqual([1, 1, 1]);
  });

  it("are of the next token alone where nothing was drafted", async () => {
    const { drafts, next } = await told(greedyVerifier, { distributions: [] });
    expect(drafts).toEqual([]);
    expect(next).toEqual([{ target: expect.closeTo(softmax(ROWS[0] ?? [])[1] ?? 0, 5), drafter: null }]);
  });
});

async function roundsOf(pair: LoadedPair, options: GenerateOptions) {
  const rounds: TracedRound[] = [];
  const ids: number[] = [];
  for await (const event of generate(pair, options)) {
    if (event.type !== "tokens") continue;
    ids.push(...event.ids);
    if (event.round) rounds.push(event.round);
  }
  return { rounds, ids };
}

describe("a traced generation of the embedded pair", () => {
  let pair: LoadedPair;
  let promptIds: number[];
  beforeAll(async () => {
    pair = await load({ draft: "assistant" });
    promptIds = await pair.encodePrompt("Tell me a story about a fox.");
  });
  afterAll(() => pair[Symbol.dispose]());

  /** The target's probability of every token of the answer. */
  const targetsOf = ({ rounds }: { readonly rounds: readonly TracedRound[] }) =>
    rounds.flatMap(({ accepted, probabilities: { drafts, next } }) => [
      ...drafts.slice(0, accepted).map(({ target }) => target),
      next[accepted]?.target ?? Number.NaN,
    ]);

  it("writes the ids of an untraced one, and holds them as likely as plain decoding does", async () => {
    const options = { promptIds, maxTokens: 60 };
    const [plain, traced, untraced] = [
      await roundsOf(pair, { ...options, draftTokens: 0, trace: true }),
      await roundsOf(pair, { ...options, draftTokens: 4, trace: true }),
      await roundsOf(pair, { ...options, draftTokens: 4 }),
    ];
    expect(untraced.rounds).toEqual([]);
    expect(traced.ids).toEqual(untraced.ids);
    expect(traced.ids).toEqual(plain.ids);
    // Bit for bit: a row that was mistaken for another has other values.
    expect(targetsOf(traced).slice(0, plain.ids.length)).toEqual(targetsOf(plain));
    expect(new Set(targetsOf(plain)).size).toBeGreaterThan(30);
  });

  it("holds a greedy draft at least as likely as what the target writes there", async () => {
    const { rounds } = await roundsOf(pair, { promptIds, maxTokens: 60, draftTokens: 4, trace: true });
    const rejected = rounds.filter(({ drafts, accepted }) => accepted < drafts.length);
    expect(rejected.length).toBeGreaterThan(0);
    for (const { accepted, probabilities } of rejected) {
      const draft = probabilities.drafts[accepted];
      const own = probabilities.next[accepted];
      expect(draft?.drafter).toBeGreaterThanOrEqual(own?.drafter ?? Number.NaN);
      expect(own?.target).toBeGreaterThanOrEqual(draft?.target ?? Number.NaN);
    }
  });

  it("samples the same ids with a trace as without", async () => {
    const options = { promptIds, maxTokens: 30, draftTokens: 3, temperature: 0.9, topP: 0.95, seed: 4 };
    const traced = await roundsOf(pair, { ...options, trace: true });
    expect(traced.ids).toEqual((await roundsOf(pair, options)).ids);
    expect(Math.min(...targetsOf(traced))).toBeGreaterThan(0);
  });
});

describe("a traced round", () => {
  const script = (position: number) => (position * 7 + 3) % VOCAB;
  const promptIds = [3, 10, 17];

  it("says where it stands, and reads back once more", async () => {
    const pair = fakePair(scriptedTarget(script), scriptedDrafter(script));
    await settledArrays();
    const { readbacks, liveArrays } = addon().counters();
    const { rounds } = await roundsOf(pair, { promptIds, draftTokens: 2, maxTokens: 7, trace: true });
    // Beside them whether the prompt's logits are numbers.
    expect(addon().counters().readbacks - readbacks).toBe(1 + 2 * rounds.length);
    expect(addon().counters().liveArrays).toBe(liveArrays);
    expect(rounds.map(({ position, drafts, accepted }) => [position, drafts.length, accepted])).toEqual([
      [3, 0, 0],
      [4, 2, 2],
      [7, 2, 2],
    ]);
    expect(rounds.map(({ startMs }) => startMs)).toEqual(
      rounds.map(({ startMs }) => startMs).toSorted((a, b) => a - b),
    );
    const likely = Math.exp(9) / (Math.exp(9) + VOCAB - 1);
    expect(rounds[1]?.probabilities.drafts).toEqual(
      [0, 1].map(() => ({ target: expect.closeTo(likely, 5), drafter: null })),
    );
  });
});
