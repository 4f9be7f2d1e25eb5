import type { GenerationEvent, StopReason } from "../../src/generate.js";
import { Detokenizer } from "../../src/text/detokenizer.js";
import type { TraceFacts } from "../../src/trace/recorder.js";
import type { Trace, TraceRound, TraceToken } from "../../src/trace/schema.js";

export const STATS: Trace["stats"] = {
  promptTokens: 3,
  cachedPromptTokens: 0,
  tokens: 3,
  tokensPerSecond: 100,
  promptTokensPerSecond: 300,
  timeToFirstTokenMs: 10,
  targetSteps: 1,
  proposed: 2,
  accepted: 1,
  acceptanceRate: 0.5,
  acceptanceByPosition: [1, 0],
  proposedByPosition: [1, 1],
  roundsByDraftTokens: [0, 0, 1],
  tokensPerStep: 2,
  draftTokens: 2,
  adaptive: null,
  exact: "by construction",
  times: { draft: 1, verify: 2, accept: 0.1, rest: 0.2 },
};

export const FACTS: TraceFacts = {
  about: {
    date: "2026-01-02T03:04:05.678Z",
    versions: { mlxGemma: "1", mlx: "2", node: "3" },
    platform: "p",
    cpu: "c",
    cores: 2,
    device: "cpu",
    kernels: "avx2",
    memoryBytes: 1,
  },
  settings: {
    model: "m",
    assistant: "a",
    dtype: null,
    threads: 0,
    draftTokens: 2,
    maxTokens: 3,
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    seed: 0,
  },
  prompt: { text: "Hi", tokenIds: [1, 2, 3] },
};

export function endOf(stopReason: StopReason): Extract<GenerationEvent, { readonly type: "end" }> {
  return { type: "end", stopReason, text: "", tokenIds: [], stats: STATS, warnings: [] };
}

/** Ids are words: 7 is " w7". */
export const wordsTokenizer = {
  decode: (ids: Iterable<number>) => [...ids].map((id) => ` w${id}`).join(""),
  detokenizer: () =>
    new Detokenizer({
      piece: (id) => ` w${id}`,
      join: (pieces) => pieces.join(""),
      hold: "bytes",
      leading: false,
    }),
};

export const token = (id: number, text: string | null, more: Partial<TraceToken> = {}): TraceToken => ({
  id,
  text,
  probability: 0.93,
  draftProbability: null,
  ...more,
});

/** The prompt's step, and one round with an accepted and a rejected draft. */
export function traceOf(
  texts: readonly [first: string, drafted: string, rejected: string, own: string],
): Trace {
  const [first, drafted, rejected, own] = texts;
  const rounds: TraceRound[] = [
    {
      position: 3,
      startMs: 0,
      times: { draft: 0, verify: 10, accept: 0, rest: 0 },
      drafts: [],
      own: token(4, first),
    },
    {
      position: 4,
      startMs: 10.4,
      times: { draft: 1, verify: 2, accept: 0.1, rest: 0.2 },
      drafts: [
        { ...token(5, drafted, { draftProbability: 0.88 }), place: 1, outcome: "accepted" },
        {
          ...token(6, rejected, { probability: 0.0001, draftProbability: 0.61 }),
          place: 2,
          outcome: "rejected",
        },
      ],
      own: token(7, own, { probability: 0.9999, draftProbability: 0.2 }),
    },
  ];
  return {
    format: "mlx-gemma trace",
    version: 1,
    ...FACTS,
    answer: { text: first + drafted + own, stopReason: "max tokens" },
    stats: STATS,
    rounds,
  };
}
