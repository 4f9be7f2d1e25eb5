import { expect, it, vi } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { evaluate } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { readBandwidth } from "../../src/mlx/read-bandwidth.js";

it("the read bandwidth is a large matrix's bytes by the time of the best pass, and the matrix is gone afterwards", async () => {
  const native = addon();
  const before = native.counters().liveArrays;
  const evaluateNow = native.evaluate;
  let bytes = 0;
  const passes: { took: number; wall: number }[] = [];
  const spy = vi.spyOn(native, "evaluate").mockImplementation(async (stages) => {
    const made = Math.max(...stages.flat().map(({ nbytes }) => nbytes));
    const begin = performance.now();
    const [took = Number.NaN] = await evaluateNow(stages);
    if (made > bytes)
      bytes = made; // the matrix
    else passes.push({ took, wall: performance.now() - begin });
    return Float64Array.of(took);
  });
  const bytesPerSecond = await readBandwidth();
  spy.mockRestore();
  expect(bytes).toBeGreaterThan(32 * 2 ** 20); // no cache of a core
  expect(passes).toHaveLength(8);
  expect(bytesPerSecond).toBeCloseTo(bytes / (Math.min(...passes.map(({ took }) => took)) / 1000), 0);
  for (const { took, wall } of passes) expect(took).toBeLessThanOrEqual(wall);
  // A pass that nothing held up is all reading.
  expect(Math.max(...passes.map(({ took, wall }) => took / wall))).toBeGreaterThan(0.5);
  expect(native.counters().liveArrays).toBe(before);
});

it("the peak begins anew after resetPeakMemory", async () => {
  const bytes = 64 * 2 ** 20;
  const array = ops.zeros([bytes / 4], "float32");
  await evaluate([[array]]);
  expect(addon().memory().peak).toBeGreaterThanOrEqual(bytes);
  array.dispose();
  addon().resetPeakMemory();
  const small = ops.zeros([4], "float32");
  await evaluate([[small]]);
  expect(addon().memory().peak).toBeLessThan(bytes);
  small.dispose();
});
