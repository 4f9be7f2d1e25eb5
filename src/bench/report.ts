import { warningsSchema } from "../warning-schema.js";
import * as z from "../zod.js";

// What `--save` writes, `-o json` prints and `--compare` reads. A change that breaks readers raises VERSION.

export const FORMAT = "mlx-gemma bench";
export const VERSION = 1;

const count = z.int().nonnegative();
const share = z.number().min(0);
const tokens = count.describe("tokens");

/** K, or the default's way to choose it for each round. */
export const draftTokensSchema = z.union([count, z.literal("auto")]);

/** A figure over repetitions. */
export const figureSchema = z.object({
  median: z.number(),
  min: z.number(),
  max: z.number(),
  n: count.describe("repetitions"),
});

const group = {
  suite: z.string(),
  context: tokens.nullable().describe("what prompts were filled up to; null: prompts as they are"),
  sampling: z.string().describe("greedy, or as given to --sampling"),
};

export const FINDINGS = [
  "baseline",
  "faster",
  "slower",
  "too noisy to tell",
  "too few repetitions to tell",
] as const;

/** One K on one suite. */
export const rowSchema = z.object({
  ...group,
  draftTokens: draftTokensSchema.describe("K; 0: plain decoding"),
  finding: z
    .enum(FINDINGS)
    .describe("faster or slower than plain: the interval of the speed-up leaves 1 out"),
  repetitions: count,
  prompts: count,
  promptTokens: z.number().describe("of a prompt, on average"),
  tokens: count.describe("tokens of a repetition's answers"),
  promptTokensPerSecond: figureSchema,
  decodeTokensPerSecond: figureSchema.describe(
    "tokens after the first ÷ time after the first, all prompts together",
  ),
  speedUp: figureSchema
    .extend({
      interval: z
        .tuple([z.number(), z.number()])
        .describe("95%, percentile bootstrap of the median over repetitions"),
    })
    .describe("decode speed ÷ that of plain decoding in the same repetition; of plain decoding: 1"),
  proposed: count.describe("drafts of a repetition"),
  accepted: count,
  acceptanceRate: share.describe("accepted ÷ proposed; 0 when nothing was proposed"),
  breakEvenAcceptance: z
    .number()
    .nullable()
    .describe("the rate at which drafting costs what it brings; above 1: none"),
  acceptanceByPosition: z.array(share).readonly().describe("of drafts at place 1 … K"),
  roundsByDraftTokens: z
    .array(count)
    .readonly()
    .default([])
    .describe("of a repetition, how many were to propose 0, 1, 2 … drafts; empty in older files"),
  tokensPerStep: z.number().describe("tokens after the first ÷ target steps"),
  rounds: z.object({
    count: count.describe("of a repetition"),
    byTokens: z.array(count).readonly().describe("how many added 1, 2, … K + 1 tokens to an answer"),
  }),
  msPerRound: z
    .object({ draft: figureSchema, verify: figureSchema, accept: figureSchema, rest: figureSchema })
    .describe("where a round's time goes"),
  timeToFirstTokenMs: figureSchema.describe("median of the prompts"),
  gapMs: z
    .object({ p50: figureSchema, p95: figureSchema, p99: figureSchema })
    .describe("from one arrival of tokens to the next; the tokens of a round arrive together"),
  peakMemoryBytes: count.describe("of arrays, weights included"),
  memoryRead: z
    .object({
      bytesPerToken: z.number(),
      bytesPerSecond: z.number(),
      share: share.describe("of the measured bandwidth"),
    })
    .describe("weights, keys and values that a token must read from memory, and how fast they were read"),
  conditions: z.object({
    loadAverage: z.number().describe("the largest, over a minute"),
    limitedMs: z
      .number()
      .nullable()
      .describe("without a processor, by a container's CPU limit; null: not known"),
    stolenMs: z.number().nullable().describe("processor time that other virtual machines took"),
    overheated: z.number().nullable().describe("times that a core was slowed down for its heat"),
  }),
  samples: z
    .array(
      z.object({
        repetition: count,
        promptTokensPerSecond: z.number(),
        decodeTokensPerSecond: z.number(),
        speedUp: z.number(),
      }),
    )
    .readonly()
    .describe("the raw values, a repetition each"),
});

