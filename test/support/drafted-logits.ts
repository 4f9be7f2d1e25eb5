import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { openTarget } from "../../src/checkpoint/index.js";
import { addon } from "../../src/mlx/addon.js";
import { MAX_DRAFT_TOKENS } from "../../src/options.js";
import { Gemma4Target } from "../../src/target/gemma4-target.js";
import type { TargetSession } from "../../src/target/target.js";
import { GOLDEN, PAIR, quantized } from "../quantize/helpers.js";
import { distance, randoms, type StepValues, sameBits, stepOn, stepValues } from "../target/helpers.js";
import { withReversedMlp } from "./reversed-mlp.js";

const FAMILIES = {
  "dense-k-eq-v": `${GOLDEN}/dense-k-eq-v/target`,
  "e-style": `${GOLDEN}/e-style/target`,
  moe: `${GOLDEN}/moe/target`,
  unified: `${GOLDEN}/unified/target`,
  // Large enough that kernels share their work among threads.
  embedded: `${PAIR}/target`,
} as const;

const PACKINGS = {
  plain: undefined,
  "affine 2": { bits: 2, groupSize: 32 },
  "affine 3": { bits: 3, groupSize: 32 },
  "affine 4": { bits: 4, groupSize: 32 },
  "affine 5": { bits: 5, groupSize: 32 },
  "affine 6": { bits: 6, groupSize: 32 },
  "affine 8": { bits: 8, groupSize: 32 },
  mxfp4: { mode: "mxfp4" },
  mxfp8: { mode: "mxfp8" },
  nvfp4: { mode: "nvfp4" },
} as const;

const PROMPTS = {
  "1 token": () => 1,
  "window - 1": (window: number) => window - 1,
  window: (window: number) => window,
  "window + 1": (window: number) => window + 1,
  "2 windows + 3": (window: number) => 2 * window + 3,
  // Cache buffers hold 256 positions at first: the steps after it move them.
  "a buffer": () => 250,
} as const;

const AXES = {
  family: keys(FAMILIES),
  dtype: ["bfloat16", "float16", "float32"],
  packing: keys(PACKINGS),
  drafts: Array.from({ length: MAX_DRAFT_TOKENS }, (_, i) => i + 1),
  threads: [1, 2, 3, 4],
  chunkSize: [1, 3, 16, 64, 512],
  prompt: keys(PROMPTS),
} as const;

/** Blocks of a run; all but the last have rejected drafts at their end, as chance will have it. */
const BLOCKS = 3;
/** Examples; MLX's own operations are slow on a CPU. */
const runsOn = (isa: string) => Number(process.env.FC_RUNS ?? (isa === "mlx" ? everyValue.length : 60));

const folders = new Map<string, Promise<string>>();

