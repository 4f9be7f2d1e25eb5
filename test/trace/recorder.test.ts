import { describe, expect, it } from "vitest";
import type { GenerationEvent, TracedRound } from "../../src/generate.js";
import { TraceRecorder } from "../../src/trace/recorder.js";
import { traceSchema } from "../../src/trace/schema.js";
import { endOf, FACTS, STATS, wordsTokenizer } from "./traces.js";

const likely = (target: number, drafter: number | null = null) => ({ target, drafter });

/** A round whose drafts are 11, 12, 13. */
const roundOf = (accepted: number): TracedRound => ({
  position: 4,
  startMs: 10,
  times: { draft: 1, verify: 2, accept: 0.1, rest: 0.2 },
  drafts: [11, 12, 13],
  accepted,
  probabilities: {
    drafts: [likely(0.9, 0.8), likely(0.7, 0.6), likely(1.0000001, 0.4)],
    next: [likely(0.5, 0.3), likely(0.4, 0.2), likely(0.3, 0.1), likely(0.2)],
  },
});

async function recorded(round: TracedRound, ids: readonly number[]) {
  const recorder = new TraceRecorder(wordsTokenizer);
  const heard: GenerationEvent[] = [];
  async function* events(): AsyncGenerator<GenerationEvent> {
    yield { type: "prefill", done: 3, total: 3 };
    yield { type: "tokens", ids, pieces: [], round };
    yield { type: "tokens", ids: [], pieces: [{ text: "held back", drafted: false }] };
    yield endOf("max tokens");
  }
  for await (const event of recorder.listen(events())) heard.push(event);
  expect(heard.map(({ type }) => type)).toEqual(["prefill", "tokens", "tokens", "end"]);
  const trace = recorder.trace(endOf("max tokens"), FACTS);
  expect(traceSchema.parse(JSON.parse(JSON.stringify(trace)))).toEqual(trace);
  expect(trace.stats).toEqual(STATS);
  const [only] = trace.rounds;
  if (!only || trace.rounds.length > 1) throw new Error("expected one round");
  return only;
}

describe("what became of the drafts", () => {
  it.each<[string, number, number[], string[], number | null]>([
    ["all accepted", 3, [11, 12, 13, 20], ["accepted", "accepted", "accepted"], 20],
    ["the second wrong", 1, [11, 20], ["accepted", "rejected", "dropped"], 20],
    ["the first wrong", 0, [20], ["rejected", "dropped", "dropped"], 20],
    ["an end inside the accepted ones", 3, [11], ["accepted", "dropped", "dropped"], null],
    ["an end at the last accepted one", 1, [11], ["accepted", "dropped", "dropped"], null],
  ])("%s", async (_, accepted, ids, outcomes, own) => {
    const round = await recorded(roundOf(accepted), ids);
    expect(round.drafts.map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(round.drafts.map(({ place }) => place)).toEqual([1, 2, 3]);
    expect(round.own?.id ?? null).toBe(own);
  });

  it("each has its probabilities, and the own token those of its place", async () => {
    const { drafts, own } = await recorded(roundOf(1), [11, 20]);
    expect(drafts.map(({ probability, draftProbability }) => [probability, draftProbability])).toEqual([
      [0.9, 0.8],
      [0.7, 0.6],
      [1, 0.4],
    ]);
    expect(own).toEqual({ id: 20, text: " w20", probability: 0.4, draftProbability: 0.2 });
  });
});
