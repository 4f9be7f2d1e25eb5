import { writeFileSync } from "node:fs";
import { addon } from "../../src/mlx/addon.js";
import type { NativeArray } from "../../src/mlx/native.js";

/** A tensor as a safetensors file holds it. */
export interface StoredTensor {
  readonly dtype: "F32" | "BF16" | "I32" | "U32" | "U8";
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const bytesOf = (values: Float32Array | Int32Array | Uint32Array | Uint8Array | Uint16Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const floatTensor = (values: Float32Array, shape: readonly number[]): StoredTensor => ({
  dtype: "F32",
  shape,
  bytes: bytesOf(values),
});

export const integerTensor = (
  values: Int32Array | Uint32Array | Uint8Array,
  shape: readonly number[],
): StoredTensor => ({
  dtype: values instanceof Int32Array ? "I32" : values instanceof Uint32Array ? "U32" : "U8",
  shape,
  bytes: bytesOf(values),
});

/** The values of a float tensor. */
export function floatsOf({ dtype, bytes }: StoredTensor): Float32Array {
  if (dtype !== "F32") throw new Error(`expected F32, found ${dtype}`);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** The same tensor in bfloat16; its values must have no more than 8 significant bits. */
export function asBfloat16(tensor: StoredTensor): StoredTensor {
  if (tensor.dtype !== "F32") return tensor;
  const words = new Uint32Array(tensor.bytes.buffer, tensor.bytes.byteOffset, tensor.bytes.byteLength / 4);
  const halves = new Uint16Array(words.length);
  let lost = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0;
    lost |= word & 0xffff;
    halves[i] = word >>> 16;
  }
  if (lost !== 0) throw new Error("the values are no bfloat16");
  return { dtype: "BF16", shape: tensor.shape, bytes: bytesOf(halves) };
}

export function writeSafetensors(file: string, tensors: ReadonlyMap<string, StoredTensor>): void {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "mlx" } };
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, ...[...tensors.values()].map(({ bytes }) => bytes)]));
}

const DTYPES = { F32: "float32", BF16: "bfloat16", I32: "int32", U32: "uint32", U8: "uint8" } as const;

/** The tensors as arrays of MLX. */
export function arraysOf(tensors: ReadonlyMap<string, StoredTensor>): Map<string, NativeArray> {
  return new Map(
    [...tensors].map(([name, { dtype, shape, bytes }]) => [
      name,
      addon().fromBytes(bytes, shape, DTYPES[dtype]),
    ]),
  );
}
