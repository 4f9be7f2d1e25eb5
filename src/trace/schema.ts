import { draftTokensSchema, reportSchema } from "../bench/report.js";
import * as z from "../zod.js";

// What `generate --trace` writes and `report` reads. A change that breaks readers raises VERSION.

export const FORMAT = "mlx-gemma trace";
export const VERSION = 1;

const count = z.int().nonnegative();
const ms = z.number().min(0);
const share = z.number().min(0).max(1);

const token = {
  id: count,
  text: z
    .string()
    .nullable()
    .describe(
      "of an answer's token what it adds, empty for a special one and while later ones may change it; null: no tokenizer",
    ),
  probability: share.describe(
    "the target's, after the tokens before it; where tokens are sampled after temperature and cuts, else at temperature 1",
  ),
  draftProbability: share.nullable().describe("the drafter's; null where it said nothing"),
};

export const OUTCOMES = ["accepted", "rejected", "dropped"] as const;

const draftSchema = z.object({
  ...token,
  place: count.describe("1 … K"),
  outcome: z
    .enum(OUTCOMES)
    .describe(
      "rejected: the first that was wrong; dropped: behind that one, or behind the end of the answer",
    ),
});

const roundSchema = z.object({
  position: count.describe("of the first token that the round decides; the prompt begins at 0"),
  startMs: ms.describe("from the beginning of the generation; loading excluded"),
  times: z
    .object({ draft: ms, verify: ms, accept: ms, rest: z.number() })
    .describe("milliseconds; of the first round verify is the whole of reading the prompt"),
  drafts: z.array(draftSchema).readonly().describe("accepted ones first"),
  own: z
    .object(token)
    .nullable()
    .describe("the target's own token behind the accepted drafts; null where the answer ended in them"),
});

export const stopReasonSchema = z.enum(["eos", "stop string", "max tokens", "context full", "aborted"]);

export const statsSchema = z.object({
  promptTokens: count,
  cachedPromptTokens: count,
  tokens: count,
  tokensPerSecond: z.number().min(0),
  promptTokensPerSecond: z.number().min(0),
  timeToFirstTokenMs: ms,
  targetSteps: count,
  proposed: count,
  accepted: count,
  acceptanceRate: share,
  acceptanceByPosition: z.array(share).readonly(),
  proposedByPosition: z.array(count).readonly().default([]),
  roundsByDraftTokens: z
    .array(count)
    .readonly()
    .default([])
    .describe("how many were to propose 0, 1, 2 … drafts"),
  tokensPerStep: z.number().min(0),
  draftTokens: draftTokensSchema,
  adaptive: z
    .object({
      costs: z.enum(["measured", "nominal"]).describe("nominal: given, so that a seed gives the same text"),
      msByDraftTokens: z
        .array(ms.nullable())
        .readonly()
        .describe("of a round by K; null: none of that K was measured"),
      speedUp: z
        .number()
        .min(0)
        .nullable()
        .describe("against plain decoding, from this process's own plain rounds; null: there were none"),
    })
    .nullable()
    .default(null)
    .describe("how auto chose K; null: K was fixed"),
  exact: reportSchema.shape.exact,
  times: z.object({ draft: ms, verify: ms, accept: ms, rest: z.number() }),
});

/** One generation, round by round. */
export const traceSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  about: reportSchema.shape.about.omit({ readBandwidth: true }),
  settings: z.object({
    model: z.string(),
    assistant: z.string().nullable(),
    dtype: z.string().nullable().describe("what weights were cast to; null: the checkpoint's own"),
    threads: count.describe("0: one for each physical core"),
    draftTokens: draftTokensSchema.describe("K"),
    maxTokens: count,
    temperature: z.number().describe("0: greedy"),
    topK: count,
    topP: z.number(),
    minP: z.number(),
    seed: count,
  }),
  prompt: z.object({
    text: z.string().nullable().describe("as it was given; null: ids were"),
    tokenIds: z.array(count).readonly(),
  }),
  answer: z.object({
    text: z.string(),
    stopReason: stopReasonSchema,
  }),
  stats: statsSchema.describe("as in --json"),
  rounds: z.array(roundSchema).readonly().describe("the first is the prompt's, which decides one token"),
});

export type Trace = z.infer<typeof traceSchema>;
export type TraceRound = Trace["rounds"][number];
export type TraceDraft = TraceRound["drafts"][number];
export type TraceToken = NonNullable<TraceRound["own"]>;