const cases = fc.record({
  family: fc.constantFrom(...AXES.family),
  dtype: fc.constantFrom(...AXES.dtype),
  packing: fc.constantFrom(...AXES.packing),
  drafts: fc.constantFrom(...AXES.drafts),
  threads: fc.constantFrom(...AXES.threads),
  chunkSize: fc.constantFrom(...AXES.chunkSize),
  prompt: fc.constantFrom(...AXES.prompt),
  /** Of the token ids, and of how much of each block is kept. */
  seed: fc.nat(),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** As many as the longest axis has values: together they have every value of every axis. */
const everyValue = AXES.drafts.map(
  (drafts, i): Case => ({
    family: around(AXES.family, i),
    dtype: around(AXES.dtype, i),
    packing: around(AXES.packing, i),
    drafts,
    threads: around(AXES.threads, i),
    chunkSize: around(AXES.chunkSize, i),
    prompt: around(AXES.prompt, i),
    seed: i,
  }),
);

/**
 * The law of the CPU kernels on whole models: logits of a block of K + 1 rows are, bit for bit, those of the same rows one
 * by one. Where MLX's own operations run, steps of fixed size make it so; there a prompt's logits depend on its chunks, so
 * both sides have the same. An instruction set a file, for the addon chooses it once. `FC_RUNS=3000 npx vitest run test/drafted-logits`
 * draws more examples.
 *
 * @param isa what MLX_GEMMA_ISA names; nothing runs where the processor has none of it
 */
export function describeDraftedLogits(isa: "amx" | "avx512" | "avx2" | "scalar" | "mlx"): void {
  const runs = runsOn(isa);
  const timeout = runs * (isa === "mlx" ? 40_000 : 10_000);
  describe.runIf(canRun(isa))(`drafted logits on ${isa}`, () => {
    afterAll(() => addon().setThreads(0));

    it(`equal plain logits bit for bit, ${runs} examples`, { timeout }, async () => {
      const seen: Case[] = [];
      await fc.assert(
        fc.asyncProperty(cases, async (one) => {
          // MLX's nvfp4 wants rows whose number of groups is a multiple of 4: those of this family have 10.
          fc.pre(isa !== "mlx" || one.packing !== "nvfp4" || one.family !== "dense-k-eq-v");
          seen.push(one);
          using target = await load(await folderOf(one), one);
          expect(await firstDifference(target, target, one)).toBeUndefined();
        }),
        { numRuns: runs, examples: everyValue.map((one) => [one]) },
      );
      for (const axis of keys(AXES)) {
        expect(new Set(seen.map((one) => one[axis])), `values of ${axis}`).toEqual(
          new Set<unknown>(AXES[axis]),
        );
      }
    });

    // Blocks on a target that is the same but for the order in which one product of one layer is summed.
    it.each(AXES.family)(
      "differ where a block adds up in another order (negative control): %s",
      async (family) => {
        const one: Case = {
          family,
          dtype: "float32", // where no rounding at the end hides a sum's last bits
          packing: "plain",
          drafts: 3,
          threads: 2,
          chunkSize: 512,
          prompt: "window + 1",
          seed: 1,
        };
        using plain = await load(FAMILIES[family], one);
        using reordered = await load(withReversedMlp(FAMILIES[family]), one);
        expect(await firstDifference(plain, reordered, one)).toMatch(/^row . of the block .* has other bits/);
        const ids = tokenIds(plain.target.vocabSize, 20, one.seed);
        const [expected, found] = await Promise.all(
          [plain, reordered].map(({ target }) => stepOn(target.openSession(20), ids)),
        );
        if (!expected || !found) throw new Error("no logits");
        expect(distance(found.logits.values, expected.logits.values)).toBeLessThan(1e-4);
      },
    );
  });
}

interface Loaded extends Disposable {
  readonly target: Gemma4Target;
  readonly window: number;
}

async function load(folder: string, { dtype }: Pick<Case, "dtype">): Promise<Loaded> {
  const checkpoint = openTarget(folder);
  const target = await Gemma4Target.load(checkpoint, { dtype });
  return {
    target,
    window: checkpoint.config.slidingWindow,
    [Symbol.dispose]: () => target[Symbol.dispose](),
  };
}

/** The family's checkpoint, packed once. */
function folderOf({ family, packing }: Case): Promise<string> {
  const how = PACKINGS[packing];
  if (!how) return Promise.resolve(FAMILIES[family]);
  const key = `${family} ${packing}`;
  const folder =
    folders.get(key) ?? quantized({ model: FAMILIES[family], ...how }).then(({ output }) => output);
  folders.set(key, folder);
  return folder;
}

/** Where blocks on `drafted` first give a row other bits than `plain` gives it alone, on one thread. */
async function firstDifference(plain: Loaded, drafted: Loaded, one: Case): Promise<string | undefined> {
  const { drafts, threads, chunkSize } = one;
  const { vocabSize } = plain.target;
  const random = randoms(one.seed);
  const kept = Array.from({ length: BLOCKS }, (_, i) =>
    i + 1 < BLOCKS ? 1 + random(drafts + 1) : drafts + 1,
  );
  const begin = PROMPTS[one.prompt](plain.window);
  const ids = tokenIds(vocabSize, begin + kept.reduce((sum, n) => sum + n, 0), one.seed);

  addon().setThreads(1);
  using single = plain.target.openSession(1);
  const chunk = addon().kernels() === "mlx" ? chunkSize : 512;
  const rows = [await prefilled(single, ids.slice(0, begin), chunk)];
  for (const id of ids.slice(begin)) rows.push(await stepOn(single, [id]));

  addon().setThreads(threads);
  using session = drafted.target.openSession(drafts + 1);
  const first = await prefilled(session, ids.slice(0, begin), chunkSize);
  for (const count of kept) {
    const { position } = session;
    const rejected = Array.from({ length: drafts + 1 - count }, () => random(vocabSize));
    const block = await stepOn(session, [...ids.slice(position, position + count), ...rejected]);
    session.keep(count);
    for (let row = 0; row < count; row++) {
      if (sameRow(block, row, rows[position - begin + 1 + row])) continue;
      return `row ${row} of the block at position ${position} has other bits`;
    }
  }
  return sameRow(first, 0, rows[0]) ? undefined : "the prompt's last row has other bits";
}

const prefilled = async (session: TargetSession, ids: readonly number[], chunkSize: number) =>
  stepValues(await session.prefill(Int32Array.from(ids), { chunkSize }));

function sameRow(block: StepValues, row: number, alone: StepValues | undefined): boolean {
  if (!alone) throw new Error(`there is no row ${row}`);
  return (["logits", "hidden"] as const).every((part) =>
    sameBits(block[part].rows(row, row + 1), alone[part].values),
  );
}

function tokenIds(vocabSize: number, count: number, seed: number): number[] {
  const random = randoms(seed + 1);
  return Array.from({ length: count }, () => random(vocabSize));
}

/** Chooses the instruction set; false where this device or processor has none of it. */
function canRun(isa: string): boolean {
  process.env.MLX_GEMMA_ISA = isa;
  try {
    return (addon().kernels() === "mlx") === (isa === "mlx");
  } catch (error) {
    if (String(error).includes("has no such instruction set")) return false;
    throw error;
  }
}

function keys<K extends string>(record: Readonly<Record<K, unknown>>): K[] {
  return Object.keys(record).filter((key): key is K => key in record);
}

function around<T>(values: readonly T[], i: number): T {
  const value = values[i % values.length];
  if (value === undefined) throw new Error("an axis without values");
  return value;
}
