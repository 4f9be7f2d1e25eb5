import { reportSchema as benchSchema } from "../bench/report.js";
import { inspection } from "../inspect/schema.js";
import { statsSchema, stopReasonSchema } from "../trace/schema.js";
import { warningsSchema } from "../warning-schema.js";
import * as z from "../zod.js";
import { reportSchema as doctorSchema } from "./doctor/report.js";

// What `--json` prints, by command. Types of what is printed are inferred from here; nothing but tests and the maker of
// docs/schemas loads it when it runs. A key less, or one that means something else, is a breaking change.

const count = z.int().nonnegative();
const share = z.number().min(0).max(1);
const ids = z.array(count).readonly();
const texts = z.array(z.string()).readonly();
const kind = z.enum(["target", "assistant"]);

const answer = {
  text: z.string(),
  tokenIds: ids.describe("of the answer, the end-of-sequence token included"),
  stopReason: stopReasonSchema,
  stats: statsSchema,
};

const generate = z.strictObject({
  ...answer,
  promptTokenIds: ids,
  assistant: z
    .strictObject({ folder: z.string(), why: z.string() })
    .optional()
    .describe("which one --draft assistant took"),
  warnings: warningsSchema,
});

const chat = z
  .strictObject({
    ...answer,
    thoughts: z.string(),
    dropped: count.describe("messages that were left out, since the context is full"),
    warnings: warningsSchema,
  })
  .describe("one for each answer");

const snapshot = z.strictObject({
  id: z.string(),
  revision: z.string(),
  commit: z.string(),
  folder: z.string(),
  downloaded: count.describe("bytes that came over the network; 0: all was in the cache"),
});

const pull = z.strictObject({ target: snapshot, assistant: snapshot.optional().describe("with --draft") });

const byFormat = { bf16: count, fourBit: count };

const models = z.strictObject({
  cache: z.string().describe("its folder"),
  cached: z
    .array(
      z.strictObject({
        id: z.string(),
        revisions: texts,
        commit: z.string(),
        folder: z.string(),
        bytes: count,
        kind,
        modelType: z.string(),
        format: z.string().nullable().describe("4 bit, bfloat16 …; null: the config does not say"),
        assistant: z
          .string()
          .nullable()
          .describe("of a target: the one in the cache that --draft assistant takes"),
        missing: texts.describe("needed files that are not there"),
      }),
    )
    .readonly(),
  embedded: z.array(z.strictObject({ kind, folder: z.string(), bytes: count })).readonly(),
  known: z
    .array(
      z.strictObject({
        size: z.string(),
        target: z.string(),
        assistant: z.string(),
        parameters: count,
        bytes: z.strictObject(byFormat).describe("of the text model"),
        memory: z
          .strictObject({ ...byFormat, context: count })
          .describe("bytes of weights, and of keys and values of `context` positions"),
      }),
    )
    .readonly()
    .describe("published pairs"),
});

const remove = z.strictObject({
  id: z.string(),
  revision: z.string().nullable().describe("null: all of them"),
  bytes: count.describe("that are free now, or would be"),
  removed: z.boolean().describe("false: the question was answered with no"),
});

const quantize = z.strictObject({
  kind,
  source: z.string(),
  output: z.string(),
  quantization: z.strictObject({ groupSize: count, bits: count, mode: z.string() }),
  mixed: z.string().optional(),
  modules: z.record(z.string(), count).describe("by how they are packed"),
  parameters: count,
  bitsPerWeight: z.number(),
  bitsPerWeightBefore: z.number(),
  bytes: count,
  bytesBefore: count,
  shards: count,
  notes: texts,
  change: z
    .strictObject({
      positions: count,
      kl: z.number().describe("nats, mean over positions"),
      maxDifference: z.number().describe("of one token's logits"),
      topAgreement: share.describe("positions whose likeliest token is the same"),
      shared: share.describe("candidates that both have; 1 unless a centroid head picked them"),
    })
    .optional()
    .describe("how the logits changed; absent: they were not compared"),
});

const report = z.strictObject({
  kind: z.enum(["bench", "generation"]).describe("what was saved"),
  html: z.string().nullable().describe("the file that the page was written to"),
  page: z.string().nullable().describe("the page, where no file was asked for"),
});

const completion = z.strictObject({ shell: z.enum(["bash", "zsh", "fish"]), script: z.string() });

const printConfig = z.strictObject({
  command: z.string(),
  file: z.string().nullable().describe("mlx-gemma.json"),
  options: z
    .array(
      z.strictObject({
        name: z.string(),
        value: z.unknown().describe("null: not set"),
        source: z.enum(["flag", "environment", "file", "implied", "default"]),
        from: z.string().nullable().describe("the variable, or the file with its key"),
      }),
    )
    .readonly(),
});

/** By a command's path; `--print-config --json` of every command is `print-config`. */
export const JSON_SCHEMAS = {
  generate,
  chat,
  bench: benchSchema,
  report,
  pull,
  models,
  "models rm": remove,
  quantize,
  "inspect-weights": inspection,
  doctor: doctorSchema,
  completion,
  "print-config": printConfig,
};

export type JsonCommand = keyof typeof JSON_SCHEMAS;

/** What `--json` of a command prints. */
export type JsonOf<Command extends JsonCommand> = z.infer<(typeof JSON_SCHEMAS)[Command]>;
