import { afterEach, expect, it, vi } from "vitest";
import { load } from "../src/load.js";
import { addon } from "../src/mlx/addon.js";

afterEach(() => vi.restoreAllMocks());

it("the number of threads stays as it is where none is asked for", async () => {
  const set = vi.spyOn(addon(), "setThreads");
  for (const options of [{ threads: 2 }, {}, { threads: undefined }, { threads: 0 }])
    (await load(options))[Symbol.dispose]();
  expect(set.mock.calls).toEqual([[2], [0]]);
});