const differenceSchema = z.object({
  ...group,
  prompt: count.describe("1, 2, … in its suite"),
  draftTokens: draftTokensSchema,
  position: count.describe("in the answer, from 0"),
  expected: count.nullable().describe("the token that had to come; null: the end of the answer"),
  found: count.nullable(),
  logits: z
    .object({
      alone: z.tuple([z.number(), z.number()]).readonly(),
      inBlock: z.tuple([z.number(), z.number()]).readonly(),
    })
    .nullable()
    .describe("the target's logits of both tokens there, in a row alone and in a block of up to K + 1 rows"),
});

export const VERDICTS = [
  "drafting pays",
  "drafting pays in part",
  "drafting does not pay",
  "too noisy to tell",
  "too few repetitions to tell",
  "plain decoding only",
  "nothing finished",
  "failed",
] as const;

const comparisonSchema = z.object({
  file: z.string(),
  date: z.string(),
  tolerance: z.number(),
  speedsJudged: z
    .boolean()
    .describe("false: the machine is another or in another state, only speed-ups are judged"),
  notes: z.array(z.string()).readonly(),
  figures: z
    .array(
      z.object({
        ...group,
        draftTokens: draftTokensSchema,
        figure: z.enum(["tok/s", "speed-up"]),
        before: z.number(),
        now: z.number(),
        change: z.number().describe("now ÷ before - 1"),
        probability: z
          .number()
          .nullable()
          .describe(
            "of values as low, were nothing different (Mann–Whitney, one-sided, exact); null: not judged",
          ),
        finding: z.enum(["regression", "improvement", "no change beyond the tolerance", "not judged"]),
      }),
    )
    .readonly(),
});

/** The whole of a bench. */
export const reportSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  about: z.object({
    date: z.string().describe("ISO 8601, of the beginning"),
    versions: z.object({ mlxGemma: z.string(), mlx: z.string(), node: z.string() }),
    platform: z.string(),
    cpu: z.string(),
    cores: count,
    device: z.string(),
    kernels: z.string(),
    memoryBytes: count,
    readBandwidth: z.number().describe("measured, bytes a second"),
  }),
  settings: z.object({
    model: z.string(),
    assistant: z.string().nullable(),
    dtype: z.string().nullable(),
    threads: count.describe("0: one for each physical core"),
    draftTokens: z.array(draftTokensSchema).readonly(),
    suites: z.array(z.string()).readonly(),
    contexts: z.array(count).readonly(),
    samplings: z.array(z.string()).readonly(),
    maxTokens: count,
    repetitions: count,
  }),
  warnings: warningsSchema.default([]).describe("of the pair"),
  exact: z.enum(["by construction", "measured", "not exact"]),
  complete: z.boolean().describe("false: interrupted, or failed"),
  rows: z.array(rowSchema).readonly(),
  difference: differenceSchema
    .nullable()
    .describe("the first answer with other ids than it had to have: a failed bench"),
  verdict: z.object({
    kind: z.enum(VERDICTS),
    draftTokens: draftTokensSchema.nullable().describe("the best K; auto where no other drafted"),
    text: z.string(),
  }),
  comparison: comparisonSchema.nullable(),
});

export type Difference = z.infer<typeof differenceSchema>;
export type Figure = z.infer<typeof figureSchema>;
export type Finding = (typeof FINDINGS)[number];
export type Row = z.infer<typeof rowSchema>;
export type Verdict = z.infer<typeof reportSchema>["verdict"];
export type Comparison = z.infer<typeof comparisonSchema>;
export type Report = z.infer<typeof reportSchema>;
export type ReportAbout = Report["about"];
