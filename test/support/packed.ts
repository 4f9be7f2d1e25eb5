import type { NativeQuantization } from "../../src/mlx/native.js";
import { floatTensor, integerTensor, type StoredTensor } from "./tensors.js";

/** Every packing of MLX's that fits rows of 128 values. */
export const PACKINGS: readonly NativeQuantization[] = [
  ...[2, 3, 4, 5, 6, 8].flatMap((bits) =>
    [32, 64, 128].map((groupSize): NativeQuantization => ({ groupSize, bits, mode: "affine" })),
  ),
  { groupSize: 32, bits: 4, mode: "mxfp4" },
  { groupSize: 32, bits: 8, mode: "mxfp8" },
  { groupSize: 16, bits: 4, mode: "nvfp4" },
];

/** A packed tensor beside what it stands for, worked out without MLX. */
export interface PackedTensor {
  readonly weight: StoredTensor;
  readonly scales: StoredTensor;
  readonly biases?: StoredTensor;
  /** float32 (…, I); each value has at most 8 significant bits, so that any dtype holds it exactly. */
  readonly values: StoredTensor;
}

const FP4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

const e2m1 = (code: number): number => (code & 8 ? -1 : 1) * (FP4[code & 7] ?? 0);

function e4m3(code: number): number {
  const exponent = (code >> 3) & 15;
  const fraction = code & 7;
  const size = exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
  return code & 128 ? -size : size;
}

/** Random codes, scales and biases for (…, I) values of about [-1/2, 1/2]. */
export function packedTensor(
  shape: readonly number[],
  { groupSize, bits, mode }: NativeQuantization,
  random: (bound: number) => number,
): PackedTensor {
  const columns = shape.at(-1) ?? 0;
  const size = shape.reduce((product, axis) => product * axis, 1);
  const rows = size / columns;
  const words = new Uint32Array((size * bits) / 32);
  const values = new Float32Array(size);
  const groups = size / groupSize;
  const scales = mode === "affine" ? new Float32Array(groups) : new Uint8Array(groups);
  const biases = new Float32Array(groups);
  for (let group = 0; group < groups; group++) {
    const [stored, scale] = randomScale(mode, bits, random);
    scales[group] = stored;
    biases[group] = mode === "affine" ? -scale * 2 ** (bits - 1) : 0;
    for (let i = group * groupSize; i < (group + 1) * groupSize; i++) {
      const code = randomCode(mode, bits, random);
      // Rows are whole words, so that a value's bits count from the very beginning.
      putBits(words, i * bits, bits, code);
      const decoded = mode === "affine" ? code : mode === "mxfp8" ? e4m3(code) : e2m1(code);
      // No bias is added where there is none: it would make +0 of -0.
      values[i] = mode === "affine" ? scale * decoded + (biases[group] ?? 0) : scale * decoded;
    }
  }
  const lead = shape.slice(0, -1);
  const perGroup = [...lead, columns / groupSize];
  return {
    weight: integerTensor(words, [...lead, words.length / rows]),
    scales: scales instanceof Float32Array ? floatTensor(scales, perGroup) : integerTensor(scales, perGroup),
    ...(mode === "affine" ? { biases: floatTensor(biases, perGroup) } : {}),
    values: floatTensor(values, shape),
  };
}

/** A scale as it is stored, and what it means. */
function randomScale(
  mode: NativeQuantization["mode"],
  bits: number,
  random: (bound: number) => number,
): [stored: number, meant: number] {
  const step = random(3);
  switch (mode) {
    case "affine":
      return [2 ** -(bits + step), 2 ** -(bits + step)];
    case "mxfp4":
      return [127 - 4 - step, 2 ** -(4 + step)];
    case "mxfp8":
      return [127 - 9 - step, 2 ** -(9 + step)];
    case "nvfp4": {
      const code = 0x18 + 8 * step + random(8); // exponents 3 to 5: from 2^-4 up to nearly 2^-1
      return [code, e4m3(code)];
    }
  }
}

function randomCode(mode: NativeQuantization["mode"], bits: number, random: (bound: number) => number) {
  const code = random(2 ** bits);
  return mode === "mxfp8" && (code & 127) === 127 ? 0 : code; // not NaN
}

function putBits(words: Uint32Array, offset: number, bits: number, code: number): void {
  for (let bit = 0; bit < bits; bit++) {
    const at = offset + bit;
    const word = words[at >>> 5] ?? 0;
    if ((code >>> bit) & 1) words[at >>> 5] = word | (1 << (at & 31));
  }
}
