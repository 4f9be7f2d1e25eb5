import { open } from "node:fs/promises";
import { ITEM_SIZE } from "../../checkpoint/dtypes.js";
import { readExactly } from "../../checkpoint/files.js";
import type { StoredDtype } from "../../checkpoint/types.js";
import { checkUnchanged } from "../../file-stamp.js";
import type { QuantizationMode } from "../../mlx/native.js";
import type { Encoded, Run, Stored } from "./encoding.js";

/** Numbers that hold every value of a dtype as it is (64-bit integers above 2^53 are rounded). */
export type Values = Float32Array | Float64Array;

/** Reads and decodes a run of values. @throws MlxGemmaError `checkpoint` for a file that changed since its header was read */
export async function decodeRun({ encoded, start, values }: Run): Promise<Values> {
  if (encoded.kind === "plain") {
    const { stored } = encoded;
    return decodePlain(await readItems(stored, start, values), stored.dtype);
  }
  const { bits, groupSize, mode } = encoded.quantization;
  // Rows are whole words and whole groups, so that a value's bits and group count from the very beginning.
  const [codes, scales, biases] = await Promise.all([
    readBytes(encoded.weight, (start * bits) / 8, (values * bits) / 8),
    readItems(encoded.scales, start / groupSize, values / groupSize),
    encoded.biases && readItems(encoded.biases, start / groupSize, values / groupSize),
  ]);
  return decodePacked({
    codes,
    bits,
    groupSize,
    decode: codeTable(mode, bits),
    scales: scaleValues(mode, scales, encoded.scales.dtype),
    biases: biases && encoded.biases ? decodePlain(biases, encoded.biases.dtype) : undefined,
  });
}

/** The 16-bit patterns of a run of bfloat16 or float16 values. */
export async function readPatterns(
  stored: Stored,
  { start, values }: Omit<Run, "encoded">,
): Promise<Uint16Array> {
  return new Uint16Array((await readItems(stored, start, values)).buffer);
}

/** A packed run, read. */
export interface PackedRun {
  readonly codes: Uint8Array;
  readonly bits: number;
  readonly groupSize: number;
  /** What each code means. */
  readonly decode: Float32Array;
  /** A scale for each group. */
  readonly scales: Values;
  readonly biases: Values | undefined;
}

/** The values of a packed run: codes stand in a stream of bits, least significant first, in groups of one scale. */
export function decodePacked({ codes, bits, groupSize, decode, scales, biases }: PackedRun): Float32Array {
  const result = new Float32Array(scales.length * groupSize);
  const mask = 2 ** bits - 1;
  for (let group = 0, i = 0; group < scales.length; group++) {
    const scale = scales[group] ?? 0;
    const bias = biases?.[group];
    for (let j = 0; j < groupSize; j++, i++) {
      const bit = i * bits;
      const byte = Math.floor(bit / 8);
      const pair = (codes[byte] ?? 0) | ((codes[byte + 1] ?? 0) << 8);
      const value = scale * (decode[(pair >>> (bit & 7)) & mask] ?? 0);
      result[i] = bias === undefined ? value : value + bias;
    }
  }
  return result;
}

/** The values of little-endian bytes of a dtype. The bytes stand at the beginning of their buffer. */
export function decodePlain(bytes: Uint8Array, dtype: StoredDtype): Values {
  const { buffer } = bytes;
  switch (dtype) {
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "bfloat16":
    case "float16":
      return mapped(new Uint16Array(buffer), patternValues(dtype));
    case "float8_e4m3":
      return mapped(bytes, E4M3);
    case "float8_e5m2":
      return mapped(bytes, E5M2);
    case "int64":
      return Float64Array.from(new BigInt64Array(buffer), Number);
    case "uint64":
      return Float64Array.from(new BigUint64Array(buffer), Number);
    case "int32":
      return Float64Array.from(new Int32Array(buffer));
    case "uint32":
      return Float64Array.from(new Uint32Array(buffer));
    case "int16":
      return Float32Array.from(new Int16Array(buffer));
    case "uint16":
      return Float32Array.from(new Uint16Array(buffer));
    case "int8":
      return Float32Array.from(new Int8Array(buffer));
    case "uint8":
    case "bool":
      return Float32Array.from(bytes);
  }
}

