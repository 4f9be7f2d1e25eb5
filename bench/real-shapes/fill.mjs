// Seeded random weights, made as bytes: a bfloat16 is a sign, an exponent and seven bits of mantissa, and random bits in
// the last two places give all the variety that a shape's check needs, at the speed of a disk.

/** Values in ±[2^e, 2^(e+2)) with a standard deviation near `std`. */
export function normal(std) {
  return { kind: "bf16", exponent: Math.round(Math.log2(std / 2.4)), octaves: 2, signed: true };
}

/** Values in [2^exponent, 2^(exponent + octaves)). */
export function positive(exponent, octaves = 1) {
  return { kind: "bf16", exponent, octaves };
}

/** With one seed: the values that `fill` gives, times `factor`, rounded. */
export function multiple(fill, factor) {
  return { ...fill, factor };
}

/** Random bits. */
export const bits = { kind: "u32" };

/** int64 numbers 0 … count - 1 in random order. */
export const permutation = { kind: "permutation" };

const EXPONENT_BIAS = 127;

/**
 * A function that fills the next bytes of a tensor, called with buffers whose sizes are multiples of 4.
 *
 * @param fill one of the above
 * @param seed a whole number; the same one gives the same bytes, whatever the sizes of the buffers
 */
export function filler(fill, seed, elements) {
  if (fill.kind === "permutation") return permutationFiller(elements, seed);
  const { and, add } = fill.kind === "u32" ? { and: -1, add: 0 } : pattern(fill);
  let x = seed | 0 || 1;
  return (buffer) => {
    const words = new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >> 2);
    for (let i = 0; i < words.length; i++) {
      x ^= x << 13; // xorshift32
      x ^= x >>> 17;
      x ^= x << 5;
      words[i] = (x & and) + add;
    }
    if (fill.factor !== undefined) multiply(buffer, fill.factor);
  };
}

function multiply(buffer, factor) {
  const values = new Uint16Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >> 1);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let i = 0; i < values.length; i++) {
    bits[0] = values[i] << 16;
    float[0] *= factor;
    values[i] = (bits[0] + 0x8000) >>> 16;
  }
}

/** Which bits of two bfloat16 are random, and what is added to them. */
function pattern({ exponent, octaves, signed = false }) {
  const and = 0x7f | (octaves === 2 ? 0x80 : 0) | (signed ? 0x8000 : 0);
  const add = (exponent + EXPONENT_BIAS) << 7;
  return { and: and | (and << 16), add: add * 0x10001 };
}

function permutationFiller(count, seed) {
  const order = new Uint32Array(count).map((_, i) => i);
  const random = uniform(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = random(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  let next = 0;
  return (buffer) => {
    const wide = new BigInt64Array(buffer.buffer, buffer.byteOffset, buffer.byteLength >> 3);
    for (let i = 0; i < wide.length; i++) wide[i] = BigInt(order[next++]);
  };
}

/** Whole numbers below `limit`, from a seed. */
export function uniform(seed) {
  let x = seed | 0 || 1;
  return (limit) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return Math.floor(((x >>> 0) / 2 ** 32) * limit);
  };
}

/** A seed for a text, FNV-1a. */
export function seedOf(text, seed) {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
}
