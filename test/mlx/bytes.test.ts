import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import {
  evaluate,
  fromBytes,
  fromFloat32,
  type MlxArray,
  readBytes,
  readFloat32,
} from "../../src/mlx/array.js";
import type { NativeQuantization } from "../../src/mlx/native.js";
import * as ops from "../../src/mlx/ops.js";
import { ints } from "./helpers.js";

async function bytesOf(array: MlxArray): Promise<number[]> {
  await evaluate([[array]]);
  return [...readBytes(array)];
}

const bytesOfFloats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

describe("readBytes", () => {
  it.each(["bfloat16", "float16", "float32", "int32", "int64", "uint32", "uint8", "bool"] as const)(
    "gives back the bytes of %s",
    async (dtype) => {
      const size = { bfloat16: 2, float16: 2, float32: 4, int32: 4, int64: 8, uint32: 4, uint8: 1, bool: 1 }[
        dtype
      ];
      const bytes = Uint8Array.from({ length: 6 * size }, (_, i) => (dtype === "bool" ? i % 2 : i * 7));
      const array = fromBytes(bytes, [2, 3], dtype);
      expect(array).toMatchObject({ shape: [2, 3], dtype, nbytes: bytes.length });
      expect(await bytesOf(array)).toEqual([...bytes]);
    },
  );

  it("is row-major whatever the strides", async () => {
    const narrow = fromBytes(Uint8Array.of(1, 2, 3, 4, 5, 6), [2, 3], "uint8");
    expect(await bytesOf(ops.slice(narrow, [0, 1], [2, 3]))).toEqual([2, 3, 5, 6]);
    const wide = ops.slice(ints([1, 2, 3, 4], [2, 2]), [0, 1], [2, 2]);
    expect(await bytesOf(wide)).toEqual([...new Uint8Array(Int32Array.of(2, 4).buffer)]);
  });

  it("wants an evaluated array", () => {
    expect(() => readBytes(ops.add(ints([1]), ints([1])))).toThrow("readBytes: the array is not evaluated");
  });
});

describe("fromBytes", () => {
  it("copies", async () => {
    const bytes = bytesOfFloats(1, 2);
    const array = fromBytes(bytes, [2], "float32");
    bytes.fill(0);
    await evaluate([[array]]);
    expect([...readFloat32(array)]).toEqual([1, 2]);
  });

  it.each<[string, () => unknown]>([
    ["fromBytes: shape and length differ", () => fromBytes(new Uint8Array(7), [2], "float32")],
    ['unknown dtype "complex64"', () => addon().fromBytes(new Uint8Array(8), [1], "complex64" as "float32")],
    [
      "fromBytes: expected a Uint8Array",
      () => addon().fromBytes(new Int8Array(4) as unknown as Uint8Array, [1], "float32"),
    ],
  ])("%s", (message, call) => {
    expect(call).toThrow(message);
  });
});

describe("quantize", () => {
  it("packs a group of 32 into four words, a scale and a bias", async () => {
    // 0 … 15 twice in steps of one: 4 bits hold them exactly.
    const row = fromFloat32(
      Float32Array.from({ length: 32 }, (_, i) => i % 16),
      [1, 32],
    );
    const parts = ops.quantize(row, { groupSize: 32, bits: 4, mode: "affine" });
    expect(parts.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual([
      { shape: [1, 4], dtype: "uint32" },
      { shape: [1, 1], dtype: "float32" },
      { shape: [1, 1], dtype: "float32" },
    ]);
    await evaluate([parts]);
    const [weight, scales, biases] = parts.map(readBytes).map((bytes) => bytes.slice().buffer);
    const [scale = 0] = new Float32Array(scales ?? new ArrayBuffer(0));
    const [bias = 0] = new Float32Array(biases ?? new ArrayBuffer(0));
    const words = new Uint32Array(weight ?? new ArrayBuffer(0));
    const values = Array.from(
      { length: 32 },
      (_, i) => (((words[i >> 3] ?? 0) >>> (4 * (i & 7))) & 15) * scale + bias,
    );
    expect(values).toEqual(Array.from({ length: 32 }, (_, i) => i % 16));
  });

  it.each<[NativeQuantization, number[]]>([
    [{ groupSize: 32, bits: 4, mode: "mxfp4" }, [2, 2]],
    [{ groupSize: 32, bits: 8, mode: "mxfp8" }, [2, 2]],
    [{ groupSize: 16, bits: 4, mode: "nvfp4" }, [2, 4]],
  ])("%j has scales of a byte and no biases", (quantization, scales) => {
    const parts = ops.quantize(ops.zeros([2, 64], "bfloat16"), quantization);
    expect(parts.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual([
      { shape: [2, (64 * quantization.bits) / 32], dtype: "uint32" },
      { shape: scales, dtype: "uint8" },
    ]);
  });

  it("tells what MLX does not take", () => {
    const weight = ops.zeros([2, 48], "float32");
    expect(() => ops.quantize(weight, { groupSize: 32, bits: 4, mode: "affine" })).toThrow(
      /MLX: .*divisible/,
    );
    expect(() => ops.quantize(weight, { groupSize: 32, bits: 7, mode: "affine" })).toThrow(/MLX: /);
  });
});