const tables = new Map<"bfloat16" | "float16", Float32Array>();

/** The value of each 16-bit pattern. */
export function patternValues(dtype: "bfloat16" | "float16"): Float32Array {
  const known = tables.get(dtype);
  if (known) return known;
  const made =
    dtype === "bfloat16" ? bfloat16Values() : Float32Array.from({ length: 65_536 }, (_, i) => float16(i));
  tables.set(dtype, made);
  return made;
}

function bfloat16Values(): Float32Array {
  return new Float32Array(Uint32Array.from({ length: 65_536 }, (_, pattern) => pattern << 16).buffer);
}

function float16(pattern: number): number {
  return minifloat(pattern, { exponent: 5, fraction: 10, hasInfinity: true });
}

interface Minifloat {
  /** Bits. */
  readonly exponent: number;
  readonly fraction: number;
  /** Whether the largest exponent means infinity and NaN; without, only all ones is NaN. */
  readonly hasInfinity: boolean;
}

/** IEEE 754's way of writing a number, with other widths. */
function minifloat(pattern: number, { exponent: e, fraction: f, hasInfinity }: Minifloat): number {
  const sign = pattern >>> (e + f) ? -1 : 1;
  const exponent = (pattern >>> f) & (2 ** e - 1);
  const fraction = pattern & (2 ** f - 1);
  if (exponent === 2 ** e - 1) {
    if (hasInfinity) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    if (fraction === 2 ** f - 1) return Number.NaN;
  }
  const bias = 2 ** (e - 1) - 1;
  const size = exponent === 0 ? fraction / 2 ** f : 1 + fraction / 2 ** f;
  return sign * size * 2 ** (Math.max(1, exponent) - bias);
}

const bytewise = (value: (byte: number) => number) => Float32Array.from({ length: 256 }, (_, i) => value(i));
const E4M3 = bytewise((byte) => minifloat(byte, { exponent: 4, fraction: 3, hasInfinity: false }));
const E5M2 = bytewise((byte) => minifloat(byte, { exponent: 5, fraction: 2, hasInfinity: true }));
const E2M1 = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);
/** A power of two: the exponent alone. */
const E8M0 = bytewise((byte) => (byte === 255 ? Number.NaN : 2 ** (byte - 127)));

function codeTable(mode: QuantizationMode, bits: number): Float32Array {
  switch (mode) {
    case "affine":
      return Float32Array.from({ length: 2 ** bits }, (_, code) => code);
    case "mxfp4":
    case "nvfp4":
      return E2M1;
    case "mxfp8":
      return E4M3;
  }
}

function scaleValues(mode: QuantizationMode, bytes: Uint8Array, dtype: StoredDtype): Values {
  switch (mode) {
    case "affine":
      return decodePlain(bytes, dtype);
    case "mxfp4":
    case "mxfp8":
      return mapped(bytes, E8M0);
    case "nvfp4":
      return mapped(bytes, E4M3);
  }
}

function mapped(codes: Uint8Array | Uint16Array, table: Float32Array): Float32Array {
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) values[i] = table[codes[i] ?? 0] ?? 0;
  return values;
}

async function readItems(stored: Stored, first: number, items: number): Promise<Uint8Array<ArrayBuffer>> {
  const width = ITEM_SIZE[stored.dtype];
  return await readBytes(stored, first * width, items * width);
}

async function readBytes(
  { file, stamp, offset }: Stored,
  from: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const unchanged = () => checkUnchanged([[file, stamp]]);
  unchanged();
  const handle = await open(file);
  try {
    const bytes = await readExactly(handle, file, offset + from, new Uint8Array(new ArrayBuffer(length)));
    unchanged();
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Whether a tensor's values are counted by their 16-bit patterns. */
export function patternDtype(encoded: Encoded): "bfloat16" | "float16" | undefined {
  const dtype = encoded.kind === "plain" ? encoded.stored.dtype : undefined;
  return dtype === "bfloat16" || dtype === "float16" ? dtype : undefined;
}
