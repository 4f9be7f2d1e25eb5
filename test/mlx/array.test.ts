import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromInt32, type MlxArray, readFloat32, readInt32, scope } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { collectGarbage, floats, ints, liveArrays, numbers, settledArrays, thrown } from "./helpers.js";

describe("an array", () => {
  it("has a shape, a dtype and bytes, until it is disposed", () => {
    const array = ops.zeros([2, 3], "bfloat16");
    expect([array.shape, array.dtype, array.nbytes, array.disposed]).toEqual([[2, 3], "bfloat16", 12, false]);
    array.dispose();
    array.dispose();
    expect(array.disposed).toBe(true);
    expect(thrown(() => array.shape)).toMatchObject({ message: "the array is disposed" });
    expect(thrown(() => ops.exp(array))).toMatchObject({ code: "disposed" });
    expect(thrown(() => readFloat32(array))).toMatchObject({ code: "disposed" });
  });

  it("keeps what a graph needs after its handle is gone", async () => {
    const a = floats([1, 2, 3]);
    const b = ops.add(a, a);
    a.dispose();
    expect(await numbers(b)).toEqual([2, 4, 6]);
  });

  it("is copied out of JavaScript when it is made", async () => {
    const values = Int32Array.of(1, 2);
    const array = fromInt32(values, [2]);
    values[0] = 9;
    expect(await numbers(array)).toEqual([1, 2]);
  });

  it.each([
    ["a plain object", {}],
    ["a number", 5],
    ["nothing", undefined],
  ])("is not %s", (_, value) => {
    const add = addon().ops.add as (a: unknown, b: unknown) => MlxArray;
    expect(() => add(ops.zeros([1], "float32"), value)).toThrow("expected an array of this addon");
  });

  it("is never made by JavaScript itself", () => {
    const NativeArray = ops.zeros([1], "float32").constructor as new () => MlxArray;
    expect(() => ops.exp(new NativeArray())).toThrow("disposed");
  });

  it("of the wrong length or type is refused", () => {
    expect(thrown(() => ints([1, 2, 3], [2]))).toMatchObject({ code: "native", message: /shape and length/ });
    expect(() => addon().fromInt32(new Float32Array(2) as unknown as Int32Array, [2])).toThrow("typed array");
  });
});

