import { warningsSchema } from "../warning-schema.js";
import * as z from "../zod.js";

// The JSON of `mlx-gemma inspect-weights --json`. Types of this folder are inferred from here; nothing but tests and
// the maker of docs/inspect-weights.schema.json loads it when it runs.

const count = z.int().nonnegative();
const bytes = count.describe("bytes");
const shape = z.array(count);
const number = z
  .number()
  .nullable()
  .describe("null: not a finite number, or there is nothing to compute it from");

const checkpoint = z
  .object({
    name: z.string().describe("path of the folder, or org/name[@revision]"),
    folder: z.string().nullable().describe("null: read on the hub"),
    commit: z.string().nullable().describe("of a repository on the hub"),
    bytes: bytes.describe("of all files of weights that are there"),
    shards: z.array(z.object({ name: z.string(), bytes: bytes.nullable().describe("null: not there") })),
  })
  .describe("what was read");

const layer = z.object({
  type: z.enum(["sliding_attention", "full_attention"]),
  headDim: count,
  numKvHeads: count,
  intermediateSize: count,
  kvSource: count
    .nullable()
    .describe("the layer whose K/V it reads, itself for a producer; null: the target's, of its type"),
});

const model = z.object({
  kind: z.enum(["target", "assistant"]),
  modelType: z.string(),
  dtype: z.string().describe("what the model computes in"),
  quantization: z.array(
    z
      .object({ bits: count, groupSize: count, mode: z.string(), modules: count })
      .describe("one way of packing"),
  ),
  hiddenSize: count,
  vocabSize: count,
  numHeads: count.describe("query heads"),
  layers: z.array(layer),
  slidingWindow: count,
  maxPositionEmbeddings: count.nullable().describe("null for an assistant: its target's"),
  hiddenSizePerLayerInput: count.describe("0: no per-layer inputs"),
  experts: z.object({ count, topK: count, intermediateSize: count }).nullable(),
  backboneHiddenSize: count.nullable().describe("of an assistant: hidden_size of its target"),
  head: z.object({
    type: z.enum(["tied", "dense", "centroid"]).describe("tied: a target's; dense, centroid: an assistant's"),
    numCentroids: count.nullable(),
    topK: count.nullable().describe("clusters that a step scores"),
    candidates: count.nullable().describe("tokens that a step scores"),
  }),
  tensorsPerLayer: z.array(count).describe("tensors of each layer in the plan; packed ones count once"),
});

const part = z.object({
  part: z.string(),
  tensors: count.describe("packed ones count once"),
  parameters: count,
  bytes,
  bitsPerParameter: number,
});

const atContext = z.object({
  context: count.describe("positions"),
  kvCacheBytes: bytes,
  memoryBytes: bytes.describe("weights and K/V cache"),
  bytesPerToken: bytes.describe("read for one step of one token"),
  readLimit: z.number().describe("steps a second at the bandwidth, were nothing but reading to take time"),
});

const summary = z.object({
  view: z.literal("summary"),
  checkpoint,
  model,
  parts: z.array(part),
  parameters: z.object({
    total: count.describe("of the model alone: what is not loaded is not counted"),
    effective: count.describe("without the table of per-layer embeddings, of which a token reads one row"),
    active: count.describe("effective, with no more experts than a token uses"),
  }),
  weightBytes: bytes.describe("of the model's tensors"),
  bandwidth: z.number().describe("bytes a second"),
  contexts: z.array(atContext),
  findings: count.describe("flaws of the headers; --check lists them"),
});

const tensor = z.object({
  name: z.string(),
  shape,
  dtype: z.string(),
  bytes,
  shard: z.string(),
  offset: bytes.describe("of the first byte, from the beginning of the file"),
});

const tensors = z.object({
  view: z.literal("tensors"),
  checkpoint,
  tensors: z.array(tensor),
  absent: z.array(z.string()).describe("named by the index, in shards that are not there"),
});

/** A node of the tree of names. */
export interface TreeNode {
  /** Part of the name between two dots; of several layers alike, their numbers: `0-4, 6-10`. */
  readonly name: string;
  /** How many siblings it stands for. */
  readonly times: number;
  /** Of all that it stands for. */
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
  /** A leaf's. */
  readonly shape: number[] | null;
  readonly dtype: string | null;
  readonly children: TreeNode[];
}

