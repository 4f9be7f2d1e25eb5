import { describe, expect, it } from "vitest";
import { ITEM_SIZE } from "../../src/checkpoint/dtypes.js";
import type { TensorInfo } from "../../src/checkpoint/types.js";
import { indexOf, layOut } from "../../src/quantize/layout.js";
import type { Job, OutputTensor } from "../../src/quantize/plan.js";

/** A job with outputs of so many elements. */
function job(...outputs: readonly (readonly [string, OutputTensor["dtype"], number])[]): Job {
  const source: TensorInfo = { file: "f", dtype: "bfloat16", shape: [1], offset: 0, bytes: 2, stamp: "" };
  return {
    source,
    rows: { offset: 0, count: 1, period: 1, total: 1 },
    columns: 1,
    outputs: outputs.map(([name, dtype, size]) => ({
      name,
      dtype,
      shape: [size],
      bytes: size * ITEM_SIZE[dtype],
    })),
  };
}

describe("how tensors lie in files", () => {
  it("each at a multiple of its element's size, without holes", () => {
    const [shard] = layOut([
      job(["a", "uint8", 3]),
      job(["b", "bfloat16", 3]),
      job(["c", "uint32", 3]),
      job(["d", "int64", 1]),
    ]);
    const start = shard?.header.length ?? 0;
    expect(start % 8).toBe(0);
    const places = Object.fromEntries(
      [...(shard?.offsets ?? [])].map(([name, offset]) => [name, offset - start]),
    );
    expect(places).toEqual({ d: 0, c: 8, b: 20, a: 26 });
    expect(shard?.bytes).toBe(start + 29);
  });

  it("a module's parts stay in one file, a file stays below the limit unless one module is larger", () => {
    const module = (name: string, size: number) =>
      job([`${name}.weight`, "uint32", size], [`${name}.scales`, "bfloat16", size]);
    const shards = layOut([module("a", 10), module("b", 10), module("large", 100), module("c", 1)], 130);
    expect(
      shards.map(({ name, jobs }) => [name, jobs.flatMap(({ outputs }) => outputs).map(({ name }) => name)]),
    ).toEqual([
      ["model-00001-of-00003.safetensors", ["a.weight", "a.scales", "b.weight", "b.scales"]],
      ["model-00002-of-00003.safetensors", ["large.weight", "large.scales"]],
      ["model-00003-of-00003.safetensors", ["c.weight", "c.scales"]],
    ]);
    const index = JSON.parse(indexOf(shards, 7));
    expect(index.metadata).toEqual({ total_size: 6 * 121, total_parameters: 7 });
    expect(index.weight_map["large.scales"]).toBe("model-00002-of-00003.safetensors");
  });
});