describe("reading values", () => {
  it("wants an evaluated array of that dtype", async () => {
    const lazy = ops.add(floats([1]), floats([2]));
    expect(thrown(() => readFloat32(lazy))).toMatchObject({ code: "native", message: /not evaluated/ });
    expect(thrown(() => readInt32(lazy))).toMatchObject({ code: "native", message: /another dtype/ });
    await evaluate([[lazy]]);
    expect(readFloat32(lazy)).toEqual(Float32Array.of(3));
  });

  it("is in row order, whatever the strides", async () => {
    const matrix = floats([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await numbers(ops.slice(matrix, [0, 1], [2, 3]))).toEqual([2, 3, 5, 6]);
  });

  it("is counted, and so is evaluating", async () => {
    const before = addon().counters();
    const array = ops.add(ints([1]), ints([2]));
    await evaluate([[array], []]);
    readInt32(array);
    const after = addon().counters();
    expect(after.readbacks - before.readbacks).toBe(1);
    expect(after.evaluations - before.evaluations).toBe(1);
  });
});

describe("evaluating", () => {
  it("gives each stage's milliseconds", async () => {
    const big = ops.zeros([400, 400], "float32");
    const took = await evaluate([[ops.linear(big, big)], [], [ops.exp(big)]]);
    expect(took).toHaveLength(3);
    for (const milliseconds of took) expect(milliseconds).toBeGreaterThanOrEqual(0);
  });

  it("leaves the JavaScript thread free", async () => {
    let x = ops.zeros([500, 500], "float32");
    for (let i = 0; i < 8; i++) x = ops.linear(x, x);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await evaluate([[x]]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it("passes MLX's errors on", async () => {
    expect(thrown(() => ops.add(floats([1, 2]), floats([1, 2, 3])))).toMatchObject({
      code: "native",
      message: /^MLX: .*broadcast/,
    });
    expect(() => addon().evaluate([[{}]] as unknown as MlxArray[][])).toThrow("expected an array");
  });

  it("survives that arrays go while it runs", async () => {
    for (let round = 0; round < 20; round++) {
      const parts = scope(() => {
        const nodes = [ops.zeros([64, 64], "float32")];
        for (let i = 0; i < 200; i++)
          nodes.push(ops.add(nodes[i] ?? ops.zeros([1], "float32"), ops.scalar(1, "float32")));
        return nodes;
      });
      const last = parts.at(-1);
      if (!last) throw new Error("no node");
      const running = evaluate([[last]]);
      for (const part of parts) if (part !== last) part.dispose();
      await running;
      expect(readFloat32(last)[0]).toBe(200);
      last.dispose();
    }
  });
});

describe("a scope", () => {
  it("disposes all but what it returns", async () => {
    const seen: MlxArray[] = [];
    const make = () => {
      const array = ops.zeros([1], "float32");
      seen.push(array);
      return array;
    };
    const before = await settledArrays();
    const kept = scope(() => {
      make();
      const [a, b, c] = [make(), make(), make()];
      make();
      return { a, list: [b, { c }], text: "x", nothing: null, bare: Object.create(null) };
    });
    expect(seen.map(({ disposed }) => disposed)).toEqual([true, false, false, false, true]);
    expect(liveArrays() - before).toBe(3);
    kept.a.dispose();
  });

  it("hands what it returns to the scope around", () => {
    let inner: MlxArray | undefined;
    let outer: MlxArray | undefined;
    const result = scope(() => {
      inner = scope(() => ops.zeros([1], "float32"));
      outer = scope(() => ops.zeros([1], "float32"));
      return outer;
    });
    expect(inner?.disposed).toBe(true);
    expect(result).toBe(outer);
    expect(outer?.disposed).toBe(false);
    outer?.dispose();
  });

  it("disposes all when it throws, and closes", async () => {
    const before = await settledArrays();
    expect(() =>
      scope(() => {
        ops.zeros([1], "float32");
        throw new Error("x");
      }),
    ).toThrow("x");
    expect(liveArrays()).toBe(before);
    const after = ops.zeros([1], "float32");
    expect(after.disposed).toBe(false);
    after.dispose();
  });

  it("leaves arrays from outside alone", () => {
    const outside = ops.zeros([1], "float32");
    scope(() => ops.exp(outside));
    expect(outside.disposed).toBe(false);
    outside.dispose();
  });
});

describe("memory", () => {
  it("is given back by scopes", async () => {
    const before = await settledArrays();
    for (let i = 0; i < 50; i++) {
      const table = scope(() => ops.reshape(ops.exp(ops.zeros([100], "float32")), [10, 10]));
      await evaluate([[table]]);
      table.dispose();
    }
    expect(liveArrays()).toBe(before);
  });

  it("is given back by the garbage collector", async () => {
    const before = await settledArrays();
    for (let i = 0; i < 500; i++) ops.zeros([100], "float32");
    expect(liveArrays()).toBeGreaterThan(before + 100);
    await collectGarbage(() => liveArrays() <= before);
    expect(liveArrays()).toBeLessThanOrEqual(before);
  });

  it("is told to V8, which collects large arrays sooner than small ones", async () => {
    const most = async (size: number) => {
      const before = await settledArrays();
      let peak = 0;
      for (let i = 0; i < 1000; i++) {
        ops.zeros([size], "float32"); // Lazy: no memory is taken.
        peak = Math.max(peak, liveArrays() - before);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await collectGarbage(() => liveArrays() <= before);
      return peak;
    };
    expect(await most(1)).toBeGreaterThan(2 * (await most(1 << 24)));
  });

  it("does not pile up while evaluations overlap", async () => {
    const bytes = 1 << 20;
    let peak = 0;
    const before = addon().memory().active;
    const generation = async () => {
      for (let step = 0; step < 60; step++) {
        const last = scope(() =>
          ops.exp(ops.add(ops.zeros([bytes / 4], "float32"), ops.scalar(step, "float32"))),
        );
        await evaluate([[last]]);
        peak = Math.max(peak, addon().memory().active - before);
        last.dispose();
      }
    };
    await Promise.all([generation(), generation(), generation()]);
    expect(peak).toBeLessThan(20 * bytes);
    expect(addon().memory().active - before).toBeLessThan(bytes);
  });
});