const treeNode: z.ZodType<TreeNode> = z.lazy(() =>
  z.object({
    name: z.string(),
    times: count,
    tensors: count,
    parameters: count,
    bytes,
    shape: shape.nullable(),
    dtype: z.string().nullable(),
    children: z.array(treeNode),
  }),
);

const tree = z.object({ view: z.literal("tree"), checkpoint, tree: z.array(treeNode) });

const channels = z
  .object({
    axis: z.enum(["input", "output"]).describe("input: columns of a weight (out, in); output: its rows"),
    outliers: count.describe("channels whose root mean square is more than 6 times the median channel's"),
    largest: z
      .array(z.object({ channel: count, ratio: z.number() }))
      .describe("at most 8, the largest first"),
  })
  .describe("outlier channels");

const histogram = z.object({
  low: z.number(),
  high: z.number(),
  bins: z.array(count).describe("of equal width from low to high"),
  below: count,
  above: count,
});

const valueStats = z.object({
  name: z.string(),
  shape: shape.describe("of the values, packed or not"),
  dtype: z.string(),
  values: count,
  min: number,
  max: number,
  mean: number,
  std: number,
  zeros: count,
  nan: count,
  inf: count,
  channels: z.array(channels),
  histogram: histogram.nullable(),
});

const stats = z.object({ view: z.literal("stats"), checkpoint, stats: z.array(valueStats) });

const finding = z.object({
  code: z.string().describe("as errors have: checkpoint, unsupported, usage"),
  message: z.string(),
});

const check = z.object({
  view: z.literal("check"),
  checkpoint,
  findings: z.array(finding),
  notes: z.array(z.string()).describe("odd, but no flaw"),
  valuesRead: z.boolean().describe("whether NaN and infinity were looked for"),
});

const rule = z.object({
  what: z.string(),
  target: z.string(),
  assistant: z.string(),
  key: z.string().describe("of the assistant's config.json"),
  fits: z.boolean(),
});

const pair = z.object({
  view: z.literal("pair"),
  checkpoint,
  assistant: checkpoint,
  fits: z.boolean(),
  rules: z.array(rule),
  warnings: warningsSchema,
});

const side = z.object({ name: z.string(), shape, dtype: z.string(), bytes }).nullable();

const error = z.object({
  values: count,
  unequal: count.describe("values that differ; NaN equals NaN"),
  maxAbs: number.describe("largest difference"),
  rmse: number.describe("root of the mean squared difference"),
  relative: number.describe("norm of the difference / norm of the checkpoint's values"),
  sqnr: number.describe("signal to quantization noise, dB; null: no noise"),
  cosine: number,
  notFinite: count.describe("places where either side is NaN or infinite; left out of the figures above"),
});

const difference = z.object({
  name: z.string().describe("without what packagings put in front; experts by gate, up and down"),
  status: z.enum(["same", "missing", "added", "shape", "dtype"]).describe("missing: the other has none"),
  checkpoint: side,
  other: side,
  error: error.nullable().describe("with --stats, of what both have in one shape"),
});

const diff = z.object({
  view: z.literal("diff"),
  checkpoint,
  other: checkpoint,
  differences: z.array(difference).describe("all tensors, equal ones too"),
});

/** What `inspect-weights --json` prints: one object, by its view. */
export const inspection = z.discriminatedUnion("view", [summary, tensors, tree, stats, check, pair, diff]);

export type Inspection = z.infer<typeof inspection>;
export type View = Inspection["view"];
export type CheckpointFacts = z.infer<typeof checkpoint>;
export type Summary = z.infer<typeof summary>;
export type ModelFacts = z.infer<typeof model>;
export type Part = z.infer<typeof part>;
export type AtContext = z.infer<typeof atContext>;
export type TensorsView = z.infer<typeof tensors>;
export type TreeView = z.infer<typeof tree>;
export type StatsView = z.infer<typeof stats>;
export type ValueStats = z.infer<typeof valueStats>;
export type Channels = z.infer<typeof channels>;
export type Histogram = z.infer<typeof histogram>;
export type CheckView = z.infer<typeof check>;
export type PairView = z.infer<typeof pair>;
export type DiffView = z.infer<typeof diff>;
export type Difference = z.infer<typeof difference>;
export type ValueError = z.infer<typeof error>;
