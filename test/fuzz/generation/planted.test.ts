import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addon } from "../../../src/mlx/addon.js";
import { type Configuration, configurations } from "./configuration.js";
import { PLANTS } from "./planted.js";
import { Finding, type Judge, tryOut } from "./trial.js";

/** Cases in which a defect must have shown. */
const RUNS = 200;

/** Where the judge sits: not every case has every one. */
function before(judge: Judge): (configuration: Configuration) => Configuration {
  const greedy = { sampling: "greedy", trace: true } as const;
  return ({ model, run }) => {
    if (judge === "text") return { model, run };
    return { model, run: { ...run, ...greedy, ...(judge === "reference" ? { dtype: "f32" } : {}) } };
  };
}

describe.runIf(addon().kernels() !== "mlx")("the fuzzer finds (negative controls)", () => {
  it.each(PLANTS.map((plant) => [plant.defect, plant.place, plant.judge, plant] as const))(
    "that %s: %s (by its %s)",
    { timeout: 300_000 },
    async (_defect, _place, judge, plant) => {
      const details = await fc.check(
        fc.asyncProperty(configurations.map(before(judge)), async (configuration) => {
          await tryOut(configuration, plant);
        }),
        { numRuns: RUNS, endOnFailure: true },
      );
      expect(details.failed).toBe(true);
      expect(details.errorInstance).toBeInstanceOf(Finding);
      expect(details.errorInstance).toMatchObject({ judge });
    },
  );
});
