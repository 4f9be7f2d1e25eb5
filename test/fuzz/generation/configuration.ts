import fc from "fast-check";
import { DTYPES, type DtypeName } from "../../../src/options.js";
import { GREEDY } from "../../../src/speculative/sampling.js";

/** Traits of a family of models: those of E2B and E4B, of the 31B, of the 26B-A4B, of the 12B. */
export const FAMILIES = ["dense", "e-style", "moe", "unified"] as const;

/** How weights are packed, by name. */
export const PACKINGS = {
  plain: undefined,
  "affine 2": { bits: 2, groupSize: 32, mode: "affine" },
  "affine 3": { bits: 3, groupSize: 32, mode: "affine" },
  "affine 4": { bits: 4, groupSize: 32, mode: "affine" },
  "affine 5": { bits: 5, groupSize: 32, mode: "affine" },
  "affine 6": { bits: 6, groupSize: 32, mode: "affine" },
  "affine 8": { bits: 8, groupSize: 32, mode: "affine" },
  mxfp4: { bits: 4, groupSize: 32, mode: "mxfp4" },
  mxfp8: { bits: 8, groupSize: 32, mode: "mxfp8" },
  nvfp4: { bits: 4, groupSize: 16, mode: "nvfp4" },
} as const;
export type PackingName = keyof typeof PACKINGS;
export const PACKING_NAMES = Object.keys(PACKINGS).filter((name): name is PackingName => name in PACKINGS);

/** A model in numbers; `model.ts` makes the config.json of both parts of it. */
const models = fc.record({
  family: fc.constantFrom(...FAMILIES),
  /** A text model, the multimodal container of the reference, or a conversion of MLX (always so where packed). */
  packaging: fc.constantFrom("text", "container", "mlx"),
  configForm: fc.constantFrom("published", "per layer"),
  /** Layers with K/V of their own: s sliding, f full. The model's last layer is full in any case. */
  producers: fc.array(fc.constantFrom("f", "s"), { minLength: 1, maxLength: 4 }),
  /** Layers of the E-style that read them; of types that are there. */
  shared: fc.array(fc.constantFrom("f", "s"), { maxLength: 2 }),
  hidden: fc.constantFrom(32, 64),
  intermediate: fc.constantFrom(32, 64),
  heads: fc.constantFrom(2, 4),
  kvHeads: fc.constantFrom(1, 2),
  globalKvHeads: fc.constantFrom(1, 2),
  headDim: fc.constantFrom(16, 32),
  globalHeadDim: fc.constantFrom(16, 32, 64),
  keyEqualsValue: fc.boolean(),
  perLayerInput: fc.constantFrom(8, 32),
  doubleWide: fc.boolean(),
  topExperts: fc.integer({ min: 1, max: 3 }),
  softcap: fc.boolean(),
  ropeGiven: fc.boolean(),
  window: fc.integer({ min: 4, max: 64 }),
  /** Types that the target does not produce are left out. */
  assistantLayers: fc.array(fc.constantFrom("f", "s"), { minLength: 1, maxLength: 4 }),
  head: fc.constantFrom("dense", "centroid"),
  packing: fc.oneof(
    { weight: 1, arbitrary: fc.constant<PackingName>("plain") },
    { weight: 2, arbitrary: fc.constantFrom(...PACKING_NAMES) },
  ),
  packAssistant: fc.boolean(),
  weights: fc.nat(0xffff),
});
export type ModelShape = typeof models extends fc.Arbitrary<infer T> ? T : never;

/** What is generated on it. */
const generations = fc.record({
  dtype: fc.constantFrom(...DTYPES.toReversed()),
  threads: fc.constantFrom(1, 1, 1, 2),
  draftTokens: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 15 }) },
    { weight: 1, arbitrary: fc.constant("auto" as const) },
  ),
  chunkSize: fc.integer({ min: 1, max: 70 }),
  /** Tokens: so many windows or chunks, and a few more or less; at least one. */
  prompt: fc.record({
    unit: fc.constantFrom("window", "chunk"),
    times: fc.integer({ min: 0, max: 3 }),
    offset: fc.integer({ min: -2, max: 2 }),
    seed: fc.nat(0xffff),
  }),
  maxTokens: fc.integer({ min: 1, max: 64 }),
  /** What ends the answer, besides `maxTokens`. */
  end: fc.constantFrom("max tokens", "eos", "stop string", "context full"),
  /** Where it does, as a share of the plain answer in percent. */
  endAt: fc.integer({ min: 0, max: 99 }),
  /** Of a hundred of the oracle's drafts so many are wrong. */
  noise: fc.constantFrom(0, 5, 10, 20, 40, 100),
  /** In the K/V cache before: nothing, the same prompt, or one that parts from it on the way. */
  cache: fc.constantFrom("none", "same", "parting"),
  trace: fc.boolean(),
  /** `one token`: sampling of which one token is left, so that it is greedy. */
  sampling: fc.oneof(
    { weight: 4, arbitrary: fc.constant("greedy") },
    { weight: 1, arbitrary: fc.constantFrom("one token", "sampled") },
  ),
});
export type GenerationShape = typeof generations extends fc.Arbitrary<infer T> ? T : never;

/** One case: what is written to disk and what is asked of it. JSON holds it. */
export interface Configuration {
  readonly model: ModelShape;
  readonly run: GenerationShape;
}

/** All of them; shrinks towards plain weights, few layers, few tokens, K = 1. */
export const configurations: fc.Arbitrary<Configuration> = fc.record({ model: models, run: generations });

/** Tokens of the prompt. */
export function promptLength({ model, run }: Configuration): number {
  const { unit, times, offset } = run.prompt;
  return Math.max(1, (unit === "window" ? model.window : run.chunkSize) * times + offset);
}

/** Chunks of a prompt at most; every chunk is an evaluation. */
const CHUNKS = 12;

/** Tokens of a chunk: as asked for, or more where the prompt would have too many chunks. */
export function chunkSizeOf(configuration: Configuration): number {
  return Math.max(configuration.run.chunkSize, Math.ceil(promptLength(configuration) / CHUNKS));
}

/** What runs: where one token shall be left it is float32, for in fewer bits equal logits stay together. */
export function dtypeOf({ run }: Configuration): DtypeName {
  return run.sampling === "one token" ? "f32" : run.dtype;
}

/** Sampling options of a run. */
export function samplingOf({ run }: Configuration) {
  switch (run.sampling) {
    case "one token":
      return { ...GREEDY, temperature: 1.5, topK: 1, seed: run.prompt.seed };
    case "sampled":
      return { ...GREEDY, temperature: 0.8, topK: 40, topP: 0.95, minP: 0.02, seed: run.prompt.seed };
    default:
      return GREEDY;
  }
}
