import { expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { evaluate } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { readBandwidth } from "../../src/mlx/read-bandwidth.js";

it("the read bandwidth is one that a machine can have, and its matrix is gone afterwards", async () => {
  const before = addon().counters().liveArrays;
  const bytesPerSecond = await readBandwidth();
  expect(bytesPerSecond).toBeGreaterThan(1e8);
  expect(bytesPerSecond).toBeLessThan(1e13);
  expect(addon().counters().liveArrays).toBe(before);
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
