import { describe, expect, it } from "vitest";
import { addon } from "../../../src/mlx/addon.js";
import { campaign } from "./campaign.js";
import { FAMILIES, PACKING_NAMES } from "./configuration.js";

/** `npm run fuzz:generation -- --runs 10000` tries more. */
const RUNS = Number(process.env.FC_RUNS ?? 200);
const SEED = Number(process.env.FC_SEED ?? 20_261_124);

// On other devices ties may break otherwise.
const exact = addon().kernels() !== "mlx";

describe.runIf(exact)("whole generations on random pairs", () => {
  it(`drafted is plain, and every draft what it must be: ${RUNS} cases`, {
    timeout: RUNS * 5000,
  }, async () => {
    const { tally, failure } = await campaign({ runs: RUNS, seed: SEED });
    if (failure) {
      const smallest = JSON.stringify(failure.configuration);
      throw new Error(`${failure.message}\nnpm run fuzz:generation -- --case '${smallest}'`);
    }
    const values = (axis: string) => [...(tally.axes.get(axis)?.keys() ?? [])].sort();
    expect(values("family")).toEqual([...FAMILIES].sort());
    expect(values("packing")).toEqual([...PACKING_NAMES].sort());
    expect(values("dtype")).toEqual(["bf16", "f16", "f32"]);
    expect(values("K")).toHaveLength(16); // 1 to 15, and auto
    expect(values("ended")).toEqual(["context full", "eos", "max tokens", "stop string"]);
    // Blocks were kept whole, in part and not at all, and every judge had something to say.
    const { sums } = tally;
    expect(sums.accepted).toBeGreaterThan(3 * RUNS);
    expect(sums.partlyAccepted).toBeGreaterThan(RUNS / 4);
    expect(sums.cachedPromptTokens).toBeGreaterThan(RUNS);
    expect(sums.roundsDraftedAfresh).toBeGreaterThan(RUNS);
    expect(sums.rowsInFloat64).toBeGreaterThan(RUNS);
  });
});
